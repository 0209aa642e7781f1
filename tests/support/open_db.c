#include "tests/support/open_db.h"

#include "tests/support/harness.h"

void open_db_make(struct open_db *opened)
{
	static const char tables[] =
		"CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, n BIGINT NOT NULL, b BYTEA);"
		"CREATE TABLE child (id INTEGER PRIMARY KEY, t BIGINT NOT NULL REFERENCES t (id))";

	scratch_make(&opened->scratch);
	if (db_open(opened->scratch.url, DB_WRITER, &opened->db) != 0)
		harness_fail("no database");
	if (db_execute(opened->db, tables) != 0)
		harness_fail("tables: %s", db_message(opened->db));
}

void open_db_remove(struct open_db *opened)
{
	db_close(opened->db);
	scratch_remove(&opened->scratch);
}

int open_db_insert(struct db *db, const char *name, int64_t n)
{
	static const char sql[] = "INSERT INTO t (name, n) VALUES ($1, $2)";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	db_bind_text(s, 1, name);
	db_bind_int(s, 2, n);
	return db_run(s);
}

int64_t open_db_count(struct db *db)
{
	static const char sql[] = "SELECT count(*) FROM t";
	struct db_statement *s = NULL;

	if (db_prepare(db, sql, &s) != 0 || db_step(s) != 1)
		harness_fail("can't count: %s", db_message(db));
	int64_t n = db_int(s, 0);
	db_finish(s);
	return n;
}
