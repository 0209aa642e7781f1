#include "server/auth/login_totp.h"

#include <jansson.h>

#include "config/clock.h"
#include "server/accounts/lockout.h"
#include "server/accounts/totp.h"
#include "server/app.h"
#include "server/auth/failure.h"
#include "server/auth/grant.h"
#include "server/auth/throttle.h"
#include "server/auth/work.h"
#include "server/token/mfa_token.h"

/* One second step under way. Nothing in it outlives login_totp(). */
struct second_step {
	struct app *app;
	struct exchange *x; /* NULL once answered */
	struct origin origin;
	json_t *body;
	const char *code; /* in `body` */
	struct mfa_claims claims;
	struct throttle_ticket ticket;
	struct user user;
	struct totp_proof proof;
	struct grant grant;
	struct work work, recovery; /* the login, and that a recovery code was used for it */
	struct login_watch watch;
};

void login_totp_offer(struct exchange *x, struct app *app, const struct user *user)
{
	const int64_t ttl_ms = app->config->totp.login_ttl_ms;
	const struct mfa_claims claims = {
		.user_id = user->id,
		.expires_ms = clock_now_ms() + ttl_ms,
		.credentials = user->credentials,
	};
	char token[MFA_TOKEN_SIZE];

	mfa_token_make(keys_secret(app->keys, SECRET_LOGIN), &claims, token);
	exchange_answer_json(x, 200,
		json_pack("{s:b, s:s, s:I}", "mfa_required", 1, "mfa_token", token, "expires_in",
			(json_int_t)(ttl_ms / 1000)));
}

static void begin(struct second_step *s, struct exchange *x, struct app *app)
{
	*s = (struct second_step){.app = app, .x = x};
	login_watch_start(&s->watch, &app->login_metrics, exchange_started_us(x));
	origin_of(x, &s->origin);
	work_init(&s->work, app, &s->origin);
	work_init(&s->recovery, app, &s->origin);
	grant_init(&s->grant, app);
}

static void release(struct second_step *s)
{
	throttle_end(s->app->throttle, &s->ticket, THROTTLE_UNKNOWN);
	work_release(&s->work);
	work_release(&s->recovery);
	grant_release(&s->grant);
	json_decref(s->body);
}

static void answered(struct second_step *s, enum login_outcome outcome)
{
	s->x = NULL;
	login_watch_answered(&s->watch, outcome, s->work.event);
}

static void refuse(struct second_step *s, enum login_outcome outcome, int status, const char *code, const char *detail)
{
	exchange_problem(s->x, status, code, detail);
	answered(s, outcome);
}

static void refuse_token(struct second_step *s)
{
	refuse(s, LOGIN_INVALID, 401, "invalid_mfa_token",
		"The mfa_token is not valid, or not any more: begin with /login again.");
}

/* 0, or ERR_INVALID: answered already. */
static int parse(struct second_step *s)
{
	const char *token;

	s->body = exchange_json(s->x);
	if (!s->body) {
		answered(s, LOGIN_MALFORMED);
		return ERR_INVALID;
	}
	token = json_string_value(json_object_get(s->body, "mfa_token"));
	s->code = json_string_value(json_object_get(s->body, "code"));
	if (!token || !s->code) {
		refuse(s, LOGIN_MALFORMED, 400, "malformed", "Give mfa_token and code, as strings.");
		return ERR_INVALID;
	}
	if (mfa_token_read(keys_secret(s->app->keys, SECRET_LOGIN), token, clock_now_ms(), &s->claims) != 0) {
		refuse_token(s);
		return ERR_INVALID;
	}
	return 0;
}

static int throttle(struct second_step *s)
{
	int err = throttle_begin_user(s->app->throttle, s->x, THROTTLE_CODE, s->claims.user_id, &s->ticket);

	if (err != 0)
		answered(s, LOGIN_THROTTLED);
	return err;
}

/*
 * ERR_STALE: the account is gone, disabled or locked, or its credentials are others than those that the password was checked
 * by. Found only after the code was checked, which takes its time whatever the account is, and answered alike whatever the code is.
 */
static int check(struct second_step *s, struct db *db)
{
	int found = users_find_by_id(db, s->claims.user_id, &s->user);
	int err = totp_check(db, keys_secret(s->app->keys, SECRET_TOTP), s->claims.user_id, TOTP_ACTIVE, s->code,
		clock_wall_ms(), &s->proof);

	if (found != 0)
		return found == ERR_NOT_FOUND ? ERR_STALE : found;
	if (s->user.disabled || s->user.locked || s->user.credentials != s->claims.credentials)
		return ERR_STALE;
	return err;
}

static void refuse_code(struct second_step *s)
{
	throttle_end(s->app->throttle, &s->ticket, THROTTLE_FAILED);
	refuse(s, LOGIN_INVALID, 401, "invalid_code", "The code is not right, or has been used.");
	failure_record(s->app, &s->origin, &s->user, &s->ticket, "user.totp_failed");
}

static void refuse_failed(struct second_step *s, int err)
{
	if (err == ERR_DENIED) {
		refuse_code(s);
	} else if (err == ERR_STALE) {
		refuse_token(s);
	} else {
		exchange_unavailable(s->x, "Logins are not possible right now. Try again shortly.");
		answered(s, LOGIN_UNAVAILABLE);
	}
}

/* The code is used up with the session that it allows, or neither is there: of many who send one code, one is let in. */
static int write_login(struct db *writer, void *arg)
{
	const struct second_step *s = arg;
	int err = grant_write(writer, &s->grant);

	if (err == 0)
		err = totp_use(writer, s->user.id, &s->proof, clock_now_ms());
	if (err == 0 && s->user.failures > 0)
		err = lockout_clear(writer, s->user.id);
	return err;
}

static int commit(struct second_step *s)
{
	const char *by = s->proof.recovery ? "recovery_code" : "totp";
	int err = work_plan(&s->work, "user.login", &s->user, json_pack("{s:s}", "mfa", by));

	if (err == 0 && s->proof.recovery) {
		err = work_plan(&s->recovery, "user.recovery_code_used", &s->user,
			json_pack("{s:I}", "recovery_codes_left", (json_int_t)s->proof.left));
		if (err == 0)
			work_join(&s->work, &s->recovery);
	}
	if (err == 0)
		err = grant_render(&s->grant, s->body, work_event_id(&s->work));
	if (err != 0)
		return err;
	dispatch_measure_cost(&s->work.dispatch);
	s->work.audit.session_id = s->recovery.audit.session_id = s->grant.session.id;
	return work_commit(&s->work, write_login, s);
}

/* Only the login's own effects can reject it. */
static int run_inline(struct second_step *s)
{
	int err = work_inline(&s->work);

	(void)!work_inline(&s->recovery);
	return err;
}

void login_totp(struct exchange *x, struct request_thread *thread)
{
	struct second_step s;
	int err;

	begin(&s, x, thread->app);
	err = parse(&s);
	login_watch_mark(&s.watch, STAGE_PARSE);
	if (err != 0)
		goto done;

	err = throttle(&s);
	login_watch_mark(&s.watch, STAGE_THROTTLE);
	if (err != 0)
		goto done;

	err = check(&s, thread->db);
	login_watch_mark(&s.watch, STAGE_LOOKUP);
	if (err == 0 && s.user.must_reset) {
		refuse(&s, LOGIN_RESET_REQUIRED, 403, "password_reset_required",
			"This password may not be used any more: ask for a reset at /password/forgot.");
		goto done;
	}
	if (err != 0) {
		refuse_failed(&s, err);
		goto done;
	}

	err = grant_prepare(&s.grant, &s.user, &s.origin);
	login_watch_mark(&s.watch, STAGE_TOKEN);
	if (err == 0)
		err = commit(&s);
	login_watch_mark(&s.watch, STAGE_COMMIT);
	if (err != 0) {
		refuse_failed(&s, err);
		goto done;
	}
	throttle_end(s.app->throttle, &s.ticket, THROTTLE_PASSED);

	err = run_inline(&s);
	login_watch_mark(&s.watch, STAGE_INLINE);
	if (err != 0) {
		grant_reject(&s.grant, s.x, &s.origin, work_event_id(&s.work));
		answered(&s, LOGIN_REJECTED);
		goto done;
	}

	grant_answer(&s.grant, s.x, work_event_id(&s.work));
	answered(&s, LOGIN_OK);
done:
	release(&s);
}
