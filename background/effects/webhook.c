/*
 * Webhooks after Standard Webhooks 1.0 (see sign.h): its recommended payload {"type","timestamp","data"} with our ids
 * and the subject beside them. `timestamp` is the event's own; that of the attempt is in the headers, with the
 * signature.
 */
#include "background/effects/kinds.h"
#include "background/effects/payload.h"

static int build(const struct effect_config *config, const struct effect_input *input, struct request *request,
	const char **ret_why)
{
	const struct event *event = input->event;
	char time[PAYLOAD_TIME_SIZE];
	json_t *data;
	int err = payload_data(event, &data, ret_why);

	(void)config;
	if (err)
		return err;
	payload_time(time, event->created_ms);
	err = payload_post(request,
		json_pack("{s:s, s:s, s:s, s:s, s:s?, s:O}", "type", event->type, "timestamp", time, "id", input->id,
			"event_id", event->id, "subject", *event->subject ? event->subject : NULL, "data", data));
	json_decref(data);
	return err;
}

static int check(const struct effect_config *config, struct buf *why)
{
	if (config->secret_count > 0)
		return 0;
	buf_append_text(why, "secret: a webhook is signed");
	return ERR_INVALID;
}

const struct effect_kind effect_webhook = {.type = "webhook", .build = build, .check = check};
