/* server/ops/openapi.json and the table of routes, against each other. Runs from the root of the source tree. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "server/app.h"
#include "server/ops/openapi.h"

static json_t *document(void)
{
	struct config config = {.public_url = (char[]){"https://auth.example.com"}};
	char *text = NULL;
	json_t *json;

	cr_assert_eq(openapi_render(&config, &text), 0);
	json = json_loads(text, 0, NULL);
	cr_assert_not_null(json);
	free(text);
	return json;
}

static void lower(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

Test(openapi, every_route_is_in_the_document)
{
	json_t *json = document();

	for (size_t i = 0; i < app_route_count; i++) {
		const json_t *path = json_object_get(json_object_get(json, "paths"), app_routes[i].path);
		char method[16];

		(void)snprintf(method, sizeof(method), "%s", app_routes[i].method);
		lower(method);
		cr_expect_not_null(json_object_get(path, method), "%s %s", app_routes[i].method, app_routes[i].path);
		cr_expect_eq(json_object_get(json_object_get(path, method), "requestBody") != NULL,
			app_routes[i].body != BODY_NONE, "%s %s takes a body or does not", app_routes[i].method,
			app_routes[i].path);
	}
	json_decref(json);
}

Test(openapi, every_operation_of_the_document_has_a_route)
{
	json_t *json = document(), *operations = NULL, *operation = NULL;
	const char *path = NULL, *method = NULL;

	json_object_foreach(json_object_get(json, "paths"), path, operations)
	{
		json_object_foreach(operations, method, operation)
		{
			bool found = false;

			for (size_t i = 0; i < app_route_count; i++)
				found |= strcmp(app_routes[i].path, path) == 0 &&
					 strcasecmp(app_routes[i].method, method) == 0;
			cr_expect(found, "%s %s", method, path);
		}
	}
	json_decref(json);
}

Test(openapi, it_says_where_it_is_and_which_version)
{
	json_t *json = document();
	const json_t *server = json_array_get(json_object_get(json, "servers"), 0);

	cr_expect_str_eq(json_string_value(json_object_get(server, "url")), "https://auth.example.com");
	cr_expect_str_eq(
		json_string_value(json_object_get(json_object_get(json, "info"), "version")), TOKENFIRST_VERSION);
	json_decref(json);
}
