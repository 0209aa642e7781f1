#include "tests/support/crowd.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "tests/support/harness.h"

struct member {
	struct crowd *crowd;
	const char *username;
	pthread_t thread;
};

struct crowd {
	struct crowd_options options;
	atomic_bool stopping;
	bool joined;
	struct member members[CROWD_THREADS];
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t answered;
	size_t count;
	struct api_login *logins[CROWD_LOGINS];
};

/* Whether there was room. */
static bool keep(struct crowd *crowd, const struct api_login *login)
{
	struct api_login *kept = malloc(sizeof(*kept));
	bool room;

	if (kept == NULL)
		harness_fail("out of memory");
	*kept = *login;
	pthread_mutex_lock(&crowd->lock);
	room = crowd->count < CROWD_LOGINS;
	if (room)
		crowd->logins[crowd->count++] = kept;
	pthread_cond_broadcast(&crowd->answered);
	pthread_mutex_unlock(&crowd->lock);
	if (!room)
		free(kept);
	return room;
}

static void *member_thread(void *arg)
{
	const struct member *member = arg;
	struct crowd *crowd = member->crowd;
	size_t each = crowd->options.each;

	for (size_t i = 0; each > 0 ? i < each : !atomic_load(&crowd->stopping); i++) {
		struct api_login login = api_login(crowd->options.server, member->username, crowd->options.password);

		if (!keep(crowd, &login))
			break;
	}
	return NULL;
}

struct crowd *crowd_start(const struct crowd_options *options)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	pthread_condattr_t monotonic;
	size_t names = 0;

	while (options->usernames[names] != NULL)
		names++;
	if (crowd == NULL || names == 0 || options->threads > CROWD_THREADS)
		harness_fail("a crowd of %zu threads and %zu names", options->threads, names);
	crowd->options = *options;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&crowd->lock, NULL);
	pthread_cond_init(&crowd->answered, &monotonic);
	pthread_condattr_destroy(&monotonic);
	for (size_t i = 0; i < options->threads; i++) {
		struct member *member = &crowd->members[i];

		*member = (struct member){.crowd = crowd, .username = options->usernames[i % names]};
		if (pthread_create(&member->thread, NULL, member_thread, member) != 0)
			harness_fail("no thread for a crowd");
	}
	return crowd;
}

void crowd_join(struct crowd *crowd)
{
	if (crowd->joined)
		return;
	atomic_store(&crowd->stopping, true);
	for (size_t i = 0; i < crowd->options.threads; i++)
		pthread_join(crowd->members[i].thread, NULL);
	crowd->joined = true;
}

void crowd_free(struct crowd *crowd)
{
	crowd_join(crowd);
	for (size_t i = 0; i < crowd->count; i++)
		free(crowd->logins[i]);
	pthread_cond_destroy(&crowd->answered);
	pthread_mutex_destroy(&crowd->lock);
	free(crowd);
}

size_t crowd_count(struct crowd *crowd)
{
	size_t count;

	pthread_mutex_lock(&crowd->lock);
	count = crowd->count;
	pthread_mutex_unlock(&crowd->lock);
	return count;
}

/* Under the lock. */
static size_t count_status(const struct crowd *crowd, int status)
{
	size_t count = 0;

	for (size_t i = 0; i < crowd->count; i++)
		count += crowd->logins[i]->status == status;
	return count;
}

size_t crowd_count_status(struct crowd *crowd, int status)
{
	size_t count;

	pthread_mutex_lock(&crowd->lock);
	count = count_status(crowd, status);
	pthread_mutex_unlock(&crowd->lock);
	return count;
}

bool crowd_wait(struct crowd *crowd, size_t count, int64_t deadline_ms)
{
	int64_t until_us = harness_mono_us() + deadline_ms * 1000;
	struct timespec until = {.tv_sec = (time_t)(until_us / 1000000), .tv_nsec = (long)(until_us % 1000000) * 1000};
	bool enough;

	pthread_mutex_lock(&crowd->lock);
	while (!(enough = count_status(crowd, 200) >= count) && harness_mono_us() < until_us)
		pthread_cond_timedwait(&crowd->answered, &crowd->lock, &until);
	pthread_mutex_unlock(&crowd->lock);
	return enough;
}

const struct api_login *crowd_login(const struct crowd *crowd, size_t index)
{
	if (index >= crowd->count)
		harness_fail("login %zu of %zu is asked for", index, crowd->count);
	return crowd->logins[index];
}
