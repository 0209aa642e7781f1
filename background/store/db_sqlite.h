/*
 * What the files of the SQLite engine share. Nothing else includes this.
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_DB_SQLITE_H
#define TOKENFIRST_BACKGROUND_STORE_DB_SQLITE_H

#include <sqlite3.h>

#include "background/store/db.h"
#include "config/limits.h"

struct db_statement {
	struct db *db;
	sqlite3_stmt *handle;
	bool in_use;
	int err; /* the first error in binding or in reading a column; the next step returns it */
};

struct db {
	sqlite3 *handle;
	enum db_mode mode;
	const struct db_watch *watch; /* NULL: nobody is told of rows */
	int code;		      /* extended result code of the last failure */
	char message[DB_MESSAGE_SIZE];
	size_t count;
	/* apart from the statements, so that a search stays in few cache lines */
	const char *texts[LIMIT_DB_STATEMENTS];
	struct db_statement statements[LIMIT_DB_STATEMENTS];
};

/* The one text by which a transaction is undone; prepared at open. */
extern const char sqlite_rollback_text[];

/* Keeps the code and what the connection says about it, and translates it into an enum err. */
int sqlite_fail(struct db *db, int code);

#endif
