#include "server/auth/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/store/outbox.h"
#include "config/clock.h"
#include "config/log.h"
#include "config/utf8.h"
#include "server/app.h"

void origin_of(struct exchange *x, struct origin *ret_origin)
{
	const char *user_agent = exchange_header(x, "User-Agent");

	(void)snprintf(ret_origin->request_id, sizeof(ret_origin->request_id), "%s", exchange_request_id(x));
	(void)snprintf(ret_origin->client, sizeof(ret_origin->client), "%s", exchange_client(x));
	(void)snprintf(ret_origin->user_agent, sizeof(ret_origin->user_agent), "%s", user_agent ? user_agent : "");
	/* what a client says of itself need not be UTF-8, and may be cut within a character */
	utf8_mend(ret_origin->user_agent);
	(void)snprintf(ret_origin->traceparent, sizeof(ret_origin->traceparent), "%s", exchange_traceparent(x));
}

void work_init(struct work *work, struct app *app, const struct origin *origin)
{
	work->app = app;
	work->origin = origin;
	work->event = NULL;
	work->planned = work->committed = false;
	work->joined = NULL;
}

/* What effects will know of it: event.h has the shape. */
static char *event_data(const struct origin *origin, const struct user *user, json_t *more)
{
	const char *email = user->email[0] ? user->email : NULL;
	json_t *data = json_pack("{s:{s:s, s:s, s:s?}, s:{s:s, s:s, s:s}}", "user", "id", user->public_id, "username",
		user->username, "email", email, "request", "id", origin->request_id, "ip", origin->client, "user_agent",
		origin->user_agent);
	char *text = NULL;

	if (data && (!more || json_object_update_missing(data, more) == 0))
		text = json_dumps(data, JSON_COMPACT);
	json_decref(data);
	return text;
}

static int make_event(struct work *work, const char *type, const struct user *about, char *data)
{
	const int64_t now_ms = clock_now_ms();
	char id[ID_SIZE];

	id_new(id, now_ms);
	work->event = event_new(id, type, about ? about->public_id : "", data, about ? about->id : 0,
		work->origin->traceparent, now_ms);
	if (!work->event)
		return ERR_MEMORY;
	audit_detail(work->detail,
		work->origin->user_agent[0] ? json_pack("{s:s}", "user_agent", work->origin->user_agent) : NULL);
	work->audit = (struct audit_entry){
		.type = work->event->type,
		.user_id = work->event->user_id,
		.client = work->origin->client,
		.request_id = work->origin->request_id,
		.actor = "user",
		.detail = work->detail,
		.at_ms = now_ms,
	};
	return 0;
}

/* `data` is taken over. */
static int plan(struct work *work, const char *type, const struct user *about, char *data)
{
	int err = data ? make_event(work, type, about, data) : ERR_MEMORY;

	free(data);
	if (!err)
		err = dispatch_plan(&work->dispatch, work->app->pool, work->event);
	work->planned = !err;
	return err;
}

int work_plan(struct work *work, const char *type, const struct user *about, json_t *more)
{
	char *data = event_data(work->origin, about, more);

	json_decref(more);
	return plan(work, type, about, data);
}

int work_plan_silent(struct work *work, const char *type)
{
	/* "nobody" comes first: EVENT_NOBODY */
	json_t *data = json_pack("{s:b, s:{s:s, s:s, s:s}}", "nobody", 1, "request", "id", work->origin->request_id,
		"ip", work->origin->client, "user_agent", work->origin->user_agent);
	char *text = data ? json_dumps(data, JSON_COMPACT) : NULL;

	json_decref(data);
	return plan(work, type, NULL, text);
}

static int write_one(struct work *work, struct db *writer)
{
	int err = audit_add(writer, &work->audit);

	if (err)
		return err;
	return work->planned ? dispatch_write(&work->dispatch, writer) : outbox_add_event(writer, work->event, "");
}

/* On the committer's thread. */
static int write_all(struct db *writer, void *arg)
{
	struct work *work = arg;
	int err = work->write ? work->write(writer, work->arg) : 0;

	if (!err)
		err = write_one(work, writer);
	if (!err && work->joined)
		err = write_one(work->joined, writer);
	return err;
}

static void written(void *arg, int err)
{
	struct work *work = arg;

	if (!err && work->planned)
		dispatch_committed(&work->dispatch);
	if (!err && work->joined && work->joined->planned)
		dispatch_committed(&work->joined->dispatch);
}

int work_commit(struct work *work, int (*write)(struct db *writer, void *arg), void *arg)
{
	int err;

	work->write = write;
	work->arg = arg;
	err = committer_run_then(work->app->committer, write_all, written, work);
	work->committed = !err;
	if (work->joined)
		work->joined->committed = !err;
	return err;
}

void work_join(struct work *work, struct work *other)
{
	work->joined = other;
}

int work_inline(struct work *work)
{
	return work->planned ? dispatch_inline(&work->dispatch) : 0;
}

void work_inline_late(struct work *work)
{
	if (work_inline(work) != 0)
		log_write(LOG_INFO, "an inline effect failed after the answer",
			LOG_STR("event_id", work_event_id(work)), LOG_STR("request_id", work->origin->request_id));
}

const char *work_event_id(const struct work *work)
{
	return work->event->id;
}

void work_release(struct work *work)
{
	if (work->planned && !work->committed)
		dispatch_abandon(&work->dispatch);
	work->planned = false;
	event_unref(work->event);
	work->event = NULL;
}
