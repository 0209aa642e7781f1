#include "server/ops/admin_users.h"

#include <string.h>

#include "config/clock.h"
#include "config/log.h"
#include "server/accounts/users_search.h"
#include "server/app.h"
#include "server/auth/bearer.h"
#include "server/ops/admin.h"
#include "server/ops/admin_request.h"
#include "server/ops/revoke_all.h"
#include "server/ops/user_change.h"
#include "server/ops/users_json.h"

static void unavailable(struct exchange *x)
{
	exchange_unavailable(x, "The accounts can't be read or written right now.");
}

static void not_found(struct exchange *x)
{
	exchange_problem(x, 404, "user_not_found", "There is no account of this id.");
}

static int add_to_page(void *arg, const struct user *user)
{
	return json_array_append_new(arg, users_json(user)) == 0 ? 0 : ERR_MEMORY;
}

void admin_users_list(struct exchange *x, struct request_thread *thread)
{
	char next[USERS_CURSOR_SIZE];
	struct user admin;
	json_t *users;
	int64_t limit;
	int seen;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	if (admin_request_number(x, "limit", ADMIN_PAGE_MAX, ADMIN_PAGE, &limit) != 0) {
		exchange_problem(x, 400, "malformed", "\"limit\" is a number from 1 to 1000.");
		return;
	}
	users = json_array();
	seen = users ? users_search(thread->db, exchange_query(x, "search"), exchange_query(x, "after"), (int)limit,
			       add_to_page, users, next)
		     : ERR_MEMORY;
	if (seen == ERR_INVALID)
		exchange_problem(x, 400, "malformed", "\"after\" is the \"next\" of another page.");
	else if (seen < 0)
		unavailable(x);
	else
		exchange_answer_json(x, 200, json_pack("{s:O, s:s?}", "users", users, "next", next[0] ? next : NULL));
	json_decref(users);
}

void admin_users_show(struct exchange *x, struct request_thread *thread)
{
	struct user admin, user;
	json_t *json = NULL;
	int err;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	err = users_find_by_public_id(thread->db, exchange_parameter(x), &user);
	if (!err)
		err = users_json_whole(thread->db, &user, clock_now_ms(), &json);
	if (err == ERR_NOT_FOUND)
		not_found(x);
	else if (err)
		unavailable(x);
	else
		exchange_answer_json(x, 200, json_pack("{s:o}", "user", json));
}

/* A change of an account that is there, from the request to its answer. */
static void change_one(struct exchange *x, struct request_thread *thread, enum user_change_kind kind)
{
	char actor[AUDIT_ACTOR_SIZE];
	struct user_change change;
	struct user admin, user;
	struct origin origin;
	int err;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	err = users_find_by_public_id(thread->db, exchange_parameter(x), &user);
	if (!err && user.id == admin.id && (kind == USER_DISABLE || kind == USER_DELETE)) {
		exchange_problem(x, 409, "own_account", "This is the account that you use. Let another one do it.");
		return;
	}
	if (!err && kind == USER_REQUIRE_RESET && !user.email[0]) {
		exchange_problem(x, 409, "no_address", "The account has no address to send a link to.");
		return;
	}
	if (err) {
		err == ERR_NOT_FOUND ? not_found(x) : unavailable(x);
		return;
	}
	admin_request_actor(&admin, actor);
	origin_of(x, &origin);
	user_change_init(&change, kind, &user);
	err = user_change_commit(&change, thread->app, &origin, actor);
	if (err == ERR_NOT_FOUND) {
		not_found(x);
	} else if (err) {
		unavailable(x);
	} else {
		exchange_add_header(x, "X-Event-Id", change.event_id);
		exchange_answer_json(x, 200,
			json_pack("{s:s, s:s, s:I}", "id", user.public_id, "event_id", change.event_id, "sessions",
				(json_int_t)change.sessions));
	}
	user_change_finish(&change);
}

void admin_users_delete(struct exchange *x, struct request_thread *thread)
{
	change_one(x, thread, USER_DELETE);
}

void admin_users_disable(struct exchange *x, struct request_thread *thread)
{
	change_one(x, thread, USER_DISABLE);
}

void admin_users_enable(struct exchange *x, struct request_thread *thread)
{
	change_one(x, thread, USER_ENABLE);
}

void admin_users_revoke(struct exchange *x, struct request_thread *thread)
{
	change_one(x, thread, USER_REVOKE);
}

void admin_users_require_reset(struct exchange *x, struct request_thread *thread)
{
	change_one(x, thread, USER_REQUIRE_RESET);
}

void admin_sessions_revoke(struct exchange *x, struct request_thread *thread)
{
	char actor[AUDIT_ACTOR_SIZE];
	struct user admin;
	int64_t count = 0;
	json_t *body;
	bool all;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	body = exchange_json(x);
	if (!body)
		return;
	all = json_is_true(json_object_get(body, "all"));
	json_decref(body);
	if (!all) {
		exchange_problem(
			x, 400, "malformed", "Say \"all\": true. One account's are ended by /admin/users/{id}/revoke.");
		return;
	}
	admin_request_actor(&admin, actor);
	if (revoke_all(thread->app, actor, exchange_client(x), exchange_request_id(x), &count) != 0) {
		unavailable(x);
		return;
	}
	log_write(LOG_WARN, "all sessions revoked", LOG_STR("by", admin.username), LOG_INT("rows", count),
		LOG_STR("request_id", exchange_request_id(x)));
	exchange_answer_json(x, 200, json_pack("{s:I}", "sessions", (json_int_t)count));
}
