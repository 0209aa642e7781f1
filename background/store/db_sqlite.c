/*
 * The embedded engine: SQLite behind db.h. Statements, transactions, errors; how a
 * connection is opened and set up stands in db_sqlite_open.c.
 *
 * SQLite reads `$1` as a parameter named "$1" and numbers names by first use; db_prepare
 * asserts that both agree, so that the texts mean the same to an engine that reads `$1` as
 * a number.
 */
#include "background/store/db_sqlite.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

const char sqlite_rollback_text[] = "ROLLBACK";

static int err_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return ERR_MEMORY;
	case SQLITE_CONSTRAINT:
		if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
			code == SQLITE_CONSTRAINT_ROWID)
			return ERR_EXISTS;
		return ERR_INVALID;
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
		return ERR_INVALID;
	case SQLITE_TOOBIG:
		return ERR_LIMIT;
	default:
		return ERR_STORE;
	}
}

static sqlite3_file *wal_file(struct db *db)
{
	sqlite3_file *file = NULL;

	if (sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK)
		return NULL;
	return file != NULL && file->pMethods != NULL ? file : NULL;
}

/* The system's reason for an error of the file system; a failed COMMIT keeps it with the log's file only. */
static int system_reason(struct db *db, int code)
{
	int reason = 0;
	int primary = code & 0xff;

	if (primary != SQLITE_IOERR && primary != SQLITE_CANTOPEN)
		return 0;
	reason = sqlite3_system_errno(db->handle);
	sqlite3_file *wal = reason == 0 && primary == SQLITE_IOERR ? wal_file(db) : NULL;
	if (wal != NULL && wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &reason) != SQLITE_OK)
		reason = 0;
	return reason;
}

/* Keeps what the connection says now, because a rollback that follows says something else. */
int sqlite_fail(struct db *db, int code)
{
	int reason = system_reason(db, code);

	db->code = code;
	if (reason != 0) {
		errno = reason;
		snprintf(db->message, sizeof(db->message), "%s: %m", sqlite3_errmsg(db->handle));
	} else {
		snprintf(db->message, sizeof(db->message), "%s", sqlite3_errmsg(db->handle));
	}
	return err_of(code);
}

const char *db_message(struct db *db)
{
	return db->message;
}

const char *db_error_kind(struct db *db)
{
	switch (db->code & 0xff) {
	case SQLITE_FULL:
		return "full";
	case SQLITE_IOERR:
		return "io";
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return "corrupt";
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return "busy";
	default:
		return "other";
	}
}

int db_execute(struct db *db, const char *sql)
{
	int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? 0 : sqlite_fail(db, code);
}

static int run_text(struct db *db, const char *sql)
{
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	return err != 0 ? err : db_run(s);
}

int db_begin(struct db *db)
{
	static const char sql[] = "BEGIN IMMEDIATE";
	return run_text(db, sql);
}

int db_commit(struct db *db)
{
	static const char sql[] = "COMMIT";
	int err = run_text(db, sql);
	if (err != 0)
		db_rollback(db);
	return err;
}

void db_rollback(struct db *db)
{
	int code = db->code;
	char message[DB_MESSAGE_SIZE];

	if (!db_in_transaction(db))
		return;
	memcpy(message, db->message, sizeof(message));
	if (run_text(db, sqlite_rollback_text) != 0) { /* the failure that led here is the one to tell of */
		db->code = code;
		memcpy(db->message, message, sizeof(message));
	}
}

bool db_in_transaction(struct db *db)
{
	return sqlite3_get_autocommit(db->handle) == 0;
}

int db_protect(struct db *db, const char *table)
{
	static const char form[] = "CREATE TRIGGER IF NOT EXISTS %s_not_changed BEFORE UPDATE ON %s"
				   " BEGIN SELECT RAISE(ABORT, 'rows of %s are never changed'); END;"
				   "CREATE TRIGGER IF NOT EXISTS %s_not_removed BEFORE DELETE ON %s"
				   " BEGIN SELECT RAISE(ABORT, 'rows of %s are never removed'); END;";
	char sql[512];

	const int len = snprintf(sql, sizeof(sql), form, table, table, table, table, table, table);
	if (len < 0 || (size_t)len >= sizeof(sql))
		return ERR_LIMIT;
	return db_execute(db, sql);
}

int db_savepoint(struct db *db)
{
	static const char sql[] = "SAVEPOINT one";
	return run_text(db, sql);
}

int db_release(struct db *db)
{
	static const char sql[] = "RELEASE one";
	return run_text(db, sql);
}

int db_rollback_to_savepoint(struct db *db)
{
	static const char sql[] = "ROLLBACK TO one";
	int err = run_text(db, sql);
	/* going back leaves the savepoint open */
	return err != 0 ? err : db_release(db);
}

static void assert_parameters(sqlite3_stmt *handle)
{
	char expected[16];

	for (int i = 1; i <= sqlite3_bind_parameter_count(handle); i++) {
		const char *name = sqlite3_bind_parameter_name(handle, i);
		snprintf(expected, sizeof(expected), "$%d", i);
		assert(name != NULL && strcmp(name, expected) == 0);
		(void)name;
	}
}

/*
 * A reader's first statement is where it reads the schema; its cache is bounded here because that does, too. What other threads
 * commit empties the cache, so a large one would be of use only while nobody writes, to each of some eighty connections.
 */
static int bound_cache(struct db *db)
{
	char pragma[40];

	if (db->mode == DB_WRITER || db->count > 0)
		return 0;
	snprintf(pragma, sizeof(pragma), "PRAGMA cache_size=-%d", LIMIT_DB_READER_KIB);
	return db_execute(db, pragma);
}

static int make_statement(struct db *db, const char *sql, struct db_statement **ret_statement)
{
	struct db_statement *s = &db->statements[db->count];
	const char *rest = NULL;

	if (db->count == LIMIT_DB_STATEMENTS) {
		db->code = SQLITE_ERROR;
		snprintf(db->message, sizeof(db->message), "more than %d statements", LIMIT_DB_STATEMENTS);
		return ERR_LIMIT;
	}
	int err = bound_cache(db);
	if (err != 0)
		return err;
	int code = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->handle, &rest);
	if (code != SQLITE_OK)
		return sqlite_fail(db, code);
	assert(s->handle != NULL && *rest == '\0');
	assert(db->watch == NULL || strcasestr(sql, "replace") == NULL); /* SQLite would not tell of the row */
	assert_parameters(s->handle);
	s->db = db;
	db->texts[db->count++] = sql;
	*ret_statement = s;
	return 0;
}

int db_prepare(struct db *db, const char *sql, struct db_statement **ret_statement)
{
	struct db_statement *s = NULL;

	for (size_t i = 0; i < db->count && s == NULL; i++)
		if (db->texts[i] == sql)
			s = &db->statements[i];
	int err = s == NULL ? make_statement(db, sql, &s) : 0;
	if (err != 0)
		return err;
	assert(!s->in_use);
	s->in_use = true;
	s->err = 0;
	*ret_statement = s;
	return 0;
}

static void note_bind(struct db_statement *s, int code)
{
	if (code != SQLITE_OK && s->err == 0)
		s->err = sqlite_fail(s->db, code);
}

void db_bind_int(struct db_statement *s, int index, int64_t value)
{
	note_bind(s, sqlite3_bind_int64(s->handle, index, value));
}

void db_bind_text(struct db_statement *s, int index, const char *text)
{
	if (text == NULL)
		note_bind(s, sqlite3_bind_null(s->handle, index));
	else
		note_bind(s, sqlite3_bind_text64(s->handle, index, text, strlen(text), SQLITE_STATIC, SQLITE_UTF8));
}

void db_bind_blob(struct db_statement *s, int index, const void *bytes, size_t len)
{
	/* a null pointer would bind SQL null */
	note_bind(s, sqlite3_bind_blob64(s->handle, index, bytes != NULL ? bytes : "", len, SQLITE_STATIC));
}

int db_step(struct db_statement *s)
{
	assert(s != NULL && s->in_use);
	if (s->err != 0)
		return s->err;
	int code = sqlite3_step(s->handle);
	if (code == SQLITE_ROW)
		return 1;
	return code == SQLITE_DONE ? 0 : sqlite_fail(s->db, code);
}

int64_t db_int(struct db_statement *s, int column)
{
	return sqlite3_column_int64(s->handle, column);
}

/* A null that is not one in the database is a lack of memory, which must not pass for an absent value. */
static void note_null(struct db_statement *s, int type)
{
	if (type != SQLITE_NULL && s->err == 0 && sqlite3_errcode(s->db->handle) == SQLITE_NOMEM)
		s->err = sqlite_fail(s->db, SQLITE_NOMEM);
}

const char *db_text(struct db_statement *s, int column)
{
	int type = sqlite3_column_type(s->handle, column);
	const char *text = (const char *)sqlite3_column_text(s->handle, column);
	if (text == NULL)
		note_null(s, type);
	return text;
}

int db_copy_text(struct db_statement *s, int column, char *to, size_t size)
{
	const char *text = db_text(s, column);
	size_t len = text ? strlen(text) : 0;

	if (!text && s->err)
		return s->err; /* no null of the database; and nobody may step again to hear of it */
	if (len >= size)
		return ERR_STORE;
	memcpy(to, text ? text : "", len + 1);
	return 0;
}

const void *db_blob(struct db_statement *s, int column, size_t *ret_len)
{
	int type = sqlite3_column_type(s->handle, column);
	const void *bytes = sqlite3_column_blob(s->handle, column);
	if (bytes == NULL)
		note_null(s, type);
	*ret_len = (size_t)sqlite3_column_bytes(s->handle, column);
	return bytes;
}

void db_finish(struct db_statement *s)
{
	assert(s != NULL);
	/* both codes repeat what the last step has returned */
	(void)sqlite3_reset(s->handle);
	(void)sqlite3_clear_bindings(s->handle);
	s->in_use = false;
}

int db_run(struct db_statement *s)
{
	int err = db_step(s);
	assert(err <= 0);
	db_finish(s);
	return err;
}

int db_run_ints(struct db *db, const char *sql, const int64_t *values, int count)
{
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	for (int i = 0; i < count; i++)
		db_bind_int(s, i + 1, values[i]);
	return db_run(s);
}

int db_read_int(struct db *db, const char *sql, const int64_t *values, int count, int64_t *ret_number)
{
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	for (int i = 0; i < count; i++)
		db_bind_int(s, i + 1, values[i]);
	err = db_step(s);
	if (err == 1)
		*ret_number = db_int(s, 0);
	db_finish(s);
	return err;
}

int64_t db_changes(struct db *db)
{
	return sqlite3_changes64(db->handle);
}

int64_t db_wal_bytes(struct db *db)
{
	sqlite3_int64 size = 0;

	sqlite3_file *wal = wal_file(db);
	if (wal == NULL || wal->pMethods->xFileSize(wal, &size) != SQLITE_OK)
		return 0;
	return size;
}
