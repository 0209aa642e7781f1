/*
 * The outbox as operators see it: listed, looked into, replayed, discarded, and cleaned of what is old.
 *
 * Those that change rows run inside a commit job and touch at most LIMIT_OUTBOX_BATCH of them, so that a login that
 * shares the transaction does not notice; who wants more calls again. They keep the counters of the store and tell what
 * they changed, for the counts that a running server keeps in memory.
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_OUTBOX_ADMIN_H
#define TOKENFIRST_BACKGROUND_STORE_OUTBOX_ADMIN_H

#include "background/store/outbox.h"
#include "config/limits.h"

/* Which rows. All that is said has to hold; what is 0 or NULL says nothing. */
struct outbox_filter {
	const char *event_id;
	const char *effect; /* "crm"; "hooks" is all targets of hooks, "hooks.shop" one; */
	bool whole_name;    /* unless it is the whole name, as rows have it */
	int part;	    /* -1: any; counts only beside event_id and effect */
	bool any_state;
	enum effect_state state; /* unless any_state */
	const char *cause;	 /* CAUSE_* */
	int64_t since_ms;	 /* the event was created at this time or later */
	int64_t until_ms;	 /* and before this one; 0: no end */
};

/* A row with all that is known of it; texts are valid during the callback only. */
struct outbox_entry {
	int64_t row;
	const char *event_id, *type, *subject;
	const char *effect, *recipient, *delivery, *cause, *reason, *reply, *log; /* reply NULL: none */
	int part, attempts, spent;
	enum effect_state state;
	int64_t created_ms, due_ms, settled_ms, replayed_ms; /* 0: not settled, not replayed */
	int64_t user_id;
};

/*
 * The newest first, at most `limit`, of rows before `before_row` (0: from the newest on): the last one seen is where
 * the next page begins. Returns how many it saw; what the callback returns other than 0 ends the walk.
 */
int outbox_list(struct db *db, const struct outbox_filter *filter, int64_t before_row, int limit,
	int (*entry)(void *arg, const struct outbox_entry *entry), void *arg) MUST_CHECK;

/* What a change came to, by effect and, for rows that were dead, cause. */
struct outbox_tally {
	int64_t rows;	  /* changed in all */
	int64_t last_row; /* the last one looked at: go on behind it; where the search began if there was none */
	bool more;	  /* there may be: also after a call that has found none in LIMIT_OUTBOX_LOOK rows */
	size_t count;
	struct {
		char effect[LIMIT_TARGET_KEY + 1];
		char cause[32]; /* "": they were pending */
		int64_t rows;
	} items[LIMIT_OUTBOX_FOLD];
};

/*
 * Adds what a part of a change came to; last_row and more are left alone. With more pairs than there is room for, the
 * sum of all is still right.
 */
void outbox_tally_sum(struct outbox_tally *sum, const struct outbox_tally *part);

/*
 * Dead letters are owed again: due at once, as first tries, under the same id, their age and attempts counted from now.
 * Oldest first, rows behind `after_row`, at most `limit` (which is at most LIMIT_OUTBOX_BATCH). The filter's state is
 * EFFECT_DEAD.
 */
int outbox_replay(struct db *db, const struct outbox_filter *filter, int64_t after_row, int limit, int64_t now_ms,
	struct outbox_tally *ret_tally) MUST_CHECK;
/* Dead letters or pending rows, by the filter's state, are given up; settlements that come later are stale. */
int outbox_discard(struct db *db, const struct outbox_filter *filter, int64_t after_row, int limit, int64_t now_ms,
	struct outbox_tally *ret_tally) MUST_CHECK;
/*
 * What either would change: reads only, of any connection. Counts all, whatever their number; `more`: items had no room
 * for every pair, the sum is right. Without an event or a time it only reads the counters.
 */
int outbox_tally(struct db *db, const struct outbox_filter *filter, struct outbox_tally *ret_tally) MUST_CHECK;

/*
 * Retention. Events created before `before_ms` whose rows may all go, by id behind `after_event`, at most `limit`
 * looked at: calls back with each (a reader's work). A row may go when it was delivered, skipped or discarded before
 * `delivered_before_ms`, or dead before `dead_before_ms`. Returns how many events it looked at; *ret_last is the last
 * one's id. It ends at the first event that is too young for either, and not from after `now_ms`. The newest event and
 * row always stay: ids are never given twice.
 */
int outbox_expired(struct db *db, int64_t after_event, int64_t delivered_before_ms, int64_t dead_before_ms,
	int64_t now_ms, int limit, int (*event)(void *arg, int64_t event_row), void *arg, int64_t *ret_last) MUST_CHECK;
/*
 * Removes such events with their rows, as far as that is still so. Ends behind the event with which it has removed
 * LIMIT_OUTBOX_BATCH rows, with `more` and that event as `last_row`. `rows` counts all that went, of both tables; the
 * items are the dead letters alone.
 */
int outbox_remove(struct db *db, const int64_t *event_rows, size_t count, int64_t delivered_before_ms,
	int64_t dead_before_ms, struct outbox_tally *ret_tally) MUST_CHECK;

#endif
