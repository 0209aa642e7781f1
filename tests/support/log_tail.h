/*
 * A child's log: lines read from a pipe by a thread, kept, searched, waited for.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_LOG_TAIL_H
#define TOKENFIRST_TESTS_SUPPORT_LOG_TAIL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOG_TAIL_LINES = 50000 }; /* kept; later ones are counted only */

struct log_tail;

struct log_tail *log_tail_new(void); /* never NULL */
/* Reads `fd` to its end on a thread, and closes it. Searches start at this place from now on. */
void log_tail_follow(struct log_tail *tail, int fd);
/* Waits for the end of what is followed. */
void log_tail_join(struct log_tail *tail);
void log_tail_free(struct log_tail *tail); /* joins; NULL is fine */

/* JSON lines whose member "message" is `message`, since the last follow. */
size_t log_tail_count(struct log_tail *tail, const char *message);
/* Until `count` of them are there: true. Earlier false: the deadline, or the end of the log. */
bool log_tail_wait(struct log_tail *tail, const char *message, size_t count, int64_t deadline_ms);
/* The latest of them, to be json_decref'ed; NULL: none. */
json_t *log_tail_line(struct log_tail *tail, const char *message);

/* All lines ever, as they came. */
bool log_tail_contains(struct log_tail *tail, const char *text);
/* Prints the last lines to stderr: for the person who looks at a failed test. */
void log_tail_print(struct log_tail *tail, size_t lines);

#endif
