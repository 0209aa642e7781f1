/*
 * Where values come from: defaults, file, environment, --set; types and ranges.
 */
#include "tests/unit/options_fixture.h"

Test(options_load, defaults)
{
	struct loaded loaded = load(NULL, NULL, NULL);
	const struct config *config = loaded.config;
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.warnings.count, 0);
	cr_assert_str_eq(config->listen, "127.0.0.1:8080");
	cr_assert_str_eq(config->store, "sqlite:var/tokenfirst.db");
	cr_assert_str_eq(config->public_url, "http://127.0.0.1:8080");
	cr_assert_eq(config->password.memory_kib, 19456);
	cr_assert_eq(config->password.passes, 2);
	cr_assert_eq(config->password.queue, 256);
	cr_assert_eq(config->password.queue_timeout_ms, 2000);
	cr_assert_eq(config->token.alg, TOKEN_EDDSA);
	cr_assert_str_eq(config->token.issuer, config->public_url);
	cr_assert_str_eq(config->token.audience, "app");
	cr_assert_eq(config->token.access_ttl_ms, 900000);
	cr_assert_eq(config->token.refresh_ttl_ms, 2592000000);
	cr_assert_eq(config->background.workers, 2);
	cr_assert_eq(config->background.drain_ms, 25000);
	cr_assert_eq(config->background.drain_delay_ms, 0);
	cr_assert_eq(config->retention.delivered_ms, 86400000);
	cr_assert_eq(config->retention.dead_ms, 30 * INT64_C(86400000));
	cr_assert_eq(config->service_count, 0);
	cr_assert_null(config->tls.certificate);
	cr_assert_null(config->tls.key);
	cr_assert_eq(config->http.connections, 4096);
	cr_assert_eq(config->http.header_bytes, 8192);
	cr_assert_eq(config->http.body_bytes, 16384);
	cr_assert_eq(config->http.header_timeout_ms, 15000);
	cr_assert_eq(config->http.body_timeout_ms, 30000);
	cr_assert_eq(config->requests.login.threads, 64);
	cr_assert_eq(config->requests.login.queue, 256);
	cr_assert_eq(config->requests.login.deadline_ms, 5000);
	cr_assert_eq(config->requests.other.threads, 16);
	cr_assert_eq(config->requests.other.queue, 1024);
	cr_assert_eq(config->requests.other.deadline_ms, 5000);
	cr_assert_null(config->ops.listen);
	cr_assert_str_eq(config->log.level, "info");
	cr_assert_str_eq(config->log.format, "json");
	cr_assert_eq(config->effect_count, 0);
	unload(&loaded);
}

Test(options_load, zero_slots_and_loops_become_numbers)
{
	const char *settings[] = {"password.slots=0", "http.loops=0", NULL};
	struct loaded loaded = load(NULL, settings, NULL);
	cr_assert_geq(loaded.config->password.slots, 1);
	cr_assert_leq(loaded.config->password.slots, LIMIT_HASH_THREADS);
	cr_assert_geq(loaded.config->http.loops, 1);
	cr_assert_leq(loaded.config->http.loops, 4);
	unload(&loaded);
	const char *given[] = {"password.slots=7", "http.loops=5", NULL};
	loaded = load(NULL, given, NULL);
	cr_assert_eq(loaded.config->password.slots, 7);
	cr_assert_eq(loaded.config->http.loops, 5);
	unload(&loaded);
}

Test(options_load, precedence)
{
	static const char text[] = "{\"password\": {\"queue\": 10, \"passes\": 3, \"memory_kib\": 20000},"
				   "\"log\": {\"level\": \"warn\"}}";
	const char *environment[] = {"HOME=/root", "TOKENFIRST_PASSWORD__PASSES=4",
		"TOKENFIRST_PASSWORD__MEMORY_KIB=30000", "TOKENFIRST_LOG__LEVEL=debug", NULL};
	const char *settings[] = {"password.memory_kib=40000", "log.level=info", "log.level=error", NULL};
	struct loaded loaded = load(text, settings, environment);
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.config->password.queue, 10, "the file beats the default");
	cr_assert_eq(loaded.config->password.passes, 4, "the environment beats the file");
	cr_assert_eq(loaded.config->password.memory_kib, 40000, "a setting beats the environment");
	cr_assert_str_eq(loaded.config->log.level, "error", "the last setting counts");
	unload(&loaded);
}

Test(options_load, an_override_hides_a_wrong_value_below_it)
{
	const char *settings[] = {"password.queue=5", NULL};
	struct loaded loaded = load("{\"password\": {\"queue\": \"x\"}}", settings, NULL);
	cr_assert_eq(loaded.err, 0);
	cr_assert_eq(loaded.config->password.queue, 5);
	unload(&loaded);
	loaded = load("{\"password\": 5}", settings, NULL);
	cr_assert_not_null(find(&loaded.errors, "password", "must be an object"), "but not a wrong group");
	unload(&loaded);
}

Test(options_load, the_issuer_follows_the_public_url_unless_given)
{
	const char *settings[] = {"public_url=https://auth.example.com", NULL};
	struct loaded loaded = load(NULL, settings, NULL);
	cr_assert_str_eq(loaded.config->token.issuer, "https://auth.example.com");
	unload(&loaded);
	loaded = load("{\"token\": {\"issuer\": \"me\", \"alg\": \"RS256\"}}", settings, NULL);
	cr_assert_str_eq(loaded.config->token.issuer, "me");
	cr_assert_eq(loaded.config->token.alg, TOKEN_RS256);
	unload(&loaded);
}

/* In the label of an authenticator's key a colon parts issuer and account. */
Test(options_load, the_name_for_authenticators_follows_the_public_url_and_has_no_colon)
{
	static const char *const cases[][2] = {{"https://auth.example.com", "auth.example.com"},
		{"http://127.0.0.1:8080", "127.0.0.1"}, {"https://example.com/auth", "example.com"},
		{"http://[::1]:8080", "--1"}, {"https://[2001:db8::5]", "2001-db8--5"}};
	struct loaded loaded;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char setting[128];
		const char *settings[] = {setting, NULL};

		(void)snprintf(setting, sizeof(setting), "public_url=%s", cases[i][0]);
		loaded = load(NULL, settings, NULL);
		cr_assert_eq(loaded.err, 0);
		cr_expect_str_eq(loaded.config->totp.issuer, cases[i][1]);
		unload(&loaded);
	}
	loaded = load("{\"totp\": {\"issuer\": \"Example: Shop\"}}", NULL, NULL);
	cr_assert_not_null(find(&loaded.errors, "totp.issuer", "must have no colon"));
	unload(&loaded);
}

Test(options_load, numbers_at_the_edges_of_their_range)
{
	static const struct {
		const char *path;
		const char *below, *min, *max, *above;
	} rows[] = {
		{"password.memory_kib", "7", "8", "4194304", "4194305"},
		{"password.passes", "0", "1", "1000", "1001"},
		{"password.slots", "-1", "0", "256", "257"},
		{"password.queue", "0", "1", "1000000", "1000001"},
		{"password.queue_timeout", "0ms", "1ms", "1h", "3600001ms"},
		{"token.access_ttl", "999ms", "1s", "365d", "366d"},
		{"token.refresh_ttl", "999ms", "1s", "3650d", "3651d"},
		{"background.workers", "0", "1", "64", "65"},
		{"background.drain", "-1s", "0s", "1h", "3601s"},
		{"background.drain_delay", "-1s", "0s", "5m", "301s"},
		{"retention.delivered", "-1s", "0s", "3650d", "3651d"},
		{"retention.dead", "-1s", "0s", "3650d", "3651d"},
		{"http.loops", "-1", "0", "64", "65"},
		{"http.connections", "0", "1", "1000000", "1000001"},
		{"http.header_bytes", "1023B", "1KiB", "1MiB", "1048577B"},
		{"http.body_bytes", "1023B", "1KiB", "16MiB", "17MiB"},
		{"http.header_timeout", "0s", "1ms", "60m", "61m"},
		{"http.body_timeout", "0s", "1ms", "60m", "61m"},
		{"requests.login.threads", "0", "1", "1024", "1025"},
		{"requests.other.queue", "0", "1", "1000000", "1000001"},
		{"requests.other.deadline", "0s", "1ms", "1h", "2h"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char setting[128];
		const char *settings[] = {setting, NULL}, *fine[] = {rows[i].min, rows[i].max};
		for (size_t j = 0; j < 2; j++) {
			(void)snprintf(setting, sizeof setting, "%s=%s", rows[i].path, fine[j]);
			struct loaded loaded = load(NULL, settings, NULL);
			cr_assert_eq(loaded.err, 0, "%s", setting);
			unload(&loaded);
		}
		(void)snprintf(setting, sizeof setting, "%s=%s", rows[i].path, rows[i].below);
		expect_setting_error(setting, rows[i].path, "must be a");
		(void)snprintf(setting, sizeof setting, "%s=%s", rows[i].path, rows[i].above);
		expect_setting_error(setting, rows[i].path, "must be a");
	}
}

Test(options_load, a_refused_value_is_named_with_what_fits)
{
	expect_error("{\"password\": {\"memory_kib\": 7}}", "password.memory_kib",
		"must be a whole number of KiB from 8 to 4194304, not 7");
	expect_error("{\"background\": {\"drain\": \"2h\"}}", "background.drain",
		"must be a duration (ms, s, m, h, d) from \"0ms\" to \"1h\", not \"2h\"");
	expect_error(
		"{\"http\": {\"body_bytes\": \"1K\"}}", "http.body_bytes", "from \"1KiB\" to \"16MiB\", not \"1K\"");
	expect_error(
		"{\"log\": {\"format\": \"xml\"}}", "log.format", "must be one of \"json\", \"text\", not \"xml\"");
}

Test(options_load, types_are_not_mixed_up)
{
	expect_error("{\"listen\": 8080}", "listen", "must be text, not 8080");
	expect_error("{\"listen\": null}", "listen", "must be text, not null");
	expect_error("{\"listen\": [\"a\"]}", "listen", "must be text");
	expect_error("{\"listen\": \"\"}", "listen", "must not be empty");
	expect_error("{\"password\": {\"queue\": \"5\"}}", "password.queue", "not \"5\"");
	expect_error("{\"password\": {\"queue\": 5.0}}", "password.queue", "must be a whole number");
	expect_error("{\"password\": {\"queue\": true}}", "password.queue", "must be a whole number");
	expect_error("{\"background\": {\"drain\": 25}}", "background.drain", "must be a duration");
	expect_error("{\"password\": []}", "password", "must be an object");
	expect_error("{\"effects\": []}", "effects", "must be objects by name");
	expect_setting_error("password.queue=", "password.queue", "must be a whole number");
	expect_setting_error("password.queue=5x", "password.queue", "not \"5x\"");
	expect_setting_error("password.queue=99999999999999999999", "password.queue", "must be a whole number");
	expect_setting_error("listen=", "listen", "must not be empty");
	expect_setting_error("listen=\xff", "listen", "not UTF-8");
}

Test(options_load, settings_that_name_no_option)
{
	expect_setting_error("password.queue", "password.queue", "write --set KEY=VALUE");
	expect_setting_error("password=5", "password", "unknown option");
	expect_setting_error("effects={}", "effects", "is made of objects");
	expect_setting_error("password.memory_kb=5", "password.memory_kb", "did you mean password.memory_kib?");
	expect_setting_error("effects.crm.urls=[]", "effects.crm.urls", "is made of objects: only a file can hold it");
	expect_setting_error("services=shop", "services", "is made of objects: only a file can hold it");
	expect_setting_error(
		"services.Shop.token=0123456789abcdef", "services.Shop.token", "unknown option; `help config`");
	expect_setting_error("effects.crm.delivry=x", "effects.crm.delivry", "did you mean effects.crm.delivery?");
	expect_setting_error("effects.CRM.url=x", "effects.CRM.url", "unknown option");
	expect_setting_error("=x", "", "unknown option");
	expect_setting_error("zzzzzzzzzzzzzzz=x", "zzzzzzzzzzzzzzz", "`help config` lists all");
}

Test(options_load, variables_that_name_no_option)
{
	static const struct {
		const char *variable, *place, *part;
	} rows[] = {
		{"TOKENFIRST_PASSWORD__MEMORY_KB=8", "environment TOKENFIRST_PASSWORD__MEMORY_KB",
			"did you mean TOKENFIRST_PASSWORD__MEMORY_KIB?"},
		{"TOKENFIRST_listen=x", "environment TOKENFIRST_listen", "did you mean TOKENFIRST_LISTEN?"},
		{"TOKENFIRST_PASSWORD_QUEUE=8", "environment TOKENFIRST_PASSWORD_QUEUE",
			"did you mean TOKENFIRST_PASSWORD__QUEUE?"},
		{"TOKENFIRST_=8", "environment TOKENFIRST_", "unknown option"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *environment[] = {"PATH=/bin", "TOKENFIRST=1", rows[i].variable, NULL};
		struct loaded loaded = load(NULL, NULL, environment);
		cr_assert_eq(loaded.errors.count, 1, "%s", rows[i].variable);
		cr_assert_str_eq(loaded.errors.items[0].place, rows[i].place);
		cr_assert_not_null(
			strstr(loaded.errors.items[0].message, rows[i].part), "%s", loaded.errors.items[0].message);
		unload(&loaded);
	}
}

Test(options_load, secrets_from_elsewhere)
{
	char path[64], text[512];
	const char *environment[] = {"AUDIENCE=from the environment", "LEVEL=warn", "EMPTY=", NULL};
	write_file(path, "from a file\n", 12);
	(void)snprintf(text, sizeof text,
		"{\"token\": {\"audience\": {\"env\": \"AUDIENCE\"}, \"issuer\": {\"file\": \"%s\"}},"
		"\"log\": {\"level\": {\"env\": \"LEVEL\"}}}",
		path);
	struct loaded loaded = load(text, NULL, environment);
	cr_assert_eq(loaded.err, 0);
	cr_assert_str_eq(loaded.config->token.audience, "from the environment");
	cr_assert_str_eq(loaded.config->token.issuer, "from a file", "one newline is cut");
	cr_assert_str_eq(loaded.config->log.level, "warn");
	unload(&loaded);
	loaded = load("{\"listen\": {\"env\": \"EMPTY\"}}", NULL, environment);
	cr_assert_not_null(find(&loaded.errors, "listen", "must not be empty"));
	unload(&loaded);
	cr_assert_eq(unlink(path), 0);
}

Test(options_load, secrets_that_can_not_be_had)
{
	expect_error("{\"listen\": {\"env\": \"NOWHERE\"}}", "listen", "the environment variable NOWHERE is not set");
	expect_error("{\"listen\": {\"file\": \"/nowhere/x\"}}", "listen",
		"the file /nowhere/x can't be read: No such file or directory");
	expect_error("{\"listen\": {\"file\": \"/tmp\"}}", "listen", "can't be read: Is a directory");
	expect_error("{\"listen\": {\"env\": \"A\", \"file\": \"B\"}}", "listen", "{\"env\": \"NAME\"}");
	expect_error("{\"listen\": {\"environment\": \"A\"}}", "listen", "{\"file\": \"PATH\"}");
	expect_error("{\"listen\": {\"env\": 5}}", "listen", "must be a text");
	expect_error("{\"listen\": {}}", "listen", "must be a text");
}

Test(options_load, secret_files_are_limited_and_clean)
{
	static char content[LIMIT_SECRET_FILE + 1];
	static const struct {
		const char *text;
		size_t len;
		const char *part;
	} rows[] = {{content, sizeof content, "longer than 64 KiB"}, {"a\0b", 3, "contains a NUL"},
		{"a\r\n", 3, "control characters"}, {"a\n\n", 3, "control characters"}, {"\n", 1, "must not be empty"},
		{"\xff", 1, "must be UTF-8"}, {content, LIMIT_CONFIG_TEXT + 1, "is too long"}};
	memset(content, 'a', sizeof content);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char path[64], text[128];
		write_file(path, rows[i].text, rows[i].len);
		(void)snprintf(text, sizeof text, "{\"store\": {\"file\": \"%s\"}}", path);
		expect_error(text, "store", rows[i].part);
		cr_assert_eq(unlink(path), 0);
	}
}
