#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "background/effects/effect.h"

#define EVENT "01ARZ3NDEKTSV4RRFFQ69G5FAV"

static struct effect_config config;
static struct request request;
static const char *why;
static char *on[] = {"user.login"};

static void setup(void)
{
	config = (struct effect_config){.name = "chat", .type = "chat", .on = on, .on_count = 1};
	request_init(&request);
	why = NULL;
}

static void teardown(void)
{
	request_release(&request);
}

TestSuite(chat, .init = setup, .fini = teardown);

static int build(const char *type, const char *subject, const char *data)
{
	struct event *event = event_new(EVENT, type, subject, data, 0, "", 1767323045678);
	int err;

	request_release(&request);
	err = effect_build(&config, &(struct effect_input){.event = event, .id = EVENT "-chat"}, &request, &why);
	event_unref(event);
	return err;
}

/* The body is {"text": …} and nothing else. */
static void says(const char *text)
{
	json_t *body = json_loadb(request.body.data, request.body.len, 0, NULL);

	cr_assert_eq(json_object_size(body), 1, "%s", request.body.data);
	cr_assert_str_eq(json_string_value(json_object_get(body, "text")), text);
	json_decref(body);
}

Test(chat, unset_it_says_what_and_who)
{
	cr_assert_eq(build("user.login", "01BX", "{\"user\":{\"username\":\"alice\"}}"), 0);
	cr_assert_str_eq(request.method, "POST");
	says("user.login: alice");
	cr_assert_eq(build("order.paid", "order-7", "{}"), 0);
	says("order.paid: order-7");
	cr_assert_eq(build("order.paid", "", "{\"user\":{\"username\":null}}"), 0);
	says("order.paid");
}

Test(chat, a_text_of_the_operators)
{
	config.text = "<!here> *{{user.username}}* signed in from {{request.ip}} & {{total}}";
	cr_assert_eq(build("user.login", "",
			     "{\"user\":{\"username\":\"alice\"},\"request\":{\"ip\":\"127.0.0.1\"},\"total\":12}"),
		0);
	says("<!here> *alice* signed in from 127.0.0.1 & 12");
}

/* Slack's control characters, &, < and >, in what a user may choose: no channel is called, no link is faked. */
Test(chat, values_are_escaped)
{
	cr_assert_eq(build("user.login", "", "{\"user\":{\"username\":\"<!channel> a&amp;b <http://x|y>\"}}"), 0);
	says("user.login: &lt;!channel&gt; a&amp;amp;b &lt;http://x|y&gt;");
	cr_assert_eq(
		build("user.login", "", "{\"user\":{\"username\":\"a\\r\\nuser.login: b\\t\\u007f\\\"\\u00e9\"}}"), 0);
	says("user.login: a  user.login: b  \"\xc3\xa9");
}

Test(chat, what_the_event_lacks)
{
	config.text = "{{total}}";
	cr_assert_eq(build("order.paid", "", "{}"), ERR_INVALID);
	cr_assert_str_eq(why, "the event lacks what the template names");
}

Test(chat, a_message_has_a_limit)
{
	static char data[LIMIT_CHAT_TEXT + 64];
	size_t len = (size_t)snprintf(data, sizeof data, "{\"user\":{\"username\":\"");

	memset(data + len, 'x', LIMIT_CHAT_TEXT);
	memcpy(data + len + LIMIT_CHAT_TEXT, "\"}}", 4);
	cr_assert_eq(build("user.login", "", data), ERR_LIMIT);
}

static const char *verified(int expected)
{
	static char text[512];
	struct buf message;

	buf_init(&message, sizeof text - 1);
	cr_assert_eq(effect_verify(&config, &message), expected, "%s", message.data);
	snprintf(text, sizeof text, "%s", message.data);
	buf_release(&message);
	return text;
}

Test(chat, a_wrong_text_is_found_at_the_start)
{
	verified(0);
	config.text = "{{user.username}}";
	verified(0);
	config.text = "{{user.surname}}";
	cr_assert_str_eq(
		verified(ERR_INVALID), "text: line 1: there is no {{user.surname}} in events of type user.login");
	on[0] = "user.*";
	verified(ERR_INVALID);
	on[0] = "*";
	verified(0);
	config.text = "{{";
	cr_assert_not_null(strstr(verified(ERR_INVALID), "text: line 1"));
}

/* Slack says "ok" in plain text; others say other things. */
Test(chat, any_2xx_is_fine_and_the_rest_is_judged_as_usual)
{
	static const struct {
		int status;
		const char *body;
		enum verdict_kind kind;
	} rows[] = {{200, "ok", VERDICT_OK}, {204, "", VERDICT_OK}, {400, "invalid_payload", VERDICT_DEAD},
		{403, "action_prohibited", VERDICT_TARGET}, {404, "no_service", VERDICT_TARGET},
		{410, "channel_is_archived", VERDICT_GONE}, {429, "rate_limited", VERDICT_RETRY},
		{500, "rollup_error", VERDICT_RETRY}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct reply reply = {.status = rows[i].status,
			.retry_after_ms = -1,
			.body = rows[i].body,
			.body_len = strlen(rows[i].body)};
		struct verdict verdict;

		effect_judge(&config, &reply, &verdict);
		cr_assert_eq(verdict.kind, rows[i].kind, "%d", rows[i].status);
	}
}
