/*
 * What is wrong is said all at once, each with its place.
 */
#include "config/locate.h"
#include "config/nearest.h"
#include "tests/unit/options_fixture.h"

static void expect_place(const struct loaded *loaded, const char *path, int line)
{
	char place[128];
	const struct config_error *error = find(&loaded->errors, path, "");
	cr_assert_not_null(error, "no error at %s", path);
	(void)snprintf(place, sizeof place, "%s:%d", loaded->file, line);
	cr_assert_str_eq(error->place, place, "%s: %s, not %s", path, error->place, place);
}

Test(options_errors, five_at_once_with_their_lines)
{
	static const char text[] = "{\n"
				   "  \"listn\": \"127.0.0.1:0\",\n"
				   "  \"password\": {\"queue\": 5,\n"
				   "    \"memory_kib\": 7},\n"
				   "  \"public_url\": \"ftp://x\",\n"
				   "  \"effects\": {\n"
				   "    \"crm\": {\"type\": \"crm\", \"delivery\": \"durable\",\n"
				   "      \"on\": [\"user.login\"], \"timeout\": \"soon\"\n"
				   "    }\n"
				   "  }\n"
				   "}\n";
	struct loaded loaded = load(text, NULL, NULL);
	cr_assert_eq(loaded.err, ERR_INVALID);
	cr_assert_eq(loaded.errors.count, 5);
	expect_place(&loaded, "listn", 2);
	expect_place(&loaded, "password.memory_kib", 4);
	expect_place(&loaded, "public_url", 5);
	expect_place(&loaded, "effects.crm.url", 7); /* missing: the line of what should hold it */
	expect_place(&loaded, "effects.crm.timeout", 8);
	unload(&loaded);
}

Test(options_errors, places_outside_of_the_file)
{
	const char *environment[] = {"TOKENFIRST_LISTEN=nowhere", NULL};
	const char *settings[] = {"password.queue=0", "effects.new.url=http://a/", NULL};
	struct loaded loaded = load("{\"listen\": \"127.0.0.1:0\"}", settings, environment);
	cr_assert_str_eq(find(&loaded.errors, "listen", "")->place, "environment TOKENFIRST_LISTEN");
	cr_assert_str_eq(find(&loaded.errors, "password.queue", "")->place, "--set password.queue");
	cr_assert_str_eq(find(&loaded.errors, "effects.new.type", "is missing")->place, "--set effects.new.url");
	unload(&loaded);
}

Test(options_errors, syntax_is_given_with_line_and_column)
{
	char place[128];
	struct loaded loaded = load("{\n  \"listen\": \"a\",\n  \"secret\": hunter2\n}", NULL, NULL);
	cr_assert_eq(loaded.errors.count, 1);
	(void)snprintf(place, sizeof place, "%s:3", loaded.file);
	cr_assert_str_eq(loaded.errors.items[0].place, place);
	cr_assert_str_empty(loaded.errors.items[0].path);
	cr_assert_not_null(strstr(loaded.errors.items[0].message, "column "));
	cr_assert_null(strstr(loaded.errors.items[0].message, "hunter2"), "the text of the file is not repeated");
	unload(&loaded);
	expect_error("", "", "column");
	expect_error("[]", "", "must be a JSON object");
	expect_error("{} x", "", "column");
	expect_error("{\"a\": \"\\u0000\"}", "", "column");
}

Test(options_errors, duplicate_keys)
{
	char place[128];
	struct loaded loaded = load("{\"log\": {},\n\"listen\": \"a:1\",\n\"listen\": \"b:1\"}", NULL, NULL);
	cr_assert_eq(loaded.errors.count, 1);
	cr_assert_not_null(find(&loaded.errors, "", "duplicate object key"));
	cr_assert_not_null(find(&loaded.errors, "", "listen"));
	(void)snprintf(place, sizeof place, "%s:3", loaded.file);
	cr_assert_str_eq(loaded.errors.items[0].place, place);
	unload(&loaded);
}

Test(options_errors, files_that_can_not_be_read)
{
	struct config_source source = {.file = "/nowhere/tokenfirst.json"};
	struct loaded loaded = {.err = 0};
	loaded.err = config_load(&source, &loaded.config, &loaded.errors, &loaded.warnings);
	cr_assert_eq(loaded.err, ERR_INVALID);
	cr_assert_str_eq(loaded.errors.items[0].place, "/nowhere/tokenfirst.json");
	cr_assert_str_eq(loaded.errors.items[0].message, "can't be read: No such file or directory");
	unload(&loaded);
	source.file = "/tmp";
	loaded.err = config_load(&source, &loaded.config, &loaded.errors, &loaded.warnings);
	cr_assert_eq(loaded.err, ERR_INVALID);
	unload(&loaded);
}

Test(options_errors, a_file_beyond_its_limit_is_refused)
{
	char *text = malloc(LIMIT_CONFIG_FILE + 2);
	memset(text, ' ', LIMIT_CONFIG_FILE + 1);
	text[LIMIT_CONFIG_FILE + 1] = '\0';
	memcpy(text + LIMIT_CONFIG_FILE - 1, "{}", 2);
	expect_error(text, "", "longer than 1 MiB");
	expect_fine(text + 1);
	free(text);
}

Test(options_errors, beyond_the_limit_they_are_counted)
{
	struct loaded loaded;
	char text[8192], *printed = NULL;
	size_t used = 1, size = 0;
	text[0] = '{';
	for (int i = 0; i < LIMIT_CONFIG_ERRORS + 7; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s\"unknown%d\":%d", i ? "," : "", i, i);
	(void)snprintf(text + used, sizeof text - used, "}");
	loaded = load(text, NULL, NULL);
	cr_assert_eq(loaded.errors.count, LIMIT_CONFIG_ERRORS);
	cr_assert_eq(loaded.errors.more, 7);
	FILE *out = open_memstream(&printed, &size);
	config_errors_print(&loaded.errors, "error", out);
	cr_assert_eq(fclose(out), 0);
	cr_assert_not_null(strstr(printed, ":1: error: unknown0: unknown option"), "%s", printed);
	cr_assert_not_null(strstr(printed, "\nand 7 more\n"));
	free(printed);
	unload(&loaded);
}

Test(options_errors, unknown_keys_with_the_nearest_known)
{
	expect_error("{\"efects\": {}}", "efects", "did you mean \"effects\"?");
	expect_error("{\"passwrod\": {}}", "passwrod", "did you mean \"password\"?");
	expect_error("{\"password\": {\"pases\": 2}}", "password.pases", "did you mean \"passes\"?");
	expect_error("{\"requests\": {\"logn\": {}}}", "requests.logn", "did you mean \"login\"?");
	expect_error("{\"requests\": {\"login\": {\"qeue\": 1}}}", "requests.login.qeue", "did you mean \"queue\"?");
	expect_error("{\"nothing_like_it\": 1}", "nothing_like_it", "`help config` lists all");
	expect_error("{\"password.queue\": 1}", "password.queue", "unknown option");
	expect_error("{\"password\": {\"\": 1}}", "password.", "unknown option");
}

Test(options_errors, owasp_floor_warns)
{
	static const struct {
		int memory_kib, passes;
		bool warned;
	} rows[] = {{47104, 1, false}, {47103, 1, true}, {19456, 2, false}, {19455, 2, true}, {12288, 3, false},
		{12287, 3, true}, {9216, 4, false}, {9215, 4, true}, {7168, 5, false}, {7167, 5, true},
		{7168, 1000, false}, {8, 1000, true}, {19456, 1, true}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char text[128];
		(void)snprintf(text, sizeof text, "{\"password\": {\"memory_kib\": %d, \"passes\": %d}}",
			rows[i].memory_kib, rows[i].passes);
		struct loaded loaded = load(text, NULL, NULL);
		cr_assert_eq(loaded.err, 0);
		cr_assert_eq(loaded.warnings.count, rows[i].warned, "%s", text);
		if (rows[i].warned)
			cr_assert_not_null(find(&loaded.warnings, "password.memory_kib", "OWASP"));
		unload(&loaded);
	}
}

Test(options_errors, lines_are_found)
{
	static const char text[] =
		"\n{ \"a\": [1, {\"b\": 2}, \"}\\\"{\"],\n"
		"\"b\" : {\"c\":\n{\"d\": -1.5e3},\n \"e\\u0066\": true}\n,\"deep\": [[\n]],\"last\": null }";
	cr_assert_eq(locate_line(text, "a"), 2);
	cr_assert_eq(locate_line(text, "b"), 3);
	cr_assert_eq(locate_line(text, "b.c"), 3);
	cr_assert_eq(locate_line(text, "b.c.d"), 4);
	cr_assert_eq(locate_line(text, "b.ef"), 5, "a key with an escape");
	cr_assert_eq(locate_line(text, "deep"), 6);
	cr_assert_eq(locate_line(text, "last"), 7);
	cr_assert_eq(locate_line(text, "d"), 0, "only members of the outermost object");
	cr_assert_eq(locate_line(text, "a.b"), 0, "arrays are not entered");
	cr_assert_eq(locate_line(text, "b.c.d.x"), 0);
	cr_assert_eq(locate_line(text, "b.x"), 0);
	cr_assert_eq(locate_line(text, ""), 0);
	cr_assert_eq(locate_line("{}", "a"), 0);
	cr_assert_eq(locate_line("[]", "a"), 0);
	cr_assert_eq(locate_line("", "a"), 0);
}

Test(options_errors, nearest_names)
{
	static const struct {
		const char *written, *offered, *best;
	} rows[] = {{"listen", "listen", "listen"}, {"lsiten", "listen", "listen"}, {"log", "dog", "dog"},
		{"url", "urls", "urls"}, {"ca", "to", NULL}, {"abcdef", "uvwxyz", NULL},
		{"connect_timeot", "timeout", NULL}, {"", "ca", NULL}, {"a", "", NULL}};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct nearest nearest;
		nearest_init(&nearest, rows[i].written);
		nearest_offer(&nearest, rows[i].offered);
		const char *best = nearest_best(&nearest);
		cr_assert_eq(!best, !rows[i].best, "%s", rows[i].written);
		if (best)
			cr_assert_str_eq(best, rows[i].best);
	}
	struct nearest nearest;
	nearest_init(&nearest, "timeot");
	nearest_offer(&nearest, "timer");
	nearest_offer(&nearest, "timeout");
	nearest_offer(&nearest, "timeit");
	cr_assert_str_eq(nearest_best(&nearest), "timeout", "the first of the nearest");
}
