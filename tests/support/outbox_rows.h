/*
 * Rows of the outbox for tests: a store of their own, events with fixed texts, their effects, what is due and what
 * became of it. What fails ends the process.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_OUTBOX_ROWS_H
#define TOKENFIRST_TESTS_SUPPORT_OUTBOX_ROWS_H

#include <stdint.h>

#include "background/store/outbox.h"
#include "background/store/store.h"
#include "tests/support/scratch.h"

/* A store in a folder of its own, written without a committer. */
struct outbox_store {
	struct scratch scratch;
	struct store *store;
	struct db *db; /* its writer */
};
void outbox_store_make(struct outbox_store *made);
void outbox_store_remove(struct outbox_store *made);

/*
 * Stores an event with the id 000…`number`, type user.login, subject 01BX5ZZKBKACTAV9WEVGEMMVRZ, data {"n":1}, user 7,
 * traceparent 00-ab, created at 1000, unrecorded "chat,analytics". The caller's reference.
 */
struct event *outbox_rows_event(struct db *db, int number);
/* The same, created at another time. */
struct event *outbox_rows_event_at(struct db *db, int number, int64_t created_ms);
/* A pending effect of it; its row. */
int64_t outbox_rows_add(struct db *db, const struct event *event, const char *effect, int64_t due_ms);
/* A pending effect of an event of its own, numbered from 1000 on; its row. */
int64_t outbox_rows_alone(struct db *db, const char *effect, int64_t due_ms);

/* Attempt `attempt` of "crm", ended at 5000: due again at 9000, dead as CAUSE_CONDEMNED, log "[1]". */
struct settlement outbox_rows_settlement(int64_t row, int attempt, enum effect_state state);
/* Settles a row of any effect like that; the number of stale ones. */
size_t outbox_rows_settle(struct db *db, const char *effect, int64_t row, int attempt, enum effect_state state);

struct due_rows {
	int count;
	int stop_after; /* rows until the callback ends the walk; 0: it does not */
	int64_t rows[64];
	int attempts[64], crashes[64];
	bool alone[64];
	char log[64]; /* of the last one */
};
/* A callback of outbox_due. */
int due_rows_note(void *arg, const struct outbox_row *row);
/* As run 1 sees them. */
struct due_rows due_rows(struct db *db, const char *effect, enum outbox_class class, int64_t now_ms, int limit);
struct due_rows due_rows_of(struct db *db, const char *effect, enum outbox_class class, int64_t run, int64_t now_ms);

/* A counter as outbox_counts tells it; 0 if it does not. */
int64_t outbox_rows_count(struct db *db, const char *effect, const char *kind);
/* The first column of the only row of any query. */
int64_t outbox_rows_number(struct db *db, const char *sql);
/* Whether all counters say what counting the rows says. */
bool outbox_rows_add_up(struct db *db);

#endif
