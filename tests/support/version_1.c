#include "tests/support/version_1.h"

#include <stdio.h>

#include "background/store/store.h"
#include "tests/support/harness.h"

static void execute(struct db *db, const char *sql)
{
	if (db_execute(db, sql) != 0)
		harness_fail("%s: %s", sql, db_message(db));
}

void version_1_make(const char *url)
{
	struct db *db = NULL;
	char why[256] = "";
	char sql[1024];

	if (db_open(url, DB_WRITER, &db) != 0 || schema_migrate_to(db, 1, why) != 0)
		harness_fail("a store of version 1: %s", why);
	for (int i = 1; i <= VERSION_1_EVENTS; i++) {
		snprintf(sql, sizeof(sql),
			"INSERT INTO events VALUES (%d, '%026d', 'user.login', 7, 'alice', '{}', '', '', 1000);"
			"INSERT INTO effects (event, effect, delivery, state, attempts, due_ms, created_ms, settled_ms,"
			" cause, reason, log) VALUES"
			" (%d, 'bus', 'durable', 1, 1, 1000, 1000, 2000, '', '', '[1]'),"
			" (%d, 'crm', 'durable', 2, 1, 1000, 1000, 2000, 'condemned', 'HTTP 400', '[1]'),"
			" (%d, 'email', 'durable', 0, %d, %d, 1000, 0, '', '%s', '%s')",
			i, i, i, i, i, i % 2, 1000 + i, i % 2 ? "HTTP 500" : "", i % 2 ? "[1]" : "[]");
		execute(db, sql);
	}
	snprintf(sql, sizeof(sql), "INSERT INTO counters VALUES ('crm', 'condemned', %d), ('email', 'pending', %d)",
		VERSION_1_EVENTS, VERSION_1_EVENTS);
	execute(db, sql);
	db_close(db);
}
