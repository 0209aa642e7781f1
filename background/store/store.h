/*
 * The open store: its lock, its schema, its one writer and its readers.
 *
 * A store belongs to one process at a time, by a lock on "<path>.lock" (never on the
 * database file itself: closing any descriptor of that would drop SQLite's own locks).
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_STORE_H
#define TOKENFIRST_BACKGROUND_STORE_STORE_H

#include "background/store/db.h"

struct store;
struct changes;

/*
 * Takes the lock, opens the writer, brings the schema up to date. ERR_LOCKED: another process
 * owns it. ERR_STORE: can't be opened or migrated; `ret_why` (256 bytes, may be NULL) then says why.
 * The folder of the path is created (mode 0700) if it is missing.
 */
int store_open(const char *url, struct store **ret_store, char ret_why[256]) MUST_CHECK;

/* The committer must have been stopped and all readers closed. NULL is fine. */
void store_close(struct store *store);

/* The writer: for start-up, and for the committer's thread alone once that runs. */
struct db *store_writer(struct store *store);

/* Which rows have changed: published by the committer. */
struct changes *store_changes(const struct store *store);

/* A new read connection for the calling thread; db_close it. */
int store_reader(struct store *store, struct db **ret_db) MUST_CHECK;

/* "<path>.sock": where a running server takes commands. */
const char *store_socket_path(const struct store *store);
/* The same without opening the store: into `ret_path`, ERR_LIMIT if it does not fit. */
int store_socket_path_of(const char *url, char *ret_path, size_t size) MUST_CHECK;

/* schema.c: the version that a store has, and the step-wise way to the one that this program writes. */
int schema_version(struct db *db, int64_t *ret_version) MUST_CHECK;
int schema_migrate(struct db *writer, char ret_why[256]) MUST_CHECK;
/* No further than `last`: for tests of the steps. */
int schema_migrate_to(struct db *writer, int64_t last, char ret_why[256]) MUST_CHECK;

#endif
