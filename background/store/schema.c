/*
 * The schema, as a list of steps that is only ever appended to. The number of steps taken
 * stands in the table schema_version; each step and its number are one transaction, so a
 * process that dies between two of them goes on with the next. A store that has taken more
 * steps than this program knows is left alone: an older program does not know what the
 * rows of a newer one mean.
 */
#include <stdio.h>

#include "background/store/store.h"

/* Taken at each start: writes nothing where the table is there. */
static const char version_0[] = "CREATE TABLE IF NOT EXISTS schema_version ("
				" id INTEGER PRIMARY KEY CHECK (id = 1), version BIGINT NOT NULL);"
				"INSERT INTO schema_version (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING;";

static const char version_1[] =
	"CREATE TABLE users ("
	" id INTEGER PRIMARY KEY,"
	" public_id TEXT NOT NULL UNIQUE,"
	" username TEXT NOT NULL,"
	" username_key TEXT NOT NULL UNIQUE,"
	" email TEXT,"
	" email_key TEXT UNIQUE,"
	" password TEXT NOT NULL,"
	" admin BIGINT NOT NULL,"
	" disabled BIGINT NOT NULL,"
	" created_ms BIGINT NOT NULL,"
	" updated_ms BIGINT NOT NULL);"

	"CREATE TABLE sessions ("
	" id INTEGER PRIMARY KEY,"
	" user_id BIGINT NOT NULL REFERENCES users (id),"
	" generation BIGINT NOT NULL,"
	" created_ms BIGINT NOT NULL,"
	" refreshed_ms BIGINT NOT NULL,"
	" expires_ms BIGINT NOT NULL,"
	" revoked_ms BIGINT NOT NULL,"
	" client TEXT NOT NULL,"
	" user_agent TEXT NOT NULL);"
	"CREATE INDEX sessions_user ON sessions (user_id);"

	"CREATE TABLE signing_keys ("
	" kid TEXT PRIMARY KEY,"
	" alg TEXT NOT NULL,"
	" private BYTEA NOT NULL,"
	" created_ms BIGINT NOT NULL,"
	" retired_ms BIGINT NOT NULL DEFAULT 0);"

	"CREATE TABLE server_secrets (name TEXT PRIMARY KEY, value BYTEA NOT NULL);"

	"CREATE TABLE audit ("
	" id INTEGER PRIMARY KEY,"
	" at_ms BIGINT NOT NULL,"
	" type TEXT NOT NULL,"
	" user_id BIGINT NOT NULL,"
	" session_id BIGINT NOT NULL,"
	" client TEXT NOT NULL,"
	" request_id TEXT NOT NULL);"

	"CREATE TABLE events ("
	" id INTEGER PRIMARY KEY,"
	" event_id TEXT NOT NULL UNIQUE,"
	" type TEXT NOT NULL,"
	" user_id BIGINT NOT NULL,"
	" subject TEXT NOT NULL,"
	" data TEXT NOT NULL,"
	" traceparent TEXT NOT NULL,"
	" unrecorded TEXT NOT NULL,"
	" created_ms BIGINT NOT NULL);"

	"CREATE TABLE effects ("
	" id INTEGER PRIMARY KEY,"
	" event BIGINT NOT NULL REFERENCES events (id),"
	" effect TEXT NOT NULL,"
	" delivery TEXT NOT NULL,"
	" state BIGINT NOT NULL,"
	" attempts BIGINT NOT NULL,"
	" due_ms BIGINT NOT NULL,"
	" created_ms BIGINT NOT NULL,"
	" settled_ms BIGINT NOT NULL,"
	" cause TEXT NOT NULL,"
	" reason TEXT NOT NULL,"
	" reply TEXT,"
	" log TEXT NOT NULL);"
	/* what is settled leaves this index, so a search for due rows costs the same beside any history */
	"CREATE INDEX effects_due ON effects (effect, due_ms, id) WHERE state = 0;"
	"CREATE INDEX effects_event ON effects (event);"

	"CREATE TABLE counters ("
	" effect TEXT NOT NULL,"
	" kind TEXT NOT NULL,"
	" count BIGINT NOT NULL,"
	" PRIMARY KEY (effect, kind));"

	/* one row, rewritten to see whether the store can write */
	"CREATE TABLE store_probe (id INTEGER PRIMARY KEY CHECK (id = 1), count BIGINT NOT NULL);"
	"INSERT INTO store_probe (id, count) VALUES (1, 0);";

static const char version_2[] =
	"ALTER TABLE effects ADD COLUMN part BIGINT NOT NULL DEFAULT 0;"
	"ALTER TABLE effects ADD COLUMN recipient TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE effects ADD COLUMN again BIGINT NOT NULL DEFAULT 0;"
	/* 0: nothing of it is in flight; a run's number; less than 0: that of a run in which it flew alone */
	"ALTER TABLE effects ADD COLUMN started_run BIGINT NOT NULL DEFAULT 0;"
	"ALTER TABLE effects ADD COLUMN crashes BIGINT NOT NULL DEFAULT 0;"
	"ALTER TABLE effects ADD COLUMN replayed_ms BIGINT NOT NULL DEFAULT 0;"
	"ALTER TABLE effects ADD COLUMN spent BIGINT NOT NULL DEFAULT 0;"
	/* without the index the rows are rewritten faster */
	"DROP INDEX effects_due;"
	"UPDATE effects SET again = 1 WHERE state = 0 AND (log <> '[]' OR reason <> '');"
	"CREATE INDEX effects_due ON effects (effect, again, due_ms, id) WHERE state = 0;"
	/* for operators: the few rows that are owed or dead among all that is kept, in their order */
	"CREATE INDEX effects_open ON effects (state, id) WHERE state = 0 OR state = 2;"

	"CREATE TABLE targets_paused ("
	" target TEXT PRIMARY KEY,"
	" reason TEXT NOT NULL,"
	" since_ms BIGINT NOT NULL);"

	"CREATE TABLE idempotency_keys ("
	" service TEXT NOT NULL,"
	" key TEXT NOT NULL,"
	" digest BYTEA NOT NULL,"
	" event_id TEXT NOT NULL,"
	" created_ms BIGINT NOT NULL,"
	" PRIMARY KEY (service, key));"
	"CREATE INDEX idempotency_keys_created ON idempotency_keys (created_ms);"

	/* one row: the number of the latest run, and the latest wall time that is known */
	"CREATE TABLE outbox_run (id INTEGER PRIMARY KEY CHECK (id = 1), number BIGINT NOT NULL, latest_ms BIGINT NOT "
	"NULL);"
	"INSERT INTO outbox_run (id, number, latest_ms) VALUES (1, 0, 0);";

static const char version_3[] =
	"ALTER TABLE users ADD COLUMN must_reset BIGINT NOT NULL DEFAULT 0;"
	/* wrong passwords in a row; at throttle.account.hard the account is locked until a reset */
	"ALTER TABLE users ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;"
	"ALTER TABLE users ADD COLUMN locked_ms BIGINT NOT NULL DEFAULT 0;"
	/* raised by each change after which older proofs of who one is must not count */
	"ALTER TABLE users ADD COLUMN credentials BIGINT NOT NULL DEFAULT 0;"
	/* a deleted account stays as a stone without name or address, so that no number is given twice */
	"ALTER TABLE users ADD COLUMN deleted_ms BIGINT NOT NULL DEFAULT 0;"

	/* 0: the session is older than the column, and has but its sliding end */
	"ALTER TABLE sessions ADD COLUMN absolute_ms BIGINT NOT NULL DEFAULT 0;"

	/*
	 * what a mail's link is about; the token is made of the id (links.h). Of a signup it holds all of the account
	 * to be
	 */
	"CREATE TABLE links ("
	" id INTEGER PRIMARY KEY,"
	" purpose TEXT NOT NULL,"
	" user_id BIGINT NOT NULL,"
	" email TEXT NOT NULL,"
	" email_key TEXT NOT NULL,"
	" username TEXT NOT NULL,"
	" password TEXT NOT NULL,"
	" created_ms BIGINT NOT NULL,"
	" expires_ms BIGINT NOT NULL,"
	" used_ms BIGINT NOT NULL DEFAULT 0);"
	"CREATE INDEX links_email ON links (email_key) WHERE email_key <> '';"
	"CREATE INDEX links_user ON links (user_id) WHERE user_id <> 0;"

	/* confirmed_ms 0: shown to the user, and not in force yet */
	"CREATE TABLE totp ("
	" user_id INTEGER PRIMARY KEY,"
	" secret BYTEA NOT NULL,"
	" last_step BIGINT NOT NULL,"
	" created_ms BIGINT NOT NULL,"
	" confirmed_ms BIGINT NOT NULL DEFAULT 0);"
	"CREATE TABLE recovery_codes ("
	" user_id BIGINT NOT NULL,"
	" digest BYTEA NOT NULL,"
	" used_ms BIGINT NOT NULL DEFAULT 0,"
	" PRIMARY KEY (user_id, digest));"

	/* retired_ms may lie ahead: until then the key verifies */
	"ALTER TABLE signing_keys ADD COLUMN active_ms BIGINT NOT NULL DEFAULT 0;"

	"ALTER TABLE audit ADD COLUMN actor TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE audit ADD COLUMN detail TEXT NOT NULL DEFAULT '{}';"
	/* in the order of time, in which it is read: ids are not, where the clock has been set back */
	"CREATE INDEX audit_at ON audit (at_ms, id);"
	"CREATE INDEX audit_user ON audit (user_id, at_ms, id);"
	"CREATE INDEX audit_type ON audit (type, at_ms, id);"

	/* few among many, for an overview */
	"CREATE INDEX users_disabled ON users (id) WHERE disabled <> 0 AND deleted_ms = 0;"
	"CREATE INDEX users_locked ON users (id) WHERE locked_ms <> 0 AND deleted_ms = 0;"
	"CREATE INDEX users_deleted ON users (id) WHERE deleted_ms <> 0;"

	/* accounts on their way in: all of an import becomes accounts at once, or none */
	"CREATE TABLE user_imports ("
	" import TEXT NOT NULL,"
	" line BIGINT NOT NULL,"
	" public_id TEXT NOT NULL,"
	" username TEXT NOT NULL,"
	" username_key TEXT NOT NULL,"
	" email TEXT,"
	" email_key TEXT,"
	" password TEXT NOT NULL,"
	" admin BIGINT NOT NULL,"
	" disabled BIGINT NOT NULL,"
	" created_ms BIGINT NOT NULL,"
	" PRIMARY KEY (import, line));";

/* steps[n] leads from version n to n + 1 */
static const struct step {
	const char *sql;
	const char *protects; /* a table whose rows are never changed; NULL: none */
} steps[] = {{version_1, NULL}, {version_2, NULL}, {version_3, "audit"}};
static const struct step step_0 = {version_0, NULL};
enum { VERSION = sizeof(steps) / sizeof(steps[0]) };

int schema_version(struct db *db, int64_t *ret_version)
{
	static const char sql[] = "SELECT version FROM schema_version WHERE id = 1";
	struct db_statement *s = NULL;

	int err = db_prepare(db, sql, &s);
	if (err != 0)
		return err;
	err = db_step(s);
	if (err == 1) {
		*ret_version = db_int(s, 0);
		err = 0;
	} else if (err == 0) {
		err = ERR_NOT_FOUND;
	}
	db_finish(s);
	return err;
}

static int set_version(struct db *writer, int64_t version)
{
	static const char sql[] = "UPDATE schema_version SET version = $1 WHERE id = 1";
	struct db_statement *s = NULL;

	int err = db_prepare(writer, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, version);
	return db_run(s);
}

/* `version` 0: leaves the number alone. */
static int take_step(struct db *writer, const struct step *step, int64_t version)
{
	int err = db_begin(writer);
	if (err != 0)
		return err;
	err = db_execute(writer, step->sql);
	if (err == 0 && step->protects != NULL)
		err = db_protect(writer, step->protects);
	if (err == 0 && version != 0)
		err = set_version(writer, version);
	if (err != 0) {
		db_rollback(writer);
		return err;
	}
	return db_commit(writer);
}

int schema_migrate_to(struct db *writer, int64_t last, char ret_why[256])
{
	int64_t version = 0;

	int err = take_step(writer, &step_0, 0);
	if (err == 0)
		err = schema_version(writer, &version);
	if (err != 0) {
		snprintf(ret_why, 256, "can't read the schema's version: %s", db_message(writer));
		return ERR_STORE;
	}
	if (version < 0 || version > VERSION) {
		snprintf(ret_why, 256,
			"the store has schema version %lld, this program knows versions up to %d: use a newer program",
			(long long)version, VERSION);
		return ERR_STORE;
	}
	for (; version < last && version < VERSION; version++) {
		err = take_step(writer, &steps[version], version + 1);
		if (err != 0) {
			snprintf(ret_why, 256, "migration to schema version %lld: %s", (long long)version + 1,
				db_message(writer));
			return ERR_STORE;
		}
	}
	return 0;
}

int schema_migrate(struct db *writer, char ret_why[256])
{
	return schema_migrate_to(writer, VERSION, ret_why);
}
