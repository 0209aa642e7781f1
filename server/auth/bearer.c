#include "server/auth/bearer.h"

#include <string.h>
#include <strings.h>

#include "config/clock.h"
#include "server/app.h"
#include "server/token/token.h"

const char *bearer_token(struct exchange *x)
{
	static const char scheme[] = "Bearer ";
	const char *header = exchange_header(x, "Authorization");

	if (header == NULL || strncasecmp(header, scheme, sizeof(scheme) - 1) != 0)
		return NULL;
	return header + sizeof(scheme) - 1;
}

int bearer_refuse(struct exchange *x, bool had_token, const char *bad, const char *missing)
{
	exchange_add_header(x, "WWW-Authenticate", had_token ? "Bearer error=\"invalid_token\"" : "Bearer");
	exchange_problem(x, 401, had_token ? "invalid_token" : "token_missing", had_token ? bad : missing);
	return ERR_DENIED;
}

static int refuse(struct exchange *x, bool had_token)
{
	return bearer_refuse(x, had_token, "The access token is not valid, or not any more.",
		"Send an access token: Authorization: Bearer TOKEN");
}

static int authenticate(struct exchange *x, struct request_thread *thread, struct session_owner *ret_owner,
	struct token_claims *ret_claims)
{
	const struct app *app = thread->app;
	const char *token = bearer_token(x);
	struct token_claims claims;
	struct session_owner owner;
	const char *why = NULL;

	if (token == NULL)
		return refuse(x, false);
	int err = token_verify(app->config, app->keys, token, clock_wall_ms() / 1000, &claims, &why);
	if (err == ERR_MEMORY) {
		exchange_no_memory(x);
		return err;
	}
	if (err != 0)
		return refuse(x, true);

	err = sessions_owner(thread->db, claims.session_id, clock_now_ms(), &owner);
	if (err == ERR_NOT_FOUND || (err == 0 && (!owner.live || strcmp(owner.public_id, claims.subject) != 0)))
		return refuse(x, true);
	if (err != 0) {
		exchange_unavailable(x, "The session can't be looked up right now.");
		return err;
	}
	*ret_owner = owner;
	*ret_claims = claims;
	return 0;
}

int bearer_authenticate(struct exchange *x, struct request_thread *thread, struct session_owner *ret_owner)
{
	struct token_claims claims;
	int err = authenticate(x, thread, ret_owner, &claims);

	if (err == 0)
		ret_owner->admin = ret_owner->admin && claims.admin;
	return err;
}

int bearer_authenticate_admin(struct exchange *x, struct request_thread *thread, struct user *ret_user)
{
	struct token_claims claims;
	struct session_owner owner;
	struct user user;
	int err = authenticate(x, thread, &owner, &claims);

	if (err != 0)
		return err;
	if (!owner.admin) {
		exchange_problem(x, 403, "forbidden", "This takes an administrator's access token.");
		return ERR_DENIED;
	}
	if (!claims.admin) {
		exchange_add_header(x, "WWW-Authenticate", "Bearer error=\"insufficient_scope\", scope=\"admin\"");
		exchange_problem(x, 403, "insufficient_scope",
			"An administrator's rights last for a while after a login, and a refreshed token has none: log "
			"in again.");
		return ERR_DENIED;
	}
	/* for its name */
	err = users_find_by_id(thread->db, owner.user_id, &user);
	if (err != 0) {
		exchange_unavailable(x, "The account can't be looked up right now.");
		return err;
	}
	*ret_user = user;
	return 0;
}
