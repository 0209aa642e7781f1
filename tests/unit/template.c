#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/template.h"
#include "config/limits.h"
#include "tests/support/scratch.h"

static const char data_text[] =
	"{\"user\":{\"id\":\"01BX5ZZKBKACTAV9WEVGEMMVRZ\",\"username\":\"alice\",\"email\":null},"
	"\"request\":{\"ip\":\"127.0.0.1\",\"user_agent\":\"<b title='x' lang=\\\"y\\\">&\\nnext\"},"
	"\"count\":42,\"share\":0.5,\"total\":19.99,\"yes\":true,\"list\":[1],\"deep\":{\"er\":{\"est\":\"found\"}}}";

static struct event *event;
static json_t *data;
static struct buf out;
static const char *why;

static void setup(void)
{
	event = event_new("01ARZ3NDEKTSV4RRFFQ69G5FAV", "user.login", "01BX5ZZKBKACTAV9WEVGEMMVRZ", data_text, 7, "",
		1767323045678);
	data = json_loads(data_text, 0, NULL);
	buf_init(&out, 4096);
	cr_assert_not_null(event);
	cr_assert_not_null(data);
	why = NULL;
}

static void teardown(void)
{
	event_unref(event);
	json_decref(data);
	buf_release(&out);
}

TestSuite(template, .init = setup, .fini = teardown);

static const char *expanded(const char *text, enum template_form form)
{
	buf_reset(&out);
	cr_assert_eq(template_expand(text, event, data, form, &out, &why), 0, "%s: %s", text, why ? why : "");
	return out.data;
}

Test(template, names_are_replaced)
{
	cr_assert_str_eq(expanded("Hello {{user.username}}, from {{request.ip}}!", TEMPLATE_TEXT),
		"Hello alice, from 127.0.0.1!");
	cr_assert_str_eq(expanded("{{user.username}}{{user.username}}", TEMPLATE_TEXT), "alicealice");
	cr_assert_str_eq(expanded("{{ user.username }}", TEMPLATE_TEXT), "alice");
	cr_assert_str_eq(expanded("{{deep.er.est}}", TEMPLATE_TEXT), "found");
	cr_assert_str_eq(expanded("{{total}}", TEMPLATE_TEXT), "19.99");
	cr_assert_str_eq(expanded("", TEMPLATE_TEXT), "");
	cr_assert_str_eq(expanded("no name, {one brace} }}", TEMPLATE_TEXT), "no name, {one brace} }}");
}

Test(template, the_event_itself_has_names)
{
	cr_assert_str_eq(expanded("{{event.time}}", TEMPLATE_TEXT), "2026-01-02 03:04:05 UTC");
	cr_assert_str_eq(
		expanded("{{event.id}} {{event.type}}", TEMPLATE_TEXT), "01ARZ3NDEKTSV4RRFFQ69G5FAV user.login");
	cr_assert_str_eq(expanded("{{event.subject}}", TEMPLATE_TEXT), "01BX5ZZKBKACTAV9WEVGEMMVRZ");
}

Test(template, numbers_and_booleans_have_their_text)
{
	cr_assert_str_eq(expanded("{{count}} {{share}} {{yes}}", TEMPLATE_TEXT), "42 0.5 true");
}

Test(template, values_in_html_are_escaped_and_the_template_is_not)
{
	cr_assert_str_eq(expanded("<p>{{request.user_agent}}</p>", TEMPLATE_HTML),
		"<p>&lt;b title=&#39;x&#39; lang=&quot;y&quot;&gt;&amp;\r\nnext</p>");
	cr_assert_str_eq(expanded("{{request.user_agent}}", TEMPLATE_TEXT), "<b title='x' lang=\"y\">&\r\nnext");
}

Test(template, what_a_value_says_is_not_expanded_again)
{
	json_object_set_new(data, "count", json_string("{{user.username}}"));
	cr_assert_str_eq(expanded("{{count}}", TEMPLATE_TEXT), "{{user.username}}");
}

Test(template, lines_end_in_cr_lf_but_in_a_header)
{
	cr_assert_str_eq(expanded("a\nb\r\nc\n", TEMPLATE_TEXT), "a\r\nb\r\nc\r\n");
	cr_assert_str_eq(expanded("a\nb", TEMPLATE_LINE), "a\nb"); /* to be refused there, not mended */
}

Test(template, what_our_events_may_lack_is_empty)
{
	cr_assert_str_eq(expanded("<{{user.email}}>", TEMPLATE_TEXT), "<>"); /* null */
	cr_assert_str_eq(expanded("<{{request.id}}>", TEMPLATE_TEXT), "<>"); /* absent */
}

Test(template, other_names_that_are_absent_are_an_error)
{
	static const char *const bad[] = {
		"{{nothing}}", "{{user.nothing}}", "{{user.username.deeper}}", "{{list}}", "{{user}}"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		why = NULL;
		cr_assert_eq(
			template_expand(bad[i], event, data, TEMPLATE_TEXT, &out, &why), ERR_INVALID, "%s", bad[i]);
		cr_assert_not_null(why);
	}
}

static const char *const broken[] = {"{{", "{{}}", "{{ }}", "{{user.username", "{{user username}}", "{{.user}}",
	"{{user.}}", "{{user..id}}", "{{user\n}}", "{{{user.id}}}", "{{\xc3\xa4}}"};

Test(template, a_broken_template_is_refused_by_check_and_by_expand)
{
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		struct buf message;

		buf_init(&message, 1024);
		cr_assert_eq(template_check(broken[i], "order.paid", true, &message), ERR_INVALID, "%s", broken[i]);
		cr_assert_gt(message.len, 0);
		buf_release(&message);
		cr_assert_eq(template_expand(broken[i], event, data, TEMPLATE_TEXT, &out, &why), ERR_INVALID, "%s",
			broken[i]);
	}
}

Test(template, check_names_the_line_and_the_unknown_name)
{
	cr_assert_eq(template_check("one\ntwo\n{{user.phone}}\n", "user.login", true, &out), ERR_INVALID);
	cr_assert_str_eq(out.data, "line 3: there is no {{user.phone}} in events of type user.login");
	buf_reset(&out);
	cr_assert_eq(template_check("one\n{{oops", "user.login", true, &out), ERR_INVALID);
	cr_assert_not_null(strstr(out.data, "line 2: "));
}

Test(template, other_types_of_event_have_names_of_their_own)
{
	cr_assert_eq(template_check("{{order.total}}", "order.paid", true, &out), 0);
	cr_assert_eq(
		template_check("{{event.time}} {{user.username}} {{request.user_agent}}", "user.login", true, &out), 0);
	cr_assert_eq(out.len, 0);
}

/* Whoever reads a link may act for the user. */
Test(template, a_link_is_named_only_where_it_may_be_and_is)
{
	static const char *const names[] = {"{{link.url}}", "{{ link.token }}", "{{link.expires}}"};
	static const char *const types[] = {
		"user.signup", "user.invited", "user.password_forgot", "user.reset_required"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
			cr_assert_eq(template_check(names[i], types[k], true, &out), 0, "%s", out.data);
			cr_assert_eq(template_check(names[i], types[k], false, &out), ERR_INVALID);
			buf_reset(&out);
		}
		cr_assert_eq(template_check(names[i], "user.login", true, &out), ERR_INVALID);
		cr_assert_eq(template_check(names[i], "user.*", false, &out), ERR_INVALID);
		buf_reset(&out);
		cr_assert_eq(template_check(names[i], "order.paid", false, &out), 0, "the data of others is theirs");
	}
	cr_assert_eq(template_check("{{link.id}}", "user.signup", true, &out), ERR_INVALID);
	buf_reset(&out);
	cr_assert_eq(template_check("a\n{{link.url}}", "user.signup", false, &out), ERR_INVALID);
	cr_assert_str_eq(
		out.data, "line 2: {{link.url}} is possible only in the body of a mail to the user's own address");
}

Test(template, the_bound_of_the_output_holds)
{
	struct buf small;

	buf_init(&small, 4);
	cr_assert_eq(template_expand("{{user.username}}", event, data, TEMPLATE_TEXT, &small, &why), ERR_LIMIT);
	buf_release(&small);
}

static void write_file(const char *folder, const char *name, const char *bytes, size_t len)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert_eq(fwrite(bytes, 1, len, file), len);
	cr_assert_eq(fclose(file), 0);
}

Test(template, reading)
{
	struct scratch scratch;
	char *large = malloc(LIMIT_TEMPLATE + 1), *text = NULL;

	cr_assert_not_null(large);
	memset(large, 'x', LIMIT_TEMPLATE + 1);
	scratch_make(&scratch);
	write_file(scratch.folder, "a.txt", "hello", 5);
	write_file(scratch.folder, "latin.txt", "h\xe4llo", 5);
	write_file(scratch.folder, "nul.txt", "h\0llo", 5);
	write_file(scratch.folder, "most.txt", large, LIMIT_TEMPLATE);
	write_file(scratch.folder, "large.txt", large, LIMIT_TEMPLATE + 1);
	cr_expect_eq(template_read(scratch.folder, "a", ".txt", &text), 0);
	cr_expect_str_eq(text, "hello");
	free(text);
	cr_expect_eq(template_read(scratch.folder, "most", ".txt", &text), 0);
	cr_expect_eq(strlen(text), LIMIT_TEMPLATE);
	free(text);
	text = NULL;
	cr_expect_eq(template_read(scratch.folder, "latin", ".txt", &text), ERR_INVALID);
	cr_expect_eq(template_read(scratch.folder, "nul", ".txt", &text), ERR_INVALID);
	cr_expect_eq(template_read(scratch.folder, "large", ".txt", &text), ERR_LIMIT);
	cr_expect_eq(template_read(scratch.folder, "none", ".txt", &text), ERR_NOT_FOUND);
	cr_expect_null(text);
	free(large);
	scratch_remove(&scratch);
}

Test(template, an_event_type_never_leads_out_of_the_folder)
{
	struct scratch scratch;
	char *text = NULL;
	char outside[160];

	scratch_make(&scratch);
	write_file(scratch.folder, "a.txt", "hello", 5);
	snprintf(outside, sizeof outside, "..%s/a", strrchr(scratch.folder, '/'));
	cr_expect_eq(template_read(scratch.folder, outside, ".txt", &text), ERR_NOT_FOUND);
	cr_expect_eq(template_read(scratch.folder, "./a", ".txt", &text), ERR_NOT_FOUND);
	cr_expect_eq(template_read("", scratch.folder + 1, "/a.txt", &text), ERR_NOT_FOUND);
	cr_expect_null(text);
	scratch_remove(&scratch);
}

Test(template, in_a_chat_values_are_escaped_and_the_template_is_not)
{
	cr_assert_str_eq(expanded("<!here> & {{request.user_agent}}", TEMPLATE_CHAT),
		"<!here> & &lt;b title='x' lang=\"y\"&gt;&amp; next");
}

Test(template, in_a_url_values_are_percent_encoded_and_the_template_is_not)
{
	cr_assert_str_eq(expanded("https://a/?b=c&d={{request.user_agent}}", TEMPLATE_URL),
		"https://a/?b=c&d=%3Cb%20title%3D%27x%27%20lang%3D%22y%22%3E%26%0Anext");
	cr_assert_str_eq(expanded("{{request.ip}}{{user.email}}", TEMPLATE_URL), "127.0.0.1");
}

Test(template, one_name_and_nothing_else)
{
	static const char *const others[] = {
		"", "a", "{{a}}b", "b{{a}}", "{{a}}{{b}}", "{{a}} ", "{{}}", "{{a", "{{a b}}", "{{.a}}"};
	const char *name;
	size_t len;

	cr_assert(template_name("{{ customer.email }}", &name, &len));
	cr_assert_eq(len, strlen("customer.email"));
	cr_assert_eq(strncmp(name, "customer.email", len), 0);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		cr_assert_not(template_name(others[i], &name, &len), "%s", others[i]);
}
