/* Form fields, and cookies beside them. */
#include "server/http/form.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "server/http/cookie.h"

static json_t *parse(const char *text)
{
	json_t *fields = NULL;

	cr_assert_eq(form_parse(text, strlen(text), &fields), 0, "%s", text);
	return fields;
}

static void expect(const char *text, const char *json)
{
	json_t *fields = parse(text), *wanted = json_loads(json, 0, NULL);

	cr_assert_not_null(wanted);
	cr_expect(json_equal(fields, wanted), "%s", text);
	json_decref(fields);
	json_decref(wanted);
}

Test(form, fields)
{
	expect("", "{}");
	expect("token=abc", "{\"token\": \"abc\"}");
	expect("a=1&b=2", "{\"a\": \"1\", \"b\": \"2\"}");
	expect("a=1&&b=2&", "{\"a\": \"1\", \"b\": \"2\"}");
	expect("a&b=", "{\"a\": \"\", \"b\": \"\"}");
	expect("a=b=c", "{\"a\": \"b=c\"}");
	expect("=x", "{\"\": \"x\"}");
	expect("a=1&A=2", "{\"a\": \"1\", \"A\": \"2\"}");
}

Test(form, escapes)
{
	expect("a+b=c+d%2Be", "{\"a b\": \"c d+e\"}");
	expect("%61=%e2%82%ac", "{\"a\": \"\xe2\x82\xac\"}");
	expect("a=%26%3d&b=1", "{\"a\": \"&=\", \"b\": \"1\"}");
	expect("a=\xc3\xa9", "{\"a\": \"\xc3\xa9\"}");
	expect("a=100%&b=%zz", "{\"a\": \"100%\", \"b\": \"%zz\"}");
}

Test(form, what_is_refused)
{
	static const char *const bad[] = {"a=1&a=1", "a=1&%61=2", "a=%ff", "a=\xff", "%ff=a", "a=%00", "a%00=1",
		"a=x%00y", "a=%ed%a0%80", "a=%c0%80"};
	json_t *fields = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(form_parse(bad[i], strlen(bad[i]), &fields), ERR_INVALID, "%s", bad[i]);
	cr_expect_eq(form_parse("a=1\0b", 5, &fields), ERR_INVALID);
	cr_expect_null(fields);
}

Test(form, only_so_many_bytes_are_read)
{
	json_t *fields = NULL;

	cr_assert_eq(form_parse("a=12", 3, &fields), 0);
	cr_expect_str_eq(json_string_value(json_object_get(fields, "a")), "1");
	json_decref(fields);
}

static void cookie(const char *header, const char *value)
{
	char *found = cookie_find(header, "name");

	cr_expect((!found && !value) || (found && value && strcmp(found, value) == 0), "%s: %s", header,
		found ? found : "none");
	free(found);
}

Test(cookie, is_found)
{
	cookie("name=abc", "abc");
	cookie("a=b; name=abc; c=d", "abc");
	cookie("a=b;name=abc;c=d", "abc");
	cookie("a=b c, \"d; name=abc", "abc");
	cookie("name=abc ", "abc");
	cookie("name=a=b", "a=b");
	cookie("name=", "");
	cookie("junk; name=abc", "abc");
}

Test(cookie, is_not_there)
{
	cookie("", NULL);
	cookie("name", NULL);
	cookie("NAME=abc", NULL);
	cookie("names=abc; xname=abc", NULL);
	cookie("a=name=abc", NULL);
	cookie("a=\"; b=c", NULL);
}

Test(cookie, is_not_taken)
{
	cookie("name=a; name=a", NULL);
	cookie("name=a; b=c; name=d", NULL);
	cookie("name=a; name=", NULL);
	cookie("name=a b", NULL);
	cookie("name=\"a\"", NULL);
	cookie("name=a,b", NULL);
	cookie("name=a\\b", NULL);
	cookie("name=\xc3\xa9", NULL);
}
