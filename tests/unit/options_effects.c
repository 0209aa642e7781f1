/*
 * The map of effects: its options, and what goes with what.
 */
#include "config/endpoint.h"
#include "tests/unit/options_fixture.h"

#define CRM	"\"type\": \"crm\", \"on\": [\"user.login\"], \"url\": \"http://a/\""
#define DURABLE ", \"delivery\": \"durable\""
#define MAIL                                                                                                           \
	"\"type\": \"email\", \"on\": [\"*\"], \"delivery\": \"durable\", \"url\": \"smtp://a:25\", \"template\": "    \
	"\"/tmp\""
#define FROM ", \"from\": \"auth@example.com\""

#define OAUTH "\"type\": \"oauth2\", \"token_url\": \"https://a/token\", \"client_id\": \"c\""

/* One effect "x" with these members. */
static const char *effect(const char *members)
{
	static char text[2048];
	(void)snprintf(text, sizeof text, "{\"effects\": {\"x\": {%s}}}", members);
	return text;
}

Test(options_effects, defaults)
{
	struct loaded loaded = load(effect(CRM DURABLE), NULL, NULL);
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.config->effect_count, 1);
	const struct effect_config *x = &loaded.config->effects[0];
	cr_assert_str_eq(x->name, "x");
	cr_assert_str_eq(x->type, "crm");
	cr_assert_null(x->format);
	cr_assert_eq(x->on_count, 1);
	cr_assert_str_eq(x->on[0], "user.login");
	cr_assert_eq(x->delivery, DELIVERY_DURABLE);
	cr_assert_eq(x->on_full, ON_FULL_DROP);
	cr_assert_eq(x->on_failure, ON_FAILURE_ANSWER);
	cr_assert_str_eq(x->url, "http://a/");
	cr_assert_null(x->ca);
	cr_assert_eq(x->secret_count, 0);
	cr_assert_eq(x->to_count, 0);
	cr_assert_null(x->list_unsubscribe);
	cr_assert_null(x->text);
	cr_assert_eq(x->auth.type, AUTH_NONE);
	cr_assert_eq(x->timeout_ms, 10000);
	cr_assert_eq(x->connect_timeout_ms, 3000);
	cr_assert_eq(x->max_in_flight, 64);
	cr_assert_eq(x->max_pending, 1000000);
	cr_assert_eq(x->retry.max_attempts, 20);
	cr_assert_eq(x->retry.first_ms, 1000);
	cr_assert_eq(x->retry.cap_ms, 3600000);
	cr_assert_eq(x->retry.max_age_ms, 3 * 86400000);
	cr_assert_eq(x->breaker.failures, 5);
	cr_assert_eq(x->breaker.open_for_ms, 10000);
	cr_assert_eq(x->breaker.failure_share, 50);
	cr_assert_eq(x->breaker.window_ms, 30000);
	cr_assert_eq(x->breaker.window_min, 20);
	cr_assert_eq(x->rate.per_second, 0);
	cr_assert_eq(x->rate.burst, 1);
	cr_assert_str_eq(x->effect, "x");
	cr_assert_null(x->target);
	cr_assert_not(x->starttls);
	unload(&loaded);
}

Test(options_effects, every_option_reaches_its_field)
{
	struct loaded loaded = load(
		effect(CRM
			", \"delivery\": \"inline\", \"on_failure\": \"reject\", \"format\": \"json\","
			"\"ca\": \"/dev/null\", \"secret\": \"s\", \"timeout\": \"1s\", \"connect_timeout\": \"2ms\","
			"\"max_in_flight\": 3, \"max_pending\": 4,"
			"\"retry\": {\"max_attempts\": 5, \"first\": \"6ms\", \"cap\": \"7ms\", \"max_age\": \"8s\"},"
			"\"breaker\": {\"failures\": 9, \"open_for\": \"10ms\", \"failure_share\": 11,"
			"\"window\": \"120ms\", \"window_min\": 13}, \"rate\": {\"per_second\": 14, \"burst\": 15},"
			"\"auth\": {\"type\": \"header\", \"name\": \"X-Key\", \"value\": \"v\"}"),
		NULL, NULL);
	cr_assert_eq(loaded.err, 0);
	const struct effect_config *x = &loaded.config->effects[0];
	cr_assert_eq(x->delivery, DELIVERY_INLINE);
	cr_assert_eq(x->on_failure, ON_FAILURE_REJECT);
	cr_assert_str_eq(x->format, "json");
	cr_assert_str_eq(x->ca, "/dev/null");
	cr_assert_eq(x->secret_count, 1);
	cr_assert_str_eq(x->secrets[0], "s");
	cr_assert_eq(x->timeout_ms, 1000);
	cr_assert_eq(x->connect_timeout_ms, 2);
	cr_assert_eq(x->max_in_flight, 3);
	cr_assert_eq(x->max_pending, 4);
	cr_assert_eq(x->retry.max_attempts, 5);
	cr_assert_eq(x->retry.first_ms, 6);
	cr_assert_eq(x->retry.cap_ms, 7);
	cr_assert_eq(x->retry.max_age_ms, 8000);
	cr_assert_eq(x->breaker.failures, 9);
	cr_assert_eq(x->breaker.open_for_ms, 10);
	cr_assert_eq(x->breaker.failure_share, 11);
	cr_assert_eq(x->breaker.window_ms, 120);
	cr_assert_eq(x->breaker.window_min, 13);
	cr_assert_eq(x->rate.per_second, 14);
	cr_assert_eq(x->rate.burst, 15);
	cr_assert_eq(x->auth.type, AUTH_HEADER);
	cr_assert_str_eq(x->auth.name, "X-Key");
	cr_assert_str_eq(x->auth.value, "v");
	unload(&loaded);
	loaded = load(effect(MAIL FROM ", \"to\": \"bob@example.com\", \"starttls\": true,"
				       "\"auth\": {\"type\": \"basic\", \"username\": \"u\", \"password\": \"\"}"),
		NULL, NULL);
	cr_assert_eq(loaded.err, 0);
	x = &loaded.config->effects[0];
	cr_assert_str_eq(x->from, "auth@example.com");
	cr_assert_eq(x->to_count, 1);
	cr_assert_str_eq(x->to[0], "bob@example.com");
	cr_assert_str_eq(x->template_dir, "/tmp");
	cr_assert(x->starttls);
	cr_assert_eq(x->auth.type, AUTH_BASIC);
	cr_assert_str_eq(x->auth.username, "u");
	cr_assert_str_eq(x->auth.password, "");
	unload(&loaded);
}

Test(options_effects, environment_and_settings_reach_into_one)
{
	const char *environment[] = {"TOKENFIRST_EFFECTS__X__URL=http://b/", "TOKENFIRST_EFFECTS__X__RETRY__MAX_AGE=5s",
		"TOKENFIRST_EFFECTS__A___URL=http://c/", NULL};
	const char *settings[] = {"effects.x.delivery=inline", "effects.x.on=user.login,user.logout",
		"effects.a_.type=bus", "effects.a_.on=[\"*\"]", "effects.a_.delivery=durable",
		"effects.a_.auth.type=bearer", "effects.a_.auth.token={\"env\": \"as is\"}", NULL};
	struct loaded loaded = load(effect(CRM DURABLE), settings, environment);
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.config->effect_count, 2);
	const struct effect_config *x = &loaded.config->effects[0], *a = &loaded.config->effects[1];
	cr_assert_str_eq(x->url, "http://b/");
	cr_assert_eq(x->retry.max_age_ms, 5000);
	cr_assert_eq(x->delivery, DELIVERY_INLINE);
	cr_assert_eq(x->on_count, 2);
	cr_assert_str_eq(x->on[1], "user.logout");
	cr_assert_str_eq(a->name, "a_");
	cr_assert_str_eq(a->url, "http://c/");
	cr_assert_str_eq(a->auth.token, "{\"env\": \"as is\"}");
	unload(&loaded);
}

Test(options_effects, what_is_missing)
{
	struct loaded loaded = load("{\"effects\": {\"x\": {}}}", NULL, NULL);
	cr_assert_eq(loaded.errors.count, 4);
	cr_assert_not_null(find(&loaded.errors, "effects.x.type", "is missing"));
	cr_assert_not_null(find(&loaded.errors, "effects.x.on", "is missing"));
	cr_assert_not_null(find(&loaded.errors, "effects.x.delivery", "is missing"));
	cr_assert_not_null(find(&loaded.errors, "effects.x.url", "is missing"));
	unload(&loaded);
	expect_error("{\"effects\": {\"x\": 5}}", "effects.x", "must be an object");
	expect_error(effect(MAIL), "effects.x.from", "is missing");
}

Test(options_effects, names)
{
	static const char *const wrong[] = {
		"", "X", "1x", "_x", "a-b", "a__b", "a b", "\xc3\xbc", "a2345678901234567890123456789012345678901"};
	char text[256];
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		char path[128];
		(void)snprintf(text, sizeof text, "{\"effects\": {\"%s\": {" CRM DURABLE "}}}", wrong[i]);
		(void)snprintf(path, sizeof path, "effects.%s", wrong[i]);
		expect_error(text, path, "a name of an effect is");
	}
	expect_fine("{\"effects\": {\"a234567890123456789012345678901234567890\": {" CRM DURABLE "}}}");
	expect_fine("{\"effects\": {\"a_1_b\": {" CRM DURABLE "}}}");
}

Test(options_effects, at_most_so_many)
{
	static char text[16384];
	for (int count = LIMIT_EFFECTS; count <= LIMIT_EFFECTS + 1; count++) {
		size_t used = (size_t)snprintf(text, sizeof text, "{\"effects\": {");
		for (int i = 0; i < count; i++)
			used += (size_t)snprintf(
				text + used, sizeof text - used, "%s\"e%d\": {" CRM DURABLE "}", i ? "," : "", i);
		(void)snprintf(text + used, sizeof text - used, "}}");
		if (count == LIMIT_EFFECTS)
			expect_fine(text);
		else
			expect_error(text, "effects", "at most 32");
	}
}

Test(options_effects, unknown_words)
{
	expect_error(effect("\"type\": \"mail\", \"on\": [\"*\"], \"url\": \"http://a/\"" DURABLE), "effects.x.type",
		"must be one of \"email\", \"analytics\", \"crm\", \"bus\", \"webhook\", \"chat\", not \"mail\"");
	expect_error(effect(CRM DURABLE ", \"format\": \"segment\""), "effects.x.format",
		"crm knows \"hubspot\", \"salesforce\", \"json\"");
	expect_error(effect(MAIL FROM ", \"format\": \"json\""), "effects.x.format", "email has no formats");
	expect_error(effect(CRM ", \"delivery\": \"later\""), "effects.x.delivery", "not \"later\"");
	expect_error(effect(CRM DURABLE ", \"retrys\": 1"), "effects.x.retrys", "did you mean \"retry\"?");
	expect_error(effect(CRM DURABLE ", \"retry\": {\"max_ages\": 1}"), "effects.x.retry.max_ages", "max_age");
}

#define TOO_LONG "a234567890123456789012345678901234567890123456789012345678901234x"

/* A pattern that no event can have is a mistake, and its effect would never come. */
Test(options_effects, event_patterns)
{
	static const char *const right[] = {"*", "user.*", "user.login", "order.created_2", "a.b.*", "x"};
	static const char *const wrong[] = {"user*", "*.login", "user.*.x", ".x", "x.", "a..b", "a b", "user.**", "**",
		"us*er", "user.", ".", "Order.paid", "order.Paid", "order-paid", "order.2", "_x", "x._y", TOO_LONG};
	char text[256];
	for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
		(void)snprintf(text, sizeof text, "\"type\": \"crm\", \"url\": \"http://a/\", \"on\": [\"%s\"]" DURABLE,
			right[i]);
		expect_fine(effect(text));
	}
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		(void)snprintf(text, sizeof text, "\"type\": \"crm\", \"url\": \"http://a/\", \"on\": [\"%s\"]" DURABLE,
			wrong[i]);
		expect_error(effect(text), "effects.x.on", "is no event type");
	}
	static const char other[] = "\"type\": \"crm\", \"url\": \"http://a/\"" DURABLE ", \"on\": ";
	static const char *const lists[] = {"[]", "\"user.login\"", "5"};
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		(void)snprintf(text, sizeof text, "%s%s", other, lists[i]);
		expect_error(effect(text), "effects.x.on", "must be a list of 1 to 32 texts");
	}
	(void)snprintf(text, sizeof text, "%s[\"\"]", other);
	expect_error(effect(text), "effects.x.on", "must not be empty");
	(void)snprintf(text, sizeof text, "%s[5]", other);
	expect_error(effect(text), "effects.x.on", "not 5");
}

Test(options_effects, wants)
{
	char *patterns[] = {"user.login", "order.*"};
	struct effect_config x = {.on = patterns, .on_count = 2};
	cr_assert(effect_config_wants(&x, "user.login"));
	cr_assert(effect_config_wants(&x, "order.created"));
	cr_assert(effect_config_wants(&x, "order.item.added"));
	cr_assert_not(effect_config_wants(&x, "user.login2"));
	cr_assert_not(effect_config_wants(&x, "user.logi"));
	cr_assert_not(effect_config_wants(&x, "order"));
	cr_assert_not(effect_config_wants(&x, "orders.created"));
	patterns[0] = "*";
	cr_assert(effect_config_wants(&x, "anything"));
	x.on_count = 0;
	cr_assert_not(effect_config_wants(&x, "anything"));
	cr_assert_str_eq(delivery_text(DELIVERY_INLINE), "inline");
	cr_assert_str_eq(delivery_text(DELIVERY_FIRE_AND_FORGET), "fire_and_forget");
	cr_assert_str_eq(delivery_text(DELIVERY_DURABLE), "durable");
}

Test(options_effects, options_of_one_delivery)
{
	expect_error(effect(CRM DURABLE ", \"on_full\": \"drop\""), "effects.x.on_full",
		"is for delivery \"fire_and_forget\" only");
	expect_error(effect(CRM DURABLE ", \"on_failure\": \"answer\""), "effects.x.on_failure",
		"is for delivery \"inline\" only");
	expect_fine(effect(CRM ", \"delivery\": \"fire_and_forget\", \"on_full\": \"spill\""));
	expect_fine(effect(CRM ", \"delivery\": \"inline\", \"on_failure\": \"reject\""));
}

Test(options_effects, a_delivery_replaced_from_outside_only_warns)
{
	const char *settings[] = {"effects.x.delivery=inline", NULL};
	struct loaded loaded =
		load(effect(CRM ", \"delivery\": \"fire_and_forget\", \"on_full\": \"drop\""), settings, NULL);
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.warnings.count, 1);
	cr_assert_not_null(find(&loaded.warnings, "effects.x.on_full", "says nothing now"));
	unload(&loaded);
	const char *both[] = {"effects.x.delivery=inline", "effects.x.on_full=drop", NULL};
	loaded = load(effect(CRM DURABLE), both, NULL);
	cr_assert_not_null(find(&loaded.errors, "effects.x.on_full", "only"));
	unload(&loaded);
}

Test(options_effects, authorization)
{
	static const struct {
		const char *auth, *path, *part;
	} wrong[] = {
		{"{}", "effects.x.auth.type", "is missing"},
		{"{\"token\": \"t\"}", "effects.x.auth.type", "is missing"},
		{"{\"type\": \"digest\"}", "effects.x.auth.type", "must be one of"},
		{"{\"type\": \"bearer\"}", "effects.x.auth.token", "is missing: auth \"bearer\" needs it"},
		{"{\"type\": \"basic\", \"username\": \"u\"}", "effects.x.auth.password", "is missing"},
		{"{\"type\": \"header\", \"name\": \"X-A\"}", "effects.x.auth.value", "is missing"},
		{"{\"type\": \"bearer\", \"token\": \"t\", \"name\": \"X\"}", "effects.x.auth.name",
			"is for auth \"header\""},
		{"{\"type\": \"header\", \"name\": \"X A\", \"value\": \"v\"}", "effects.x.auth.name",
			"name of a header"},
		{"{\"type\": \"header\", \"name\": \"X:\", \"value\": \"v\"}", "effects.x.auth.name",
			"name of a header"},
		{"{\"type\": \"header\", \"name\": \"host\", \"value\": \"v\"}", "effects.x.auth.name", "have already"},
		{"{\"type\": \"header\", \"name\": \"X\", \"value\": \"v\\r\\nEvil: 1\"}", "effects.x.auth.value",
			"control characters"},
		{"{\"type\": \"bearer\", \"token\": \"t\\n\"}", "effects.x.auth.token", "control characters"},
		{"{\"type\": \"basic\", \"username\": \"a:b\", \"password\": \"p\"}", "effects.x.auth.username",
			"a colon"},
		{"\"bearer\"", "effects.x.auth", "must be an object"},
		{"{" OAUTH "}", "effects.x.auth.client_secret", "is missing: auth \"oauth2\" needs it"},
		{"{" OAUTH ", \"client_secret\": \"s\", \"scope\": \"a  b\"}", "effects.x.auth.scope",
			"one blank between"},
		{"{\"type\": \"none\", \"scope\": \"a\"}", "effects.x.auth.scope", "is for auth \"oauth2\" only"},
		{"{\"type\": \"none\", \"client_id\": \"a\"}", "effects.x.auth.client_id", "is for auth \"oauth2\""},
	};
	char text[512];
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		(void)snprintf(text, sizeof text, CRM DURABLE ", \"auth\": %s", wrong[i].auth);
		struct loaded loaded = load(effect(text), NULL, NULL);
		if (!find(&loaded.errors, wrong[i].path, wrong[i].part))
			print_all(&loaded);
		cr_assert_not_null(find(&loaded.errors, wrong[i].path, wrong[i].part), "%s", wrong[i].auth);
		cr_assert_eq(loaded.errors.count, 1, "%s", wrong[i].auth);
		unload(&loaded);
	}
	expect_error(effect(MAIL FROM ", \"auth\": {\"type\": \"bearer\", \"token\": \"t\"}"), "effects.x.auth.type",
		"must be basic");
	expect_fine(effect(CRM DURABLE ", \"auth\": {\"type\": \"none\"}"));
}

Test(options_effects, oauth2)
{
	static const char *const wrong[] = {"http://example.com/", "http://128.0.0.1/", "http://127.example.com/",
		"http://[::2]/", "ftp://127.0.0.1/", "https://u:p@a/"};
	static const char *const right[] = {"https://a/t?x=1", "http://127.0.0.1:80/", "http://127.8.9.1/",
		"http://localhost/t", "http://[::1]:8/"};
	static const char *const bad_scopes[] = {"", " a", "a ", "a  b", "a\"b", "a\\b", "\xc3\xbc", "a\tb"};
	struct loaded loaded = load(effect(CRM DURABLE ", \"auth\": {" OAUTH ", \"client_secret\": \"s\","
						       "\"scope\": \"api refresh\"}"),
		NULL, NULL);
	cr_assert_eq(loaded.err, 0);
	const struct auth_config *auth = &loaded.config->effects[0].auth;
	cr_assert_eq(auth->type, AUTH_OAUTH2);
	cr_assert_str_eq(auth->token_url, "https://a/token");
	cr_assert_str_eq(auth->client_id, "c");
	cr_assert_str_eq(auth->client_secret, "s");
	cr_assert_str_eq(auth->scope, "api refresh");
	unload(&loaded);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		cr_assert_not_null(token_url_fault(wrong[i]), "%s", wrong[i]);
	for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
		cr_assert_null(token_url_fault(right[i]), "%s", right[i]);
	for (size_t i = 0; i < sizeof bad_scopes / sizeof bad_scopes[0]; i++)
		cr_assert_not_null(scope_fault(bad_scopes[i]), "%s", bad_scopes[i]);
	cr_assert_null(scope_fault("a"));
	cr_assert_null(scope_fault("https://a/b.c !#[]~"));
	expect_error(effect(CRM DURABLE ", \"auth\": {\"type\": \"oauth2\", \"token_url\": \"http://b/\","
					"\"client_id\": \"c\", \"client_secret\": \"s\"}"),
		"effects.x.auth.token_url", "must begin with https://");
}

Test(options_effects, rates)
{
	struct loaded loaded = load(effect(CRM DURABLE ", \"rate\": {\"per_second\": 7}"), NULL, NULL);
	cr_assert_eq(loaded.config->effects[0].rate.burst, 7, "as many as per second");
	unload(&loaded);
	const char *off[] = {"effects.x.rate.per_second=0", NULL};
	loaded = load(effect(CRM DURABLE ", \"rate\": {\"per_second\": 7, \"burst\": 3}"), off, NULL);
	cr_assert_eq(loaded.err, 0, "a rate can be switched off from outside");
	cr_assert_eq(loaded.config->effects[0].rate.per_second, 0);
	unload(&loaded);
	expect_error(effect(CRM DURABLE ", \"rate\": {\"burst\": 3}"), "effects.x.rate.per_second", "is missing");
	expect_error(effect(CRM DURABLE ", \"rate\": {\"per_second\": -1}"), "effects.x.rate.per_second", "0 to");
	expect_error(
		effect(CRM DURABLE ", \"rate\": {\"per_second\": 1, \"burst\": 0}"), "effects.x.rate.burst", "1 to");
	expect_error(effect(CRM DURABLE ", \"breaker\": {\"failure_share\": 101}"), "effects.x.breaker.failure_share",
		"percent from 0 to 100");
}

Test(options_effects, defaults_that_suit_the_type)
{
	static const char chat[] = "\"type\": \"chat\", \"on\": [\"*\"], \"url\": \"http://a/\"" DURABLE;
	struct loaded loaded = load(effect(chat), NULL, NULL);
	cr_assert_eq(loaded.config->effects[0].retry.max_attempts, 8);
	cr_assert_eq(loaded.config->effects[0].retry.max_age_ms, 3600000);
	cr_assert_eq(loaded.config->effects[0].retry.first_ms, 1000);
	unload(&loaded);
	const char *settings[] = {"effects.x.retry.max_attempts=20", NULL};
	loaded = load(effect(chat), settings, NULL);
	cr_assert_eq(loaded.config->effects[0].retry.max_attempts, 20, "what is said counts, the rows' default too");
	cr_assert_eq(loaded.config->effects[0].retry.max_age_ms, 3600000);
	unload(&loaded);
	loaded = load(effect(MAIL FROM), NULL, NULL);
	cr_assert_eq(loaded.config->effects[0].retry.first_ms, 30000);
	cr_assert_eq(loaded.config->effects[0].retry.max_age_ms, 2 * 86400000);
	unload(&loaded);
	const char *type[] = {"effects.x.type=analytics", NULL};
	loaded = load(effect(CRM DURABLE), type, NULL);
	cr_assert_eq(loaded.config->effects[0].retry.max_age_ms, 86400000);
	unload(&loaded);
}

Test(options_effects, no_secret_is_repeated)
{
	static const char text[] = CRM DURABLE ", \"secret\": [[\"hunter2\"]], \"auth\": {\"type\": \"bearer\","
					       "\"token\": {\"hunter2\": \"hunter2\"}, \"value\": \"hunter2\"}";
	struct loaded loaded = load(effect(text), NULL, NULL);
	cr_assert_geq(loaded.errors.count, 3);
	for (size_t i = 0; i < loaded.errors.count; i++)
		cr_assert_null(strstr(loaded.errors.items[i].message, "hunter2"), "%s", loaded.errors.items[i].message);
	unload(&loaded);
	const char *settings[] = {"effects.x.auth.token=hunter2\n", "effects.x.url=http://hunter2:hunter2@a/", NULL};
	loaded = load(effect(CRM DURABLE ", \"auth\": {\"type\": \"bearer\"}"), settings, NULL);
	cr_assert_eq(loaded.errors.count, 2);
	for (size_t i = 0; i < loaded.errors.count; i++)
		cr_assert_null(strstr(loaded.errors.items[i].message, "hunter2"), "%s", loaded.errors.items[i].message);
	unload(&loaded);
}

Test(options_effects, mail_options)
{
	expect_error(effect(CRM DURABLE FROM), "effects.x.from", "of type email only");
	expect_error(effect(CRM DURABLE ", \"template\": \"/tmp\""), "effects.x.template", "of type email only");
	expect_error(effect(CRM DURABLE ", \"starttls\": false"), "effects.x.starttls", "of type email only");
	expect_error(effect(MAIL FROM ", \"secret\": \"s\""), "effects.x.secret", "HTTP effects only");
	expect_error(effect(MAIL ", \"from\": \"a@b\\r\\nRCPT TO:<c@d>\""), "effects.x.from", "control characters");
	expect_fine(effect(MAIL ", \"from\": \"Auth, Inc. <a@b>\""));
	expect_error(effect(MAIL ", \"from\": \"Auth <a b@c>\""), "effects.x.from", "plain ASCII address");
	expect_error(effect(MAIL ", \"from\": \"Auth <>\""), "effects.x.from", "name@host");
	expect_error(effect(MAIL ", \"from\": \"<a@b>\""), "effects.x.from", "plain ASCII address");
	expect_error(effect(CRM DURABLE ", \"list_unsubscribe\": \"mailto:a@b\""), "effects.x.list_unsubscribe",
		"of type email only");
	expect_fine(effect(MAIL FROM ", \"list_unsubscribe\": \"mailto:a@b?subject={{user.id}}\""));
	expect_error(effect(MAIL FROM ", \"list_unsubscribe\": \"http://a/\""), "effects.x.list_unsubscribe",
		"must begin with https:// or mailto:");
	expect_error(effect(MAIL FROM ", \"list_unsubscribe\": \"https://a/\xc3\xa4\""), "effects.x.list_unsubscribe",
		"write them as %XX");
	expect_error(effect(MAIL FROM ", \"list_unsubscribe\": \"https://a/> <b\""), "effects.x.list_unsubscribe",
		"must not contain");
	expect_error(effect(MAIL FROM ", \"to\": \"nobody\""), "effects.x.to", "name@host");
	expect_error(
		effect("\"type\": \"email\", \"on\": [\"*\"], \"url\": \"smtp://a\", \"template\": \"/nowhere\"" DURABLE
				FROM),
		"effects.x.template", "the folder /nowhere can't be read: No such file or directory");
	expect_error(effect(CRM DURABLE ", \"ca\": \"/nowhere/ca.pem\""), "effects.x.ca", "can't be read");
}

Test(options_effects, one_recipient_or_several)
{
	char text[1024];
	struct loaded loaded = load(effect(MAIL FROM ", \"to\": [\"a@b\", \"{{customer.email}}\"]"), NULL, NULL);
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.config->effects[0].to_count, 2);
	cr_assert_str_eq(loaded.config->effects[0].to[1], "{{customer.email}}");
	unload(&loaded);
	const char *settings[] = {"effects.x.to=a@b,c@d", NULL};
	loaded = load(effect(MAIL FROM), settings, NULL);
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.config->effects[0].to_count, 2);
	cr_assert_str_eq(loaded.config->effects[0].to[1], "c@d");
	unload(&loaded);
	expect_error(effect(MAIL FROM ", \"to\": []"), "effects.x.to", "must be a text or a list of 1 to 32 texts");
	expect_error(effect(MAIL FROM ", \"to\": 5"), "effects.x.to", "must be a text or a list");
	expect_error(effect(MAIL FROM ", \"to\": [\"a@b\", \"nobody\"]"), "effects.x.to", "name@host");
	expect_error(effect(MAIL FROM ", \"to\": [\"a@b\", \"c@d\", \"a@b\"]"), "effects.x.to", "is there twice");
	size_t used = (size_t)snprintf(text, sizeof text, MAIL FROM ", \"to\": [\"a@b\"");
	for (int i = 0; i < LIMIT_RECIPIENTS; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, ", \"a%d@b\"", i);
	(void)snprintf(text + used, sizeof text - used, "]");
	expect_error(effect(text), "effects.x.to", "list of 1 to 32");
}

#define HOOK "\"type\": \"webhook\", \"on\": [\"*\"], \"url\": \"http://a/\"" DURABLE
#define LONG "a secret of 24 bytes, or more"

Test(options_effects, one_secret_or_several)
{
	const char *environment[] = {"OLD=" LONG ", before", NULL};
	struct loaded loaded = load(effect(HOOK ", \"secret\": [\"" LONG "\", {\"env\": \"OLD\"}]"), NULL, environment);
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.warnings.count, 0);
	cr_assert_eq(loaded.config->effects[0].secret_count, 2);
	cr_assert_str_eq(loaded.config->effects[0].secrets[0], LONG);
	cr_assert_str_eq(loaded.config->effects[0].secrets[1], LONG ", before");
	unload(&loaded);
	loaded = load(effect(HOOK ", \"secret\": {\"env\": \"OLD\"}"), NULL, environment);
	cr_assert_eq(loaded.config->effects[0].secret_count, 1);
	unload(&loaded);
	/* from a command line a secret is one, commas and all; a JSON list is a list */
	const char *settings[] = {"effects.x.secret=" LONG ", too", NULL};
	loaded = load(effect(HOOK), settings, NULL);
	cr_assert_eq(loaded.config->effects[0].secret_count, 1);
	cr_assert_str_eq(loaded.config->effects[0].secrets[0], LONG ", too");
	unload(&loaded);
	settings[0] = "effects.x.secret=[\"" LONG "\",\"" LONG "2\"]";
	loaded = load(effect(HOOK), settings, NULL);
	cr_assert_eq(loaded.config->effects[0].secret_count, 2);
	unload(&loaded);
	expect_error(effect(HOOK ", \"secret\": [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]"),
		"effects.x.secret", "list of 1 to 8");
}

Test(options_effects, a_webhook_is_signed)
{
	static const char *const weak[] = {"short", "whsec_c2hvcnQ="};
	char text[512];

	expect_error(effect(HOOK), "effects.x.secret", "is missing: a webhook is signed");
	for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++) {
		(void)snprintf(text, sizeof text, HOOK ", \"secret\": \"%s\"", weak[i]);
		struct loaded loaded = load(effect(text), NULL, NULL);
		cr_assert_eq(loaded.err, 0);
		cr_assert_eq(loaded.warnings.count, 1);
		cr_assert_not_null(find(&loaded.warnings, "effects.x.secret", "shorter than the 24 bytes"));
		unload(&loaded);
	}
	expect_fine(effect(HOOK ", \"secret\": \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\""));
}

Test(options_effects, text_is_for_chat)
{
	static const char chat[] = "\"type\": \"chat\", \"on\": [\"*\"], \"url\": \"http://a/\"" DURABLE;
	char text[512];

	(void)snprintf(text, sizeof text, "%s, \"text\": \"{{event.type}}\"", chat);
	struct loaded loaded = load(effect(text), NULL, NULL);
	cr_assert_eq(loaded.err, 0);
	cr_assert_str_eq(loaded.config->effects[0].text, "{{event.type}}");
	unload(&loaded);
	expect_error(effect(CRM DURABLE ", \"text\": \"x\""), "effects.x.text", "of type chat only");
}

Test(options_effects, urls)
{
	static const struct {
		const char *url;
		enum url_kind kind;
		const char *part; /* NULL: fine */
	} rows[] = {
		{"http://a", URL_HTTP, NULL},
		{"https://a.example.com:8443/path?query=1", URL_HTTP, NULL},
		{"HTTPS://[::1]:80/", URL_HTTP, NULL},
		{"ftp://a/", URL_HTTP, "http://"},
		{"smtp://a/", URL_HTTP, "http://"},
		{"file:///etc/passwd", URL_HTTP, "http://"},
		{"gopher2://a", URL_HTTP, "http://"},
		{"a.example.com/x", URL_HTTP, "http://"},
		{"http://", URL_HTTP, ""},
		{"http://a:99999/", URL_HTTP, ""},
		{"http://a:0/", URL_HTTP, "port 0"},
		{"http://a b/", URL_HTTP, ""},
		{"http://user:pw@a/", URL_HTTP, "auth"},
		{"http://user@a/", URL_HTTP, "auth"},
		{"http://a/#x", URL_HTTP, "fragment"},
		{"http://a/?x", URL_PUBLIC, "query"},
		{"http://a/base", URL_PUBLIC, NULL},
		{"smtp://a:25", URL_MAIL, NULL},
		{"smtps://a", URL_MAIL, NULL},
		{"http://a", URL_MAIL, "smtp://"},
		{"smtp://a/x", URL_MAIL, "path"},
		{"smtp://u:p@a", URL_MAIL, "auth"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *fault = url_fault(rows[i].url, rows[i].kind);
		cr_assert_eq(!fault, !rows[i].part, "%s: %s", rows[i].url, fault ? fault : "fine");
		if (fault)
			cr_assert_not_null(strstr(fault, rows[i].part), "%s: %s", rows[i].url, fault);
	}
	expect_error(effect("\"type\": \"crm\", \"on\": [\"*\"], \"url\": \"smtp://a\"" DURABLE), "effects.x.url",
		"http://");
	expect_error(effect("\"type\": \"crm\", \"on\": [\"*\"], \"url\": \"http://a/\\r\\nX: y\"" DURABLE),
		"effects.x.url", "control characters");
}

Test(options_effects, addresses)
{
	static const char *const listen[] = {"127.0.0.1:0", "localhost:65535", "[::1]:8080", "[::]:1", "a.b-c_d:80"};
	static const char *const no_listen[] = {"8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
		"127.0.0.1:-1", "127.0.0.1:8080x", "127.0.0.1:000080", "::1:8080", "[::1]", "[::1:8080",
		"[localhost]:80", "[]:80", "a b:80", "*:80", "http://a:80", "["};
	static const char *const mail[] = {"a@b", "alice+x@example.com", "o'neil@example.co.uk"};
	static const char *const no_mail[] = {
		"", "a", "@b", "a@", "a@b@c", "a b@c", "<a@b>", "a@b,c@d", "a@b\n", "\"a\"@b", "\xc3\xbc@b", "a@b;c"};
	for (size_t i = 0; i < sizeof listen / sizeof listen[0]; i++)
		cr_assert_null(listen_fault(listen[i]), "%s", listen[i]);
	for (size_t i = 0; i < sizeof no_listen / sizeof no_listen[0]; i++)
		cr_assert_not_null(listen_fault(no_listen[i]), "%s", no_listen[i]);
	for (size_t i = 0; i < sizeof mail / sizeof mail[0]; i++)
		cr_assert_null(mail_address_fault(mail[i]), "%s", mail[i]);
	for (size_t i = 0; i < sizeof no_mail / sizeof no_mail[0]; i++)
		cr_assert_not_null(mail_address_fault(no_mail[i]), "%s", no_mail[i]);
}

Test(options_effects, server_rules)
{
	expect_error("{\"listen\": \"8080\"}", "listen", "HOST:PORT");
	expect_error("{\"ops\": {\"listen\": \"::1:80\"}}", "ops.listen", "in brackets");
	expect_error("{\"listen\": \"a:1\", \"ops\": {\"listen\": \"a:1\"}}", "ops.listen", "must differ");
	expect_fine("{\"listen\": \"a:0\", \"ops\": {\"listen\": \"a:0\"}}");
	expect_error("{\"public_url\": \"https://a/?b=c\"}", "public_url", "query");
	expect_error("{\"store\": \"postgres://a\"}", "store", "must be sqlite:PATH");
	expect_error("{\"store\": \"sqlite:\"}", "store", "must be sqlite:PATH");
	expect_error("{\"tls\": {\"certificate\": \"/dev/null\"}}", "tls.key", "it goes with tls.certificate");
	expect_error("{\"tls\": {\"key\": \"/dev/null\"}}", "tls.certificate", "it goes with tls.key");
	expect_error("{\"tls\": {\"key\": \"/dev/null\", \"certificate\": \"/nowhere/x\"}}", "tls.certificate",
		"the file /nowhere/x can't be read");
	expect_error("{\"tls\": {\"key\": \"/tmp\", \"certificate\": \"/dev/null\"}}", "tls.key", "Is a directory");
	expect_fine("{\"tls\": {\"key\": \"/dev/null\", \"certificate\": \"/dev/null\"}}");
}
