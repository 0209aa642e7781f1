/*
 * Webhooks after Standard Webhooks 1.0 (see sign.h): its recommended payload {"type","timestamp","data"} with our ids
 * and the subject beside them. `timestamp` is the event's own; that of the attempt is in the headers, with the
 * signature.
 */
#include "background/effects/kinds.h"
#include "background/effects/payload.h"
#include "config/clock.h"

static int build(const struct effect_config *config, const struct effect_input *input, struct request *request,
	const char **ret_why)
{
	const struct event *event = input->event;
	struct buf *body = &request->body;
	char time[RFC3339_SIZE];
	int err = payload_add_text(body, "{\"type\":", event->type, ret_why);

	(void)config;
	clock_rfc3339(time, event->created_ms);
	if (!err)
		err = payload_add_text(body, ",\"timestamp\":", time, ret_why);
	if (!err)
		err = payload_add_text(body, ",\"id\":", input->id, ret_why);
	if (!err)
		err = payload_add_text(body, ",\"event_id\":", event->id, ret_why);
	if (!err)
		err = payload_add_text_or_null(body, ",\"subject\":", event->subject, ret_why);
	if (!err)
		err = payload_add_data(body, ",\"data\":", event, ret_why);
	buf_append(body, "}", 1);
	return err ? err : payload_post_body(request);
}

static int check(const struct effect_config *config, struct buf *why)
{
	if (config->secret_count > 0)
		return 0;
	buf_append_text(why, "secret: a webhook is signed");
	return ERR_INVALID;
}

const struct effect_kind effect_webhook = {.type = "webhook", .build = build, .check = check};
