#include "server/auth/introspect.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/clock.h"
#include "server/accounts/sessions.h"
#include "server/app.h"
#include "server/auth/access.h"
#include "server/auth/service.h"
#include "server/token/token.h"

/* Takes over `json`; NULL: no memory. */
static char *render(json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	return text;
}

/* Kept for the next time. */
static int describe_access(
	struct app *app, const struct access *access, const struct session_account *account, char **ret_answer)
{
	const struct config *config = app->config;
	const struct token_claims *claims = &access->claims;
	char session[24];
	json_t *answer;

	(void)snprintf(session, sizeof(session), "%lld", (long long)claims->session_id);
	/* whoever is no administrator any more has an ordinary token */
	answer = json_pack("{s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s*}", "active", 1, "token_type",
		"access_token", "sub", claims->subject, "username", account->username, "client_id",
		config->token.audience, "iss", config->token.issuer, "aud", config->token.audience, "exp",
		(json_int_t)claims->expires_s, "iat", (json_int_t)claims->issued_s, "jti", claims->token_id, "sid",
		session, "scope", claims->admin && access->owner.admin ? "admin" : NULL);
	*ret_answer = render(answer);
	if (!*ret_answer)
		return ERR_MEMORY;
	access_keep(app, access, ACCESS_INTROSPECT, *ret_answer);
	return 0;
}

/* Only the latest of a session: a parent within its grace can still be refreshed, and is nobody's to rely on. */
static int describe_refresh(struct request_thread *thread, int64_t session_id, int64_t generation, char **ret_answer)
{
	struct session_owner owner;
	int err = sessions_owner(thread->db, session_id, clock_now_ms(), &owner);
	char session[24];

	if (err)
		return err;
	if (!owner.live || owner.generation != generation)
		return ERR_NOT_FOUND;
	(void)snprintf(session, sizeof(session), "%lld", (long long)session_id);
	*ret_answer = render(json_pack("{s:b, s:s, s:s, s:I, s:I, s:s}", "active", 1, "token_type", "refresh_token",
		"sub", owner.public_id, "exp", (json_int_t)(owner.expires_ms / 1000), "iat",
		(json_int_t)(owner.refreshed_ms / 1000), "sid", session));
	return *ret_answer ? 0 : ERR_MEMORY;
}

/* 0 with the answer, ERR_DENIED or ERR_NOT_FOUND for one that is not active, or an error of the store. */
static int describe(struct request_thread *thread, const char *token, char **ret_answer)
{
	struct app *app = thread->app;
	struct session_account account;
	struct access access;
	int64_t session_id = 0, generation = 0;

	if (refresh_token_read(keys_refresh(app->keys), token, &session_id, &generation) == 0)
		return describe_refresh(thread, session_id, generation, ret_answer);
	int err = access_check_account(app, thread->db, token, &access, &account);
	return err ? err : describe_access(app, &access, &account, ret_answer);
}

/* Whether it is active, to a service that may know. */
static void answer(struct exchange *x, struct request_thread *thread, const char *token)
{
	/* what is not known for sure to be good is no more than that (RFC 7662 2.2) */
	static const char inactive[] = "{\"active\":false}";
	char kept[LIMIT_ACCESS_ANSWER], *text = NULL;
	size_t len = access_answer(thread->app, token, ACCESS_INTROSPECT, kept);
	int err = len ? 0 : describe(thread, token, &text);

	if (len)
		exchange_answer(x, 200, "application/json", kept, len);
	else if (!err)
		exchange_answer_text(x, 200, text);
	else if (err == ERR_DENIED || err == ERR_NOT_FOUND)
		exchange_answer(x, 200, "application/json", inactive, sizeof(inactive) - 1);
	else if (err == ERR_MEMORY)
		exchange_no_memory(x);
	else
		exchange_unavailable(x, "The session can't be looked up right now.");
}

void introspect_at_once(struct exchange *x, struct request_thread *thread)
{
	const struct service_config *service;
	char text[LIMIT_ACCESS_ANSWER];
	size_t len = 0;
	json_t *body;

	/* a larger one is no token of ours, and a loop has no time for it */
	(void)exchange_body(x, &len);
	if (thread->app->config->token.cache == 0 || len > LIMIT_INTROSPECT_AT_ONCE)
		return;
	service = service_recognise_client(x, thread->app);
	if (!service || !service->introspect)
		return;
	body = exchange_form(x);
	const char *token = json_string_value(json_object_get(body, "token"));
	len = token ? access_answer(thread->app, token, ACCESS_INTROSPECT, text) : 0;
	if (len)
		exchange_answer(x, 200, "application/json", text, len);
	json_decref(body);
}

void introspect(struct exchange *x, struct request_thread *thread)
{
	const struct service_config *service = service_authenticate_client(x, thread->app);
	const char *token;
	json_t *body;

	if (!service)
		return;
	if (!service->introspect) {
		exchange_problem(x, 403, "forbidden", "This service may not ask about tokens.");
		return;
	}
	body = exchange_form(x);
	if (!body)
		return;
	token = json_string_value(json_object_get(body, "token"));
	if (token)
		answer(x, thread, token);
	else
		exchange_problem(x, 400, "malformed", "Give token, as a string.");
	json_decref(body);
}
