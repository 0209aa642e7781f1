/*
 * A database in a folder of its own, with tables `t (id, name UNIQUE, n NOT NULL, b)` and `child (id, t REFERENCES t)`,
 * to try the door to it with. What can't be set up ends the process.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_OPEN_DB_H
#define TOKENFIRST_TESTS_SUPPORT_OPEN_DB_H

#include <stdint.h>

#include "background/store/db.h"
#include "tests/support/scratch.h"

struct open_db {
	struct scratch scratch;
	struct db *db; /* the writer; a test that closes it sets NULL or another */
};

void open_db_make(struct open_db *opened);
void open_db_remove(struct open_db *opened);

/* A row of `t`: 0 or the error. */
int open_db_insert(struct db *db, const char *name, int64_t n) MUST_CHECK;
/* Rows of `t`. */
int64_t open_db_count(struct db *db);

#endif
