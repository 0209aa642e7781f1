#include "server/auth/introspect.h"

#include <stdio.h>
#include <string.h>

#include "config/clock.h"
#include "server/accounts/sessions.h"
#include "server/accounts/users.h"
#include "server/app.h"
#include "server/auth/service.h"
#include "server/token/token.h"

/* What is not known for sure to be good is no more than that (RFC 7662 2.2). */
static json_t *inactive(void)
{
	return json_pack("{s:b}", "active", 0);
}

static int describe_access(struct request_thread *thread, const struct token_claims *claims, json_t **ret_answer)
{
	const struct config *config = thread->app->config;
	struct session_owner owner;
	struct user user;
	int err = sessions_owner(thread->db, claims->session_id, clock_now_ms(), &owner);
	char session[24];

	if (!err && (!owner.live || strcmp(owner.public_id, claims->subject) != 0))
		err = ERR_NOT_FOUND;
	if (!err)
		err = users_find_by_id(thread->db, owner.user_id, &user);
	if (err)
		return err;
	(void)snprintf(session, sizeof(session), "%lld", (long long)claims->session_id);
	/* whoever is no administrator any more has an ordinary token */
	*ret_answer = json_pack("{s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s*}", "active", 1,
		"token_type", "access_token", "sub", claims->subject, "username", user.username, "client_id",
		config->token.audience, "iss", config->token.issuer, "aud", config->token.audience, "exp",
		(json_int_t)claims->expires_s, "iat", (json_int_t)claims->issued_s, "jti", claims->token_id, "sid",
		session, "scope", claims->admin && owner.admin ? "admin" : NULL);
	return 0;
}

/* Only the latest of a session: a parent within its grace can still be refreshed, and is nobody's to rely on. */
static int describe_refresh(struct request_thread *thread, int64_t session_id, int64_t generation, json_t **ret_answer)
{
	struct session_owner owner;
	int err = sessions_owner(thread->db, session_id, clock_now_ms(), &owner);
	char session[24];

	if (err)
		return err;
	if (!owner.live || owner.generation != generation)
		return ERR_NOT_FOUND;
	(void)snprintf(session, sizeof(session), "%lld", (long long)session_id);
	*ret_answer = json_pack("{s:b, s:s, s:s, s:I, s:I, s:s}", "active", 1, "token_type", "refresh_token", "sub",
		owner.public_id, "exp", (json_int_t)(owner.expires_ms / 1000), "iat",
		(json_int_t)(owner.refreshed_ms / 1000), "sid", session);
	return 0;
}

/* 0 with the answer (NULL: no memory), ERR_NOT_FOUND for one that is not active, or an error of the store. */
static int describe(struct request_thread *thread, const char *token, json_t **ret_answer)
{
	const struct app *app = thread->app;
	struct token_claims claims;
	int64_t session_id = 0, generation = 0;
	const char *why = NULL;

	int err = token_verify(app->config, app->keys, token, clock_wall_ms() / 1000, &claims, &why);

	if (err == ERR_MEMORY)
		return err;
	if (!err)
		return describe_access(thread, &claims, ret_answer);
	if (refresh_token_read(keys_refresh(app->keys), token, &session_id, &generation) == 0)
		return describe_refresh(thread, session_id, generation, ret_answer);
	return ERR_NOT_FOUND;
}

void introspect(struct exchange *x, struct request_thread *thread)
{
	const struct service_config *service = service_authenticate_client(x, thread->app);
	json_t *body = NULL, *answer = NULL;
	const char *token;
	int err;

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
	if (!token) {
		exchange_problem(x, 400, "malformed", "Give token, as a string.");
		json_decref(body);
		return;
	}
	err = describe(thread, token, &answer);
	json_decref(body);
	if (err == 0 || err == ERR_NOT_FOUND)
		exchange_answer_json(x, 200, err == 0 ? answer : inactive());
	else
		exchange_unavailable(x, "The session can't be looked up right now.");
}
