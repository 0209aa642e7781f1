#include "server/auth/login.h"

#include <jansson.h>
#include <string.h>

#include "background/store/audit.h"
#include "config/clock.h"
#include "config/log.h"
#include "server/accounts/lockout.h"
#include "server/accounts/totp.h"
#include "server/app.h"
#include "server/auth/failure.h"
#include "server/auth/grant.h"
#include "server/auth/login_totp.h"
#include "server/auth/throttle.h"
#include "server/auth/work.h"

/* One login under way. Nothing in it outlives login(). */
struct attempt_to_login {
	struct app *app;
	struct exchange *x; /* NULL once answered */
	struct origin origin;
	json_t *body;
	const char *username, *email, *password; /* in `body` */
	struct throttle_ticket ticket;
	struct user user;
	bool known;
	char stand_in[PASSWORD_HASH_SIZE]; /* for the hash of who is not known */
	struct password_check check;
	struct grant grant;
	struct work work;
	struct login_watch watch;
};

static void begin(struct attempt_to_login *l, struct exchange *x, struct app *app)
{
	*l = (struct attempt_to_login){.app = app, .x = x};
	login_watch_start(&l->watch, &app->login_metrics, exchange_started_us(x));
	origin_of(x, &l->origin);
	work_init(&l->work, app, &l->origin);
	grant_init(&l->grant, app);
}

static void release(struct attempt_to_login *l)
{
	throttle_end(l->app->throttle, &l->ticket, THROTTLE_UNKNOWN);
	work_release(&l->work);
	grant_release(&l->grant);
	json_decref(l->body);
}

static void mark(struct attempt_to_login *l, enum login_stage stage)
{
	login_watch_mark(&l->watch, stage);
}

static void answered(struct attempt_to_login *l, enum login_outcome outcome)
{
	l->x = NULL;
	login_watch_answered(&l->watch, outcome, l->work.event);
}

static void refuse(
	struct attempt_to_login *l, enum login_outcome outcome, int status, const char *code, const char *detail)
{
	if (status == 503)
		exchange_problem_retry(l->x, status, code, detail, LIMIT_RETRY_SOON_MS);
	else
		exchange_problem(l->x, status, code, detail);
	answered(l, outcome);
}

/* 0, or ERR_INVALID: answered already. */
static int parse(struct attempt_to_login *l)
{
	const char *why = NULL;
	l->body = exchange_json(l->x);
	if (l->body == NULL) {
		answered(l, LOGIN_MALFORMED);
		return ERR_INVALID;
	}
	l->username = json_string_value(json_object_get(l->body, "username"));
	l->email = json_string_value(json_object_get(l->body, "email"));
	l->password = json_string_value(json_object_get(l->body, "password"));
	if ((l->username == NULL) == (l->email == NULL))
		why = "Give either username or email, as a string.";
	else if (l->password == NULL)
		why = "Give password, as a string.";
	else if (password_acceptable(l->password, &why) == 0)
		return 0;
	refuse(l, LOGIN_MALFORMED, 400, "malformed", why);
	return ERR_INVALID;
}

/* 0 also if nobody is found: the password check of an unknown user takes its time all the same. */
static int look_up(struct attempt_to_login *l, struct db *db)
{
	char key[USERS_KEY_SIZE] = "";
	struct user nobody;
	int err = l->username != NULL ? users_find_by_username(db, l->username, &l->user)
				      : users_find_by_email(db, l->email, &l->user);
	l->known = err == 0;
	(void)users_key(l->username != NULL ? l->username : l->email, key);
	password_stand_in(l->app->passwords, keys_secret(l->app->keys, SECRET_NOBODY), key, l->stand_in);
	if (err == ERR_NOT_FOUND)
		err = users_find_nobody(db, &nobody);
	return err == ERR_NOT_FOUND ? 0 : err;
}

static int check_password(struct attempt_to_login *l)
{
	int err = password_verify(l->app->passwords, l->known ? l->user.password : l->stand_in, l->password,
		exchange_gone, l->x, &l->check);

	if (err == 0) {
		histogram_observe(l->app->login_metrics.stage_seconds[STAGE_PASSWORD_WAIT], l->check.wait_us);
		histogram_observe(l->app->login_metrics.stage_seconds[STAGE_PASSWORD], l->check.hash_us);
	}
	login_watch_skip(&l->watch);
	return err;
}

/* The event and what it will cause, decided before anything is promised; then session, audit, event and effects, or none of them. */
static int write_login(struct db *writer, void *arg)
{
	const struct attempt_to_login *l = arg;
	int err = grant_write(writer, &l->grant);

	if (err == 0 && l->user.failures > 0)
		err = lockout_clear(writer, l->user.id);
	return err;
}

static int commit(struct attempt_to_login *l)
{
	int err = work_plan(&l->work, "user.login", &l->user, NULL);
	if (err == 0)
		err = grant_render(&l->grant, l->body, work_event_id(&l->work));
	if (err != 0)
		return err;
	dispatch_measure_cost(&l->work.dispatch);
	l->work.audit.session_id = l->grant.session.id;
	return work_commit(&l->work, write_login, l);
}

static void reject(struct attempt_to_login *l)
{
	grant_reject(&l->grant, l->x, &l->origin, work_event_id(&l->work));
	answered(l, LOGIN_REJECTED);
}

static void refuse_busy(struct attempt_to_login *l, int err)
{
	if (err == ERR_LIMIT || err == ERR_TIMEOUT || err == ERR_CLOSED)
		refuse(l, LOGIN_SHED, 503, "overloaded", "Too many logins are waiting. Try again shortly.");
	else
		refuse(l, LOGIN_UNAVAILABLE, 503, "unavailable",
			"Logins are not possible right now. Try again shortly.");
}

static void refuse_credentials(struct attempt_to_login *l)
{
	refuse(l, LOGIN_INVALID, 401, "invalid_credentials", "The username, email or password is not right.");
}

/* ERR_STALE: what was right as it was checked is not right any more. */
static void refuse_uncommitted(struct attempt_to_login *l, int err)
{
	if (err == ERR_STALE)
		refuse_credentials(l);
	else
		refuse_busy(l, ERR_STORE);
}

struct rehash {
	const struct attempt_to_login *l;
	char hash[PASSWORD_HASH_SIZE];
};

static int write_rehash(struct db *db, void *arg)
{
	const struct rehash *rehash = arg;
	const struct user *user = &rehash->l->user;
	return users_upgrade_password(db, user->id, user->password, rehash->hash, clock_now_ms());
}

/* The stored hash was made with other parameters: replaced now that the caller has gone on. */
static void upgrade_hash(const struct attempt_to_login *l)
{
	struct rehash rehash = {.l = l};
	int err = password_hash(l->app->passwords, l->password, rehash.hash);
	if (err == 0)
		err = committer_run(l->app->committer, write_rehash, &rehash);
	if (err != 0 && err != ERR_STALE)
		log_write(LOG_INFO, "password hash not upgraded: the next login will",
			LOG_STR("user", l->user.public_id), LOG_STR("reason", err_text(err)));
}

/* Whom a guess counts for: the name as it was given, so that nothing is told of whether there is such an account. */
static int throttle(struct attempt_to_login *l)
{
	const char *name = l->username != NULL ? l->username : l->email;
	enum throttle_kind kind = l->username != NULL ? THROTTLE_PASSWORD : THROTTLE_PASSWORD_EMAIL;
	int err = throttle_begin(l->app->throttle, l->x, kind, name, &l->ticket);
	if (err != 0)
		answered(l, LOGIN_THROTTLED);
	return err;
}

/*
 * Disabled and locked are told only after the hash, and in the same words: no clock and no text tells accounts apart. What the
 * failure counts for is written down after the answer.
 */
static bool admitted(struct attempt_to_login *l)
{
	if (l->check.matches && l->known && !l->user.disabled && !l->user.locked)
		return true;
	throttle_end(l->app->throttle, &l->ticket, THROTTLE_FAILED);
	refuse_credentials(l);
	failure_record(l->app, &l->origin, l->known ? &l->user : NULL, &l->ticket, "user.login_failed");
	return false;
}

/* The password was right: whether there is more to be asked for. True: it has been answered. */
static bool more_is_needed(struct attempt_to_login *l, struct db *db)
{
	enum totp_state second = TOTP_NONE;

	if (totp_state(db, l->user.id, &second) != 0) {
		refuse_busy(l, ERR_STORE);
		return true;
	}
	if (second == TOTP_ACTIVE) {
		login_totp_offer(l->x, l->app, &l->user);
		answered(l, LOGIN_SECOND_FACTOR);
		return true;
	}
	if (l->user.must_reset) {
		refuse(l, LOGIN_RESET_REQUIRED, 403, "password_reset_required",
			"This password may not be used any more: ask for a reset at /password/forgot.");
		return true;
	}
	return false;
}

void login(struct exchange *x, struct request_thread *thread)
{
	struct attempt_to_login l;
	int err;

	begin(&l, x, thread->app);
	err = parse(&l);
	mark(&l, STAGE_PARSE);
	if (err != 0)
		goto done;

	err = throttle(&l);
	mark(&l, STAGE_THROTTLE);
	if (err != 0)
		goto done;

	err = look_up(&l, thread->db);
	mark(&l, STAGE_LOOKUP);
	if (err != 0) {
		refuse_busy(&l, err);
		goto done;
	}

	err = check_password(&l);
	if (err != 0) {
		refuse_busy(&l, err);
		goto done;
	}
	if (!admitted(&l))
		goto done;
	throttle_end(l.app->throttle, &l.ticket, THROTTLE_PASSED);
	if (more_is_needed(&l, thread->db))
		goto done;

	err = grant_prepare(&l.grant, &l.user, &l.origin);
	mark(&l, STAGE_TOKEN);
	if (err == 0)
		err = commit(&l);
	mark(&l, STAGE_COMMIT);
	if (err != 0) {
		refuse_uncommitted(&l, err);
		goto done;
	}

	err = work_inline(&l.work);
	mark(&l, STAGE_INLINE);
	if (err != 0) {
		reject(&l);
		goto done;
	}

	grant_answer(&l.grant, l.x, work_event_id(&l.work));
	answered(&l, LOGIN_OK);

	/* the caller has its token; the rest is ours */
	if (l.check.needs_rehash)
		upgrade_hash(&l);
done:
	release(&l);
}
