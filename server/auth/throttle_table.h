/*
 * What is remembered of many names, or many addresses, in room that never grows: a table of sets, in each of which a
 * key has one of THROTTLE_WAYS places. The keys are keyed hashes, so nobody can choose who shares a set with whom.
 *
 * In a full set the least grave goes: what is remembered of it is least, or, of several, is longest ago. What is in
 * flight stays.
 *
 * No lock: the caller's.
 */
#ifndef TOKENFIRST_SERVER_AUTH_THROTTLE_TABLE_H
#define TOKENFIRST_SERVER_AUTH_THROTTLE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"
#include "server/auth/throttle_rules.h"

enum { THROTTLE_WAYS = 8 };

struct throttle_entry {
	uint64_t key;			  /* 0: a free place */
	const struct throttle_rule *rule; /* borrowed */
	struct throttle_state state;
};

struct throttle_table {
	struct throttle_entry *entries;
	size_t sets;
	size_t used;	  /* places that are taken */
	uint64_t evicted; /* entries that were worth something and had to go, ever */
};

/* `count` places, a multiple of THROTTLE_WAYS; untouched ones cost no memory. ERR_MEMORY. */
int throttle_table_init(struct throttle_table *table, size_t count) MUST_CHECK;
void throttle_table_release(struct throttle_table *table);

/* NULL: not there. What is returned is good until the next claim. */
struct throttle_entry *throttle_table_find(const struct throttle_table *table, uint64_t key);
/* The entry of a key, which is made if need be. NULL: its set is full of what is in flight. */
struct throttle_entry *throttle_table_claim(
	struct throttle_table *table, uint64_t key, const struct throttle_rule *rule, int64_t now_ms);
/* Gives the place back if the entry says nothing (any more). */
void throttle_table_tidy(struct throttle_table *table, struct throttle_entry *entry, int64_t now_ms);

#endif
