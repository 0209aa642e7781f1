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
#include "server/auth/account_request.h"
#include "server/auth/bearer.h"
#include "server/auth/failure.h"

enum { URI_MAX = 2048 };

/* What one of these requests is about. Nothing in it outlives its handler. */
struct wish {
	struct account_request r;
	struct session_owner owner;
	const char *code, *password; /* in the body; NULL: not given */
	struct user user;
	enum totp_state state;
	struct totp_proof proof;
	unsigned char secret[TOTP_SECRET];
	char codes[LIMIT_RECOVERY_CODES][RECOVERY_CODE_SIZE];
	unsigned char digests[LIMIT_RECOVERY_CODES][RECOVERY_DIGEST];
	int64_t revoked;
};

/* Answers for what went wrong on the way, and gives it back. */
static int refuse(struct wish *w, int err)
{
	if (err == ERR_STALE)
		(void)bearer_refuse(w->r.x, true, "The access token is not valid, or not any more.", "");
	else if (err == ERR_EXISTS)
		exchange_problem(w->r.x, 409, "totp_active", "A second factor is in force already.");
	else
		account_request_unavailable(&w->r, err);
	return err;
}

/* What is asked for, and how things stand with who asks. 0, or an error: answered already. */
static int begin(struct wish *w, struct exchange *x, struct request_thread *thread)
{
	int err = account_request_begin(&w->r, x, thread);

	if (!err)
		err = account_request_text(&w->r, "code", &w->code);
	if (!err)
		err = account_request_text(&w->r, "password", &w->password);
	if (err)
		return err;
	err = users_find_by_id(thread->db, w->owner.user_id, &w->user);
	if (!err)
		err = totp_state(thread->db, w->owner.user_id, &w->state);
	return err ? refuse(w, err == ERR_NOT_FOUND ? ERR_STALE : err) : 0;
}

static void end(struct wish *w)
{
	account_request_end(&w->r);
	sodium_memzero(w->secret, sizeof(w->secret));
	sodium_memzero(w->codes, sizeof(w->codes));
}

static int conflict(struct wish *w, const char *code, const char *detail)
{
	exchange_problem(w->r.x, 409, code, detail);
	return ERR_EXISTS;
}

static int check_password(struct wish *w)
{
	int err = account_request_password(&w->r, "password", &w->password);

	return err ? err : account_request_confirm(&w->r, &w->user, w->password, "user.totp_failed");
}

static int wrong_code(struct wish *w)
{
	throttle_end(w->r.app->throttle, &w->r.ticket, THROTTLE_FAILED);
	exchange_problem(w->r.x, 403, "wrong_code", "The code is not right, or has been used.");
	failure_record(w->r.app, &w->r.origin, &w->user, &w->r.ticket, "user.totp_failed");
	return ERR_DENIED;
}

/* The ticket stays open: only the commit says whether the code had not been used. 0, or an error: answered already. */
static int check_code(struct wish *w)
{
	const unsigned char *key = keys_secret(w->r.app->keys, SECRET_TOTP);
	int err = throttle_begin_user(w->r.app->throttle, w->r.x, THROTTLE_CODE, w->user.id, &w->r.ticket);

	if (err)
		return err;
	err = totp_check(w->r.db, key, w->user.id, w->state, w->code, clock_wall_ms(), &w->proof);
	if (err == ERR_DENIED || (!err && w->user.locked))
		return wrong_code(w);
	return err ? refuse(w, err) : 0;
}

/* Plans, commits, and answers what can go wrong with either. */
static int commit(struct wish *w, const char *type, int (*write)(struct db *writer, void *arg))
{
	int err = work_plan(&w->r.work, type, &w->user, NULL);

	if (!err) {
		w->r.work.audit.session_id = w->owner.session_id;
		err = work_commit(&w->r.work, write, w);
	}
	if (err == ERR_DENIED)
		return wrong_code(w);
	if (err)
		return refuse(w, err);
	throttle_end(w->r.app->throttle, &w->r.ticket, THROTTLE_PASSED);
	return 0;
}

static int write_enrolment(struct db *writer, void *arg)
{
	const struct wish *w = arg;
	int err = users_confirm(writer, &w->user);

	if (!err)
		err = totp_enrol(
			writer, keys_secret(w->r.app->keys, SECRET_TOTP), w->user.id, w->secret, clock_now_ms());
	return err;
}

/* {"secret","uri"}; NULL: no memory. Issuer and name hold no colon (options, username_acceptable), which is what parts them. */
static json_t *describe(const struct wish *w)
{
	const char *issuer = w->r.app->config->totp.issuer;
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
	struct wish w = {.code = NULL};
	int err;

	if (bearer_authenticate(x, thread, &w.owner) != 0)
		return;
	err = begin(&w, x, thread);
	if (!err && !w.password)
		err = account_request_malformed(&w.r, "Give password, as a string.");
	if (!err && w.state == TOTP_ACTIVE)
		err = refuse(&w, ERR_EXISTS);
	if (!err)
		err = check_password(&w);
	if (err)
		goto done;
	randombytes_buf(w.secret, sizeof(w.secret));
	err = committer_run(w.r.app->committer, write_enrolment, &w);
	if (err)
		(void)refuse(&w, err);
	else
		exchange_answer_json(x, 200, describe(&w));
done:
	end(&w);
}

static int make_recovery_codes(struct wish *w)
{
	const unsigned char *key = keys_secret(w->r.app->keys, SECRET_TOTP);
	int err = 0;

	for (size_t i = 0; !err && i < LIMIT_RECOVERY_CODES; i++) {
		err = recovery_code_make(w->codes[i]);
		if (!err)
			err = recovery_code_digest(key, w->user.id, w->codes[i], w->digests[i]);
	}
	return err ? refuse(w, err) : 0;
}

/* The other sessions were begun without the second factor, and so would be those of logins whose password was checked before this. */
static int write_confirmation(struct db *writer, void *arg)
{
	struct wish *w = arg;
	const int64_t now_ms = clock_now_ms();
	int err = users_confirm(writer, &w->user);

	if (!err)
		err = totp_confirm(
			writer, w->user.id, &w->proof, (const unsigned char(*)[RECOVERY_DIGEST])w->digests, now_ms);
	if (!err)
		err = users_raise_credentials(writer, w->user.id, now_ms);
	if (!err)
		err = sessions_revoke_all(writer, w->user.id, w->owner.session_id, now_ms, &w->revoked);
	return err;
}

static void answer_confirmation(struct wish *w)
{
	json_t *codes = json_array();
	int err = 0;

	for (size_t i = 0; !err && i < LIMIT_RECOVERY_CODES; i++)
		err = json_array_append_new(codes, json_string(w->codes[i]));
	if (err) {
		json_decref(codes);
		codes = NULL;
	}
	account_request_answer(&w->r, 200,
		codes ? json_pack("{s:o, s:I}", "recovery_codes", codes, "revoked", (json_int_t)w->revoked) : NULL);
}

void me_totp_confirm(struct exchange *x, struct request_thread *thread)
{
	struct wish w = {.code = NULL};
	int err;

	if (bearer_authenticate(x, thread, &w.owner) != 0)
		return;
	err = begin(&w, x, thread);
	if (!err && !w.code)
		err = account_request_malformed(&w.r, "Give code, as a string.");
	if (!err && w.state == TOTP_ACTIVE)
		err = refuse(&w, ERR_EXISTS);
	if (!err && w.state == TOTP_NONE)
		err = conflict(&w, "totp_not_pending", "There is nothing to confirm: begin with POST /me/totp.");
	if (!err)
		err = check_code(&w);
	if (!err)
		err = make_recovery_codes(&w);
	if (!err)
		err = commit(&w, "user.totp_enabled", write_confirmation);
	if (!err)
		answer_confirmation(&w);
	end(&w);
}

static int write_removal(struct db *writer, void *arg)
{
	const struct wish *w = arg;
	int err = users_confirm(writer, &w->user);

	if (!err)
		err = totp_use(writer, w->user.id, &w->proof, clock_now_ms());
	if (!err)
		err = totp_remove(writer, w->user.id);
	return err;
}

void me_totp_remove(struct exchange *x, struct request_thread *thread)
{
	struct wish w = {.code = NULL};
	int err;

	if (bearer_authenticate(x, thread, &w.owner) != 0)
		return;
	err = begin(&w, x, thread);
	if (!err && (!w.code || !w.password))
		err = account_request_malformed(&w.r, "Give password and code, as strings.");
	if (!err && w.state != TOTP_ACTIVE)
		err = conflict(&w, "totp_not_active", "No second factor is in force.");
	if (!err)
		err = check_password(&w);
	if (!err)
		err = check_code(&w);
	if (!err)
		err = commit(&w, "user.totp_disabled", write_removal);
	if (!err)
		account_request_answer(&w.r, 200, json_object());
	end(&w);
}
