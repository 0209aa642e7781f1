#include <criterion/criterion.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "background/effects/effect.h"
#include "background/effects/mail.h"
#include "background/effects/shelf.h"
#include "config/clock.h"
#include "tests/support/scratch.h"

#define ID "01ARZ3NDEKTSV4RRFFQ69G5FAV-email"

static struct scratch scratch;
static struct effect_config config;
static struct request request;
static const char *why;
static char *on[] = {"user.login"};
static char *to[2];
static const char *recipient; /* of the row */
static struct shelf *shelf;
static int64_t now_ms;

static void set_to(const char *address)
{
	to[0] = (char *)(uintptr_t)address;
	config.to = to;
	config.to_count = address ? 1 : 0;
}

static void write_template(const char *name, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", scratch.folder, name);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs(text, file);
	cr_assert_eq(fclose(file), 0);
}

static void setup(void)
{
	scratch_make(&scratch);
	config = (struct effect_config){
		.name = "email",
		.type = "email",
		.on = on,
		.on_count = 1,
		.from = "auth@example.com",
		.template_dir = scratch.folder,
	};
	write_template("user.login.txt", "Subject: Hello {{user.username}}\n\nFrom {{request.ip}}\n");
	request_init(&request);
	why = NULL;
	recipient = NULL;
	shelf = NULL;
	now_ms = 1767323099999;
}

static void teardown(void)
{
	request_release(&request);
	scratch_remove(&scratch);
}

TestSuite(email, .init = setup, .fini = teardown);

static int build(const char *username, const char *email)
{
	json_t *data = json_pack("{s:{s:s, s:s, s:s?}, s:{s:s, s:s}}", "user", "id", "01BX5ZZKBKACTAV9WEVGEMMVRZ",
		"username", username, "email", email, "request", "ip", "127.0.0.1", "user_agent", "curl/7.88.1 <x>");
	char *text = json_dumps(data, JSON_COMPACT);
	struct event *event = event_new(
		"01ARZ3NDEKTSV4RRFFQ69G5FAV", "user.login", "01BX5ZZKBKACTAV9WEVGEMMVRZ", text, 7, "", 1767323045678);
	int err = effect_build(&config,
		&(struct effect_input){
			.event = event, .id = ID, .recipient = recipient, .shelf = shelf, .now_ms = now_ms},
		&request, &why);

	event_unref(event);
	free(text);
	json_decref(data);
	return err;
}

static struct config links_config = {
	.public_url = (char *)(uintptr_t) "https://auth.example.com/",
	.link = {.verify_path = (char *)(uintptr_t) "/v",
		.reset_path = (char *)(uintptr_t) "/r?a=1&b",
		.invite_path = (char *)(uintptr_t) "/i"},
};
static struct link_maker maker = {.key = "0123456789abcdef0123456789abcde", .config = &links_config};

/* A mail about a link: `link` is what the event's data says of it, written with ' for "; NULL: nothing. */
static int build_linked(const char *type, const char *link, const struct link_maker *links)
{
	char *quoted = strdup(link ? link : "{}");
	json_t *data =
		json_pack("{s:{s:s, s:s, s:s}, s:{s:s, s:s}}", "user", "id", "01BX5ZZKBKACTAV9WEVGEMMVRZ", "username",
			"alice", "email", "alice@example.net", "request", "ip", "127.0.0.1", "user_agent", "curl <x>");
	char *text;
	struct event *event;
	int err;

	for (char *c = quoted; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	if (link)
		json_object_set_new(data, "link", json_loads(quoted, 0, NULL));
	text = json_dumps(data, JSON_COMPACT);
	event = event_new("01ARZ3NDEKTSV4RRFFQ69G5FAV", type, "", text, 7, "", 1767323045678);
	request_release(&request);
	why = NULL;
	err = effect_build(&config,
		&(struct effect_input){.event = event, .id = ID, .recipient = recipient, .links = links}, &request,
		&why);
	event_unref(event);
	free(text);
	json_decref(data);
	free(quoted);
	return err;
}

static const char *header(const char *name)
{
	for (size_t i = 0; i < request.header_count; i++) {
		if (strncmp(request.headers[i], name, strlen(name)) == 0 && request.headers[i][strlen(name)] == ':')
			return request.headers[i] + strlen(name) + 2;
	}
	return "";
}

Test(email, one_mail_to_the_users_address)
{
	cr_assert_eq(build("alice", "alice@example.net"), 0, "%s", why ? why : "");
	cr_assert_null(request.method);
	cr_assert_str_eq(request.sender, "auth@example.com");
	cr_assert_str_eq(request.recipient, "alice@example.net");
	cr_assert_str_eq(header("From"), "auth@example.com");
	cr_assert_str_eq(header("To"), "alice@example.net");
	cr_assert_str_eq(header("Subject"), "Hello alice");
	cr_assert_str_eq(header("Date"), "Fri, 02 Jan 2026 03:04:05 +0000");
	cr_assert_str_eq(header("Message-ID"), "<" ID "@example.com>");
	cr_assert_str_eq(header("Auto-Submitted"), "auto-generated");
	cr_assert_eq(request.header_count, 6);
	cr_assert_str_eq(request.text.data, "From 127.0.0.1\r\n");
	cr_assert_eq(request.html.len, 0);
}

Test(email, html_where_there_is_a_template)
{
	write_template("user.login.html", "<p>{{request.user_agent}}</p>\n");
	cr_assert_eq(build("alice", "alice@example.net"), 0);
	cr_assert_str_eq(request.html.data, "<p>curl/7.88.1 &lt;x&gt;</p>\r\n");
}

#define RESET "{'id':4503599627370497,'purpose':'reset','expires':'2026-01-02T03:34:05.678Z'}"

/* public_url and the token, in a fragment, escaped where it stands in HTML. */
Test(email, a_link_is_made_as_the_mail_is_built)
{
	char token[LINK_TOKEN_SIZE], text[512], html[512];

	write_template("user.password_forgot.txt", "Subject: Reset\n\n{{link.url}}\n{{link.token}} {{link.expires}}\n");
	write_template("user.password_forgot.html", "<a href=\"{{link.url}}\">");
	link_token_make(maker.key, LINK_RESET, 4503599627370497, token);
	snprintf(text, sizeof text, "https://auth.example.com/r?a=1&b#token=%s\r\n%s 2026-01-02 03:34:05 UTC\r\n",
		token, token);
	snprintf(html, sizeof html, "<a href=\"https://auth.example.com/r?a=1&amp;b#token=%s\">", token);
	cr_assert_eq(build_linked("user.password_forgot", RESET, &maker), 0, "%s", why ? why : "");
	cr_assert_str_eq(request.text.data, text);
	cr_assert_str_eq(request.html.data, html);
	cr_assert_str_eq(request.link_token, token);
}

Test(email, without_what_makes_a_link_there_is_no_mail)
{
	static const char *const bad[] = {NULL, "{}", "{'id':1}", "{'id':1,'purpose':'reset'}",
		"{'id':'1','purpose':'reset','expires':'2026-01-02T03:34:05.678Z'}",
		"{'id':1,'purpose':'verify','expires':'2026-01-02T03:34:05.678Z'}",
		"{'id':1,'purpose':'reset','expires':'soon'}", "'reset'"};

	write_template("user.password_forgot.txt", "Subject: Reset\n\n{{link.url}}\n");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		cr_assert_eq(build_linked("user.password_forgot", bad[i], &maker), ERR_INVALID, "row %zu", i);
		cr_assert_str_eq(why, "the event has no link, or not one of its purpose");
		cr_assert_str_eq(request.link_token, "");
	}
	cr_assert_eq(build_linked("user.password_forgot", RESET, NULL), ERR_INVALID);
	cr_assert_str_eq(why, "links can't be made here");
}

/* A link on an event of another type makes nothing. */
Test(email, other_events_have_no_link)
{
	write_template("user.login.txt", "Subject: Hello\n\nx{{link.url}}\n");
	cr_assert_eq(build_linked("user.login", RESET, &maker), ERR_INVALID);
	cr_assert_str_eq(request.link_token, "");
}

Test(email, a_link_goes_to_the_users_own_address_alone)
{
	static const char name[] =
		"the template names a link, which only the body of a mail to the user's own address has";

	write_template("user.password_forgot.txt", "Subject: Reset\n\n{{link.url}}\n");
	recipient = "staff@example.org";
	cr_assert_eq(build_linked("user.password_forgot", RESET, &maker), ERR_INVALID);
	cr_assert_str_eq(why, name);
	recipient = NULL;
	write_template("user.password_forgot.txt", "Subject: Reset {{link.token}}\n\n{{link.url}}\n");
	cr_assert_eq(build_linked("user.password_forgot", RESET, &maker), ERR_INVALID);
	cr_assert_str_eq(why, name);
	write_template("user.password_forgot.txt", "Subject: Reset\n\n{{user.username}} asked for a link\n");
	recipient = "staff@example.org";
	cr_assert_eq(build_linked("user.password_forgot", RESET, &maker), 0, "%s", why ? why : "");
	cr_assert_str_eq(request.link_token, "");
}

Test(email, to_goes_before_the_users_address)
{
	set_to("security@example.org");
	cr_assert_eq(build("alice", NULL), 0);
	cr_assert_str_eq(request.recipient, "security@example.org");
}

Test(email, several_recipients_and_what_the_row_says)
{
	to[0] = "security@example.org";
	to[1] = "{{user.email}}";
	config.to = to;
	config.to_count = 2;
	for (int part = 1; part <= 2; part++) {
		recipient = effect_recipient(&config, part);
		request_release(&request);
		cr_assert_eq(build("alice", "alice@example.net"), 0, "%s", why ? why : "");
		cr_assert_str_eq(request.recipient, part == 1 ? "security@example.org" : "alice@example.net");
		cr_assert_str_eq(header("To"), request.recipient);
	}
	/* a row that was written before there were several */
	recipient = "";
	request_release(&request);
	cr_assert_eq(build("alice", "alice@example.net"), 0);
	cr_assert_str_eq(request.recipient, "security@example.org");
}

/* The configuration may have changed since the row was written: the row holds. */
Test(email, a_recipient_of_the_row_outlives_the_configuration)
{
	recipient = "gone@example.org";
	cr_assert_eq(build("alice", "alice@example.net"), 0);
	cr_assert_str_eq(request.recipient, "gone@example.org");
}

Test(email, a_recipient_out_of_the_data)
{
	set_to("{{ user.email }}");
	cr_assert_eq(build("alice", "alice@example.net"), 0);
	cr_assert_str_eq(request.recipient, "alice@example.net");
	request_release(&request);
	cr_assert_eq(build("alice", NULL), ERR_NOT_FOUND);
	cr_assert_eq(build("alice", "nobody"), ERR_INVALID);
	set_to("{{customer.email}}");
	cr_assert_eq(build("alice", "alice@example.net"), ERR_NOT_FOUND);
	set_to("{{user}}");
	cr_assert_eq(build("alice", "alice@example.net"), ERR_INVALID);
	cr_assert_str_eq(why, "the event has no text where the recipient's address should be");
}

Test(email, a_sender_with_a_name)
{
	static const struct {
		const char *from, *header;
	} rows[] = {
		{"Shop <auth@example.com>", "Shop <auth@example.com>"},
		{"The Shop<auth@example.com>", "The Shop <auth@example.com>"},
		{"  Shop   <auth@example.com>", "Shop <auth@example.com>"},
		{"Shop, Inc. <auth@example.com>", "\"Shop, Inc.\" <auth@example.com>"},
		{"\"Shop, Inc.\" <auth@example.com>", "\"Shop, Inc.\" <auth@example.com>"},
		{"\"The \\\"Shop\\\"\" <auth@example.com>", "\"The \\\"Shop\\\"\" <auth@example.com>"},
		{"a <b> \\ <auth@example.com>", "\"a <b> \\\\\" <auth@example.com>"},
		{"Caf\xc3\xa9 <auth@example.com>", "=?UTF-8?B?Q2Fmw6k=?= <auth@example.com>"},
		{"=?x?= <auth@example.com>", "=?UTF-8?B?PT94Pz0=?= <auth@example.com>"},
		{"\"\" <auth@example.com>", "auth@example.com"},
		{"\" <auth@example.com>", "\"\\\"\" <auth@example.com>"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		config.from = (char *)(uintptr_t)rows[i].from;
		request_release(&request);
		cr_assert_eq(build("alice", "alice@example.net"), 0, "%s", rows[i].from);
		cr_assert_str_eq(header("From"), rows[i].header);
		cr_assert_str_eq(request.sender, "auth@example.com");
		cr_assert_str_eq(header("Message-ID"), "<" ID "@example.com>");
	}
}

Test(email, senders_that_are_none)
{
	static const char *const bad[] = {"", "Shop", "Shop <>", "<auth@example.com>", "Shop <auth@example.com> x",
		"Shop <auth@example.com", "Shop auth@example.com>", "Shop <a@b@c>", "Sh\nop <auth@example.com>",
		"Shop <auth@example.com>\r\nBcc: x@example.com", "Shop <auth@exam\nple.com>"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct mailbox mailbox;

		cr_assert_not(mail_mailbox_parse(bad[i], &mailbox), "%s", bad[i]);
		config.from = (char *)(uintptr_t)bad[i];
		cr_assert_eq(build("alice", "alice@example.net"), ERR_INVALID, "%s", bad[i]);
		cr_assert_eq(request.header_count, 0);
	}
}

Test(email, list_unsubscribe_with_one_click_by_https_alone)
{
	config.list_unsubscribe = "https://example.com/u?id={{user.id}}&who={{user.email}}";
	cr_assert_eq(build("alice", "alice+x&y@example.net"), 0);
	cr_assert_str_eq(header("List-Unsubscribe"),
		"<https://example.com/u?id=01BX5ZZKBKACTAV9WEVGEMMVRZ&who=alice%2Bx%26y%40example.net>");
	cr_assert_str_eq(header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
	config.list_unsubscribe = "mailto:leave@example.com?subject={{user.username}}";
	request_release(&request);
	cr_assert_eq(build("a>\r\n\xc3\xa9", "alice@example.net"), ERR_INVALID); /* by the subject; not by this: */
	cr_assert_str_eq(header("List-Unsubscribe"), "<mailto:leave@example.com?subject=a%3E%0D%0A%C3%A9>");
	cr_assert_str_eq(header("List-Unsubscribe-Post"), "");
	config.list_unsubscribe = NULL;
	request_release(&request);
	cr_assert_eq(build("alice", "alice@example.net"), 0);
	cr_assert_str_eq(header("List-Unsubscribe"), "");
}

Test(email, the_largest_mail_fits_its_headers)
{
	config.list_unsubscribe = "https://example.com/";
	cr_assert_eq(build("alice", "alice@example.net"), 0);
	cr_assert_eq(request.header_count, 8);
}

Test(email, nobody_to_send_to)
{
	cr_assert_eq(build("alice", NULL), ERR_NOT_FOUND);
	cr_assert_eq(build("alice", ""), ERR_NOT_FOUND);
}

Test(email, an_injected_recipient_is_refused)
{
	cr_assert_eq(build("alice", "alice@example.net>\r\nRCPT TO:<carol@example.net"), ERR_INVALID);
	cr_assert_not_null(why);
	cr_assert_eq(request.header_count, 0);
}

Test(email, an_injected_header_is_refused)
{
	cr_assert_eq(build("alice\r\nBcc: carol@example.net", "alice@example.net"), ERR_INVALID);
	cr_assert_not_null(why);
}

Test(email, a_hidden_line_break_in_an_encoded_subject_is_refused)
{
	cr_assert_eq(build("\xc3\xa4\r\nBcc: carol@example.net", "alice@example.net"), ERR_INVALID);
}

Test(email, without_a_template_it_is_unbuildable)
{
	char path[512];

	snprintf(path, sizeof path, "%s/user.login.txt", scratch.folder);
	cr_assert_eq(remove(path), 0);
	cr_assert_eq(build("alice", "alice@example.net"), ERR_INVALID);
	cr_assert_str_eq(why, "there is no template for this type of event");
}

static void rebuild(int expected)
{
	request_release(&request);
	why = NULL;
	cr_assert_eq(build("alice", "alice@example.net"), expected);
}

/* While templates are replaced a mail may find none, or half of one; the next must not for that reason. */
Test(email, what_one_mail_could_not_use_is_read_anew_for_the_next)
{
	const char *good = "Subject: Hello\n\nText\n";
	char path[512];
	struct shelf own;

	snprintf(path, sizeof path, "%s/user.login.txt", scratch.folder);
	shelf_init(&own);
	shelf = &own;
	now_ms = clock_wall_ms() + 2 * LIMIT_SHELF_MS; /* no file has just changed */
	cr_assert_eq(unlink(path), 0);
	rebuild(ERR_INVALID);
	write_template("user.login.txt", "");
	rebuild(ERR_INVALID);
	write_template("user.login.txt", good);
	rebuild(0);
	write_template("user.login.html", "<p>{{none.such}}</p>");
	now_ms += LIMIT_SHELF_MS;
	rebuild(ERR_INVALID);
	write_template("user.login.html", "<p>");
	rebuild(0);
	cr_assert_str_eq(request.html.data, "<p>");
	shelf_release(&own);
}

Test(email, the_template_begins_with_a_subject)
{
	static const char *const bad[] = {"", "Hello\n\ntext", "Subject: \n\ntext", "Subject: a\ntext",
		"Subject: a\nb\n\ntext", "Subject: a", "\nSubject: a\n\ntext"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct buf message;

		write_template("user.login.txt", bad[i]);
		request_release(&request);
		cr_assert_eq(build("alice", "alice@example.net"), ERR_INVALID, "%s", bad[i]);
		buf_init(&message, 4096);
		cr_assert_eq(effect_verify(&config, &message), ERR_INVALID, "%s", bad[i]);
		cr_assert_not_null(strstr(message.data, "user.login.txt: "), "%s", message.data);
		buf_release(&message);
	}
}

/* All encoded-words of a subject put together, each checked for its form. */
static void decode(const char *subject, char *ret_text, size_t size)
{
	size_t len = 0;

	while (*subject) {
		const char *end = strstr(subject + 10, "?=");
		size_t part = 0;

		cr_assert_eq(strncmp(subject, "=?UTF-8?B?", 10), 0, "%s", subject);
		cr_assert_not_null(end);
		cr_assert_leq(end + 2 - subject, 75);
		cr_assert_eq(sodium_base642bin((unsigned char *)ret_text + len, size - len - 1, subject + 10,
				     (size_t)(end - subject - 10), NULL, &part, NULL, sodium_base64_VARIANT_ORIGINAL),
			0);
		ret_text[len + part] = '\0';
		json_t *whole = json_string(ret_text + len); /* NULL if a character was cut in two */
		cr_assert_not_null(whole, "%s", ret_text + len);
		json_decref(whole);
		len += part;
		subject = end + 2;
		cr_assert(*subject == ' ' || *subject == '\0');
		subject += *subject == ' ';
	}
}

Test(email, a_subject_beyond_ascii_is_encoded)
{
	char text[512];

	cr_assert_eq(build("Zo\xc3\xab", "alice@example.net"), 0);
	cr_assert_str_eq(header("Subject"), "=?UTF-8?B?SGVsbG8gWm/Dqw==?=");
	decode(header("Subject"), text, sizeof text);
	cr_assert_str_eq(text, "Hello Zo\xc3\xab");
}

Test(email, a_long_subject_becomes_several_words_of_whole_characters)
{
	char name[301], text[512], expected[512];

	for (size_t shift = 0; shift < 4; shift++) {
		for (size_t i = 0; i < 75; i++)
			memcpy(name + 4 * i, "\xf0\x9f\x98\x80", 4);
		memset(name, 'x', 4);
		name[300] = '\0';
		request_release(&request);
		cr_assert_eq(build(name + shift, "alice@example.net"), 0);
		decode(header("Subject"), text, sizeof text);
		snprintf(expected, sizeof expected, "Hello %s", name + shift);
		cr_assert_str_eq(text, expected);
	}
}

Test(email, what_looks_encoded_is_encoded)
{
	char text[512];

	cr_assert_eq(build("=?UTF-8?B?Ym9i?=", "alice@example.net"), 0);
	decode(header("Subject"), text, sizeof text);
	cr_assert_str_eq(text, "Hello =?UTF-8?B?Ym9i?=");
}

Test(email, a_subject_beyond_one_line_is_refused)
{
	char name[1200];

	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	cr_assert_eq(build(name, "alice@example.net"), ERR_LIMIT);
}

Test(email, addresses_that_are_fine)
{
	static const char *const good[] = {"alice@example.com", "a@b", "first.last+tag@sub.example.co",
		"o'neil@example.com", "alice@[127.0.0.1]", "alice@[IPv6:::1]", "x@1.example",
		"a!#$%&'*+-/=?^_`{|}~@example.com"};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		cr_assert(mail_address_valid(good[i]), "%s", good[i]);
}

Test(email, addresses_that_are_not)
{
	static const char *const bad[] = {"", "alice", "@example.com", "alice@", "alice@@example.com",
		"alice@bob@example.com", "al ice@example.com", "alice@exam ple.com", "alice@example.com\r\nDATA",
		"alice@example.com\n", "<alice@example.com>", "alice@example.com>", "alice,bob@example.com",
		"alice;bob@example.com", "Alice <alice@example.com>", "\"a b\"@example.com", "alice\x01@example.com",
		"alice\x7f@example.com", "alice@ex\xc3\xa4mple.com", "\xc3\xa4lice@example.com", "alice@.example.com",
		"alice@example..com", "alice@example.com.", "alice@-example.com", "alice@example-.com",
		"alice@example.com-", "alice@[127.0.0.1", "alice@[]", "alice@[x y]", "alice@exa_mple.com",
		"alice@example.com\t", "alice(comment)@example.com", "alice@[127.0.0.1]\r"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_not(mail_address_valid(bad[i]), "%s", bad[i]);
}

Test(email, addresses_have_the_lengths_of_rfc_5321)
{
	char address[300];

	snprintf(address, sizeof address, "%.*s@example.com", 64,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	cr_assert(mail_address_valid(address));
	snprintf(address, sizeof address, "%.*s@example.com", 65,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	cr_assert_not(mail_address_valid(address));
	memset(address, 'a', sizeof address);
	memcpy(address, "alice@", 6);
	for (size_t i = 60; i < sizeof address; i += 60)
		address[i] = '.';
	address[LIMIT_EMAIL] = '\0';
	cr_assert(mail_address_valid(address));
	address[LIMIT_EMAIL] = 'a';
	address[LIMIT_EMAIL + 1] = '\0';
	cr_assert_not(mail_address_valid(address));
	snprintf(address, sizeof address, "a@%.*s.com", 64,
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	cr_assert_not(mail_address_valid(address));
}

static const char *verified(int expected)
{
	static char text[4096];
	struct buf message;

	buf_init(&message, sizeof text - 1);
	cr_assert_eq(effect_verify(&config, &message), expected, "%s", message.data);
	snprintf(text, sizeof text, "%s", message.data);
	buf_release(&message);
	return text;
}

Test(email, check_finds_what_would_fail_later)
{
	verified(0);
	config.from = "nobody";
	cr_assert_not_null(strstr(verified(ERR_INVALID), "from: \"nobody\""));
	config.from = NULL;
	verified(ERR_INVALID);
	config.from = "auth@example.com";
	set_to("a@b@c");
	cr_assert_not_null(strstr(verified(ERR_INVALID), "to: "));
	set_to(NULL);
	set_to("{{user.surname}}");
	cr_assert_not_null(strstr(verified(ERR_INVALID), "to: line 1: there is no {{user.surname}}"));
	set_to("{{event.subject}}");
	cr_assert_not_null(strstr(verified(ERR_INVALID), "to: \"{{event.subject}}\" is no address"));
	set_to("{{user.email}}, x@example.com");
	cr_assert_not_null(strstr(verified(ERR_INVALID), "to: "));
	set_to("{{user.email}}");
	verified(0);
	to[1] = "nobody";
	config.to_count = 2;
	cr_assert_not_null(strstr(verified(ERR_INVALID), "to: \"nobody\""));
	set_to(NULL);
	config.list_unsubscribe = "https://example.com/{{user.surname}}";
	cr_assert_not_null(strstr(verified(ERR_INVALID), "list_unsubscribe: line 1: there is no {{user.surname}}"));
	config.list_unsubscribe = NULL;
	write_template("user.login.html", "<p>\n{{user.surname}}");
	cr_assert_not_null(strstr(verified(ERR_INVALID), "user.login.html: line 2: there is no {{user.surname}}"));
	write_template("user.login.html", "<p>");
	on[0] = "user.signup";
	cr_assert_not_null(strstr(verified(ERR_INVALID), "user.signup.txt: is missing"));
}

Test(email, check_goes_through_the_folder_for_a_pattern)
{
	on[0] = "user.*";
	verified(0);
	write_template("user.logout.txt", "Subject: Bye\n\n{{user.oops}}");
	cr_assert_not_null(strstr(verified(ERR_INVALID), "user.logout.txt: line 3"));
	on[0] = "order.*";
	cr_assert_not_null(strstr(verified(ERR_INVALID), "has none for the events"));
	write_template("order.paid.txt", "Subject: Thanks\n\n{{total}}");
	verified(0);
	on[0] = "*";
	verified(ERR_INVALID);
	config.template_dir = "/nonexistent/folder";
	verified(ERR_INVALID);
}

Test(email, check_finds_links_where_they_may_not_be)
{
	on[0] = "user.password_forgot";
	write_template("user.password_forgot.txt", "Subject: Reset\n\n{{link.url}}\n");
	cr_assert_eq(effect_verify(&config, &request.body), 0, "%s", request.body.data);
	set_to("{{ user.email }}");
	cr_assert_eq(effect_verify(&config, &request.body), 0, "%s", request.body.data);
	set_to("staff@example.org");
	cr_assert_not_null(
		strstr(verified(ERR_INVALID), "user.password_forgot.txt: line 3: {{link.url}} is possible only"));
	set_to("{{link.url}}");
	cr_assert_not_null(strstr(verified(ERR_INVALID), "to: line 1: {{link.url}} is possible only"));
	set_to(NULL);
	config.list_unsubscribe = "https://example.com/{{link.token}}";
	cr_assert_not_null(strstr(verified(ERR_INVALID), "list_unsubscribe: line 1: {{link.token}} is possible only"));
	config.list_unsubscribe = NULL;
	write_template("user.password_forgot.txt", "Subject: Reset {{link.token}}\n\n{{link.url}}\n");
	cr_assert_not_null(
		strstr(verified(ERR_INVALID), "user.password_forgot.txt: line 1: {{link.token}} is possible only"));
}

Test(email, the_templates_that_come_with_the_program_are_fine)
{
	config.template_dir = "config/templates";
	verified(0);
	cr_assert_eq(build("alice", "alice@example.net"), 0, "%s", why ? why : "");
	cr_assert_str_eq(header("Subject"), "New sign-in to your account");
	for (int i = 0; i < 2; i++) {
		const struct buf *body = i == 0 ? &request.text : &request.html;

		cr_assert_not_null(strstr(body->data, "alice"));
		cr_assert_not_null(strstr(body->data, "2026-01-02 03:04:05 UTC"));
		cr_assert_not_null(strstr(body->data, "127.0.0.1"));
		cr_assert_not_null(strstr(body->data, i == 0 ? "curl/7.88.1 <x>" : "curl/7.88.1 &lt;x&gt;"));
		cr_assert_null(strstr(body->data, "{{"));
	}
}

/* Who gets one of these has but it to find out what has happened. */
Test(email, each_of_them_says_what_happened_when_and_where)
{
	static const struct {
		const char *type, *link;
		bool by_stranger; /* whoever it is, what he says of himself is not in it */
	} rows[] = {
		{"user.signup", "{'id':1,'purpose':'verify','expires':'2026-01-03T03:04:05.678Z'}", true},
		{"user.signup_repeated", NULL, true},
		{"user.created", NULL, false},
		{"user.invited", "{'id':1,'purpose':'invite','expires':'2026-01-03T03:04:05.678Z'}", true},
		{"user.password_forgot", RESET, true},
		{"user.password_reset", NULL, false},
		{"user.password_changed", NULL, false},
		{"user.refresh_reused", NULL, false},
		{"user.totp_enabled", NULL, false},
		{"user.totp_disabled", NULL, false},
		{"user.recovery_code_used", NULL, false},
		{"user.locked", NULL, true},
		{"user.disabled", NULL, true},
		{"user.enabled", NULL, true},
		{"user.deleted", NULL, true},
		{"user.sessions_revoked", NULL, true},
		{"user.reset_required", RESET, true},
	};

	config.template_dir = "config/templates";
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		on[0] = (char *)(uintptr_t)rows[i].type;
		verified(0);
		cr_assert_eq(
			build_linked(rows[i].type, rows[i].link, &maker), 0, "%s: %s", rows[i].type, why ? why : "");
		cr_assert_gt(strlen(header("Subject")), 8);
		for (int part = 0; part < 2; part++) {
			const struct buf *body = part == 0 ? &request.text : &request.html;

			cr_assert_gt(body->len, 100, "%s", rows[i].type);
			cr_assert_null(strstr(body->data, "{{"), "%s", rows[i].type);
			cr_assert_eq(strstr(body->data, "#token=") != NULL, rows[i].link != NULL, "%s", rows[i].type);
			cr_assert_eq(strstr(body->data, "curl") == NULL, rows[i].by_stranger, "%s", rows[i].type);
			cr_assert_not_null(strstr(body->data, "2026-01-0"), "%s has no time", rows[i].type);
		}
		if (rows[i].link) /* on a line of its own */
			cr_assert_not_null(
				strstr(request.text.data, "\r\n\r\nhttps://auth.example.com/"), "%s", rows[i].type);
	}
}
