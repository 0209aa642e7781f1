#include <criterion/criterion.h>
#include <string.h>

#include "background/effects/effect.h"

static struct request request;

static void setup(void)
{
	request_init(&request);
}

static void teardown(void)
{
	request_release(&request);
}

TestSuite(request, .init = setup, .fini = teardown);

Test(request, a_header_is_name_colon_value)
{
	cr_assert_eq(request_add_header(&request, "X-Name", "some value, with \"quotes\"\tand a tab"), 0);
	cr_assert_eq(request.header_count, 1);
	cr_assert_str_eq(request.headers[0], "X-Name: some value, with \"quotes\"\tand a tab");
}

Test(request, line_breaks_and_control_bytes_are_refused)
{
	static const char *const bad[] = {
		"a\rb", "a\nb", "a\r\nBcc: carol@example.com", "\n", "a\x01", "a\x7f", "a\x1b[0m", ""};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_eq(request_add_header(&request, "X-Name", bad[i]), ERR_INVALID, "case %zu", i);
	cr_assert_eq(request.header_count, 0);
}

Test(request, a_name_is_a_token)
{
	static const char *const bad[] = {"", "X Name", "X:", "X\r\nY", "X\xc3\xa4", "X(", "X/Y", "X@", "\"X\""};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		cr_assert_eq(request_add_header(&request, bad[i], "v"), ERR_INVALID, "case %zu", i);
	cr_assert_eq(request_add_header(&request, "ce-id", "v"), 0);
	cr_assert_eq(request_add_header(&request, "!#$%&'*+-.^_`|~09azAZ", "v"), 0);
}

Test(request, beyond_its_room_it_is_refused)
{
	for (int i = 0; i < REQUEST_HEADERS; i++)
		cr_assert_eq(request_add_header(&request, "X", "v"), 0);
	cr_assert_eq(request_add_header(&request, "X", "v"), ERR_LIMIT);
	cr_assert_eq(request.header_count, REQUEST_HEADERS);
}

Test(request, release_leaves_a_fresh_one)
{
	cr_assert_eq(request_add_header(&request, "X", "v"), 0);
	buf_append_text(&request.body, "body");
	request.sender = strdup("auth@example.com");
	request.recipient = strdup("alice@example.com");
	request_release(&request);
	cr_assert_eq(request.header_count, 0);
	cr_assert_null(request.sender);
	cr_assert_null(request.recipient);
	cr_assert_eq(request.body.len, 0);
	cr_assert_eq(request.body.max, LIMIT_REQUEST_BODY);
	cr_assert_eq(request.text.max, LIMIT_TEMPLATE);
}
