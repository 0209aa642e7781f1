#include "server/auth/password_change.h"

#include "config/clock.h"
#include "server/accounts/sessions.h"
#include "server/app.h"
#include "server/auth/account_request.h"
#include "server/auth/bearer.h"

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
		err = account_request_confirm(&c.r, &c.user, c.current, "user.password_change_failed");
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
		account_request_wrong_password(&c.r);
	else if (err)
		account_request_unavailable(&c.r, err);
	else
		account_request_answer(&c.r, 200, json_pack("{s:I}", "revoked", (json_int_t)c.revoked));
done:
	account_request_end(&c.r);
}
