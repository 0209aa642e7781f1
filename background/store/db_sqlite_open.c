/*
 * Opening and closing SQLite connections.
 *
 * Everything is chosen for one writer in one process. SQLite up to 3.51.2 can corrupt a
 * database when two connections write or checkpoint its write-ahead log at once, so a
 * reader is kept from both: query_only, no automatic checkpoint, none at close. The writer
 * alone copies the log back, inside the commit that fills it. No mmap: an I/O error in a
 * mapped page is a SIGBUS, in a read it is a code.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "background/store/db_sqlite.h"

int db_path(const char *url, const char **ret_path)
{
	static const char scheme[] = "sqlite:";

	if (strncmp(url, scheme, sizeof(scheme) - 1) != 0 || url[sizeof(scheme) - 1] == '\0')
		return ERR_INVALID;
	*ret_path = url + sizeof(scheme) - 1;
	return 0;
}

/*
 * SQLite would create the file with 0644 less the umask. O_EXCL, because a file that exists
 * may be open in this process, and closing a second descriptor of it drops SQLite's locks.
 */
static int create_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? 0 : ERR_STORE;
	int err = fchmod(fd, 0600) == 0 ? 0 : ERR_STORE;
	close(fd);
	return err;
}

/* ERR_STORE unless the file can be used with a write-ahead log. */
static int use_wal(struct db *db)
{
	sqlite3_stmt *handle = NULL;
	int err = 0;

	int code = sqlite3_prepare_v2(db->handle, "PRAGMA journal_mode=WAL", -1, &handle, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(handle);
	if (code != SQLITE_ROW) {
		err = sqlite_fail(db, code);
	} else if (strcmp((const char *)sqlite3_column_text(handle, 0), "wal") != 0) {
		db->code = SQLITE_ERROR;
		snprintf(db->message, sizeof(db->message), "no write-ahead log is possible on this file system");
		err = ERR_STORE;
	}
	sqlite3_finalize(handle);
	return err;
}

/*
 * What an earlier process left in the write-ahead log may be there in the page cache only: after a sync that failed the
 * kernel takes those pages for clean and writes them no more (https://wiki.postgresql.org/wiki/Fsync_Errors). Appended to, such a
 * log would take this process's commits down with it in a power cut. So it is copied into the database and begun
 * anew before anything is promised. A reader that has it open just now is no reason not to start.
 */
static int copy_recovered(struct db *db)
{
	int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	return code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY ? 0 : sqlite_fail(db, code);
}

static int configure(struct db *db)
{
	static const struct {
		int option, value;
	} common[] = {
		{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
		{SQLITE_DBCONFIG_DEFENSIVE, 1},
		{SQLITE_DBCONFIG_ENABLE_FKEY, 1},
		{SQLITE_DBCONFIG_DQS_DML, 0}, /* "name" is a column and never a text, as in other engines */
		{SQLITE_DBCONFIG_DQS_DDL, 0},
	};
	char pragmas[80];
	int code = SQLITE_OK;

	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]) && code == SQLITE_OK; i++)
		code = sqlite3_db_config(db->handle, common[i].option, common[i].value, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_busy_timeout(db->handle, LIMIT_DB_BUSY_MS);
	if (code == SQLITE_OK && db->mode == DB_READER)
		code = sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_wal_autocheckpoint(db->handle, db->mode == DB_WRITER ? LIMIT_DB_CHECKPOINT_PAGES : 0);
	if (code != SQLITE_OK)
		return sqlite_fail(db, code);

	/*
	 * Temporary tables in memory: no copy of a row in a world-readable folder. What is deleted is overwritten (retired keys, hashes that
	 * were replaced): Debian's SQLite is built so, others are not. Frames of the log are overwritten in their turn.
	 */
	int err = db_execute(db, "PRAGMA mmap_size=0; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY;"
				 "PRAGMA recursive_triggers=ON; PRAGMA secure_delete=ON");
	/* nothing here that reads the schema: at the start that took more time than all else, once for each request thread */
	if (err == 0 && db->mode == DB_READER)
		return db_execute(db, "PRAGMA query_only=ON");
	snprintf(pragmas, sizeof(pragmas), "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=%d", LIMIT_DB_WAL);
	if (err == 0)
		err = db_execute(db, pragmas);
	if (err != 0)
		return err;
	err = use_wal(db);
	if (err == 0)
		err = copy_recovered(db);
	if (err != 0)
		return err;
	/* made now, so that the way back never fails for lack of memory */
	struct db_statement *rollback = NULL;
	err = db_prepare(db, sqlite_rollback_text, &rollback);
	if (err == 0)
		db_finish(rollback);
	return err;
}

/*
 * Memory statistics cost a process-wide lock at each allocation; and each connection has its first pages made in one piece,
 * all of it touched: 20 pages, if not told otherwise. The writer is opened first, before there are threads; once SQLite
 * runs, this is refused and changes nothing.
 */
static void configure_process(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	(void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, LIMIT_DB_FIRST_PAGES);
}

static int open_file(const char *path, enum db_mode mode, struct db **ret_db, char ret_why[DB_MESSAGE_SIZE])
{
	char *name = NULL;
	int err = ERR_MEMORY;

	struct db *db = calloc(1, sizeof(*db));
	if (db == NULL)
		goto done;
	db->mode = mode;
	/* never a name that SQLite reads as something else: "file:…", ":memory:" */
	if (asprintf(&name, "%s%s", path[0] == '/' ? "" : "./", path) < 0) {
		name = NULL;
		goto done;
	}
	if (mode == DB_WRITER && create_file(name) != 0) {
		snprintf(ret_why, DB_MESSAGE_SIZE, "can't create %s: %m", path);
		err = ERR_STORE;
		goto done;
	}
	int code = sqlite3_open_v2(
		name, &db->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (db->handle == NULL)
		goto done;
	err = code == SQLITE_OK ? configure(db) : sqlite_fail(db, code);
	if (err != 0)
		snprintf(ret_why, DB_MESSAGE_SIZE, "%s", db->message);
done:
	free(name);
	if (err != 0) {
		if (err == ERR_MEMORY)
			snprintf(ret_why, DB_MESSAGE_SIZE, "out of memory");
		if (db != NULL)
			sqlite3_close(db->handle);
		free(db);
		return err;
	}
	*ret_db = db;
	return 0;
}

int db_open_why(const char *url, enum db_mode mode, struct db **ret_db, char ret_why[DB_MESSAGE_SIZE])
{
	const char *path = NULL;

	int err = db_path(url, &path);
	if (err != 0) {
		snprintf(ret_why, DB_MESSAGE_SIZE, "a store is written sqlite:PATH");
		return err;
	}
	if (mode == DB_WRITER)
		configure_process();
	return open_file(path, mode, ret_db, ret_why);
}

int db_open(const char *url, enum db_mode mode, struct db **ret_db)
{
	char why[DB_MESSAGE_SIZE];

	return db_open_why(url, mode, ret_db, why);
}

void db_close(struct db *db)
{
	if (db == NULL)
		return;
	for (size_t i = 0; i < db->count; i++)
		sqlite3_finalize(db->statements[i].handle);
	if (db->mode == DB_WRITER) /* what fails here is done by recovery when the store is opened again */
		(void)sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	int code = sqlite3_close(db->handle);
	assert(code == SQLITE_OK);
	(void)code;
	free(db);
}

const char *db_engine_version(void)
{
	return sqlite3_libversion();
}
