/*
 * The outbox: events and the effects still owed for them, as rows. The outbox is the
 * truth; what a lane holds in memory is a window on it.
 *
 * Functions that take a writer's `db` are called inside a commit job; those that only read take
 * any connection. Pending and dead counts are kept per effect name in the same transactions, so that they are
 * known at start without counting rows. outbox.c writes, outbox_read.c reads.
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_OUTBOX_H
#define TOKENFIRST_BACKGROUND_STORE_OUTBOX_H

#include <stdbool.h>

#include "background/effects/event.h"
#include "background/store/db.h"

/* Stored as these numbers. */
enum effect_state {
	EFFECT_PENDING = 0, /* owed: due at due_ms */
	EFFECT_DELIVERED = 1,
	EFFECT_DEAD = 2,
	EFFECT_DISCARDED = 3,
	EFFECT_SKIPPED = 4, /* no address to send to */
};
const char *effect_state_text(enum effect_state state);

/* Why an effect is dead: label `reason` of tokenfirst_dead_letters, and the class by which people list them. */
#define CAUSE_CONDEMNED	   "condemned"	  /* the receiver refused this effect for good */
#define CAUSE_UNBUILDABLE  "unbuildable"  /* no request can be made of the event */
#define CAUSE_ATTEMPTS	   "attempts"	  /* max_attempts used up */
#define CAUSE_AGE	   "age"	  /* older than max_age */
#define CAUSE_BACKLOG_FULL "backlog_full" /* max_pending was reached when it was created */
#define CAUSE_REJECTED	   "rejected"	  /* inline with on_failure reject: its request was refused */
#define CAUSE_POISON	   "poison"	  /* the process ended while it was sent alone, after it had ended it before */

/*
 * Writes the event's row and sets event->row. `unrecorded`: comma-separated names of its
 * fire-and-forget effects, which have no rows ("" if none).
 */
int outbox_add_event(struct db *db, struct event *event, const char *unrecorded) MUST_CHECK;

/* One row to be written. */
struct new_effect {
	const char *effect;	/* effect_config.name */
	int part;		/* effect_parts */
	const char *recipient;	/* effect_recipient; NULL is "" */
	const char *delivery;	/* delivery_text */
	const char *dead_cause; /* not NULL: written as a dead letter right away (CAUSE_BACKLOG_FULL) */
	int attempts;		/* what a fire-and-forget effect has behind it when it is spilled; */
	const char *log;	/* and its attempts; NULL is "[]" */
	int64_t due_ms;
};
/* Writes one effect of a stored event and gives its row id. With attempts it is one to be tried again, at due_ms. */
int outbox_add_effect(
	struct db *db, const struct event *event, const struct new_effect *effect, int64_t *ret_row) MUST_CHECK;
/* For many at once, none of them dead: the caller tells in the same job how many they were, by effect. */
int outbox_add_uncounted(
	struct db *db, const struct event *event, const struct new_effect *effect, int64_t *ret_row) MUST_CHECK;
int outbox_count_pending(struct db *db, const char *effect, int64_t added) MUST_CHECK;

/* One settled attempt. Fenced: changes nothing unless the row is pending with `attempt` - 1 or `attempt` attempts. */
struct settlement {
	int64_t row;
	int attempt;	    /* its number, from 1; for a skip or a death without attempt, the number so far */
	bool uncounted;	    /* the attempt said nothing of the effect: it is stored as if it had not been begun */
	int64_t unsent_run; /* not 0: in this run, the caller's, nothing of it was sent: what crashes said of it stays */
	enum effect_state state; /* EFFECT_PENDING: again at due_ms */
	int64_t due_ms;		 /* for EFFECT_PENDING; a row that is settled keeps when it was due */
	int64_t now_ms;
	const char *effect;
	const char *cause;  /* one of CAUSE_* for EFFECT_DEAD, else "" */
	const char *reason; /* why it is dead or waits; "" for delivered */
	const char *reply;  /* first bytes of the reply, for a dead letter; NULL: none */
	const char *log;    /* JSON array of attempts, compact text */
	bool stale;	    /* set by outbox_settle: it came too late and changed nothing */
};
/*
 * Any number of them in one job; a stale one is no error: *ret_stale counts those. It also keeps the store's clock, by
 * which outbox_begin_run sees that the wall clock has gone back.
 */
int outbox_settle(struct db *db, struct settlement *settlements, size_t count, size_t *ret_stale) MUST_CHECK;

/*
 * Notes attempts as started (unawaited), so that a crash shows which were in flight: a row that says so of a run that
 * is over was, since an orderly end settles every attempt.
 */
struct started {
	int64_t row;
	int attempt;
	bool alone; /* nothing else was in flight in this process */
};
int outbox_mark_started(struct db *db, int64_t run, const struct started *started, size_t count) MUST_CHECK;

/*
 * A process begins to deliver. `ret_run` is its number, from 1, for marks and for reading. If the wall clock stands
 * before the latest time that the store knows, by `ret_back_ms` then (else 0), rows that wait for their time are
 * brought forward by as much, so that none waits longer than its delay: `ret_rows` of them. Takes some seconds for a
 * million. In the transaction that the caller has begun, or in one of its own.
 */
int outbox_begin_run(
	struct db *db, int64_t now_ms, int64_t *ret_run, int64_t *ret_back_ms, int64_t *ret_rows) MUST_CHECK;

/* A pending row as it is read back, valid during the call only. */
struct outbox_row {
	int64_t row;
	int part;
	const char *recipient;
	int attempts;	    /* started so far */
	int spent;	    /* of those, the ones before its replay */
	bool again;	    /* an attempt has ended */
	int crashes;	    /* at which it was in flight, since an attempt of it last ended */
	bool crashed_alone; /* at the last of them as the only one */
	int64_t since_ms;   /* the event's creation, or the replay */
	int64_t due_ms;
	const char *log;
	const char *event_id, *type, *subject, *data, *traceparent;
	int64_t event_row, created_ms, user_id;
};
/*
 * Rows wait in two classes, so that neither can fill the window of the other: those of which no attempt has ended are
 * due at once whatever the clock says, the others at their time.
 */
enum outbox_class { OUTBOX_FIRST, OUTBOX_AGAIN, OUTBOX_CLASSES };
/*
 * Rows of one effect and class that are due, earliest first (by due_ms, then row), at most `limit`; `run` is the
 * caller's. The callback returns 0 to go on, anything else ends the walk. Returns how many it saw.
 */
int outbox_due(struct db *db, const char *effect, enum outbox_class class, int64_t run, int64_t now_ms, int limit,
	int (*row)(void *arg, const struct outbox_row *row), void *arg) MUST_CHECK;
/* When the earliest row of OUTBOX_AGAIN that is not due yet will be: 1 and the time, or 0: there is none. */
int outbox_next_due(struct db *db, const char *effect, int64_t now_ms, int64_t *ret_due_ms) MUST_CHECK;
/* When the earliest pending row was due, for tokenfirst_effect_oldest_due_seconds: 1 and the time, or 0. */
int outbox_oldest_due(struct db *db, const char *effect, int64_t *ret_due_ms) MUST_CHECK;

/*
 * The counters: for each effect the number of rows that are pending (`kind` "pending") and dead (`kind` is the
 * cause), also for effects that are configured no more but still owed. Those that are 0 are left out. What the callback
 * returns other than 0 ends the walk and is returned.
 */
int outbox_counts(struct db *db, int (*count)(void *arg, const char *effect, const char *kind, int64_t count),
	void *arg) MUST_CHECK;

/* GET /events/{id}: the event, and its rows by callback. ERR_NOT_FOUND. */
struct outbox_event {
	int64_t row, user_id, created_ms;
	char *type, *subject, *unrecorded; /* owned: outbox_event_release */
};
int outbox_find_event(struct db *db, const char *event_id, struct outbox_event *ret_event) MUST_CHECK;
void outbox_event_release(struct outbox_event *event);

struct outbox_effect {
	const char *effect, *recipient, *delivery, *cause, *reason, *reply, *log;
	int part;
	enum effect_state state;
	int attempts;
	int64_t due_ms, settled_ms; /* settled_ms 0: pending */
};
/* In the order in which they were added. What the callback returns other than 0 ends the walk and is returned. */
int outbox_event_effects(struct db *db, int64_t event_row, int (*effect)(void *arg, const struct outbox_effect *effect),
	void *arg) MUST_CHECK;

#endif
