#include "server/http/guard.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "config/limits.h"

/* A list of headers as "Name: value" lines. */
struct list {
	struct guard_header at[LIMIT_HTTP_HEADERS + 2];
	size_t count;
};

static void add(struct list *list, const char *name, const char *value)
{
	struct guard_header header = {name, strlen(name), value, strlen(value)};

	list->at[list->count++] = header;
}

static struct list request(void)
{
	struct list list = {.count = 0};

	add(&list, "Host", "a");
	return list;
}

static int verdict(const struct list *list)
{
	struct guard_body body;

	return guard_headers(list->at, list->count, &body).status;
}

static int with(const char *name, const char *value)
{
	struct list list = request();

	add(&list, name, value);
	return verdict(&list);
}

static int with_two(const char *name, const char *value, const char *other_name, const char *other_value)
{
	struct list list = request();

	add(&list, name, value);
	add(&list, other_name, other_value);
	return verdict(&list);
}

Test(guard, ordinary_headers_pass)
{
	cr_assert_eq(with("Accept", "*/*"), 0);
	cr_assert_eq(with("X-Odd!#$%&'*+-.^_`|~1", "any \t \xc3\xa9 value"), 0);
	cr_assert_eq(with("X-Empty", ""), 0);
}

Test(guard, names_must_be_tokens)
{
	const char *const bad[] = {
		"", "Content-Length ", " X", "X\t", "X Y", "X:", "X\x01", "X\x7f", "X\xc3\xa9", "X(Y)"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(with(bad[i], "1"), 400, "%s", bad[i]);
}

Test(guard, values_have_no_control_bytes)
{
	cr_expect_eq(with("X", "a\rb"), 400);
	cr_expect_eq(with("X", "a\nb"), 400);
	cr_expect_eq(with("X", "\x01"), 400);
	cr_expect_eq(with("X", "\x7f"), 400);
	cr_expect_eq(with("X", "a\tb"), 0);
	struct guard_header nul[] = {{"Host", 4, "a", 1}, {"X", 1, "a\0b", 3}};
	struct guard_body body;
	cr_expect_eq(guard_headers(nul, 2, &body).status, 400);
}

Test(guard, exactly_one_host)
{
	struct list none = {.count = 0};

	cr_expect_eq(verdict(&none), 400);
	cr_expect_eq(with("Host", "a"), 400);
	cr_expect_eq(with("HOST", "b"), 400);
	cr_expect_eq(with("Hosts", "b"), 0);
}

Test(guard, one_way_to_say_the_length)
{
	cr_expect_eq(with("Content-Length", "3"), 0);
	cr_expect_eq(with("Transfer-Encoding", "chunked"), 0);
	cr_expect_eq(with("Transfer-Encoding", "ChUnKeD"), 0);
	cr_expect_eq(with_two("Content-Length", "3", "content-length", "3"), 400);
	cr_expect_eq(with_two("Content-Length", "3", "Content-Length", "4"), 400);
	cr_expect_eq(with_two("Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"), 400);
	cr_expect_eq(with_two("Content-Length", "3", "Transfer-Encoding", "chunked"), 400);
}

Test(guard, only_chunked)
{
	const char *const bad[] = {
		"xchunked", "chunked ", " chunked", "chunked, chunked", "gzip, chunked", "identity", ""};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(with("Transfer-Encoding", bad[i]), 400, "%s", bad[i]);
}

Test(guard, length_is_a_plain_number)
{
	const char *const bad[] = {"", "+3", "-3", "3 ", "3,3", "0x3", "3.0", "9999999999999999999", "a"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(with("Content-Length", bad[i]), 400, "%s", bad[i]);
}

Test(guard, tells_of_the_body)
{
	struct list list = request();
	struct guard_body body = {0};

	cr_assert_eq(guard_headers(list.at, list.count, &body).status, 0);
	cr_assert(!body.has_length && !body.chunked && body.length == 0);
	add(&list, "content-length", "999999999999999999");
	cr_assert_eq(guard_headers(list.at, list.count, &body).status, 0);
	cr_assert(body.has_length && !body.chunked && body.length == 999999999999999999);
	struct list chunked = request();
	add(&chunked, "Transfer-Encoding", "chunked");
	cr_assert_eq(guard_headers(chunked.at, chunked.count, &body).status, 0);
	cr_assert(!body.has_length && body.chunked && body.length == 0);
}

Test(guard, too_many_headers)
{
	struct list list = request();

	while (list.count < LIMIT_HTTP_HEADERS)
		add(&list, "X", "1");
	cr_assert_eq(verdict(&list), 0);
	add(&list, "X", "1");
	cr_assert_eq(verdict(&list), 431);
}

Test(guard, methods)
{
	const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
	const char *const unknown[] = {"TRACE", "CONNECT", "get", "", "GETX", "BREW"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		cr_expect_eq(guard_method(known[i]).status, 0, "%s", known[i]);
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		cr_expect_eq(guard_method(unknown[i]).status, 501, "%s", unknown[i]);
}

Test(guard, targets)
{
	const char *const good[] = {"/", "/a/b-c_d.e~f", "/a%20b", "/a?q=%0d%0a&x=%", "/a?b?c", "/%C3%a9", "/a?x=a%01"};
	const char *const bad[] = {"", "*", "http://a/b", "a", "/a%00b", "/a?x=%00", "/%", "/%4", "/%zz", "/%0a",
		"/%7f", "/a b", "/a\tb", "/a#b", "/a\x7f", "/a?b c", "/a?\x01"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect_eq(guard_target(good[i]).status, 0, "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(guard_target(bad[i]).status, 400, "%s", bad[i]);
}

Test(guard, long_paths)
{
	char target[LIMIT_HTTP_PATH + 16];

	memset(target, 'a', sizeof(target));
	target[0] = '/';
	target[LIMIT_HTTP_PATH] = '\0';
	cr_assert_eq(guard_target(target).status, 0);
	memcpy(target + LIMIT_HTTP_PATH, "?b=cdef", 8);
	cr_assert_eq(guard_target(target).status, 0);
	memcpy(target + LIMIT_HTTP_PATH, "a", 2);
	cr_assert_eq(guard_target(target).status, 414);
}

/* Header lines as the parser leaves them in its buffer, with NULs for colons and line ends; and the list of them. */
#define IN_MEMORY(text) memory(text, sizeof(text) - 1)
static char buffer[256];
static size_t buffer_len;

static struct list memory(const char *text, size_t len)
{
	struct list list = {.count = 0};

	memcpy(buffer, text, len);
	buffer_len = len;
	for (size_t at = 0; at < len && buffer[at];) {
		char *name = buffer + at;
		char *value = name + strlen(name) + 1;
		value += strspn(value, " \t");
		add(&list, name, value);
		at = (size_t)(value - buffer) + strlen(value) + 1;
		at += at < len && buffer[at] == '\0';
	}
	return list;
}

static bool intact(const struct list *list)
{
	return guard_lines_intact(list->at, list->count, buffer + buffer_len);
}

Test(guard, lines_that_lie_as_they_were_sent)
{
	struct list list = IN_MEMORY("Host\0 a\0\0X\0b\0\0\0\0");

	cr_assert_eq(list.count, 2);
	cr_expect(intact(&list));
	list = IN_MEMORY("Host\0a\0X\0\t b \0\0");
	cr_assert_eq(list.count, 2);
	cr_expect(intact(&list), "single line feeds");
	list = IN_MEMORY("Host\0 a\0\0Empty\0\0\0X\0 \0\0\0\0");
	cr_assert_eq(list.count, 3);
	cr_expect(intact(&list), "empty values");
	cr_expect(guard_lines_intact(NULL, 0, buffer));
}

Test(guard, request_lines_cut_at_a_nul)
{
	static const char good[] = "GET\0 /a\0HTTP/1.1\0\0Host", torn[] = "GET\0/a\0x\0HTTP/1.1\0\0Host";
	static const char method[] = "GET\0 x /a\0HTTP/1.1\0\0Host", version[] = "GET\0/a\0HTTP/1.1\0x\0\0Host";

	cr_expect(guard_request_line_intact(good, good + 5, 2, good + 8, good + 18));
	cr_expect(!guard_request_line_intact(torn, torn + 4, 2, torn + 9, torn + 19));
	cr_expect(!guard_request_line_intact(method, method + 7, 2, method + 10, method + 20));
	cr_expect(!guard_request_line_intact(version, version + 4, 2, version + 7, version + 19));
}

Test(guard, values_cut_at_a_nul)
{
	struct list list = IN_MEMORY("Host\0a\0\0X\0b\0c\0\0\0\0");

	list.count = 2;
	cr_expect(!intact(&list));
	struct guard_header first[] = {{buffer, 4, buffer + 5, 1}, {buffer + 12, 1, buffer + 14, 0}};
	cr_expect(!guard_lines_intact(first, 2, buffer + buffer_len));
}

Test(guard, empty_names_taken_for_the_end)
{
	struct list list = IN_MEMORY("Host\0a\0\0\0 b\0\0");

	cr_assert_eq(list.count, 1);
	cr_expect(!intact(&list));
	list = IN_MEMORY("Host\0a\0\0\0\0\0");
	cr_assert_eq(list.count, 1);
	cr_expect(!intact(&list));
}

Test(guard, names_glued_together_elsewhere)
{
	static char glued[] = "Content-\0 5\0\0Length\0\0Content-Length";
	struct guard_header folded[] = {{glued + 21, 14, glued + 10, 1}};

	cr_assert(!guard_lines_intact(folded, 1, glued + sizeof(glued)));
}

Test(guard, json_media_type)
{
	cr_expect(guard_is_json("application/json"));
	cr_expect(guard_is_json("Application/JSON; charset=utf-8"));
	cr_expect(guard_is_json("application/json ;x=y"));
	cr_expect(!guard_is_json(NULL));
	cr_expect(!guard_is_json(""));
	cr_expect(!guard_is_json("application/jsonp"));
	cr_expect(!guard_is_json("text/plain"));
	cr_expect(!guard_is_json(" application/json"));
}

Test(guard, request_ids)
{
	char id[LIMIT_REQUEST_ID + 2];

	memset(id, 'a', sizeof(id));
	id[LIMIT_REQUEST_ID] = '\0';
	cr_expect(guard_request_id(id));
	cr_expect(guard_request_id("A-z0.9_"));
	id[LIMIT_REQUEST_ID] = 'a';
	id[LIMIT_REQUEST_ID + 1] = '\0';
	cr_expect(!guard_request_id(id));
	cr_expect(!guard_request_id(NULL));
	cr_expect(!guard_request_id(""));
	cr_expect(!guard_request_id("a b"));
	cr_expect(!guard_request_id("a\"b"));
}
