#include "server/auth/account_request.h"

#include <string.h>

#include "config/clock.h"
#include "server/app.h"
#include "server/auth/failure.h"

int account_request_begin(struct account_request *r, struct exchange *x, struct request_thread *thread)
{
	*r = (struct account_request){.app = thread->app, .db = thread->db, .x = x};
	origin_of(x, &r->origin);
	work_init(&r->work, r->app, &r->origin);
	r->body = exchange_json(x);
	return r->body ? 0 : ERR_INVALID;
}

void account_request_end(struct account_request *r)
{
	throttle_end(r->app->throttle, &r->ticket, THROTTLE_UNKNOWN);
	work_release(&r->work);
	json_decref(r->body);
}

int account_request_malformed(struct account_request *r, const char *why)
{
	exchange_problem(r->x, 400, "malformed", why);
	return ERR_INVALID;
}

int account_request_text(struct account_request *r, const char *name, const char **ret_text)
{
	const json_t *member = json_object_get(r->body, name);

	if (member && !json_is_null(member) && !json_is_string(member))
		return account_request_malformed(r, "A member that must be a string is not one.");
	*ret_text = json_string_value(member);
	return 0;
}

int account_request_username(struct account_request *r, const char **ret_username)
{
	const char *why = NULL;
	int err = account_request_text(r, "username", ret_username);

	if (!err && *ret_username && username_acceptable(*ret_username, &why) != 0)
		err = account_request_malformed(r, why);
	return err;
}

int account_request_password(struct account_request *r, const char *name, const char **ret_password)
{
	const char *why = "The password is missing.";
	int err = account_request_text(r, name, ret_password);

	if (!err && (!*ret_password || password_acceptable(*ret_password, &why) != 0))
		err = account_request_malformed(r, why);
	return err;
}

int account_request_throttle(struct account_request *r, enum throttle_kind kind, const char *name)
{
	return throttle_begin(r->app->throttle, r->x, kind, name, &r->ticket);
}

int account_request_confirm(
	struct account_request *r, const struct user *user, const char *password, const char *failure)
{
	struct password_check check;
	int err = throttle_begin_user(r->app->throttle, r->x, THROTTLE_PASSWORD_ID, user->id, &r->ticket);

	if (err)
		return err;
	err = password_verify(r->app->passwords, user->password, password, exchange_gone, r->x, &check);
	if (err) {
		account_request_unavailable(r, err);
		return err;
	}
	if (check.matches && !user->locked) {
		throttle_end(r->app->throttle, &r->ticket, THROTTLE_PASSED);
		return 0;
	}
	throttle_end(r->app->throttle, &r->ticket, THROTTLE_FAILED);
	account_request_wrong_password(r);
	failure_record(r->app, &r->origin, user, &r->ticket, failure);
	return ERR_DENIED;
}

void account_request_wrong_password(struct account_request *r)
{
	exchange_problem(r->x, 403, "wrong_password", "The password is not right.");
}

void account_request_link_invalid(struct account_request *r)
{
	throttle_end(r->app->throttle, &r->ticket, THROTTLE_FAILED);
	exchange_problem(r->x, 400, "link_invalid", "The link is not valid, or not any more: ask for another one.");
}

int account_request_link(struct account_request *r, const char *token, const char *purpose, struct link *ret_link)
{
	struct link link;
	int64_t id = 0;
	int err = account_request_throttle(r, THROTTLE_TOKEN, NULL);

	if (err)
		return err;
	err = link_token_read(r->app->links.key, purpose, token, &id);
	if (!err)
		err = links_find(r->db, id, &link);
	if (!err && !links_open(&link, purpose, clock_now_ms()))
		err = ERR_STALE;
	if (err == ERR_DENIED || err == ERR_NOT_FOUND || err == ERR_STALE) {
		account_request_link_invalid(r);
		return ERR_DENIED;
	}
	if (err)
		account_request_unavailable(r, err);
	else
		*ret_link = link;
	return err;
}

int account_request_policy(struct account_request *r, const char *password, const char *username, const char *email)
{
	char why[POLICY_WHY] = "";
	int err = policy_check(r->app->policy, password, username, email, why);

	if (err == ERR_INVALID)
		exchange_problem(r->x, 400, "password_refused", why);
	else if (err)
		account_request_unavailable(r, err);
	return err;
}

int account_request_hash(struct account_request *r, const char *password, char ret_hash[PASSWORD_HASH_SIZE])
{
	int err = password_hash(r->app->passwords, password, ret_hash);

	if (err)
		account_request_unavailable(r, err);
	return err;
}

void account_request_unavailable(struct account_request *r, int err)
{
	if (err == ERR_LIMIT || err == ERR_TIMEOUT || err == ERR_CLOSED)
		exchange_problem_retry(
			r->x, 503, "overloaded", "Too much is waiting. Try again shortly.", LIMIT_RETRY_SOON_MS);
	else
		exchange_unavailable(r->x, "This is not possible right now. Try again shortly.");
}

void account_request_answer(struct account_request *r, int status, json_t *body)
{
	const char *event_id = work_event_id(&r->work);

	if (json_object_set_new(body, "event_id", json_string(event_id)) != 0) {
		json_decref(body);
		body = NULL; /* it is done all the same, and its mail will say so */
	}
	exchange_add_header(r->x, "X-Event-Id", event_id);
	exchange_answer_json(r->x, status, body);
	work_inline_late(&r->work);
}
