/*
 * Whether rows have changed since they were read: for whoever keeps in memory what the store says, and must not answer
 * by it once it has changed. Exact for the one process that owns the store, in one direction: what has changed is always
 * said to have; what has not is now and then said to have, too.
 *
 *   mark = changes_mark(changes);                       before the rows are read
 *   … read them, keep what they say together with the mark …
 *   if (!changes_since(changes, mark, CHANGES_SESSIONS, id))
 *           … what was kept is what the store says …
 *
 * Each publication has a number, and each row the number of the last publication that told of it. (Rows share such
 * numbers, LIMIT_CHANGES_ROWS in all, by a hash.) A mark is the number of the last publication so far. One mark so does
 * for all rows that are read after it, also for those of which it is not known yet which ones they will be.
 *
 * Why nobody who has been told of a change is answered by what was there before it. The writer's thread goes through
 *
 *   1. the statement changes the row; the connection tells of it, and it is noted;
 *   2. the transaction is committed: durable, and seen by every transaction that begins from now on;
 *   3. changes_publish: the rows that were noted get the next number, and only then does changes_mark give it;
 *   4. the caller of the commit is told (`done`), and so whoever waits for an answer.
 *
 * Whoever asks after 4 finds the row's number higher than each mark that was taken before 3. Marks that were taken
 * after 3 go with transactions that began after 2, which have read the new row. Between 2 and 4 either may be found:
 * nobody has been promised anything yet. What was undone is published as well, which costs a read.
 *
 * A reader must have no transaction open when it takes the mark, as it would go on reading what was there at its begin.
 *
 * Any thread, without a lock, but for what is said to be the writer's.
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_CHANGES_H
#define TOKENFIRST_BACKGROUND_STORE_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "background/store/db.h"

struct changes;

/* The tables that are watched; rows go by their integer primary keys. */
enum changes_table { CHANGES_SESSIONS, CHANGES_USERS, CHANGES_TOTP, CHANGES_TABLES };

/* Watches the writer's connection (db_watch) from now on. */
int changes_new(struct db *writer, struct changes **ret_changes) MUST_CHECK;
void changes_free(struct changes *changes); /* after the connection is closed; NULL is fine */

/* On the writer's thread after each transaction, however it ended, and before anybody hears of it. */
void changes_publish(struct changes *changes);

uint64_t changes_mark(const struct changes *changes);
bool changes_since(const struct changes *changes, uint64_t mark, enum changes_table table, int64_t row);

#endif
