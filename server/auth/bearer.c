#include "server/auth/bearer.h"

#include <strings.h>

#include "server/app.h"

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

/* The answer to a token that could not be found good; passes the error on. */
static int answer_for(struct exchange *x, int err)
{
	if (err == ERR_DENIED)
		return refuse(x, true);
	if (err == ERR_MEMORY)
		exchange_no_memory(x);
	else if (err)
		exchange_unavailable(x, "The session can't be looked up right now.");
	return err;
}

static int authenticate(struct exchange *x, struct request_thread *thread, struct access *ret_access)
{
	const char *token = bearer_token(x);

	if (token == NULL)
		return refuse(x, false);
	return answer_for(x, access_check(thread->app, thread->db, token, ret_access));
}

int bearer_authenticate(struct exchange *x, struct request_thread *thread, struct session_owner *ret_owner)
{
	struct access access;
	int err = authenticate(x, thread, &access);

	if (err == 0) {
		*ret_owner = access.owner;
		ret_owner->admin = access.owner.admin && access.claims.admin;
	}
	return err;
}

int bearer_authenticate_account(struct exchange *x, struct request_thread *thread, struct access *ret_access,
	struct session_account *ret_account)
{
	const char *token = bearer_token(x);

	if (token == NULL)
		return refuse(x, false);
	return answer_for(x, access_check_account(thread->app, thread->db, token, ret_access, ret_account));
}

int bearer_authenticate_admin(struct exchange *x, struct request_thread *thread, struct user *ret_user)
{
	struct access access;
	struct user user;
	int err = authenticate(x, thread, &access);

	if (err != 0)
		return err;
	if (!access.owner.admin) {
		exchange_problem(x, 403, "forbidden", "This takes an administrator's access token.");
		return ERR_DENIED;
	}
	if (!access.claims.admin) {
		exchange_add_header(x, "WWW-Authenticate", "Bearer error=\"insufficient_scope\", scope=\"admin\"");
		exchange_problem(x, 403, "insufficient_scope",
			"An administrator's rights last for a while after a login, and a refreshed token has none: log "
			"in again.");
		return ERR_DENIED;
	}
	/* for its name */
	err = users_find_by_id(thread->db, access.owner.user_id, &user);
	if (err != 0) {
		exchange_unavailable(x, "The account can't be looked up right now.");
		return err;
	}
	*ret_user = user;
	return 0;
}
