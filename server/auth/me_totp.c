#include "server/auth/me_totp.h"

#include <curl/curl.h>
#include <jansson.h>
#include <liboath/oath.h>
#include <sodium.h>
#include <stdlib.h>

#include "config/clock.h"
#include "server/accounts/sessions.h"
#include "server/accounts/totp.h"
#include "server/app.h"
#include "server/auth/bearer.h"
#include "server/auth/failure.h"
#include "server/auth/throttle.h"
#include "server/auth/work.h"

enum { RETRY_SOON_MS = 1000, URI_MAX = 2048 };

/* What one of these requests is about. Nothing in it outlives its handler. */
struct wish {
	struct app *app;
	struct exchange *x;
	struct origin origin;
	json_t *body;
	const char *code, *password; /* in `body`; NULL: not given */
	struct session_owner owner;
	struct user user;
	enum totp_state state;
	struct throttle_ticket ticket;
	struct totp_proof proof;
	unsigned char secret[TOTP_SECRET];
	char codes[LIMIT_RECOVERY_CODES][RECOVERY_CODE_SIZE];
	unsigned char digests[LIMIT_RECOVERY_CODES][RECOVERY_DIGEST];
	int64_t revoked;
	struct work work;
};

/* Answers for what went wrong on the way, and gives it back. */
static int refuse(struct wish *w, int err)
{
	if (err == ERR_STALE)
		(void)bearer_refuse(w->x, true, "The access token is not valid, or not any more.", "");
	else if (err == ERR_EXISTS)
		exchange_problem(w->x, 409, "totp_active", "A second factor is in force already.");
	else if (err == ERR_LIMIT || err == ERR_TIMEOUT || err == ERR_CLOSED)
		exchange_problem_retry(
			w->x, 503, "overloaded", "Too many requests are waiting. Try again shortly.", RETRY_SOON_MS);
	else
		exchange_problem_retry(w->x, 503, "unavailable",
			"The second factor can't be changed right now. Try again shortly.", RETRY_SOON_MS);
	return err;
}

/* Who asks, for what, and how things stand with them. 0, or an error: answered already. */
static int begin(struct wish *w, struct exchange *x, struct request_thread *thread)
{
	int err;

	*w = (struct wish){.app = thread->app, .x = x};
	origin_of(x, &w->origin);
	work_init(&w->work, w->app, &w->origin);
	err = bearer_authenticate(x, thread, &w->owner);
	if (err != 0)
		return err;
	w->body = exchange_json(x);
	if (!w->body)
		return ERR_INVALID;
	w->code = json_string_value(json_object_get(w->body, "code"));
	w->password = json_string_value(json_object_get(w->body, "password"));
	err = users_find_by_id(thread->db, w->owner.user_id, &w->user);
	if (err == 0)
		err = totp_state(thread->db, w->owner.user_id, &w->state);
	return err != 0 ? refuse(w, err == ERR_NOT_FOUND ? ERR_STALE : err) : 0;
}

static void release(struct wish *w)
{
	throttle_end(w->app->throttle, &w->ticket, THROTTLE_UNKNOWN);
	work_release(&w->work);
	json_decref(w->body);
	sodium_memzero(w->secret, sizeof(w->secret));
	sodium_memzero(w->codes, sizeof(w->codes));
}

static int malformed(struct wish *w, const char *detail)
{
	exchange_problem(w->x, 400, "malformed", detail);
	return ERR_INVALID;
}

static int conflict(struct wish *w, const char *code, const char *detail)
{
	exchange_problem(w->x, 409, code, detail);
	return ERR_EXISTS;
}

static int throttle(struct wish *w, enum throttle_kind kind)
{
	char name[THROTTLE_ID_SIZE];

	throttle_id(w->user.id, name);
	return throttle_begin(w->app->throttle, w->x, kind, name, &w->ticket);
}

/* What was guessed is wrong: ERR_DENIED. */
static int wrong(struct wish *w, const char *code, const char *detail)
{
	throttle_end(w->app->throttle, &w->ticket, THROTTLE_FAILED);
	exchange_problem(w->x, 403, code, detail);
	failure_record(w->app, &w->origin, &w->user, &w->ticket, "user.totp_failed");
	return ERR_DENIED;
}

static bool client_gone(const void *arg)
{
	return exchange_gone(arg);
}

/* Whoever has the session must know the password too. 0, or an error: answered already. */
static int check_password(struct wish *w)
{
	struct password_check check = {.matches = false};
	const char *why = NULL;
	int err;

	if (password_acceptable(w->password, &why) != 0)
		return malformed(w, why);
	err = throttle(w, THROTTLE_PASSWORD_ID);
	if (err != 0)
		return err;
	err = password_verify(w->app->passwords, w->user.password, w->password, client_gone, w->x, &check);
	if (err != 0)
		return refuse(w, err);
	if (!check.matches || w->user.locked)
		return wrong(w, "wrong_password", "The password is not right.");
	throttle_end(w->app->throttle, &w->ticket, THROTTLE_PASSED);
	return 0;
}

static int wrong_code(struct wish *w)
{
	return wrong(w, "wrong_code", "The code is not right, or has been used.");
}

/* The ticket stays open: only the commit says whether the code had not been used. 0, or an error: answered already. */
static int check_code(struct wish *w, struct db *db)
{
	int err = throttle(w, THROTTLE_CODE);

	if (err != 0)
		return err;
	err = totp_check(
		db, keys_secret(w->app->keys, SECRET_TOTP), w->user.id, w->state, w->code, clock_wall_ms(), &w->proof);
	if (err == ERR_DENIED || (err == 0 && w->user.locked))
		return wrong_code(w);
	return err != 0 ? refuse(w, err) : 0;
}

/* Plans, commits, and answers what can go wrong with either. */
static int commit(struct wish *w, const char *type, int (*write)(struct db *writer, void *arg))
{
	int err = work_plan(&w->work, type, &w->user, NULL);

	if (err == 0) {
		w->work.audit.session_id = w->owner.session_id;
		err = work_commit(&w->work, write, w);
	}
	if (err == ERR_DENIED)
		return wrong_code(w);
	if (err != 0)
		return refuse(w, err);
	throttle_end(w->app->throttle, &w->ticket, THROTTLE_PASSED);
	(void)!work_inline(&w->work);
	exchange_add_header(w->x, "X-Event-Id", work_event_id(&w->work));
	return 0;
}

static int write_enrolment(struct db *writer, void *arg)
{
	const struct wish *w = arg;
	int err = users_confirm(writer, &w->user);

	if (err == 0)
		err = totp_enrol(writer, keys_secret(w->app->keys, SECRET_TOTP), w->user.id, w->secret, clock_now_ms());
	return err;
}

/* {"secret","uri"}; NULL: no memory. Issuer and name hold no colon (options, username_acceptable), which is what parts them. */
static json_t *describe(const struct wish *w)
{
	const char *issuer = w->app->config->totp.issuer;
	char *label = curl_easy_escape(NULL, issuer, 0);
	char *name = curl_easy_escape(NULL, w->user.username, 0);
	char *secret = NULL;
	size_t len = 0;
	json_t *description = NULL;
	struct buf uri;

	buf_init_secret(&uri, URI_MAX);
	if (!label || !name || oath_base32_encode((const char *)w->secret, TOTP_SECRET, &secret, &len) != OATH_OK)
		goto done;
	buf_printf(&uri, "otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=SHA1&digits=%d&period=%d", label, name,
		secret, label, TOTP_DIGITS, TOTP_STEP_S);
	if (buf_error(&uri) == 0)
		description = json_pack("{s:s, s:s}", "secret", secret, "uri", uri.data);
done:
	if (secret)
		sodium_memzero(secret, len);
	free(secret);
	curl_free(label);
	curl_free(name);
	buf_release(&uri);
	return description;
}

void me_totp_begin(struct exchange *x, struct request_thread *thread)
{
	struct wish w;
	int err = begin(&w, x, thread);

	if (err == 0 && !w.password)
		err = malformed(&w, "Give password, as a string.");
	if (err == 0 && w.state == TOTP_ACTIVE)
		err = refuse(&w, ERR_EXISTS);
	if (err == 0)
		err = check_password(&w);
	if (err != 0)
		goto done;
	randombytes_buf(w.secret, sizeof(w.secret));
	err = committer_run(w.app->committer, write_enrolment, &w);
	if (err != 0)
		(void)refuse(&w, err);
	else
		exchange_answer_json(x, 200, describe(&w));
done:
	release(&w);
}

static int make_recovery_codes(struct wish *w)
{
	const unsigned char *key = keys_secret(w->app->keys, SECRET_TOTP);
	int err = 0;

	for (size_t i = 0; err == 0 && i < LIMIT_RECOVERY_CODES; i++) {
		err = recovery_code_make(w->codes[i]);
		if (err == 0)
			err = recovery_code_digest(key, w->user.id, w->codes[i], w->digests[i]);
	}
	return err != 0 ? refuse(w, err) : 0;
}

/* The other sessions were begun without the second factor, and so would be those of logins whose password was checked before this. */
static int write_confirmation(struct db *writer, void *arg)
{
	struct wish *w = arg;
	const int64_t now_ms = clock_now_ms();
	int err = users_confirm(writer, &w->user);

	if (err == 0)
		err = totp_confirm(
			writer, w->user.id, &w->proof, (const unsigned char(*)[RECOVERY_DIGEST])w->digests, now_ms);
	if (err == 0)
		err = users_raise_credentials(writer, w->user.id, now_ms);
	if (err == 0)
		err = sessions_revoke_all(writer, w->user.id, w->owner.session_id, now_ms, &w->revoked);
	return err;
}

static void answer_confirmation(struct wish *w)
{
	json_t *codes = json_array();
	int err = 0;

	for (size_t i = 0; err == 0 && i < LIMIT_RECOVERY_CODES; i++)
		err = json_array_append_new(codes, json_string(w->codes[i]));
	if (err != 0) {
		json_decref(codes);
		codes = NULL;
	}
	exchange_answer_json(w->x, 200,
		codes ? json_pack("{s:o, s:I, s:s}", "recovery_codes", codes, "revoked", (json_int_t)w->revoked,
				"event_id", work_event_id(&w->work))
		      : NULL);
}

void me_totp_confirm(struct exchange *x, struct request_thread *thread)
{
	struct wish w;
	int err = begin(&w, x, thread);

	if (err == 0 && !w.code)
		err = malformed(&w, "Give code, as a string.");
	if (err == 0 && w.state == TOTP_ACTIVE)
		err = refuse(&w, ERR_EXISTS);
	if (err == 0 && w.state == TOTP_NONE)
		err = conflict(&w, "totp_not_pending", "There is nothing to confirm: begin with POST /me/totp.");
	if (err == 0)
		err = check_code(&w, thread->db);
	if (err == 0)
		err = make_recovery_codes(&w);
	if (err == 0)
		err = commit(&w, "user.totp_enabled", write_confirmation);
	if (err == 0)
		answer_confirmation(&w);
	release(&w);
}

static int write_removal(struct db *writer, void *arg)
{
	const struct wish *w = arg;
	int err = users_confirm(writer, &w->user);

	if (err == 0 && w->code)
		err = totp_use(writer, w->user.id, &w->proof, clock_now_ms());
	if (err == 0)
		err = totp_remove(writer, w->user.id);
	return err;
}

void me_totp_remove(struct exchange *x, struct request_thread *thread)
{
	struct wish w;
	int err = begin(&w, x, thread);

	if (err == 0 && !w.code == !w.password)
		err = malformed(&w, "Give either code or password, as a string.");
	if (err == 0 && w.state != TOTP_ACTIVE)
		err = conflict(&w, "totp_not_active", "No second factor is in force.");
	if (err == 0)
		err = w.code ? check_code(&w, thread->db) : check_password(&w);
	if (err == 0)
		err = commit(&w, "user.totp_disabled", write_removal);
	if (err == 0)
		exchange_answer_json(x, 200, json_pack("{s:s}", "event_id", work_event_id(&w.work)));
	release(&w);
}
