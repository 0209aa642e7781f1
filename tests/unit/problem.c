#include "server/http/problem.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *rendered(int status, const char *code, const char *detail, const char *id)
{
	char *text = problem_render(status, code, detail, id);

	cr_assert_not_null(text);
	json_t *problem = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	cr_assert_not_null(problem);
	return problem;
}

static void member_is(const json_t *problem, const char *name, const char *text)
{
	const char *value = json_string_value(json_object_get(problem, name));

	cr_assert_not_null(value, "%s", name);
	cr_assert_str_eq(value, text);
}

Test(problem, has_the_members_of_rfc_9457_and_ours)
{
	json_t *problem = rendered(401, "invalid_credentials", "Say \"please\".\n", "id-1");

	member_is(problem, "type", "about:blank");
	member_is(problem, "title", "Unauthorized");
	cr_assert_eq(json_integer_value(json_object_get(problem, "status")), 401);
	member_is(problem, "code", "invalid_credentials");
	member_is(problem, "detail", "Say \"please\".\n");
	member_is(problem, "request_id", "id-1");
	cr_assert_eq(json_object_size(problem), 6);
	json_decref(problem);
}

Test(problem, leaves_out_what_is_not_there_or_not_utf8)
{
	json_t *problem = rendered(500, "internal", NULL, "\xff");

	cr_assert_null(json_object_get(problem, "detail"));
	cr_assert_null(json_object_get(problem, "request_id"));
	member_is(problem, "code", "internal");
	json_decref(problem);
}

Test(problem, titles)
{
	cr_assert_str_eq(problem_title(413), "Content Too Large");
	cr_assert_str_eq(problem_title(503), "Service Unavailable");
	cr_assert_str_eq(problem_title(418), "Error");
}
