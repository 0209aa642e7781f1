#include "server/http/route.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct route routes[] = {
	{"GET", "/me", CREW_OTHER, false, false, NULL, NULL},
	{"POST", "/login", CREW_LOGIN, true, false, NULL, NULL},
	{"GET", "/events/{event_id}", CREW_OTHER, false, false, NULL, NULL},
	{"DELETE", "/me/sessions/{id}", CREW_OTHER, false, false, NULL, NULL},
	{"GET", "/me/sessions", CREW_OTHER, false, false, NULL, NULL},
	{"GET", "/admin/{name}/log", CREW_OTHER, false, true, NULL, NULL},
	{"POST", "/admin/{name}", CREW_OTHER, false, true, NULL, NULL},
	{"POST", "/admin/replay", CREW_OTHER, false, true, NULL, NULL},
	{"POST", "/me", CREW_OTHER, true, false, NULL, NULL},
};

static struct route_match find(const char *method, const char *path)
{
	struct route_match match;

	route_find(routes, sizeof(routes) / sizeof(routes[0]), method, path, &match);
	return match;
}

static void parameter_is(const struct route_match *match, const char *text)
{
	cr_assert_not_null(match->parameter);
	cr_assert_eq(match->parameter_len, strlen(text));
	cr_assert_eq(strncmp(match->parameter, text, strlen(text)), 0);
}

Test(route, exact_paths)
{
	struct route_match match = find("GET", "/me");

	cr_assert_eq(match.route, &routes[0]);
	cr_assert_null(match.parameter);
	cr_assert_eq(find("POST", "/me").route, &routes[8]);
	cr_assert_eq(find("POST", "/login").route, &routes[1]);
}

Test(route, a_parameter_at_the_end)
{
	struct route_match match = find("GET", "/events/01ABC");

	cr_assert_eq(match.route, &routes[2]);
	parameter_is(&match, "01ABC");
}

Test(route, a_parameter_in_the_middle)
{
	struct route_match match = find("GET", "/admin/alice/log");

	cr_assert_eq(match.route, &routes[5]);
	parameter_is(&match, "alice");
}

Test(route, no_such_path)
{
	const char *const paths[] = {"", "/", "/m", "/me/", "/events", "/events/", "/events/a/b", "/admin//log",
		"/admin/a/logs", "/admin/a/b/log", "//me", "/ME"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct route_match match = find("GET", paths[i]);
		cr_expect_null(match.route, "%s", paths[i]);
		cr_expect_str_eq(match.allow, "", "%s", paths[i]);
	}
}

Test(route, known_path_other_method)
{
	struct route_match match = find("DELETE", "/me");

	cr_assert_null(match.route);
	cr_assert_str_eq(match.allow, "GET, HEAD, POST");
	match = find("GET", "/me/sessions/7");
	cr_assert_null(match.route);
	cr_assert_str_eq(match.allow, "DELETE");
}

Test(route, head_where_get_is)
{
	cr_assert_eq(find("HEAD", "/me").route, &routes[0]);
	cr_assert_null(find("HEAD", "/login").route);
}

Test(route, exact_before_pattern)
{
	cr_assert_eq(find("POST", "/admin/replay").route, &routes[7]);
	cr_assert_eq(find("POST", "/admin/replays").route, &routes[6]);
}

Test(route, crews_have_names)
{
	cr_assert_str_eq(crew_text(CREW_LOOP), "loop");
	cr_assert_str_eq(crew_text(CREW_LOGIN), "login");
	cr_assert_str_eq(crew_text(CREW_OTHER), "other");
}
