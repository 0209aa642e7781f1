#include "tests/support/log_tail.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/harness.h"

struct log_tail {
	pthread_t thread;
	bool following; /* by the owner's thread only: `thread` is to be joined */
	int fd;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	char **lines;
	size_t count;
	size_t start; /* first line of what is followed now */
	bool ended;
};

static void line_add(struct log_tail *tail, char *line)
{
	char *kept = strdup(line);

	if (kept == NULL)
		harness_fail("out of memory");
	pthread_mutex_lock(&tail->lock);
	if (tail->count < LOG_TAIL_LINES)
		tail->lines[tail->count++] = kept;
	else
		free(kept);
	pthread_cond_broadcast(&tail->changed);
	pthread_mutex_unlock(&tail->lock);
}

static void *tail_thread(void *arg)
{
	struct log_tail *tail = arg;
	FILE *in = fdopen(tail->fd, "re");
	char *line = NULL;
	size_t size = 0;

	if (in == NULL)
		harness_fail("fdopen");
	while (getline(&line, &size, in) >= 0) {
		if (line[0] != '{')
			fputs(line, stderr); /* no log line: a sanitizer's report, or a library's last words */
		line_add(tail, line);
	}
	free(line);
	fclose(in);
	pthread_mutex_lock(&tail->lock);
	tail->ended = true;
	pthread_cond_broadcast(&tail->changed);
	pthread_mutex_unlock(&tail->lock);
	return NULL;
}

struct log_tail *log_tail_new(void)
{
	struct log_tail *tail = calloc(1, sizeof(*tail));
	pthread_condattr_t monotonic;

	if (tail == NULL || (tail->lines = calloc(LOG_TAIL_LINES, sizeof(*tail->lines))) == NULL)
		harness_fail("out of memory");
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&tail->lock, NULL);
	pthread_cond_init(&tail->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return tail;
}

void log_tail_follow(struct log_tail *tail, int fd)
{
	log_tail_join(tail);
	pthread_mutex_lock(&tail->lock);
	tail->start = tail->count;
	tail->ended = false;
	pthread_mutex_unlock(&tail->lock);
	tail->fd = fd;
	if (pthread_create(&tail->thread, NULL, tail_thread, tail) != 0)
		harness_fail("no thread for a log");
	tail->following = true;
}

void log_tail_join(struct log_tail *tail)
{
	if (tail->following)
		pthread_join(tail->thread, NULL);
	tail->following = false;
}

void log_tail_free(struct log_tail *tail)
{
	if (tail == NULL)
		return;
	log_tail_join(tail);
	for (size_t i = 0; i < tail->count; i++)
		free(tail->lines[i]);
	free(tail->lines);
	pthread_cond_destroy(&tail->changed);
	pthread_mutex_destroy(&tail->lock);
	free(tail);
}

/* The line as an object if it carries the message, else NULL. */
static json_t *line_parse(const char *line, const char *message)
{
	json_t *object = strstr(line, message) == NULL ? NULL : json_loads(line, 0, NULL);
	const char *said = json_string_value(json_object_get(object, "message"));

	if (said != NULL && strcmp(said, message) == 0)
		return object;
	json_decref(object);
	return NULL;
}

/* Under the lock: how many there are from line `at` on; `ret_latest` (may be NULL) gets the last one. */
static size_t count_from(struct log_tail *tail, size_t at, const char *message, json_t **ret_latest)
{
	size_t count = 0;

	for (; at < tail->count; at++) {
		json_t *object = line_parse(tail->lines[at], message);

		if (object == NULL)
			continue;
		count++;
		if (ret_latest != NULL) {
			json_decref(*ret_latest);
			*ret_latest = json_incref(object);
		}
		json_decref(object);
	}
	return count;
}

size_t log_tail_count(struct log_tail *tail, const char *message)
{
	size_t count;

	pthread_mutex_lock(&tail->lock);
	count = count_from(tail, tail->start, message, NULL);
	pthread_mutex_unlock(&tail->lock);
	return count;
}

json_t *log_tail_line(struct log_tail *tail, const char *message)
{
	json_t *latest = NULL;

	pthread_mutex_lock(&tail->lock);
	count_from(tail, tail->start, message, &latest);
	pthread_mutex_unlock(&tail->lock);
	return latest;
}

bool log_tail_wait(struct log_tail *tail, const char *message, size_t count, int64_t deadline_ms)
{
	int64_t until_us = harness_mono_us() + deadline_ms * 1000;
	struct timespec until = {.tv_sec = (time_t)(until_us / 1000000), .tv_nsec = (long)(until_us % 1000000) * 1000};
	size_t found = 0;
	size_t at;

	pthread_mutex_lock(&tail->lock);
	at = tail->start;
	for (;;) {
		found += count_from(tail, at, message, NULL);
		at = tail->count;
		if (found >= count || tail->ended || harness_mono_us() >= until_us)
			break;
		pthread_cond_timedwait(&tail->changed, &tail->lock, &until);
	}
	pthread_mutex_unlock(&tail->lock);
	return found >= count;
}

bool log_tail_contains(struct log_tail *tail, const char *text)
{
	bool found = false;

	pthread_mutex_lock(&tail->lock);
	for (size_t i = 0; i < tail->count && !found; i++)
		found = strstr(tail->lines[i], text) != NULL;
	pthread_mutex_unlock(&tail->lock);
	return found;
}

void log_tail_print(struct log_tail *tail, size_t lines)
{
	pthread_mutex_lock(&tail->lock);
	for (size_t i = tail->count > lines ? tail->count - lines : 0; i < tail->count; i++)
		fprintf(stderr, "  log: %s", tail->lines[i]);
	pthread_mutex_unlock(&tail->lock);
}
