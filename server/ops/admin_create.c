/*
 * Accounts that administrators make, and invitations to make one. An account without a password gets one that nobody knows, which
 * costs its checks the time of any other, and with it, in one transaction, a second event: its owner is mailed a link to set a real one.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "config/clock.h"
#include "server/app.h"
#include "server/auth/bearer.h"
#include "server/ops/admin_request.h"
#include "server/ops/admin_users.h"
#include "server/ops/user_change.h"
#include "server/ops/users_json.h"

enum { UNKNOWN_PASSWORD = 32 /* bytes, at random */ };

struct creation {
	struct app *app;
	struct exchange *x;
	json_t *body;
	const char *password; /* in `body`; NULL: none was given */
	struct user user;
	struct origin origin;
	char actor[AUDIT_ACTOR_SIZE];
};

static int refuse(struct creation *c, int status, const char *code, const char *why)
{
	exchange_problem(c->x, status, code, why);
	return ERR_DENIED;
}

static int refuse_busy(struct creation *c)
{
	exchange_problem_retry(c->x, 503, "unavailable", "Accounts can't be made right now.", 1000);
	return ERR_DENIED;
}

/* A member that is a text, absent or null; ERR_INVALID: something else. */
static int read_text(const json_t *body, const char *name, const char **ret_text)
{
	const json_t *value = json_object_get(body, name);

	if (value && !json_is_null(value) && !json_is_string(value))
		return ERR_INVALID;
	*ret_text = json_string_value(value);
	return 0;
}

/* 0, or the request has been answered; so for all below. */
static int parse(struct creation *c)
{
	const char *username = NULL, *email = NULL, *why = NULL;
	const json_t *admin;

	c->body = exchange_json(c->x);
	if (!c->body)
		return ERR_INVALID;
	admin = json_object_get(c->body, "admin");
	if (read_text(c->body, "username", &username) || read_text(c->body, "email", &email) ||
		read_text(c->body, "password", &c->password) || (admin && !json_is_boolean(admin)) || !username)
		return refuse(c, 400, "malformed",
			"Give username, and email, password and admin where they are wanted: texts, and true or "
			"false.");
	if (username_acceptable(username, &why) || (email && email_acceptable(email, &why)))
		return refuse(c, 400, "malformed", why);
	if (!c->password && !email)
		return refuse(c, 400, "malformed", "Give a password, or an email to send a link to.");
	memcpy(c->user.username, username, strlen(username) + 1);
	if (email)
		memcpy(c->user.email, email, strlen(email) + 1);
	c->user.admin = json_is_true(admin);
	return 0;
}

static int hash(struct creation *c)
{
	char unknown[UNKNOWN_PASSWORD * 2 + 1], why[POLICY_WHY];
	unsigned char bytes[UNKNOWN_PASSWORD];
	const char *reason = NULL;
	int err;

	if (c->password && password_acceptable(c->password, &reason))
		return refuse(c, 400, "password_refused", reason);
	if (c->password && policy_check(c->app->policy, c->password, c->user.username, c->user.email, why) != 0)
		return refuse(c, 400, "password_refused", why);
	randombytes_buf(bytes, sizeof(bytes));
	err = password_hash(c->app->passwords,
		c->password ? c->password : sodium_bin2hex(unknown, sizeof(unknown), bytes, sizeof(bytes)),
		c->user.password);
	sodium_memzero(bytes, sizeof(bytes));
	sodium_memzero(unknown, sizeof(unknown));
	return err ? refuse_busy(c) : 0;
}

static void create(struct creation *c)
{
	struct user_change made, reset;
	int err;

	user_change_init(&made, USER_CREATE, &c->user);
	user_change_init(&reset, USER_REQUIRE_RESET, &c->user);
	if (!c->password)
		user_change_join(&made, &reset);
	err = user_change_commit(&made, c->app, &c->origin, c->actor);
	if (err == ERR_EXISTS) {
		(void)refuse(c, 409, "user_exists", "The username or the email is that of another account.");
	} else if (err) {
		(void)refuse_busy(c);
	} else {
		made.user.must_reset = !c->password;
		exchange_add_header(c->x, "X-Event-Id", made.event_id);
		exchange_answer_json(c->x, 201,
			json_pack("{s:o, s:s, s:s?}", "user", users_json(&made.user), "event_id", made.event_id,
				"reset_event_id", reset.event_id[0] ? reset.event_id : NULL));
	}
	user_change_finish(&made);
	user_change_finish(&reset);
}

void admin_users_create(struct exchange *x, struct request_thread *thread)
{
	struct creation c = {.app = thread->app, .x = x};
	struct user admin;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	admin_request_actor(&admin, c.actor);
	origin_of(x, &c.origin);
	if (parse(&c) == 0 && hash(&c) == 0)
		create(&c);
	json_decref(c.body);
}

static void invite(struct creation *c)
{
	struct user_change change;
	char expires[RFC3339_SIZE];

	user_change_init(&change, USER_INVITE, &c->user);
	if (user_change_commit(&change, c->app, &c->origin, c->actor) != 0) {
		(void)refuse_busy(c);
	} else {
		clock_rfc3339(expires, change.link.expires_ms);
		exchange_add_header(c->x, "X-Event-Id", change.event_id);
		exchange_answer_json(c->x, 201,
			json_pack("{s:s, s:s, s:s}", "email", c->user.email, "expires", expires, "event_id",
				change.event_id));
	}
	user_change_finish(&change);
}

void admin_invitations_create(struct exchange *x, struct request_thread *thread)
{
	struct creation c = {.app = thread->app, .x = x};
	const char *email = NULL, *why = NULL;
	struct user admin, found;
	int err;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	admin_request_actor(&admin, c.actor);
	origin_of(x, &c.origin);
	c.body = exchange_json(x);
	if (!c.body)
		return;
	if (read_text(c.body, "email", &email) || !email || email_acceptable(email, &why)) {
		(void)refuse(&c, 400, "malformed", why ? why : "Give email, as a string.");
	} else if (c.app->config->signup.mode == SIGNUP_CLOSED) {
		(void)refuse(&c, 409, "signup_closed", "Nobody may make an account (signup.mode).");
	} else {
		err = users_find_by_email(thread->db, email, &found);
		memcpy(c.user.email, email, strlen(email) + 1);
		if (err == ERR_NOT_FOUND)
			invite(&c);
		else
			(void)(err ? refuse_busy(&c) : refuse(&c, 409, "user_exists", "This address has an account."));
	}
	json_decref(c.body);
}
