/*
 * ULIDs: 48 bits of milliseconds, 80 random bits, 26 characters of Crockford's
 * base 32 (https://github.com/ulid/spec). They sort by time, so rows keyed by them
 * are appended and not scattered. Any thread, no lock.
 */
#ifndef TOKENFIRST_CONFIG_ID_H
#define TOKENFIRST_CONFIG_ID_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ID_LENGTH = 26, ID_SIZE = ID_LENGTH + 1, ID_RANDOM = 10 };

void id_new(char ret_id[ID_SIZE], int64_t now_ms);

/*
 * Random bytes for what must be unique and is no secret: ids and spans. From a stock of the thread's own, as a system
 * call for each costs more than all else of an id; what has been handed out stays in it until it is filled anew, so
 * secrets are made with randombytes_buf. A process that forks would hand them out twice: this one does not. At most ID_RANDOM_MAX.
 */
enum { ID_RANDOM_MAX = 64 };
void id_random(void *ret_bytes, size_t len);

/*
 * Ids that are many and no secret, such as a request's: one random start, counted up from there (the specification's
 * "monotonic"), so that none costs a system call. Two series meet as little as two random ids do; within one the next
 * can be foretold.
 */
struct id_series {
	unsigned char start[ID_RANDOM];
	atomic_uint_fast64_t count;
};

void id_series_init(struct id_series *series);
void id_series_next(struct id_series *series, char ret_id[ID_SIZE], int64_t now_ms);

/* Whether `text` has the form of an id made here: 26 characters of the alphabet, upper case. */
bool id_valid(const char *text);

#endif
