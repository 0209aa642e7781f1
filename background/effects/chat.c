/*
 * A line in a chat, by an incoming webhook as Slack defines it: {"text": …} to a URL that is itself the credential.
 * Mattermost, Rocket.Chat and Discord (its …/slack URLs) take the same.
 *
 * In `text`, what the operator wrote is sent as it is, so that <!here>, links and *bold* work; values of the event are
 * escaped (https://docs.slack.dev/messaging/formatting-message-text, "escaping text"), so that a user's name can't call
 * everyone.
 */
#include <string.h>

#include "background/effects/kinds.h"
#include "background/effects/payload.h"
#include "background/effects/template.h"

/* Who it was about, by the best name that the event has. No address and no IP: a chat has many readers. */
static const char *default_text(const struct event *event, const json_t *data)
{
	if (payload_text(data, "user.username"))
		return "{{event.type}}: {{user.username}}";
	return *event->subject ? "{{event.type}}: {{event.subject}}" : "{{event.type}}";
}

static int build(const struct effect_config *config, const struct effect_input *input, struct request *request,
	const char **ret_why)
{
	const struct event *event = input->event;
	struct buf text;
	json_t *data;
	int err = payload_data(event, &data, ret_why);

	if (err)
		return err;
	buf_init(&text, LIMIT_CHAT_TEXT);
	err = template_expand(
		config->text ? config->text : default_text(event, data), event, data, TEMPLATE_CHAT, &text, ret_why);
	if (!err)
		err = payload_post(request, json_pack("{s:s%}", "text", text.data, text.len));
	buf_release(&text);
	json_decref(data);
	return err;
}

/* A pattern stands for the events that it covers: "user.*" for ours, "*" for any. */
static int check(const struct effect_config *config, struct buf *why)
{
	struct buf message;
	int err = 0;

	buf_init(&message, LIMIT_CONFIG_MESSAGE);
	for (size_t i = 0; config->text && !err && i < config->on_count; i++)
		err = template_check(config->text, config->on[i], false, &message);
	if (err)
		buf_printf(why, "text: %s", message.data);
	buf_release(&message);
	return err;
}

const struct effect_kind effect_chat = {.type = "chat", .build = build, .check = check};
