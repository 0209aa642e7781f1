#include "server/auth/password_change.h"

#include "config/clock.h"
#include "server/accounts/sessions.h"
#include "server/app.h"
#include "server/auth/account_request.h"
#include "server/auth/bearer.h"
#include "server/auth/failure.h"

struct change {
	struct account_request r;
	struct session_owner owner;
	const char *current, *password;
	struct user user;
	char hash[PASSWORD_HASH_SIZE];
	int64_t revoked;
};

static int read_change(struct change *c)
{
	int err = account_request_password(&c->r, "current_password", &c->current);

	if (!err)
		err = account_request_password(&c->r, "new_password", &c->password);
	return err;
}

static int find_account(struct change *c)
{
	int err = users_find_by_id(c->r.db, c->owner.user_id, &c->user);

	if (err)
		account_request_unavailable(&c->r, err);
	return err;
}

static bool client_gone(const void *arg)
{
	return exchange_gone(arg);
}

static void refuse(struct change *c)
{
	exchange_problem(c->r.x, 403, "wrong_password", "The current password is not right.");
}

/* A session is no password: whoever has borrowed one must not get to keep the account, nor guess its password at ease. */
static int check_current(struct change *c)
{
	char name[THROTTLE_ID_SIZE];
	struct password_check check;
	int err;

	throttle_id(c->user.id, name);
	err = account_request_throttle(&c->r, THROTTLE_PASSWORD_ID, name);
	if (err)
		return err;
	err = password_verify(c->r.app->passwords, c->user.password, c->current, client_gone, c->r.x, &check);
	if (err) {
		account_request_unavailable(&c->r, err);
		return err;
	}
	if (check.matches && !c->user.locked) {
		throttle_end(c->r.app->throttle, &c->r.ticket, THROTTLE_PASSED);
		return 0;
	}
	throttle_end(c->r.app->throttle, &c->r.ticket, THROTTLE_FAILED);
	refuse(c);
	failure_record(c->r.app, &c->r.origin, &c->user, &c->r.ticket, "user.password_change_failed");
	return ERR_DENIED;
}

/* ERR_STALE: the password that was checked is not the account's any more. */
static int write_change(struct db *writer, void *arg)
{
	struct change *c = arg;
	const int64_t now_ms = clock_now_ms();
	int err = users_confirm(writer, &c->user);

	if (!err)
		err = users_set_password(writer, c->user.id, c->hash, now_ms);
	if (!err)
		err = sessions_revoke_all(writer, c->user.id, c->owner.session_id, now_ms, &c->revoked);
	return err ? err : links_void(writer, c->user.id, LINK_RESET, now_ms);
}

void password_change(struct exchange *x, struct request_thread *thread)
{
	struct change c = {.revoked = 0};
	int err;

	if (bearer_authenticate(x, thread, &c.owner) != 0)
		return;
	err = account_request_begin(&c.r, x, thread);
	if (!err)
		err = read_change(&c);
	if (!err)
		err = find_account(&c);
	if (!err)
		err = check_current(&c);
	if (!err)
		err = account_request_policy(&c.r, c.password, c.user.username, c.user.email);
	if (!err)
		err = account_request_hash(&c.r, c.password, c.hash);
	if (err)
		goto done;

	err = work_plan(&c.r.work, "user.password_changed", &c.user, NULL);
	if (!err) {
		c.r.work.audit.session_id = c.owner.session_id;
		err = work_commit(&c.r.work, write_change, &c);
	}
	if (err == ERR_STALE)
		refuse(&c);
	else if (err)
		account_request_unavailable(&c.r, err);
	else
		account_request_answer(&c.r, 200, json_pack("{s:I}", "revoked", (json_int_t)c.revoked));
done:
	account_request_end(&c.r);
}
