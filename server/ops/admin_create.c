/*
 * Accounts that administrators make, and invitations to make one. An account without a password gets one that nobody knows, which
 * costs its checks the time of any other, and with it, in one transaction, a second event: its owner is mailed a link to set a real one.
 */
#include <sodium.h>
#include <stdio.h>

#include "config/clock.h"
#include "server/app.h"
#include "server/auth/account_request.h"
#include "server/auth/bearer.h"
#include "server/ops/admin_request.h"
#include "server/ops/admin_users.h"
#include "server/ops/user_change.h"
#include "server/ops/users_json.h"

enum { UNKNOWN_PASSWORD = 32 /* bytes, at random */ };

struct creation {
	struct account_request r;
	const char *password; /* in the body; NULL: none was given */
	struct user user;     /* to be */
	char actor[AUDIT_ACTOR_SIZE];
};

/* 0, or the request has been answered; so for all that returns something below. */
static int read_email(struct creation *c, const char **ret_email)
{
	const char *email = NULL, *why = NULL;
	int err = account_request_text(&c->r, "email", &email);

	if (!err && email && email_acceptable(email, &why) != 0)
		err = account_request_malformed(&c->r, why);
	if (!err && email)
		(void)snprintf(c->user.email, sizeof(c->user.email), "%s", email);
	if (!err)
		*ret_email = email;
	return err;
}

static int parse(struct creation *c)
{
	const char *username = NULL, *email = NULL;
	const json_t *admin = json_object_get(c->r.body, "admin");
	int err = account_request_username(&c->r, &username);

	if (!err && !username)
		err = account_request_malformed(&c->r, "Give username, as a string.");
	if (!err && admin && !json_is_boolean(admin))
		err = account_request_malformed(&c->r, "Give admin as true or false, or leave it out.");
	if (!err)
		err = read_email(c, &email);
	if (!err)
		err = account_request_text(&c->r, "password", &c->password);
	if (!err && !c->password && !email)
		err = account_request_malformed(&c->r, "Give a password, or an email to send a link to.");
	if (err)
		return err;
	(void)snprintf(c->user.username, sizeof(c->user.username), "%s", username);
	c->user.admin = json_is_true(admin);
	return 0;
}

static int hash_unknown(struct creation *c)
{
	char password[UNKNOWN_PASSWORD * 2 + 1];
	unsigned char bytes[UNKNOWN_PASSWORD];
	int err;

	randombytes_buf(bytes, sizeof(bytes));
	err = account_request_hash(
		&c->r, sodium_bin2hex(password, sizeof(password), bytes, sizeof(bytes)), c->user.password);
	sodium_memzero(bytes, sizeof(bytes));
	sodium_memzero(password, sizeof(password));
	return err;
}

static int hash(struct creation *c)
{
	int err;

	if (!c->password)
		return hash_unknown(c);
	err = account_request_policy(&c->r, c->password, c->user.username, c->user.email);
	return err ? err : account_request_hash(&c->r, c->password, c->user.password);
}

static void create(struct creation *c)
{
	struct user_change made, reset;
	int err;

	user_change_init(&made, USER_CREATE, &c->user);
	user_change_init(&reset, USER_REQUIRE_RESET, &c->user);
	if (!c->password)
		user_change_join(&made, &reset);
	err = user_change_commit(&made, c->r.app, &c->r.origin, c->actor);
	if (err == ERR_EXISTS) {
		exchange_problem(c->r.x, 409, "user_exists", "The username or the email is that of another account.");
	} else if (err) {
		account_request_unavailable(&c->r, err);
	} else {
		made.user.must_reset = !c->password;
		exchange_add_header(c->r.x, "X-Event-Id", made.event_id);
		exchange_answer_json(c->r.x, 201,
			json_pack("{s:o, s:s, s:s?}", "user", users_json(&made.user), "event_id", made.event_id,
				"reset_event_id", reset.event_id[0] ? reset.event_id : NULL));
	}
	user_change_finish(&made);
	user_change_finish(&reset);
}

void admin_users_create(struct exchange *x, struct request_thread *thread)
{
	struct creation c = {.password = NULL};
	struct user admin;
	int err;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	admin_request_actor(&admin, c.actor);
	err = account_request_begin(&c.r, x, thread);
	if (!err)
		err = parse(&c);
	if (!err)
		err = hash(&c);
	if (!err)
		create(&c);
	account_request_end(&c.r);
}

static void invite(struct creation *c)
{
	struct user_change change;
	char expires[RFC3339_SIZE];
	int err;

	user_change_init(&change, USER_INVITE, &c->user);
	err = user_change_commit(&change, c->r.app, &c->r.origin, c->actor);
	if (err) {
		account_request_unavailable(&c->r, err);
	} else {
		clock_rfc3339(expires, change.link.expires_ms);
		exchange_add_header(c->r.x, "X-Event-Id", change.event_id);
		exchange_answer_json(c->r.x, 201,
			json_pack("{s:s, s:s, s:s}", "email", c->user.email, "expires", expires, "event_id",
				change.event_id));
	}
	user_change_finish(&change);
}

/* Whether somebody may be invited, and there is no account yet. */
static int check_invited(struct creation *c)
{
	struct user found;
	int err;

	if (c->r.app->config->signup.mode == SIGNUP_CLOSED) {
		exchange_problem(c->r.x, 409, "signup_closed", "Nobody may make an account (signup.mode).");
		return ERR_DENIED;
	}
	err = users_find_by_email(c->r.db, c->user.email, &found);
	if (err == ERR_NOT_FOUND)
		return 0;
	if (err) {
		account_request_unavailable(&c->r, err);
		return err;
	}
	exchange_problem(c->r.x, 409, "user_exists", "This address has an account.");
	return ERR_EXISTS;
}

void admin_invitations_create(struct exchange *x, struct request_thread *thread)
{
	struct creation c = {.password = NULL};
	const char *email = NULL;
	struct user admin;
	int err;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	admin_request_actor(&admin, c.actor);
	err = account_request_begin(&c.r, x, thread);
	if (!err)
		err = read_email(&c, &email);
	if (!err && !email)
		err = account_request_malformed(&c.r, "Give email, as a string.");
	if (!err)
		err = check_invited(&c);
	if (!err)
		invite(&c);
	account_request_end(&c.r);
}
