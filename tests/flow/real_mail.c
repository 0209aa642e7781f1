/* Mails through a real mail server, Postfix: what it delivers is what the template says, byte for byte. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/buf.h"
#include "tests/support/postfix.h"
#include "tests/support/scene.h"
#include "tests/support/scratch.h"

enum { LONG_LINE = 5000, BODY_MAX = 64 << 10, MAILS = 20 };

TestSuite(real_mail, .timeout = 110);

struct mailroom {
	struct postfix *postfix;
	struct server *server;
	struct scratch scratch;
	char *config;
};

static void write_template(const struct mailroom *room, const char *name, const char *head, const struct buf *body)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", room->scratch.folder, name);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs(head, file);
	cr_assert_eq(fwrite(body->data, 1, body->len, file), body->len);
	cr_assert_eq(fclose(file), 0);
}

/*
 * All that is known to break on the way: dots, long lines, characters of two to four bytes, blanks at the end of a
 * line.
 */
static void hard_body(struct buf *body, const char *newline_at_end)
{
	static const char lines[] =
		".\n..\n...\n.dot\n\n. \n.\n\n"
		"From here, and >From there\n"
		"blanks at the end  \n\ttabs\t\n"
		"= signs =3D =20=\n=\n"
		"Z\xc3\xbcrich, caf\xc3\xa9, \xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e, \xf0\x9f\x98\x80\n"
		"--boundary\n--\nQUIT\n\n\n";

	buf_append_text(body, lines);
	/* a dot wherever a long line may be broken */
	for (size_t i = 0; i < LONG_LINE; i++)
		buf_append(body, ".", 1);
	buf_append_text(body, "\n");
	for (size_t i = 0; i < LONG_LINE; i += 4)
		buf_append_text(body, i % 100 == 0 ? " .x " : "\xf0\x9f\x98\x80");
	buf_append_text(body, "\n.");
	buf_append_text(body, newline_at_end);
	cr_assert_eq(buf_error(body), 0);
}

static void open_room(struct mailroom *room, const char *more)
{
	char url[POSTFIX_URL];

	room->postfix = postfix_start();
	room->config = scene_text("{'password':{'memory_kib':8,'passes':1}, 'background':{'drain':'1s'},"
				  " 'effects':{'email':{'type':'email','on':['user.login'],'delivery':'durable',"
				  " 'url':'%s', 'template':'%s', 'from':'Caf\xc3\xa9, Inc. <auth@example.com>',"
				  " 'list_unsubscribe':'https://example.com/leave?who={{user.email}}'%s}}}",
		postfix_url(room->postfix, url), room->scratch.folder, more);
	room->server = scene_server(room->config, NULL);
}

static void close_room(struct mailroom *room)
{
	server_free(room->server);
	postfix_stop(room->postfix);
	scratch_remove(&room->scratch);
	free(room->config);
}

/* What Python's own mail parser makes of the one mail in the mailbox: a header, or the decoded bytes of a part. */
static size_t ask_python(const struct mailroom *room, const char *expression, char *ret_text, size_t size)
{
	char command[2048];
	FILE *python;
	size_t len;

	snprintf(command, sizeof(command),
		"timeout 30 python3 -c '"
		"import email, email.policy, glob, sys\n"
		"names = glob.glob(sys.argv[1] + \"/*\")\n"
		"assert len(names) == 1, names\n"
		"raw = open(names[0], \"rb\").read()\n"
		"mail = email.message_from_bytes(raw, policy=email.policy.default)\n"
		"part = lambda kind: [p for p in mail.walk() if p.get_content_type() == kind][0]"
		".get_payload(decode=True)\n"
		"result = %s\n"
		"sys.stdout.buffer.write(result if isinstance(result, bytes) else str(result).encode())' '%s'",
		expression, postfix_mailbox(room->postfix));
	python = popen(command, "r");
	cr_assert_not_null(python);
	len = fread(ret_text, 1, size - 1, python);
	ret_text[len] = '\0';
	cr_assert_eq(pclose(python), 0, "python3 failed on %s", expression);
	return len;
}

static void header_is(const struct mailroom *room, const char *name, const char *expected)
{
	char expression[128], value[1024];

	snprintf(expression, sizeof(expression), "mail[\"%s\"]", name);
	(void)ask_python(room, expression, value, sizeof(value));
	cr_assert_str_eq(value, expected, "%s: %s", name, value);
}

static void part_is(const struct mailroom *room, const char *kind, const struct buf *expected)
{
	static char text[BODY_MAX];
	char expression[128];
	size_t len;

	snprintf(expression, sizeof(expression), "part(\"%s\")", kind);
	len = ask_python(room, expression, text, sizeof(text));
	for (size_t i = 0; i < len && i < expected->len; i++)
		cr_assert_eq(text[i], expected->data[i], "%s: byte %zu is 0x%02x, not 0x%02x", kind, i,
			(unsigned char)text[i], (unsigned char)expected->data[i]);
	cr_assert_eq(len, expected->len, "%s: %zu bytes, not %zu", kind, len, expected->len);
}

/*
 * RFC 5322 2.1.1, and RFC 5321 where no 8BITMIME was asked for: this Postfix is lenient, the next server need not be.
 */
static void wire_is_plain(const struct mailroom *room)
{
	char longest[32], ascii[32];

	(void)ask_python(room, "max(len(line) for line in raw.split(b\"\\n\"))", longest, sizeof(longest));
	cr_assert_leq(strtol(longest, NULL, 10), 998, "%s", longest);
	(void)ask_python(room, "raw.isascii()", ascii, sizeof(ascii));
	cr_assert_str_eq(ascii, "True");
}

static bool possible(void)
{
	const char *lacks = postfix_lacks();

	if (lacks != NULL)
		cr_skip_test("%s", lacks);
	if (system("command -v python3 > /dev/null") != 0)
		cr_skip_test("python3 is not installed");
	return true;
}

Test(real_mail, a_body_arrives_byte_for_byte)
{
	struct mailroom room = {.postfix = NULL};
	struct api_login login;
	struct buf text, html;
	char id[PEER_TEXT + 32], key[PEER_TEXT];

	if (!possible())
		return;
	scratch_make(&room.scratch);
	buf_init(&text, BODY_MAX / 2);
	buf_init(&html, BODY_MAX / 2);
	hard_body(&text, "\n");
	buf_append_text(&html, "<p>\n");
	hard_body(&html, "");
	write_template(&room, "user.login.txt",
		"Subject: Gr\xc3\xbc\xc3\x9f dich, {{user.username}} \xf0\x9f\x98\x80\n\n", &text);
	write_template(&room, "user.login.html", "", &html);
	open_room(&room, "");
	login = api_login(room.server, "alice", SCENE_PASSWORD);
	cr_assert_eq(login.status, 200);
	cr_assert(api_effect_wait(room.server, &login, "email", "delivered", SCENE_WAIT_MS));
	cr_assert(postfix_wait(room.postfix, 1, SCENE_WAIT_MS));
	part_is(&room, "text/plain", &text);
	part_is(&room, "text/html", &html);
	wire_is_plain(&room);
	header_is(&room, "Subject", "Gr\xc3\xbc\xc3\x9f dich, alice \xf0\x9f\x98\x80");
	header_is(&room, "From", "\"Caf\xc3\xa9, Inc.\" <auth@example.com>");
	header_is(&room, "To", "alice@example.com");
	header_is(&room, "Return-Path", "<auth@example.com>");
	header_is(&room, "Auto-Submitted", "auto-generated");
	header_is(&room, "List-Unsubscribe", "<https://example.com/leave?who=alice%40example.com>");
	header_is(&room, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
	snprintf(id, sizeof(id), "<%s@example.com>", scene_key(&login, "email", key));
	header_is(&room, "Message-ID", id);
	close_room(&room);
	buf_release(&text);
	buf_release(&html);
}

/* Postfix's own log says on how many connections the mails came. */
Test(real_mail, many_mails_come_on_one_connection)
{
	struct mailroom room = {.postfix = NULL};
	struct buf text;

	if (!possible())
		return;
	scratch_make(&room.scratch);
	buf_init(&text, BODY_MAX);
	buf_append_text(&text, "{{user.username}}\n");
	write_template(&room, "user.login.txt", "Subject: Hello\n\n", &text);
	open_room(&room, ",'max_in_flight':1");
	for (size_t i = 0; i < MAILS; i++)
		cr_assert_eq(api_login(room.server, "alice", SCENE_PASSWORD).status, 200);
	cr_assert(postfix_wait(room.postfix, MAILS, 3 * SCENE_WAIT_MS));
	/* and one that looked whether it answers */
	cr_assert_eq(postfix_log_count(room.postfix, " connect from "), 2);
	close_room(&room);
	buf_release(&text);
}

/* A mail for each recipient: the one that is refused takes nobody else's with it, and is there to be seen. */
Test(real_mail, one_of_several_recipients_is_refused)
{
	struct mailroom room = {.postfix = NULL};
	struct api_login login;
	struct buf text;
	char id[PEER_TEXT + 64], key[PEER_TEXT], pattern[PEER_TEXT + 512];

	if (!possible())
		return;
	scratch_make(&room.scratch);
	buf_init(&text, BODY_MAX);
	buf_append_text(&text, "Hello\n");
	write_template(&room, "user.login.txt", "Subject: Hello\n\n", &text);
	open_room(&room, ",'to':['staff@example.com','" POSTFIX_NOBODY "','{{user.email}}']");
	login = api_login(room.server, "alice", SCENE_PASSWORD);
	cr_assert_eq(login.status, 200);
	cr_assert(metric_wait(
		room.server, "tokenfirst_effects_total{effect=\"email\",outcome=\"delivered\"}", 2, SCENE_WAIT_MS));
	cr_assert(metric_wait(
		room.server, "tokenfirst_dead_letters{effect=\"email\",reason=\"condemned\"}", 1, SCENE_WAIT_MS));
	cr_assert(postfix_wait(room.postfix, 2, SCENE_WAIT_MS));
	cr_assert_eq(metric_value(room.server, "tokenfirst_breaker_state{effect=\"email\"}"), 0);
	/* each has an id of its own */
	for (int part = 1; part <= 3; part += 2) {
		snprintf(id, sizeof(id), "Message-ID: <%s-%d@example.com>", scene_key(&login, "email", key), part);
		snprintf(pattern, sizeof(pattern), "test $(grep -lF '%s' '%s'/* | wc -l) -eq 1", id,
			postfix_mailbox(room.postfix));
		cr_assert_eq(system(pattern), 0, "%s", id);
	}
	close_room(&room);
	buf_release(&text);
}
