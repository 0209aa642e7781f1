#include "server/token/rotation.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "background/store/audit.h"
#include "config/clock.h"
#include "config/limits.h"
#include "server/token/key_rows.h"

static_assert(LIMIT_KEYS_RETIRING + 4 < LIMIT_SIGNING_KEYS,
	"beside them: the new one, and those that a change of token.alg makes");

int rotation_init(
	struct rotation *rotation, enum token_alg alg, int64_t lead_ms, int64_t ttl_ms, bool at_once, int64_t now_ms)
{
	rotation->at_once = at_once;
	rotation->now_ms = now_ms;
	rotation->signs_ms = now_ms + (at_once ? 0 : lead_ms);
	/* verifiers may forgive an expired token as much as we forgive a clock that is ahead */
	rotation->retires_ms = rotation->signs_ms + ttl_ms + (int64_t)LIMIT_TOKEN_SKEW_S * 1000;
	rotation->key = NULL;
	return signing_key_generate(alg, &rotation->key);
}

void rotation_leaked(struct rotation *rotation)
{
	assert(rotation->at_once);
	rotation->retires_ms = rotation->now_ms;
}

void rotation_release(struct rotation *rotation)
{
	signing_key_free(rotation->key);
	rotation->key = NULL;
}

/* A statement of one or two times, in the order of its parameters. */
static int run(struct db *writer, const char *sql, int64_t first, int64_t second)
{
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, first);
	if (second >= 0)
		db_bind_int(s, 2, second);
	return db_run(s);
}

/* 1: there is a key of this algorithm that is yet to sign; 0: not. */
static int one_waits(struct db *writer, const struct rotation *rotation)
{
	static const char sql[] =
		"SELECT 1 FROM signing_keys WHERE alg = $1 AND active_ms > $2 AND retired_ms = 0 LIMIT 1";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_text(s, 1, token_alg_text(signing_key_alg(rotation->key)));
	db_bind_int(s, 2, rotation->now_ms);
	err = db_step(s);
	db_finish(s);
	return err;
}

static int retire(struct db *writer, const struct rotation *rotation)
{
	/* has never signed, so nothing is lost with it */
	static const char drop[] = "UPDATE signing_keys SET retired_ms = $1 "
				   "WHERE active_ms > $1 AND (retired_ms = 0 OR retired_ms > $1)";
	static const char end[] = "UPDATE signing_keys SET retired_ms = $1 WHERE retired_ms = 0 OR retired_ms > $1";
	static const char bound[] = "UPDATE signing_keys SET retired_ms = $1 WHERE retired_ms > $1 AND kid NOT IN "
				    "(SELECT kid FROM signing_keys WHERE retired_ms > $1 "
				    "ORDER BY active_ms DESC, created_ms DESC, kid LIMIT $2)";
	static const char wipe[] = "UPDATE signing_keys SET private = '' "
				   "WHERE retired_ms <> 0 AND retired_ms <= $1 AND private <> ''";
	int err = rotation->at_once ? run(writer, drop, rotation->now_ms, -1) : 0;

	if (!err)
		err = run(writer, end, rotation->retires_ms, -1);
	if (!err)
		err = run(writer, bound, rotation->now_ms, LIMIT_KEYS_RETIRING);
	if (!err)
		err = run(writer, wipe, rotation->now_ms, -1);
	return err;
}

static int tell(struct db *writer, const struct rotation *rotation)
{
	char signs[RFC3339_SIZE], detail[LIMIT_AUDIT_DETAIL];
	struct audit_entry entry = {
		.type = "key.rotated", .client = "", .request_id = "", .at_ms = rotation->now_ms, .detail = detail};

	clock_rfc3339(signs, rotation->signs_ms);
	(void)snprintf(detail, sizeof(detail), "{\"kid\":\"%s\",\"alg\":\"%s\",\"signs_from\":\"%s\"}",
		signing_key_id(rotation->key), token_alg_text(signing_key_alg(rotation->key)), signs);
	return audit_add(writer, &entry);
}

int rotation_write(struct db *writer, const struct rotation *rotation)
{
	const struct key_row row = {.created_ms = rotation->now_ms, .active_ms = rotation->signs_ms};
	int err = rotation->at_once ? 0 : one_waits(writer, rotation);

	if (err)
		return err > 0 ? ERR_EXISTS : err;
	err = retire(writer, rotation);
	if (!err)
		err = key_rows_add(writer, rotation->key, &row);
	if (!err)
		err = tell(writer, rotation);
	return err;
}
