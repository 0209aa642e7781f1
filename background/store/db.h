/*
 * One connection to the database, a statement, a transaction: the door behind which an
 * engine stands. SQLite now (db_sqlite.c); nothing here may assume that there will never be
 * a second engine, so:
 *
 *  - SQL text is one for all engines: parameters are $1, $2 … in order of first use,
 *    RETURNING and ON CONFLICT are fine, engine functions and PRAGMAs are not. Integers are
 *    64 bit, texts UTF-8, blobs BYTEA (which SQLite stores as they are). Times come in as parameters.
 *    `INTEGER PRIMARY KEY` in a CREATE TABLE means the engine's own row id.
 *  - A connection belongs to one thread at a time. Writers are opened by the store alone.
 *  - A statement is found by the address of its SQL text, which must be static; it is prepared
 *    once per connection and kept.
 *
 * Errors: ERR_STORE (I/O, full, corrupt, busy beyond the wait: db_message says which),
 * ERR_EXISTS (a unique constraint), ERR_INVALID (another constraint, a parameter that is not in the text),
 * ERR_LIMIT (a value or a number of statements too large), ERR_MEMORY.
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_DB_H
#define TOKENFIRST_BACKGROUND_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"

struct db;
struct db_statement;

enum db_mode { DB_WRITER, DB_READER };

enum { DB_MESSAGE_SIZE = 256 };

/*
 * `url` as in the option `store`: "sqlite:PATH"; ERR_INVALID for any other. A writer creates what is missing
 * (file mode 0600, whatever the umask; a file that exists keeps its mode), a reader creates and changes nothing.
 */
int db_open(const char *url, enum db_mode mode, struct db **ret_db) MUST_CHECK;
/* The same; on failure `ret_why` says in words what went wrong. */
int db_open_why(const char *url, enum db_mode mode, struct db **ret_db, char ret_why[DB_MESSAGE_SIZE]) MUST_CHECK;
/* A writer also copies its write-ahead log into the database and empties it. NULL is fine. */
void db_close(struct db *db);

/* The file behind `url`, a pointer into it: for what lies beside the file. ERR_INVALID: not a url of this engine. */
int db_path(const char *url, const char **ret_path) MUST_CHECK;

/* What went wrong last, for a log line; "" so far nothing. Kept until the next failure, also over a rollback. */
const char *db_message(struct db *db);
/* Short stable word for the metric tokenfirst_store_errors_total{kind}: "full", "io", "corrupt", "busy", "other". */
const char *db_error_kind(struct db *db);

/* Statements without parameters or rows; several, separated by semicolons. Not cached. */
int db_execute(struct db *db, const char *sql) MUST_CHECK;

int db_begin(struct db *db) MUST_CHECK; /* for writing, at once */
/*
 * Durable when it returns 0; rolled back when not. Rolled back for this process, that is: what a failed sync left on
 * the disk may be found again if the machine stops before the next commit.
 */
int db_commit(struct db *db) MUST_CHECK;
void db_rollback(struct db *db); /* outside a transaction: nothing happens */
/* An engine may roll the whole transaction back by itself when it can't write; then this is false after a failure. */
bool db_in_transaction(struct db *db);
/* One savepoint at a time within a transaction. */
int db_savepoint(struct db *db) MUST_CHECK;
int db_release(struct db *db) MUST_CHECK;
int db_rollback_to_savepoint(struct db *db) MUST_CHECK;

/*
 * From now on rows of this table can be added and read only: the engine itself fails an UPDATE or DELETE of one,
 * whoever asks for it, with ERR_INVALID. Kept with the table; again is fine. `table` is a plain name.
 */
int db_protect(struct db *writer, const char *table) MUST_CHECK;

/*
 * Tells `changed` of each row of these tables that a writer's connection adds, changes or removes from now on, by the
 * `INTEGER PRIMARY KEY` that each of them must have: on the connection's thread, within the statement and before
 * anybody knows whether its transaction will hold. `changed` must not use the connection. A statement without WHERE is
 * told of row by row, too; a row that goes because REPLACE has another take its place is not, so a connection that is
 * watched prepares no such statement. Once for a connection and outside of transactions; `watch` must outlive it.
 */
struct db_watch {
	const char *const *tables; /* plain names */
	size_t count;
	void (*changed)(void *arg, size_t table, int64_t row); /* `table` counts from 0 */
	void *arg;
};
int db_watch(struct db *writer, const struct db_watch *watch) MUST_CHECK;

/*
 * db_prepare → bind → db_step … → db_finish. A statement in use can't be prepared again
 * before db_finish. Binding keeps no copy of texts and blobs: they must live until db_finish.
 * Binding errors are kept and come out of the next db_step.
 */
int db_prepare(struct db *db, const char *sql, struct db_statement **ret_statement) MUST_CHECK;
void db_bind_int(struct db_statement *s, int index, int64_t value);
void db_bind_text(struct db_statement *s, int index, const char *text); /* NULL: SQL null */
void db_bind_blob(struct db_statement *s, int index, const void *bytes, size_t len);
int db_step(struct db_statement *s) MUST_CHECK;		 /* 1: a row is there; 0: done; negative: error */
int64_t db_int(struct db_statement *s, int column);	 /* columns count from 0; null is 0 */
const char *db_text(struct db_statement *s, int column); /* until the next step; null is NULL */
/* A text, copied; null is "". ERR_STORE: there is no room for it, so it is in no row of ours; ERR_MEMORY. */
int db_copy_text(struct db_statement *s, int column, char *to, size_t size) MUST_CHECK;
const void *db_blob(struct db_statement *s, int column, size_t *ret_len);
void db_finish(struct db_statement *s);

/* step + finish for statements that return no row: 0 or an error. */
int db_run(struct db_statement *s) MUST_CHECK;
/* From prepare to finish, for such a statement whose parameters are whole numbers: $1 is values[0]. */
int db_run_ints(struct db *db, const char *sql, const int64_t *values, int count) MUST_CHECK;
/* The same for a query whose first column of its first row is wanted: 1 and the number, or 0: there is no row. */
int db_read_int(struct db *db, const char *sql, const int64_t *values, int count, int64_t *ret_number) MUST_CHECK;

/* Rows that the last INSERT, UPDATE or DELETE of this connection touched. */
int64_t db_changes(struct db *db);

/* Bytes of the engine's write-ahead log, for tokenfirst_store_wal_bytes; 0 where there is none. */
int64_t db_wal_bytes(struct db *db);

/* Version of the engine's library, SQLite's. */
const char *db_engine_version(void);

#endif
