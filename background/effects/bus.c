/*
 * Message buses, by HTTP.
 *
 * `cloudevents`: CloudEvents 1.0, HTTP binding in binary mode (https://github.com/cloudevents/spec, 3.1 of
 * http-protocol-binding): attributes as ce- headers, the event's data as the body.
 * `rabbitmq`: its management API's POST /api/exchanges/{vhost}/{name}/publish, with the plain envelope as the
 * payload and the event type as the routing key; it says in the reply whether any queue got the message.
 * `azure-service-bus`: service_bus.h.
 */
#include <stdlib.h>
#include <string.h>

#include "background/effects/kinds.h"
#include "background/effects/payload.h"
#include "background/effects/service_bus.h"
#include "config/clock.h"
#include "config/json_text.h"

/* ce-source: with ce-id it names an event uniquely; a relative reference is allowed (3.1.1 of the core spec). */
#define SOURCE "/tokenfirst"

/* 3.1.3.2 of the binding: space, quote, percent and all outside printable ASCII. */
static bool plain(char c)
{
	const unsigned char byte = (unsigned char)c;

	return byte > ' ' && byte < 0x7f && byte != '"' && byte != '%';
}

/* The others as their UTF-8 bytes. */
static void append_encoded(struct buf *out, const char *text)
{
	while (*text) {
		size_t len = 0;

		while (text[len] && plain(text[len]))
			len++;
		buf_append(out, text, len);
		text += len;
		for (; *text && !plain(*text); text++)
			buf_printf(out, "%%%02X", (unsigned char)*text);
	}
}

static int add_attribute(struct request *request, const char *name, const char *text)
{
	struct buf value;
	int err;

	buf_init(&value, LIMIT_REQUEST_BODY);
	append_encoded(&value, text);
	err = buf_error(&value);
	if (!err)
		err = request_add_header(request, name, value.data);
	buf_release(&value);
	return err;
}

static int cloudevents(struct request *request, const struct event *event, const char **ret_why)
{
	char time[RFC3339_SIZE];
	int err;

	clock_rfc3339(time, event->created_ms);
	err = request_add_header(request, "ce-specversion", "1.0");
	if (!err)
		err = add_attribute(request, "ce-id", event->id);
	if (!err)
		err = request_add_header(request, "ce-source", SOURCE);
	if (!err)
		err = add_attribute(request, "ce-type", event->type);
	if (!err)
		err = add_attribute(request, "ce-time", time);
	if (!err && *event->subject) /* optional, and never empty */
		err = add_attribute(request, "ce-subject", event->subject);
	if (!err)
		err = payload_add_data(&request->body, "", event, ret_why);
	return err ? err : payload_post_body(request);
}

/* delivery_mode 2: persistent. */
static int rabbitmq(struct request *request, const struct event *event, const char *id, const char **ret_why)
{
	struct buf payload;
	int err;

	buf_init(&payload, LIMIT_REQUEST_BODY);
	err = payload_envelope(&payload, event, id, ret_why);
	if (!err)
		err = payload_post(request,
			json_pack("{s:{s:s, s:i, s:s, s:s}, s:s, s:s, s:s}", "properties", "message_id", id,
				"delivery_mode", 2, "content_type", "application/json", "type", event->type,
				"routing_key", event->type, "payload", payload.data, "payload_encoding", "string"));
	buf_release(&payload);
	return err;
}

static int build(const struct effect_config *config, const struct effect_input *input, struct request *request,
	const char **ret_why)
{
	const struct event *event = input->event;

	if (effect_speaks(config, &effect_bus, "cloudevents"))
		return cloudevents(request, event, ret_why);
	if (effect_speaks(config, &effect_bus, "rabbitmq"))
		return rabbitmq(request, event, input->id, ret_why);
	if (effect_speaks(config, &effect_bus, "azure-service-bus"))
		return service_bus_build(config, input, request, ret_why);
	return payload_post_envelope(request, event, input->id, ret_why);
}

/*
 * A message that no queue got is lost to everyone, though the status is 200. That is a binding that is missing for
 * this routing key alone: other types of event may pass, so it is this effect that waits and not the target.
 */
static void judge_routed(const struct reply *reply, struct verdict *ret_verdict)
{
	json_t *body = NULL;
	/* what can't be read for want of memory is tried again, as is what is no JSON */
	(void)!json_text_read(reply->body, reply->body_len, &body, NULL);
	const json_t *routed = json_object_get(body, "routed");

	if (json_is_true(routed))
		verdict_standard(reply, false, ret_verdict);
	else if (json_is_false(routed))
		verdict_own(VERDICT_RETRY,
			"HTTP 200, but RabbitMQ routed it to no queue: bind one to this exchange for this type of "
			"event",
			ret_verdict);
	else
		verdict_own(
			VERDICT_RETRY, "HTTP 200 without RabbitMQ's \"routed\": is this its publish URL?", ret_verdict);
	json_decref(body);
}

static void judge(const struct effect_config *config, const struct reply *reply, struct verdict *ret_verdict)
{
	const bool accepted = reply->transport == TRANSPORT_REPLY && reply->status >= 200 && reply->status <= 299;

	if (accepted && effect_speaks(config, &effect_bus, "rabbitmq"))
		judge_routed(reply, ret_verdict);
	else if (effect_speaks(config, &effect_bus, "azure-service-bus"))
		service_bus_judge(reply, ret_verdict);
	else
		verdict_standard(reply, false, ret_verdict);
}

/* A signature is made of the name and the key, and they are not sent. */
static bool own_auth(const struct effect_config *config)
{
	return config->auth.type == AUTH_BASIC && effect_speaks(config, &effect_bus, "azure-service-bus");
}

static int check(const struct effect_config *config, struct buf *why)
{
	return effect_speaks(config, &effect_bus, "azure-service-bus") ? service_bus_check(config, why) : 0;
}

static const char *const formats[] = {"cloudevents", "azure-service-bus", "rabbitmq", "json", NULL};

const struct effect_kind effect_bus = {
	.type = "bus", .formats = formats, .build = build, .judge = judge, .own_auth = own_auth, .check = check};
