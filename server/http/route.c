#include "server/http/route.h"

#include <stdio.h>
#include <string.h>

const char *crew_text(enum crew_kind crew)
{
	switch (crew) {
	case CREW_LOOP:
		return "loop";
	case CREW_LOGIN:
		return "login";
	case CREW_OTHER:
		return "other";
	case CREW_COUNT:
		break;
	}
	return "none";
}

enum fit { FIT_NONE, FIT_PATTERN, FIT_EXACT };

/* Byte by byte; "{…}" stands for one non-empty segment. */
static enum fit path_fits(const char *pattern, const char *path, const char **ret_parameter, size_t *ret_len)
{
	const char *open = strchr(pattern, '{');

	if (!open)
		return strcmp(pattern, path) == 0 ? FIT_EXACT : FIT_NONE;
	size_t before = (size_t)(open - pattern);
	if (strncmp(pattern, path, before) != 0)
		return FIT_NONE;
	size_t len = strcspn(path + before, "/");
	const char *rest = strchr(open, '}');
	if (len == 0 || !rest || strcmp(rest + 1, path + before + len) != 0)
		return FIT_NONE;
	*ret_parameter = path + before;
	*ret_len = len;
	return FIT_PATTERN;
}

static bool method_fits(const struct route *route, const char *method)
{
	return strcmp(route->method, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* Whether `method` is one of the list "GET, HEAD". */
static bool listed(const char *list, const char *method)
{
	size_t len = strlen(method);

	for (const char *at = list; (at = strstr(at, method)); at += len) {
		if ((at == list || at[-1] == ' ') && (at[len] == '\0' || at[len] == ','))
			return true;
	}
	return false;
}

static void allow(char *list, size_t size, const char *method)
{
	size_t used = strlen(list);

	if (!listed(list, method))
		snprintf(list + used, size - used, "%s%s", used ? ", " : "", method);
	if (strcmp(method, "GET") == 0)
		allow(list, size, "HEAD");
}

/* The methods that the path has, for where none of them is the request's. */
static void list_methods(const struct route *routes, size_t count, const char *path, struct route_match *match)
{
	const char *parameter;
	size_t len;

	for (size_t i = 0; i < count; i++) {
		if (path_fits(routes[i].path, path, &parameter, &len) != FIT_NONE)
			allow(match->allow, sizeof(match->allow), routes[i].method);
	}
}

void route_find(
	const struct route *routes, size_t count, const char *method, const char *path, struct route_match *ret_match)
{
	struct route_match match = {0};
	enum fit best = FIT_NONE;

	for (size_t i = 0; i < count; i++) {
		const char *parameter = NULL;
		size_t len = 0;
		enum fit fit = path_fits(routes[i].path, path, &parameter, &len);
		if (fit == FIT_NONE)
			continue;
		match.ops = match.ops || routes[i].ops;
		/* an exact path goes before a pattern that it fits too */
		if (fit <= best || !method_fits(&routes[i], method))
			continue;
		best = fit;
		match.route = &routes[i];
		match.parameter = parameter;
		match.parameter_len = len;
	}
	if (!match.route)
		list_methods(routes, count, path, &match);
	*ret_match = match;
}
