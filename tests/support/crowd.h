/*
 * Many who log in at once, each on a thread of its own, one login after another: a fixed number of times, or until told
 * to stop. What was answered is kept, since every answer is a promise.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_CROWD_H
#define TOKENFIRST_TESTS_SUPPORT_CROWD_H

#include "tests/support/api.h"

enum { CROWD_THREADS = 64, CROWD_LOGINS = 20000 }; /* kept; a thread that finds no room ends */

struct crowd;

struct crowd_options {
	const struct server *server;
	const char *const *usernames; /* NULL-terminated, taken in turn by the threads */
	const char *password;
	size_t threads;
	size_t each; /* logins per thread; 0: until crowd_join */
};

/* Never NULL. The server must not be restarted before crowd_join, unless on a socket that is handed over to it. */
struct crowd *crowd_start(const struct crowd_options *options);
/* Those who have no number stop after the login that they are in; all are waited for. */
void crowd_join(struct crowd *crowd);
void crowd_free(struct crowd *crowd); /* joins */

/* Answers so far, of any status and without (status 0). Any thread. */
size_t crowd_count(struct crowd *crowd);
size_t crowd_count_status(struct crowd *crowd, int status);
/* Whether `count` logins were answered with 200 before the deadline. */
bool crowd_wait(struct crowd *crowd, size_t count, int64_t deadline_ms);
/* After crowd_join; lives as long as the crowd. */
const struct api_login *crowd_login(const struct crowd *crowd, size_t index);

#endif
