/*
 * Rows of the outbox for tests: events with fixed texts, their effects, and what is due.
 * What fails ends the process.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_OUTBOX_ROWS_H
#define TOKENFIRST_TESTS_SUPPORT_OUTBOX_ROWS_H

#include <stdint.h>

#include "background/store/outbox.h"

/*
 * Stores an event with the id 000…`number`, type user.login, subject 01BX5ZZKBKACTAV9WEVGEMMVRZ, data {"n":1}, user 7,
 * traceparent 00-ab, created at 1000, unrecorded "chat,analytics". The caller's reference.
 */
struct event *outbox_rows_event(struct db *db, int number);
/* A pending effect of it; its row. */
int64_t outbox_rows_add(struct db *db, const struct event *event, const char *effect, int64_t due_ms);

struct due_rows {
	int count;
	int stop_after; /* rows until the callback ends the walk; 0: it does not */
	int64_t rows[64];
	int attempts[64];
	char log[64]; /* of the last one */
};
/* A callback of outbox_due. */
int due_rows_note(void *arg, const struct outbox_row *row);
struct due_rows due_rows(struct db *db, const char *effect, int64_t now_ms, int limit);

/* A counter as outbox_counts tells it; 0 if it does not. */
int64_t outbox_rows_count(struct db *db, const char *effect, const char *kind);

#endif
