/*
 * The log writes to descriptor 2, so each test puts a pipe there. Criterion runs each
 * test in a process of its own.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/limits.h"
#include "config/log.h"

struct capture {
	int saved, in;
	char text[256 * 1024];
};

static void capture_begin(struct capture *capture)
{
	int ends[2];
	cr_assert_eq(pipe(ends), 0);
	cr_assert_geq(fcntl(ends[0], F_SETPIPE_SZ, 1 << 20), 1 << 20);
	capture->saved = dup(STDERR_FILENO);
	capture->in = ends[0];
	cr_assert_geq(dup2(ends[1], STDERR_FILENO), 0);
	close(ends[1]);
}

/* What was written since. */
static const char *capture_end(struct capture *capture)
{
	size_t used = 0;
	cr_assert_geq(dup2(capture->saved, STDERR_FILENO), 0);
	close(capture->saved);
	for (;;) {
		ssize_t n = read(capture->in, capture->text + used, sizeof capture->text - 1 - used);
		cr_assert_geq(n, 0);
		if (!n)
			break;
		used += (size_t)n;
	}
	close(capture->in);
	capture->text[used] = '\0';
	return capture->text;
}

static json_t *parse_line(const char *text)
{
	json_error_t error;
	const char *end = strchr(text, '\n');
	cr_assert_not_null(end, "a line ends in a newline: %s", text);
	json_t *line = json_loadb(text, (size_t)(end - text), JSON_REJECT_DUPLICATES, &error);
	cr_assert_not_null(line, "%s: %s", error.text, text);
	return line;
}

static const char *member(const json_t *line, const char *name)
{
	const char *text = json_string_value(json_object_get(line, name));
	cr_assert_not_null(text, "no %s", name);
	return text;
}

Test(log, a_line_is_one_json_object)
{
	struct capture capture;
	capture_begin(&capture);
	log_write(LOG_WARN, "breaker opened", LOG_STR("effect", "crm"), LOG_INT("failures", 5), LOG_STR("gone", NULL));
	json_t *line = parse_line(capture_end(&capture));
	const char *time = member(line, "time");
	int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0;
	cr_assert_eq(strlen(time), strlen("2026-01-02T03:04:05.678Z"), "%s", time);
	cr_assert_eq(
		sscanf(time, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &year, &month, &day, &hour, &minute, &second, &ms), 7);
	cr_assert_geq(year, 2024);
	cr_assert_str_eq(member(line, "level"), "warn");
	cr_assert_str_eq(member(line, "message"), "breaker opened");
	cr_assert_str_eq(member(line, "effect"), "crm");
	cr_assert_eq(json_integer_value(json_object_get(line, "failures")), 5);
	cr_assert_null(json_object_get(line, "gone"), "a NULL text is left out");
	cr_assert_eq(json_object_size(line), 5);
	json_decref(line);
}

Test(log, no_fields_at_all)
{
	struct capture capture;
	capture_begin(&capture);
	log_write(LOG_INFO, "ready");
	json_t *line = parse_line(capture_end(&capture));
	cr_assert_eq(json_object_size(line), 3);
	json_decref(line);
}

Test(log, levels_below_the_least_are_silent)
{
	struct capture capture;
	capture_begin(&capture);
	log_write(LOG_DEBUG, "not by default");
	log_configure(LOG_ERROR, LOG_JSON);
	log_write(LOG_WARN, "nor this");
	log_write(LOG_ERROR, "this");
	log_configure(LOG_DEBUG, LOG_JSON);
	log_write(LOG_DEBUG, "and this");
	const char *text = capture_end(&capture);
	json_t *first = parse_line(text), *second = parse_line(strchr(text, '\n') + 1);
	cr_assert_str_eq(member(first, "message"), "this");
	cr_assert_str_eq(member(second, "message"), "and this");
	cr_assert_str_eq(member(second, "level"), "debug");
	cr_assert_null(strchr(strchr(strchr(text, '\n') + 1, '\n') + 1, '\n'));
	json_decref(first);
	json_decref(second);
}

Test(log, hostile_text_stays_within_its_field)
{
	struct capture capture;
	capture_begin(&capture);
	log_write(LOG_INFO, "a\"b\\c\nd", LOG_STR("reason", "x\",\"level\":\"error\r\n{\x01\x7f"),
		LOG_STR("bytes", "caf\xe9 \xff"), LOG_STR("utf8", "grüß"));
	json_t *line = parse_line(capture_end(&capture));
	cr_assert_str_eq(member(line, "message"), "a\"b\\c\nd");
	cr_assert_str_eq(member(line, "reason"), "x\",\"level\":\"error\r\n{\x01\x7f");
	cr_assert_str_eq(member(line, "bytes"), "caf? ?", "what is no UTF-8 is replaced");
	cr_assert_str_eq(member(line, "utf8"), "grüß");
	cr_assert_str_eq(member(line, "level"), "info");
	json_decref(line);
}

Test(log, long_text_is_cut_at_a_whole_character)
{
	static char text[3 * LIMIT_LOG_TEXT];
	struct capture capture;
	memset(text, 'a', sizeof text - 1);
	memcpy(text + LIMIT_LOG_TEXT - 1, "\xc3\xbc", 2); /* the limit falls into a character */
	capture_begin(&capture);
	log_write(LOG_INFO, "long", LOG_STR("text", text));
	json_t *line = parse_line(capture_end(&capture));
	cr_assert_eq(strlen(member(line, "text")), LIMIT_LOG_TEXT - 1);
	json_decref(line);
}

/* Control characters take six bytes each in JSON, so a few long fields exceed a line. */
Test(log, a_line_beyond_its_limit_loses_its_last_fields)
{
	static char text[LIMIT_LOG_TEXT + 1];
	struct capture capture;
	memset(text, 1, sizeof text - 1);
	capture_begin(&capture);
	log_write(LOG_INFO, "much", LOG_STR("one", text), LOG_STR("two", text), LOG_STR("three", text));
	const char *written = capture_end(&capture);
	cr_assert_leq(strlen(written), LIMIT_LOG_LINE);
	json_t *line = parse_line(written);
	cr_assert_str_eq(member(line, "one"), text);
	cr_assert_null(json_object_get(line, "two"));
	json_decref(line);
}

Test(log, text_format_is_one_readable_line)
{
	struct capture capture;
	capture_begin(&capture);
	log_configure(LOG_INFO, LOG_TEXT);
	log_write(LOG_ERROR, "no\nlines", LOG_STR("reason", "a\nb \x1b[31m"), LOG_INT("n", -3));
	const char *text = capture_end(&capture);
	cr_assert_not_null(strstr(text, "Z error no\\nlines reason=\"a\\nb \\u001B[31m\" n=-3\n"), "%s", text);
	cr_assert_eq(strchr(text, '\n')[1], '\0');
}

Test(log, leaves_errno_alone)
{
	struct capture capture;
	capture_begin(&capture);
	close(STDERR_FILENO);
	errno = ENOSPC;
	log_write(LOG_ERROR, "into the void");
	cr_assert_eq(errno, ENOSPC);
	capture_end(&capture);
}

enum { THREADS = 4, LINES = 100 };

static void *write_lines(void *arg)
{
	for (int i = 0; i < LINES; i++)
		log_write(LOG_INFO, "line", LOG_STR("thread", arg), LOG_INT("i", i));
	return NULL;
}

Test(log, lines_of_several_threads_do_not_mix)
{
	static struct capture capture;
	static char name[2000];
	pthread_t threads[THREADS];
	int count = 0;
	memset(name, 'x', 80);
	capture_begin(&capture);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, write_lines, name), 0);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
	for (const char *at = capture_end(&capture); *at; at = strchr(at, '\n') + 1, count++)
		json_decref(parse_line(at));
	cr_assert_eq(count, THREADS * LINES, "%d", count);
}
