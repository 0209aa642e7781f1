/*
 * Product analytics. `segment`: the track call of Segment's HTTP Tracking API
 * (https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/), authorized by basic auth with
 * the write key as the user name. Segment discards a messageId that it has seen, which makes retries harmless.
 *
 * Analytics is told who (by an id), what, when and from where, and no name and no address: `user` and
 * `request` of the data are not sent on as properties.
 */
#include <string.h>

#include "background/effects/kinds.h"
#include "background/effects/payload.h"

/* What is particular to the event: its data without the members that have places of their own. NULL: no memory. */
static json_t *properties_of(const json_t *data)
{
	const char *request_id = payload_text(data, "request.id");
	json_t *properties = json_copy((json_t *)data);

	if (!properties)
		return NULL;
	json_object_del(properties, "user");
	json_object_del(properties, "request");
	if (request_id && json_object_set_new(properties, "request_id", json_string(request_id)) != 0) {
		json_decref(properties);
		return NULL;
	}
	return properties;
}

static int segment(struct request *request, const struct event *event, const char *id, const json_t *data)
{
	/* one of the two ids is required; an event about nobody stands for itself */
	const char *who = *event->subject ? "userId" : "anonymousId";
	json_t *properties = properties_of(data);
	char time[PAYLOAD_TIME_SIZE];

	if (!properties)
		return ERR_MEMORY;
	payload_time(time, event->created_ms);
	return payload_post(
		request, json_pack("{s:s, s:s, s:s, s:s, s:{s:s*, s:s*}, s:o}", "messageId", id, who,
				 *event->subject ? event->subject : event->id, "event", event->type, "timestamp", time,
				 "context", "ip", payload_text(data, "request.ip"), "userAgent",
				 payload_text(data, "request.user_agent"), "properties", properties));
}

static int build(const struct effect_config *config, const struct effect_input *input, struct request *request,
	const char **ret_why)
{
	const struct event *event = input->event;
	json_t *data;
	int err = payload_data(event, &data, ret_why);

	if (err)
		return err;
	if (effect_speaks(config, &effect_analytics, "segment"))
		err = segment(request, event, input->id, data);
	else
		err = payload_post_envelope(request, event, input->id, data);
	json_decref(data);
	return err;
}

static const char *const formats[] = {"segment", "json", NULL};

const struct effect_kind effect_analytics = {.type = "analytics", .formats = formats, .build = build};
