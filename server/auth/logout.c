#include "server/auth/logout.h"

#include "config/clock.h"
#include "server/app.h"
#include "server/auth/bearer.h"
#include "server/auth/refresh_cookie.h"
#include "server/auth/work.h"

struct leaving {
	struct session_owner owner;
	bool all;
	int64_t now_ms;
	int64_t revoked;
};

/* 0, or it has been answered. */
static int parse(struct exchange *x, bool *ret_all)
{
	json_t *body = NULL, *all = NULL;
	int err = 0;

	if (!exchange_has_body(x))
		return 0;
	body = exchange_json(x);
	if (!body)
		return ERR_INVALID;
	all = json_object_get(body, "all");
	if (all && !json_is_boolean(all))
		err = ERR_INVALID;
	else
		*ret_all = json_is_true(all);
	json_decref(body);
	if (err)
		exchange_problem(x, 400, "malformed", "Give all as true or false, or leave it out.");
	return err;
}

/* Its own session first: what has ended meanwhile has no word on the others any more. */
static int write_logout(struct db *writer, void *arg)
{
	struct leaving *l = arg;
	int64_t others = 0;
	int err = sessions_revoke_of(writer, l->owner.user_id, l->owner.session_id, l->now_ms);

	if (!err && l->all)
		err = sessions_revoke_all(writer, l->owner.user_id, 0, l->now_ms, &others);
	l->revoked = 1 + others;
	return err;
}

static void answer(struct exchange *x, const struct app *app, const struct leaving *l, const char *event_id)
{
	if (app->config->cookie.enabled)
		refresh_cookie_clear(x, app->config);
	exchange_add_header(x, "X-Event-Id", event_id);
	exchange_answer_json(x, 200, json_pack("{s:I, s:s}", "revoked", (json_int_t)l->revoked, "event_id", event_id));
}

void logout(struct exchange *x, struct request_thread *thread)
{
	struct leaving l = {.now_ms = clock_now_ms()};
	struct origin origin;
	struct work work;
	struct user user;

	if (bearer_authenticate(x, thread, &l.owner) != 0 || parse(x, &l.all) != 0)
		return;
	origin_of(x, &origin);
	work_init(&work, thread->app, &origin);
	int err = users_find_by_id(thread->db, l.owner.user_id, &user);
	if (!err)
		err = work_plan(&work, "user.logout", &user, NULL);
	if (!err) {
		work.audit.session_id = l.owner.session_id;
		err = work_commit(&work, write_logout, &l);
	}
	if (!err)
		answer(x, thread->app, &l, work_event_id(&work));
	else if (err == ERR_NOT_FOUND)
		(void)bearer_refuse(x, true, "The session has ended already.", "");
	else
		exchange_unavailable(x, "Nobody can log out right now. Try again shortly.");
	if (!err)
		work_inline_late(&work);
	work_release(&work);
}
