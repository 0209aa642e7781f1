#include "server/ops/admin_overview.h"

#include <string.h>

#include "background/store/audit_read.h"
#include "config/clock.h"
#include "server/accounts/users_search.h"
#include "server/app.h"
#include "server/auth/bearer.h"
#include "server/ops/effects_json.h"

enum { DAY_MS = 86400000 };

/* Puts a part into the whole; both may be NULL for lack of memory. */
static int put(json_t *overview, const char *name, json_t *part)
{
	return json_object_set_new(overview, name, part) == 0 ? 0 : ERR_MEMORY;
}

static int add_users(json_t *overview, struct db *db, int64_t now_ms)
{
	struct users_total total;
	int err = users_total(db, now_ms, &total);

	if (!err)
		err = put(overview, "users",
			json_pack("{s:I, s:I, s:I}", "total", (json_int_t)total.accounts, "disabled",
				(json_int_t)total.disabled, "locked", (json_int_t)total.locked));
	if (!err)
		err = put(overview, "sessions",
			json_pack("{s:I, s:b}", "live", (json_int_t)total.sessions, "at_least", !total.sessions_all));
	return err;
}

static int add_logins(json_t *overview, struct db *db, int64_t now_ms)
{
	const int64_t since_ms = now_ms - DAY_MS;
	int64_t made = 0, failed = 0;
	int err = audit_count(db, "user.login", since_ms, LIMIT_OVERVIEW_COUNT, &made);

	if (!err)
		err = audit_count(db, "user.login_failed", since_ms, LIMIT_OVERVIEW_COUNT, &failed);
	if (err)
		return err;
	return put(overview, "logins",
		json_pack("{s:I, s:I, s:b}", "last_24h", (json_int_t)made, "failed_24h", (json_int_t)failed, "at_least",
			made == LIMIT_OVERVIEW_COUNT || failed == LIMIT_OVERVIEW_COUNT));
}

static int add_targets(json_t *overview, struct pool *pool)
{
	json_t *targets = effects_json_targets(pool);
	int err = put(overview, "targets", json_incref(json_object_get(targets, "targets")));

	json_decref(targets);
	return err;
}

/* Those that verify now, as they are published. */
static int add_keys(json_t *overview, const struct keys *keys)
{
	const char *current = signing_key_id(keys_current(keys));
	json_t *published = NULL, *list = json_array(), *key;
	struct buf set;
	size_t i;
	int err;

	buf_init(&set, LIMIT_JWKS);
	err = keys_jwks(keys, clock_now_ms(), &set);
	if (!err)
		published = json_loadb(set.data, set.len, 0, NULL);
	buf_release(&set);
	if (!published || !list)
		err = ERR_MEMORY;
	json_array_foreach(json_object_get(published, "keys"), i, key)
	{
		const char *kid = json_string_value(json_object_get(key, "kid"));
		if (!err && kid)
			err = json_array_append_new(
				list, json_pack("{s:s, s:O, s:b}", "kid", kid, "alg", json_object_get(key, "alg"),
					      "signs", strcmp(kid, current) == 0));
	}
	json_decref(published);
	return put(overview, "keys", list) || err ? ERR_MEMORY : 0;
}

static int add_store(json_t *overview, const struct app *app, struct db *db)
{
	int64_t version = 0;
	int err = schema_version(db, &version);

	return err ? err
		   : put(overview, "store",
			     json_pack("{s:I, s:I, s:b}", "schema", (json_int_t)version, "wal_bytes",
				     (json_int_t)db_wal_bytes(db), "healthy", committer_healthy(app->committer)));
}

static int add_program(json_t *overview, const struct app *app, int64_t now_ms)
{
	char time[RFC3339_SIZE];
	int err = put(overview, "version", json_string(TOKENFIRST_VERSION));

	clock_rfc3339(time, now_ms);
	if (!err)
		err = put(overview, "time", json_string(time));
	if (!err)
		err = put(overview, "uptime_s", json_integer((clock_mono_us() - app->started_us) / 1000000));
	return err;
}

void admin_overview(struct exchange *x, struct request_thread *thread)
{
	const int64_t now_ms = clock_now_ms();
	struct app *app = thread->app;
	struct user admin;
	json_t *overview;
	int err;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	overview = json_object();
	err = add_program(overview, app, now_ms);
	if (!err)
		err = add_users(overview, thread->db, now_ms);
	if (!err)
		err = add_logins(overview, thread->db, now_ms);
	if (!err)
		err = add_targets(overview, app->pool);
	if (!err)
		err = add_keys(overview, app->keys);
	if (!err)
		err = add_store(overview, app, thread->db);
	if (err)
		exchange_unavailable(x, "The store can't be read right now.");
	else
		exchange_answer_json(x, 200, json_incref(overview));
	json_decref(overview);
}
