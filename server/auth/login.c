#include "server/auth/login.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "background/delivery/dispatch.h"
#include "background/store/audit.h"
#include "config/clock.h"
#include "config/log.h"
#include "config/utf8.h"
#include "server/accounts/sessions.h"
#include "server/accounts/users.h"
#include "server/app.h"
#include "server/token/token.h"

enum { RETRY_SOON_MS = 1000, USER_AGENT_KEPT = 256 };

/* One login under way. Nothing in it outlives login(). */
struct attempt_to_login {
	struct app *app;
	struct exchange *x; /* NULL once answered */
	char request_id[LIMIT_REQUEST_ID + 1], client[64], user_agent[USER_AGENT_KEPT + 1];
	json_t *body;
	const char *username, *email, *password; /* in `body` */
	struct user user;
	bool known;
	struct password_check check;
	struct token_claims claims;
	struct session session;
	struct buf access_token;
	char refresh_token[REFRESH_TOKEN_SIZE];
	struct event *event;
	struct dispatch dispatch;
	int64_t started_us, stage_us, inline_us;
};

void login_metrics_register(struct login_metrics *login_metrics, struct metrics *metrics)
{
	static const char *const stages[STAGE_COUNT] = {"stage=\"parse\"", "stage=\"lookup\"",
		"stage=\"password_wait\"", "stage=\"password\"", "stage=\"token\"", "stage=\"commit\"",
		"stage=\"inline\""};
	static const char *const outcomes[LOGIN_OUTCOMES] = {"outcome=\"ok\"", "outcome=\"invalid_credentials\"",
		"outcome=\"malformed\"", "outcome=\"shed\"", "outcome=\"unavailable\"", "outcome=\"rejected\""};
	for (size_t i = 0; i < STAGE_COUNT; i++)
		login_metrics->stage_seconds[i] = metrics_histogram(metrics, "tokenfirst_login_stage_seconds",
			"Where a login's time went.", &histogram_seconds, stages[i]);
	for (size_t i = 0; i < LOGIN_OUTCOMES; i++)
		login_metrics->duration_seconds[i] = metrics_histogram(metrics, "tokenfirst_login_duration_seconds",
			"From the request line read to the answer handed over.", &histogram_seconds, outcomes[i]);
}

static void begin(struct attempt_to_login *l, struct exchange *x, struct app *app)
{
	const char *user_agent = exchange_header(x, "User-Agent");
	*l = (struct attempt_to_login){.app = app, .x = x, .started_us = exchange_started_us(x)};
	l->stage_us = l->started_us;
	buf_init(&l->access_token, LIMIT_TOKEN);
	(void)snprintf(l->request_id, sizeof(l->request_id), "%s", exchange_request_id(x));
	(void)snprintf(l->client, sizeof(l->client), "%s", exchange_client(x));
	(void)snprintf(l->user_agent, sizeof(l->user_agent), "%s", user_agent != NULL ? user_agent : "");
	utf8_mend(
		l->user_agent); /* what a client says of itself need not be UTF-8, and may be cut within a character */
}

static void release(struct attempt_to_login *l)
{
	event_unref(l->event);
	buf_release(&l->access_token);
	json_decref(l->body);
}

/* A stage ends now, and the next one begins. */
static void mark(struct attempt_to_login *l, enum login_stage stage)
{
	int64_t now_us = clock_mono_us();
	histogram_observe(l->app->login_metrics.stage_seconds[stage], now_us - l->stage_us);
	if (stage == STAGE_INLINE)
		l->inline_us = now_us - l->stage_us;
	l->stage_us = now_us;
}

/* The answer has been handed over: what it took, and what it would have taken. */
static void answered(struct attempt_to_login *l, enum login_outcome outcome)
{
	int64_t took_us = clock_mono_us() - l->started_us;
	l->x = NULL;
	histogram_observe(l->app->login_metrics.duration_seconds[outcome], took_us);
	if (l->event != NULL && outcome == LOGIN_OK)
		event_cost_add(l->event, took_us - l->inline_us);
}

static void refuse(
	struct attempt_to_login *l, enum login_outcome outcome, int status, const char *code, const char *detail)
{
	if (status == 503)
		exchange_problem_retry(l->x, status, code, detail, RETRY_SOON_MS);
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
	int err = l->username != NULL ? users_find_by_username(db, l->username, &l->user)
				      : users_find_by_email(db, l->email, &l->user);
	l->known = err == 0;
	return err == ERR_NOT_FOUND ? 0 : err;
}

static bool client_gone(const void *arg)
{
	return exchange_gone(arg);
}

static int check_password(struct attempt_to_login *l)
{
	int err = password_verify(
		l->app->passwords, l->known ? l->user.password : NULL, l->password, client_gone, l->x, &l->check);
	int64_t now_us = clock_mono_us();
	if (err == 0) {
		histogram_observe(l->app->login_metrics.stage_seconds[STAGE_PASSWORD_WAIT], l->check.wait_us);
		histogram_observe(l->app->login_metrics.stage_seconds[STAGE_PASSWORD], l->check.hash_us);
	}
	l->stage_us = now_us;
	return err;
}

static int make_tokens(struct attempt_to_login *l)
{
	const struct config *config = l->app->config;
	int64_t now_ms = clock_now_ms();
	l->session = (struct session){
		.id = atomic_fetch_add(&l->app->session_id, 1) + 1,
		.user_id = l->user.id,
		.generation = 1,
		.created_ms = now_ms,
		.refreshed_ms = now_ms,
		.expires_ms = now_ms + config->token.refresh_ttl_ms,
		.client = l->client,
		.user_agent = l->user_agent,
	};
	/* token times are for other machines' clocks: the wall as it is now */
	int64_t wall_ms = clock_wall_ms();
	l->claims = (struct token_claims){
		.session_id = l->session.id,
		.issued_s = wall_ms / 1000,
		.expires_s = (wall_ms + config->token.access_ttl_ms) / 1000,
	};
	memcpy(l->claims.subject, l->user.public_id, sizeof(l->claims.subject));
	id_new(l->claims.token_id, wall_ms);
	refresh_token_make(keys_refresh_secret(l->app->keys), l->session.id, l->session.generation, l->refresh_token);
	return token_issue(config, keys_current(l->app->keys), &l->claims, &l->access_token);
}

/* What effects will know of this login: event.h has the shape. */
static char *event_data(const struct attempt_to_login *l)
{
	const char *email = l->user.email[0] != '\0' ? l->user.email : NULL;
	json_t *data = json_pack("{s:{s:s, s:s, s:s?}, s:{s:s, s:s, s:s}}", "user", "id", l->user.public_id, "username",
		l->user.username, "email", email, "request", "id", l->request_id, "ip", l->client, "user_agent",
		l->user_agent);
	char *text = data != NULL ? json_dumps(data, JSON_COMPACT) : NULL;
	json_decref(data);
	return text;
}

/* The event and what it will cause: decided, and room made, before anything is promised. */
static int plan_effects(struct attempt_to_login *l)
{
	char id[ID_SIZE];
	char *data = event_data(l);
	if (data == NULL)
		return ERR_MEMORY;
	id_new(id, l->session.created_ms);
	l->event = event_new(id, "user.login", l->user.public_id, data, l->user.id, exchange_traceparent(l->x),
		l->session.created_ms);
	free(data);
	int err = l->event != NULL ? dispatch_plan(&l->dispatch, l->app->pool, l->event) : ERR_MEMORY;
	if (err == 0)
		dispatch_measure_cost(&l->dispatch);
	return err;
}

/* On the committer's thread: session, audit, event and effects, or none of them. */
static int write_login(struct db *db, void *arg)
{
	struct attempt_to_login *l = arg;
	const struct audit_entry entry = {
		.type = "user.login",
		.user_id = l->user.id,
		.session_id = l->session.id,
		.client = l->client,
		.request_id = l->request_id,
		.at_ms = l->session.created_ms,
	};
	int err = sessions_add(db, &l->session);
	if (err == 0)
		err = audit_add(db, &entry);
	return err == 0 ? dispatch_write(&l->dispatch, db) : err;
}

static void login_written(void *arg, int err)
{
	struct attempt_to_login *l = arg;
	if (err == 0)
		dispatch_committed(&l->dispatch);
}

static int commit(struct attempt_to_login *l)
{
	int err = plan_effects(l);
	if (err != 0)
		return err;
	err = committer_run_then(l->app->committer, write_login, login_written, l);
	if (err != 0)
		dispatch_abandon(&l->dispatch);
	return err;
}

static int write_revocation(struct db *db, void *arg)
{
	const struct attempt_to_login *l = arg;
	return sessions_revoke(db, l->session.id, clock_now_ms());
}

/* An inline effect that may refuse a login did: what was committed is taken back. */
static void reject(struct attempt_to_login *l)
{
	if (committer_run(l->app->committer, write_revocation, l) != 0)
		log_write(LOG_ERROR, "a rejected login's session could not be revoked; nobody holds its token",
			LOG_STR("request_id", l->request_id), LOG_INT("session", l->session.id));
	exchange_add_header(l->x, "X-Event-Id", l->event->id);
	refuse(l, LOGIN_REJECTED, 502, "effect_failed",
		"Something that this login depends on failed. Try again later.");
}

static void answer(struct attempt_to_login *l)
{
	const struct config *config = l->app->config;
	const char *email = l->user.email[0] != '\0' ? l->user.email : NULL;
	json_t *body = json_pack("{s:s, s:s, s:I, s:s, s:I, s:{s:s, s:s, s:s?}, s:s}", "access_token",
		l->access_token.data, "token_type", "Bearer", "expires_in",
		(json_int_t)(config->token.access_ttl_ms / 1000), "refresh_token", l->refresh_token,
		"refresh_expires_in", (json_int_t)(config->token.refresh_ttl_ms / 1000), "user", "id",
		l->user.public_id, "username", l->user.username, "email", email, "event_id", l->event->id);
	exchange_add_header(l->x, "X-Event-Id", l->event->id);
	exchange_answer_json(l->x, 200, body);
	answered(l, LOGIN_OK);
}

static void refuse_busy(struct attempt_to_login *l, int err)
{
	if (err == ERR_LIMIT || err == ERR_TIMEOUT || err == ERR_CLOSED)
		refuse(l, LOGIN_SHED, 503, "overloaded", "Too many logins are waiting. Try again shortly.");
	else
		refuse(l, LOGIN_UNAVAILABLE, 503, "unavailable",
			"Logins are not possible right now. Try again shortly.");
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

void login(struct exchange *x, struct request_thread *thread)
{
	struct attempt_to_login l;
	int err;

	begin(&l, x, thread->app);
	err = parse(&l);
	mark(&l, STAGE_PARSE);
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
	/* disabled is told only after the hash, and in the same words: no clock and no text tells accounts apart */
	if (!l.check.matches || !l.known || l.user.disabled) {
		refuse(&l, LOGIN_INVALID, 401, "invalid_credentials", "The username, email or password is not right.");
		goto done;
	}

	err = make_tokens(&l);
	mark(&l, STAGE_TOKEN);
	if (err == 0)
		err = commit(&l);
	mark(&l, STAGE_COMMIT);
	if (err != 0) {
		refuse_busy(&l, ERR_STORE);
		goto done;
	}

	err = dispatch_inline(&l.dispatch);
	mark(&l, STAGE_INLINE);
	if (err != 0) {
		reject(&l);
		goto done;
	}

	answer(&l);

	/* the caller has its token; the rest is ours */
	if (l.check.needs_rehash)
		upgrade_hash(&l);
done:
	release(&l);
}
