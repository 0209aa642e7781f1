/*
 * ULIDs: 48 bits of milliseconds, 80 random bits, 26 characters of Crockford's
 * base 32 (https://github.com/ulid/spec). They sort by time, so rows keyed by them
 * are appended and not scattered. Any thread, no lock.
 */
#ifndef TOKENFIRST_CONFIG_ID_H
#define TOKENFIRST_CONFIG_ID_H

#include <stdbool.h>
#include <stdint.h>

enum { ID_LENGTH = 26, ID_SIZE = ID_LENGTH + 1 };

void id_new(char ret_id[ID_SIZE], int64_t now_ms);

/* Whether `text` has the form of an id made here: 26 characters of the alphabet, upper case. */
bool id_valid(const char *text);

#endif
