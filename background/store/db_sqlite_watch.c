/*
 * Being told of changed rows, by SQLite's update hook. It leaves out three things
 * (https://www.sqlite.org/c3ref/update_hook.html): tables WITHOUT ROWID, of which db.h lets none be watched; rows that
 * make way by REPLACE, which db_prepare asserts not to come; and a DELETE without WHERE, which empties a table page by
 * page. The authorizer, asked when a statement is prepared, has the last one go row by row as well.
 */
#include "background/store/db_sqlite.h"

#include <assert.h>
#include <string.h>

/* Which of the watched tables it is; `count`: none. */
static size_t find_table(const struct db_watch *watch, const char *table)
{
	size_t i = 0;

	while (i < watch->count && strcmp(watch->tables[i], table) != 0)
		i++;
	return i;
}

static void on_change(void *arg, int operation, const char *database, const char *table, sqlite3_int64 row)
{
	const struct db_watch *watch = arg;
	const size_t i = find_table(watch, table);

	(void)operation;
	(void)database;
	if (i < watch->count)
		watch->changed(watch->arg, i, row);
}

/* Of a DELETE, "ignore" means: row by row (https://www.sqlite.org/c3ref/set_authorizer.html). */
static int authorize(
	void *arg, int action, const char *table, const char *second, const char *database, const char *trigger)
{
	const struct db_watch *watch = arg;

	(void)second;
	(void)database;
	(void)trigger;
	return action == SQLITE_DELETE && find_table(watch, table) < watch->count ? SQLITE_IGNORE : SQLITE_OK;
}

/*
 * An authorizer has all statements made anew when they are next used, the ROLLBACK that was made at open among them
 * (db_sqlite_open.c): it is used now, while there is nothing to undo.
 */
static int remake_rollback(struct db *db)
{
	int err = db_begin(db);

	if (err != 0)
		return err;
	db_rollback(db);
	return db_in_transaction(db) ? ERR_MEMORY : 0;
}

int db_watch(struct db *db, const struct db_watch *watch)
{
	assert(db->mode == DB_WRITER && db->watch == NULL);
	int code = sqlite3_set_authorizer(db->handle, authorize, (void *)(uintptr_t)watch);
	if (code != SQLITE_OK)
		return sqlite_fail(db, code);
	(void)sqlite3_update_hook(db->handle, on_change, (void *)(uintptr_t)watch);
	db->watch = watch;
	return remake_rollback(db);
}
