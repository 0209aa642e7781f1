/* The twin of login.c for events that happen elsewhere: one commit, then the answer, then everything else. */
#include "server/ops/events_accept.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/dispatch.h"
#include "background/effects/link.h"
#include "background/effects/payload.h"
#include "background/store/idempotency.h"
#include "background/store/outbox.h"
#include "config/clock.h"
#include "server/app.h"
#include "server/auth/service.h"

struct handover {
	struct exchange *x;
	struct app *app;
	struct db *db;
	const struct service_config *service;
	json_t *body;
	const char *type, *subject; /* of the body */
	const char *key;	    /* NULL: none was sent */
	char *data;
	unsigned char digest[IDEMPOTENCY_DIGEST];
	struct event *event;
	struct dispatch dispatch;
	char earlier_id[ID_SIZE];
};

static bool printable(const char *text)
{
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	}
	return true;
}

static int refuse(struct handover *h, int status, const char *code, const char *detail)
{
	exchange_problem(h->x, status, code, detail);
	return ERR_INVALID;
}

static int read_body(struct handover *h)
{
	const json_t *data;
	json_t *known;
	size_t members;

	h->body = exchange_json(h->x);
	if (!h->body)
		return ERR_INVALID;
	h->type = json_string_value(json_object_get(h->body, "type"));
	known = json_object_get(h->body, "subject");
	h->subject = known ? json_string_value(known) : "";
	data = json_object_get(h->body, "data");
	members = 1U + (known != NULL) + (data != NULL);
	if (!h->type || !event_type_valid(h->type))
		return refuse(h, 400, "malformed",
			"\"type\" must be words of lower-case letters, digits and _ with dots between, like "
			"order.paid.");
	if (!h->subject || strlen(h->subject) > LIMIT_EVENT_SUBJECT || !printable(h->subject))
		return refuse(h, 400, "malformed", "\"subject\" must be a text of at most 256 bytes.");
	if (data && !json_is_object(data))
		return refuse(h, 400, "malformed", "\"data\" must be an object.");
	if (json_object_size(h->body) != members)
		return refuse(h, 400, "malformed", "Only \"type\", \"subject\" and \"data\" are possible.");
	h->data = data ? json_dumps(data, payload_flags(data)) : strdup("{}");
	if (h->data && strlen(h->data) > LIMIT_EVENT_DATA)
		return refuse(h, 413, "event_too_large", "\"data\" is larger than what effects can carry.");
	return 0;
}

static int read_key(struct handover *h)
{
	h->key = exchange_header(h->x, "Idempotency-Key");
	if (h->key && (!*h->key || strlen(h->key) > LIMIT_IDEMPOTENCY_KEY || !printable(h->key)))
		return refuse(h, 400, "malformed", "Idempotency-Key must be 1 to 255 printable bytes.");
	return 0;
}

/* Members in any order are the same request. */
static int digest(struct handover *h)
{
	char *text = json_dumps(h->body, JSON_COMPACT | JSON_SORT_KEYS);

	if (!text)
		return ERR_MEMORY;
	(void)crypto_generichash(h->digest, sizeof(h->digest), (const unsigned char *)text, strlen(text), NULL, 0);
	free(text);
	return 0;
}

static int plan(struct handover *h)
{
	char id[ID_SIZE];
	int64_t now_ms = clock_now_ms();

	if (!h->data || digest(h) != 0)
		return ERR_MEMORY;
	id_new(id, now_ms);
	h->event = event_new(id, h->type, h->subject, h->data, 0, exchange_traceparent(h->x), now_ms);
	return h->event ? dispatch_plan(&h->dispatch, h->app->pool, h->event) : ERR_MEMORY;
}

static int write_event(struct db *db, void *arg)
{
	struct handover *h = arg;
	int err = 0;

	if (h->key)
		err = idempotency_take(
			db, h->service->name, h->key, h->digest, h->event->id, h->event->created_ms, h->earlier_id);
	return err ? err : dispatch_write(&h->dispatch, db);
}

static void event_written(void *arg, int err)
{
	struct handover *h = arg;

	if (!err)
		dispatch_committed(&h->dispatch);
}

static void answer(struct handover *h, const char *event_id)
{
	exchange_add_header(h->x, "X-Event-Id", event_id);
	exchange_answer_json(h->x, 202, json_pack("{s:s}", "event_id", event_id));
}

static int refuse_for_effect(struct handover *h)
{
	return refuse(h, 502, "effect_failed", "Something that this event depends on failed.");
}

static bool depends_on(const struct config *config, const struct outbox_effect *effect)
{
	for (size_t i = 0; i < config->effect_count; i++) {
		const struct effect_config *known = &config->effects[i];
		if (strcmp(known->name, effect->effect) == 0 && known->delivery == DELIVERY_INLINE &&
			known->on_failure == ON_FAILURE_REJECT)
			return true;
	}
	return false;
}

/* What became so far of the effects on which an event depends. */
struct outcome_so_far {
	const struct config *config;
	bool pending, failed;
};

static int look_at(void *arg, const struct outbox_effect *effect)
{
	struct outcome_so_far *outcome = arg;

	if (!depends_on(outcome->config, effect))
		return 0;
	outcome->pending |= effect->state == EFFECT_PENDING;
	outcome->failed |= effect->state == EFFECT_DEAD || effect->state == EFFECT_DISCARDED;
	return 0;
}

/* The key is that of an event which is there already: the answer that it got, or would get now. */
static void answer_again(struct handover *h)
{
	struct outcome_so_far outcome = {.config = h->app->config};
	struct outbox_event event = {0};
	int err = outbox_find_event(h->db, h->earlier_id, &event);

	if (!err)
		err = outbox_event_effects(h->db, event.row, look_at, &outcome);
	if (err == ERR_NOT_FOUND)
		err = 0; /* its effects are all settled for so long that it has been cleaned away */
	outbox_event_release(&event);
	if (err || outcome.pending)
		exchange_problem_retry(h->x, 503, err ? "unavailable" : "in_progress",
			"What becomes of the first request with this Idempotency-Key can't be told yet.",
			LIMIT_RETRY_SOON_MS);
	else if (outcome.failed)
		(void)refuse_for_effect(h);
	else
		answer(h, h->earlier_id);
}

static void commit_and_answer(struct handover *h)
{
	int err = plan(h);

	if (!err) {
		err = committer_run_then(h->app->committer, write_event, event_written, h);
		if (err)
			dispatch_abandon(&h->dispatch);
	}
	if (err == ERR_EXISTS)
		answer_again(h);
	else if (err == ERR_DENIED)
		(void)refuse(h, 422, "idempotency_key_reused",
			"This Idempotency-Key was used with another request: a new event takes a new key.");
	else if (err)
		exchange_unavailable(h->x, "Events can't be taken right now.");
	else if (dispatch_inline(&h->dispatch) != 0)
		(void)refuse_for_effect(h);
	else
		answer(h, h->event->id);
}

void events_accept(struct exchange *x, struct request_thread *thread)
{
	struct handover h = {.x = x, .app = thread->app, .db = thread->db};

	h.service = service_authenticate(x, thread->app->config);
	if (!h.service || read_body(&h) != 0 || read_key(&h) != 0)
		goto done;
	/* a mail of an event that has a link would be given a token that works: such events are ours alone */
	if (!service_may_send(h.service, h.type) || link_purpose_of(h.type))
		exchange_problem(x, 403, "type_not_allowed", "This service may not send events of this type.");
	else
		commit_and_answer(&h);
done:
	event_unref(h.event);
	free(h.data);
	json_decref(h.body);
}
