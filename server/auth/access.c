#include "server/auth/access.h"

#include <string.h>

#include "config/clock.h"
#include "server/app.h"

static struct access_moment moment_of(const struct app *app)
{
	return (struct access_moment){.keys = app->keys, .wall_s = clock_wall_ms() / 1000, .now_ms = clock_now_ms()};
}

/* Claims and key, from memory unless it had nothing. */
static int check_token(const struct app *app, const struct access_moment *moment, const char *token,
	enum access_find found, struct access *access)
{
	const char *why = NULL;

	if (found != ACCESS_MISS)
		return 0;
	return token_verify_by(app->config, moment->keys, token, moment->wall_s, &access->claims, &access->key, &why);
}

/* What the store has said of the session, in the words of a caller. */
static int judge_owner(const struct access *access, int err)
{
	const struct session_owner *owner = &access->owner;

	if (err)
		return err == ERR_NOT_FOUND ? ERR_DENIED : err;
	return owner->live && strcmp(owner->public_id, access->claims.subject) == 0 ? 0 : ERR_DENIED;
}

int access_check(struct app *app, struct db *db, const char *token, struct access *ret_access)
{
	const struct access_moment moment = moment_of(app);
	struct access access = {.mark = 0};
	const enum access_find found = access_cache_find(app->access_cache, &moment, token, &access);
	int err = check_token(app, &moment, token, found, &access);

	if (!err && found != ACCESS_HIT) {
		access.mark = access_cache_mark(app->access_cache);
		err = sessions_owner(db, access.claims.session_id, moment.now_ms, &access.owner);
		err = judge_owner(&access, err);
		if (!err)
			access_cache_keep(app->access_cache, &access, moment.wall_s, ACCESS_ME, NULL);
	}
	if (!err)
		*ret_access = access;
	return err;
}

int access_check_account(struct app *app, struct db *db, const char *token, struct access *ret_access,
	struct session_account *ret_account)
{
	const struct access_moment moment = moment_of(app);
	struct session_account account;
	struct access access = {.mark = 0};
	const enum access_find found = access_cache_find_claims(app->access_cache, &moment, token, &access);
	int err = check_token(app, &moment, token, found, &access);

	if (err)
		return err;
	access.mark = access_cache_mark(app->access_cache);
	err = sessions_account(db, access.claims.session_id, moment.now_ms, &account);
	if (!err)
		access.owner = account.owner;
	err = judge_owner(&access, err);
	if (!err) {
		*ret_access = access;
		*ret_account = account;
	}
	return err;
}

void access_keep(struct app *app, const struct access *access, enum access_answer which, const char *text)
{
	access_cache_keep(app->access_cache, access, clock_wall_ms() / 1000, which, text);
}

size_t access_answer(struct app *app, const char *token, enum access_answer which, char ret_text[LIMIT_ACCESS_ANSWER])
{
	const struct access_moment moment = moment_of(app);

	return access_cache_answer(app->access_cache, &moment, token, which, ret_text);
}
