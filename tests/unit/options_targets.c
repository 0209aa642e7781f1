/*
 * Effects with several targets, and services: the maps whose objects share more than a table.
 */
#include "config/locate.h"
#include "tests/unit/options_fixture.h"

#define HOOKS "\"type\": \"bus\", \"on\": [\"*\"], \"delivery\": \"durable\""
#define SHOP  "{\"name\": \"shop\", \"url\": \"http://a/\"}"

/* One effect "hooks" with these members. */
static const char *hooks(const char *members)
{
	static char text[4096];
	(void)snprintf(text, sizeof text, "{\"effects\": {\"hooks\": {%s}}}", members);
	return text;
}

Test(options_targets, each_is_an_effect_of_its_own)
{
	struct loaded loaded = load(
		"{\"effects\": {\"a\": {" HOOKS ", \"url\": \"http://x/\"}, \"hooks\": {" HOOKS ", \"timeout\": \"5s\","
		"\"retry\": {\"first\": \"2s\", \"cap\": \"3s\"}, \"secret\": {\"env\": \"ONE\"},"
		"\"auth\": {\"type\": \"bearer\", \"token\": \"t\"}, \"urls\": [" SHOP ","
		"{\"name\": \"crm\", \"url\": \"http://b/\", \"timeout\": \"6s\", \"retry\": {\"first\": \"1s\"},"
		"\"secret\": {\"file\": \"/dev/null\"}, \"on\": [\"user.*\"], \"delivery\": \"fire_and_forget\","
		"\"on_full\": \"spill\", \"auth\": {\"type\": \"header\", \"name\": \"X\", \"value\": \"v\"}}]},"
		"\"z\": {" HOOKS ", \"url\": \"http://z/\"}}}",
		NULL, (const char *[]){"ONE=1", NULL});
	cr_assert_eq(loaded.errors.count, 1, "the empty file only: of two references the target's counts");
	cr_assert_not_null(find(&loaded.errors, "effects.hooks.urls[1].secret", "must not be empty"));
	unload(&loaded);
	loaded = load(hooks(HOOKS ", \"timeout\": \"5s\", \"retry\": {\"first\": \"2s\", \"cap\": \"3s\"},"
				  "\"auth\": {\"type\": \"bearer\", \"token\": \"t\"}, \"urls\": [" SHOP ","
				  "{\"name\": \"crm\", \"url\": \"http://b/\", \"timeout\": \"6s\","
				  "\"retry\": {\"first\": \"1s\"}, \"on\": [\"user.*\"], \"delivery\": \"inline\","
				  "\"auth\": {\"type\": \"header\", \"name\": \"X\", \"value\": \"v\"}}]"),
		NULL, NULL);
	if (loaded.err)
		print_all(&loaded);
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.config->effect_count, 2);
	const struct effect_config *shop = &loaded.config->effects[0], *crm = &loaded.config->effects[1];
	cr_assert_str_eq(shop->name, "hooks.shop");
	cr_assert_str_eq(shop->effect, "hooks");
	cr_assert_str_eq(shop->target, "shop");
	cr_assert_str_eq(shop->type, "bus");
	cr_assert_str_eq(shop->url, "http://a/");
	cr_assert_eq(shop->timeout_ms, 5000);
	cr_assert_eq(shop->retry.first_ms, 2000);
	cr_assert_eq(shop->delivery, DELIVERY_DURABLE);
	cr_assert_eq(shop->auth.type, AUTH_BEARER);
	cr_assert_str_eq(crm->name, "hooks.crm");
	cr_assert_str_eq(crm->url, "http://b/");
	cr_assert_eq(crm->timeout_ms, 6000);
	cr_assert_eq(crm->retry.first_ms, 1000);
	cr_assert_eq(crm->retry.cap_ms, 3000, "groups are taken member by member");
	cr_assert_eq(crm->delivery, DELIVERY_INLINE);
	cr_assert_str_eq(crm->on[0], "user.*");
	cr_assert_eq(crm->auth.type, AUTH_HEADER);
	cr_assert_null(crm->auth.token, "credentials do not mix");
	unload(&loaded);
}

Test(options_targets, those_of_one_effect_stand_together)
{
	struct loaded loaded = load("{\"effects\": {\"a\": {" HOOKS ", \"url\": \"http://x/\"},"
				    "\"hooks\": {" HOOKS ", \"urls\": [" SHOP ","
				    "{\"name\": \"b\", \"url\": \"http://b/\"}]},"
				    "\"z\": {" HOOKS ", \"urls\": [" SHOP "]}}}",
		NULL, NULL);
	static const char *const names[] = {"a", "hooks.shop", "hooks.b", "z.shop"};
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.config->effect_count, 4);
	for (size_t i = 0; i < 4; i++)
		cr_assert_str_eq(loaded.config->effects[i].name, names[i]);
	unload(&loaded);
}

Test(options_targets, settings_reach_all_that_do_not_override)
{
	const char *settings[] = {
		"effects.hooks.timeout=1s", "effects.hooks.retry.max_age=2h", "effects.hooks.delivery=inline", NULL};
	const char *environment[] = {"TOKENFIRST_EFFECTS__HOOKS__MAX_IN_FLIGHT=3", NULL};
	struct loaded loaded = load(hooks(HOOKS ", \"timeout\": \"5s\", \"urls\": [" SHOP ","
						"{\"name\": \"b\", \"url\": \"http://b/\", \"timeout\": \"6s\","
						"\"delivery\": \"durable\"}]"),
		settings, environment);
	cr_assert_eq(loaded.err, 0);
	const struct effect_config *shop = &loaded.config->effects[0], *b = &loaded.config->effects[1];
	cr_assert_eq(shop->timeout_ms, 1000);
	cr_assert_eq(b->timeout_ms, 6000);
	cr_assert_eq(shop->retry.max_age_ms, 7200000);
	cr_assert_eq(b->retry.max_age_ms, 7200000);
	cr_assert_eq(shop->max_in_flight, 3);
	cr_assert_eq(b->max_in_flight, 3);
	cr_assert_eq(shop->delivery, DELIVERY_INLINE);
	cr_assert_eq(b->delivery, DELIVERY_DURABLE);
	unload(&loaded);
}

Test(options_targets, a_delivery_replaced_from_outside_only_warns)
{
	static const char members[] =
		"\"type\": \"bus\", \"on\": [\"*\"], \"delivery\": \"fire_and_forget\","
		"\"on_full\": \"drop\", \"urls\": [" SHOP ", {\"name\": \"b\", \"url\": \"http://b/\"}]";
	const char *settings[] = {"effects.hooks.delivery=inline", NULL, NULL};
	struct loaded loaded = load(hooks(members), settings, NULL);
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.warnings.count, 1, "once for both");
	cr_assert_not_null(find(&loaded.warnings, "effects.hooks.on_full", "says nothing now"));
	unload(&loaded);
	settings[1] = "effects.hooks.on_full=drop";
	loaded = load(hooks(members), settings, NULL);
	cr_assert_not_null(find(&loaded.errors, "effects.hooks.on_full", "only"));
	unload(&loaded);
}

Test(options_targets, wrong_lists)
{
	static const struct {
		const char *members, *path, *part;
	} rows[] = {
		{HOOKS, "effects.hooks.url", "is missing"},
		{HOOKS ", \"urls\": []", "effects.hooks.urls", "must be a list of 1 to 64 objects"},
		{HOOKS ", \"urls\": [5]", "effects.hooks.urls", "must be a list of 1 to 64 objects"},
		{HOOKS ", \"urls\": {}", "effects.hooks.urls", "must be a list of 1 to 64 objects"},
		{HOOKS ", \"urls\": \"http://a/\"", "effects.hooks.urls", "must be a list of 1 to 64 objects"},
		{HOOKS ", \"url\": \"http://a/\", \"urls\": [" SHOP "]", "effects.hooks.url", "excludes urls"},
		{HOOKS ", \"name\": \"a\", \"urls\": [" SHOP "]", "effects.hooks.name", "is for the objects in urls"},
		{HOOKS ", \"urls\": [{\"url\": \"http://a/\"}]", "effects.hooks.urls[0].name", "is missing"},
		{HOOKS ", \"urls\": [{\"name\": \"a\"}]", "effects.hooks.urls[0].url", "is missing"},
		{HOOKS ", \"urls\": [{\"name\": 5, \"url\": \"http://a/\"}]", "effects.hooks.urls[0].name",
			"must be text"},
		{HOOKS ", \"urls\": [{\"name\": \"a__b\", \"url\": \"http://a/\"}]", "effects.hooks.urls[0].name",
			"a name of a target is"},
		{HOOKS ", \"urls\": [" SHOP "," SHOP "]", "effects.hooks.urls[1].name",
			"\"shop\" is the name of another target too"},
		{HOOKS ", \"urls\": [" SHOP ", {\"name\": \"b\", \"url\": \"smtp://a/\"}]", "effects.hooks.urls[1].url",
			"must begin with http://"},
		{HOOKS ", \"urls\": [{\"name\": \"b\", \"url\": \"http://a/\", \"urls\": [" SHOP "]}]",
			"effects.hooks.urls[0].urls", "is for effects"},
		{HOOKS ", \"urls\": [{\"name\": \"b\", \"url\": \"http://a/\", \"timeot\": \"1s\"}]",
			"effects.hooks.urls[0].timeot", "did you mean \"timeout\"?"},
		{HOOKS ", \"urls\": [{\"name\": \"b\", \"url\": \"http://a/\", \"retry\": 5}]",
			"effects.hooks.urls[0].retry", "must be an object"},
		{HOOKS ", \"auth\": {\"type\": \"bearer\", \"token\": \"t\"}, \"urls\": [" SHOP
		       ", {\"name\": \"b\", \"url\": \"http://a/\", \"auth\": {\"type\": \"bearer\"}}]",
			"effects.hooks.urls[1].auth.token", "is missing"},
		{HOOKS ", \"urls\": [{\"name\": \"b\", \"url\": \"http://a/\", \"on_full\": \"drop\"}]",
			"effects.hooks.urls[0].on_full", "is for delivery"},
		/* what they share is said once */
		{HOOKS ", \"timeout\": \"soon\", \"urls\": [" SHOP ", {\"name\": \"b\", \"url\": \"http://b/\"}]",
			"effects.hooks.timeout", "must be a duration"},
		{HOOKS ", \"auth\": {\"type\": \"bearer\"}, \"urls\": [" SHOP
		       ", {\"name\": \"b\", \"url\": \"http://b/\"}]",
			"effects.hooks.auth.token", "is missing"},
		{"\"type\": \"bus\", \"delivery\": \"durable\", \"urls\": [" SHOP
		 ", {\"name\": \"b\", \"url\": \"http://b/\"}]",
			"effects.hooks.on", "is missing"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		expect_error(hooks(rows[i].members), rows[i].path, rows[i].part);
	expect_setting_error("effects.hooks.urls=[]", "effects.hooks.urls", "is made of objects");
}

Test(options_targets, findings_have_their_lines)
{
	static const char text[] = "{\"effects\": {\n"
				   "  \"hooks\": {" HOOKS ",\n"
				   "    \"timeout\": \"soon\",\n"
				   "    \"urls\": [\n"
				   "      {\"name\": \"a\", \"url\": \"http://a/\"},\n"
				   "      {\n"
				   "        \"name\": \"b\",\n"
				   "        \"url\": \"ftp://b/\"}, {\"name\": \"c\"}]}}}";
	static const struct {
		const char *path;
		int line;
	} rows[] = {{"effects.hooks.timeout", 3}, {"effects.hooks.urls[1].url", 8}, {"effects.hooks.urls[2].url", 8}};
	struct loaded loaded = load(text, NULL, NULL);
	cr_assert_eq(loaded.errors.count, 3);
	for (size_t i = 0; i < 3; i++) {
		char place[128];
		const struct config_error *error = find(&loaded.errors, rows[i].path, "");
		cr_assert_not_null(error, "%s", rows[i].path);
		(void)snprintf(place, sizeof place, "%s:%d", loaded.file, rows[i].line);
		cr_assert_str_eq(error->place, place);
	}
	unload(&loaded);
	static const char lists[] = "{\"a\": [\n{\"x\": [1, {}]},\n{\"b\":\n[7,\n{\"c\": 1}]}], \"d\": [], \"e\": {}}";
	cr_assert_eq(locate_line(lists, "a[0]"), 2);
	cr_assert_eq(locate_line(lists, "a[0].x"), 2);
	cr_assert_eq(locate_line(lists, "a[1]"), 3);
	cr_assert_eq(locate_line(lists, "a[1].b"), 3);
	cr_assert_eq(locate_line(lists, "a[1].b[0]"), 4);
	cr_assert_eq(locate_line(lists, "a[1].b[0].x"), 0, "a number has no members");
	cr_assert_eq(locate_line(lists, "a[1].b[1].c"), 5);
	cr_assert_eq(locate_line(lists, "a[2]"), 0);
	cr_assert_eq(locate_line(lists, "d[0]"), 0);
	cr_assert_eq(locate_line(lists, "e[0]"), 0);
}

Test(options_targets, at_most_so_many)
{
	static char text[16384];
	for (int count = LIMIT_TARGETS; count <= LIMIT_TARGETS + 1; count++) {
		size_t used = (size_t)snprintf(text, sizeof text,
			"{\"effects\": {\"x\": {" HOOKS ", \"url\": \"http://a/\"}, \"hooks\": {" HOOKS
			", \"urls\": [");
		for (int i = 1; i < count; i++)
			used += (size_t)snprintf(text + used, sizeof text - used,
				"%s{\"name\": \"t%d\", \"url\": \"http://a/\"}", i > 1 ? "," : "", i);
		(void)snprintf(text + used, sizeof text - used, "]}}}");
		if (count == LIMIT_TARGETS)
			expect_fine(text);
		else
			expect_error(text, "effects", "they have 65 targets, at most 64");
	}
}

Test(options_targets, services)
{
	struct loaded loaded = load("{\"services\": {\"shop\": {\"token\": \"0123456789abcde=\"},"
				    "\"forms\": {\"token\": {\"env\": \"T\"}, \"types\": [\"form.*\", \"x.y\"]}}}",
		(const char *[]){"services.shop.types=order.*", NULL}, (const char *[]){"T=abcdefghijklmnop", NULL});
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.config->service_count, 2);
	const struct service_config *shop = &loaded.config->services[0], *forms = &loaded.config->services[1];
	cr_assert_str_eq(shop->name, "shop");
	cr_assert_str_eq(shop->token, "0123456789abcde=");
	cr_assert_eq(shop->type_count, 1);
	cr_assert_str_eq(shop->types[0], "order.*");
	cr_assert_str_eq(forms->token, "abcdefghijklmnop");
	cr_assert_eq(forms->type_count, 2);
	unload(&loaded);
	loaded = load("{\"services\": {\"shop\": {\"token\": \"0123456789abcdef\"}}}", NULL, NULL);
	cr_assert_str_eq(loaded.config->services[0].types[0], "*");
	unload(&loaded);
}

#define TOKEN "\"token\": \"0123456789abcdef\""

Test(options_targets, wrong_services)
{
	static const struct {
		const char *services, *path, *part;
	} rows[] = {
		{"\"a\": {}", "services.a.token", "is missing"},
		{"\"a\": 5", "services.a", "must be an object"},
		{"\"A\": {" TOKEN "}", "services.A", "a name of a service is"},
		{"\"a\": {\"token\": \"0123456789abcde\"}", "services.a.token", "16 bytes at least"},
		{"\"a\": {\"token\": \"0123456789abcde hunter2\"}", "services.a.token", "must consist of letters"},
		{"\"a\": {" TOKEN ", \"types\": [\"us*er\"]}", "services.a.types", "is no event type"},
		{"\"a\": {" TOKEN ", \"typs\": []}", "services.a.typs", "did you mean \"types\"?"},
		{"\"a\": {" TOKEN "}, \"b\": {" TOKEN "}", "services.b.token", "is the token of a too"},
	};
	char text[512];
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		(void)snprintf(text, sizeof text, "{\"services\": {%s}}", rows[i].services);
		expect_error(text, rows[i].path, rows[i].part);
	}
	expect_error("{\"services\": []}", "services", "must be objects by name");
	expect_setting_error("services.a.tokn=x", "services.a.tokn", "did you mean services.a.token?");
	static char many[8192];
	size_t used = (size_t)snprintf(many, sizeof many, "{\"services\": {");
	for (int i = 0; i <= LIMIT_SERVICES; i++)
		used += (size_t)snprintf(many + used, sizeof many - used,
			"%s\"s%d\": {\"token\": \"0123456789abcd%02d\"}", i ? "," : "", i, i);
	(void)snprintf(many + used, sizeof many - used, "}}");
	expect_error(many, "services", "there are 33, at most 32");
}
