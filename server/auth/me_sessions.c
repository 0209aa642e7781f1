#include "server/auth/me_sessions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "config/limits.h"
#include "server/app.h"
#include "server/auth/bearer.h"
#include "server/auth/refresh_cookie.h"
#include "server/auth/work.h"

enum { ID_TEXT_SIZE = 21 };

struct list {
	const struct session_owner *owner;
	json_t *sessions;
};

static int add(void *arg, const struct session *session)
{
	struct list *list = arg;
	char id[ID_TEXT_SIZE], created[RFC3339_SIZE], refreshed[RFC3339_SIZE], expires[RFC3339_SIZE];

	(void)snprintf(id, sizeof(id), "%" PRId64, session->id);
	clock_rfc3339(created, session->created_ms);
	clock_rfc3339(refreshed, session->refreshed_ms);
	clock_rfc3339(expires, session->expires_ms);
	json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "id", id, "created", created, "refreshed",
		refreshed, "expires", expires, "client", session->client, "user_agent", session->user_agent, "current",
		session->id == list->owner->session_id);
	return json_array_append_new(list->sessions, one) == 0 ? 0 : ERR_MEMORY;
}

void me_sessions_list(struct exchange *x, struct request_thread *thread)
{
	struct session_owner owner;
	struct list list = {.owner = &owner};

	if (bearer_authenticate(x, thread, &owner) != 0)
		return;
	list.sessions = json_array();
	int err = list.sessions
			  ? sessions_list(thread->db, owner.user_id, clock_now_ms(), LIMIT_USER_SESSIONS, add, &list)
			  : ERR_MEMORY;
	if (!err) {
		exchange_answer_json(x, 200, json_pack("{s:o}", "sessions", list.sessions));
		return;
	}
	json_decref(list.sessions);
	exchange_unavailable(x, "Sessions can't be looked up right now. Try again shortly.");
}

/* An id as a token's sid writes it: decimal, from 1, no zero before it. */
static bool read_id(const char *text, int64_t *ret_id)
{
	char *end = NULL;

	if (text[0] < '1' || text[0] > '9' || strspn(text, "0123456789") != strlen(text))
		return false;
	errno = 0;
	*ret_id = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0';
}

struct revocation {
	struct session_owner owner;
	int64_t id;
	int64_t now_ms;
};

/* ERR_NOT_FOUND, found out without a place in the committer's queue. */
static int look(struct db *db, const struct revocation *r)
{
	struct session_owner found;
	int err = sessions_owner(db, r->id, r->now_ms, &found);

	return err ? err : found.user_id == r->owner.user_id && found.live ? 0 : ERR_NOT_FOUND;
}

static int write_revocation(struct db *writer, void *arg)
{
	const struct revocation *r = arg;

	return sessions_revoke_of(writer, r->owner.user_id, r->id, r->now_ms);
}

static void answer(struct exchange *x, const struct app *app, const struct revocation *r, const char *event_id)
{
	if (app->config->cookie.enabled && r->id == r->owner.session_id)
		refresh_cookie_clear(x, app->config);
	exchange_add_header(x, "X-Event-Id", event_id);
	exchange_answer_json(x, 200, json_pack("{s:i, s:s}", "revoked", 1, "event_id", event_id));
}

void me_sessions_revoke(struct exchange *x, struct request_thread *thread)
{
	struct revocation r = {.now_ms = clock_now_ms()};
	struct origin origin;
	struct work work;
	struct user user;

	if (bearer_authenticate(x, thread, &r.owner) != 0)
		return;
	origin_of(x, &origin);
	work_init(&work, thread->app, &origin);
	int err = read_id(exchange_parameter(x), &r.id) ? look(thread->db, &r) : ERR_NOT_FOUND;
	if (!err)
		err = users_find_by_id(thread->db, r.owner.user_id, &user);
	if (!err)
		err = work_plan(&work, "user.sessions_revoked", &user, NULL);
	if (!err) {
		work.audit.session_id = r.id;
		err = work_commit(&work, write_revocation, &r);
	}
	if (!err)
		answer(x, thread->app, &r, work_event_id(&work));
	else if (err == ERR_NOT_FOUND)
		exchange_problem(x, 404, "session_not_found", "You have no live session of this id.");
	else
		exchange_unavailable(x, "Sessions can't be ended right now. Try again shortly.");
	if (!err)
		work_inline_late(&work);
	work_release(&work);
}
