/* `tokenfirst user import`: all or nothing, by a running server or without one, and everybody can log in. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/program.h"
#include "tests/support/scene.h"

/* Every hash is of this password; made by crypt(3) of libxcrypt 4.4.33, Python's hashlib and the argon2 command. */
#define IMPORT_PASSWORD "correct horse battery staple"

static const char *const hashes[] = {
	"$2b$05$abcdefghijklmnopqrstuuFiPhXf1sVd3pCCRO.uVh34H/qI/ZsuS",
	"$6$saltsalt$CPgxBHZBXfhC6lX1yxpdEsbQfXmg3WXVj8AoVwyNFLfb5AtbfM8k6A8yehv1z6sgzoH/DUIs7YK9hVnGhTjhW/",
	"$5$saltsalt$3hGFMknrJ4ZpFPe7XZe397oIMEp7sbvqrcsX/ONJ3i.",
	"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$y8e1eitiNDaQsFFW6d.9KbSTlk5zV3R3coZQtfcNAO5",
	"$7$C6..../....SodiumChloride$NJFhMYU8dFlCos3lY2XcGjUa31kbhILScs/AZbAHcP0",
	"$scrypt$ln=15,r=8,p=1$c2FsdHlzYWx0eXNhbHQxNg$j+j2WPanZPoNXQMDRmHvm+CoHZPAcwkFnWMMSUDNeAU",
	"$pbkdf2-sha256$29000$c2FsdHlzYWx0eXNhbHQxNg$nLDAL05/wbwvQ3d3ySaFFkQBzsU379sj6tb0bP1sevw",
	("$pbkdf2-sha512$25000$c2FsdHlzYWx0eXNhbHQxNg$"
	 "fS7.MUOYghG1kGe1vdahgEbCFfQxGsMORRo1TGyPSVvUoq0gYEE/dxT/OuPelbQ7hqHr7YlLdWe7zBGc8E08Bg"),
	"pbkdf2_sha256$600000$saltSALT22$xE3jY7ThmODs02/mnrys/xo2C5ZFiowBVuVZ5w6L4U0=",
};
enum { KINDS = sizeof(hashes) / sizeof(hashes[0]), USERS = 1000 };

static struct server *server;

static void setup(void)
{
	server = server_start(&(struct server_options){.config = NULL});
}

static void teardown(void)
{
	server_free(server);
}

TestSuite(import, .init = setup, .fini = teardown, .timeout = 110);

/* The path of a new file in the server's folder. */
static const char *write_file(const char *name, const char *text, char path[256])
{
	FILE *file;

	(void)snprintf(path, 256, "%s/%s", server_folder(server), name);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert_geq(fputs(text, file), 0);
	cr_assert_eq(fclose(file), 0);
	return path;
}

/* A file of `count` users whose hashes are of all kinds in turn. Free it. */
static char *users(int count, const char *prefix)
{
	char *text = malloc((size_t)count * 320 + 1), *at = text;

	cr_assert_not_null(text);
	for (int i = 0; i < count; i++)
		at += sprintf(at, "{\"username\":\"%s%d\",\"email\":\"%s%d@example.com\",\"password_hash\":\"%s\"}\n",
			prefix, i, prefix, i, hashes[i % KINDS]);
	*at = '\0';
	return text;
}

/* The exit code; what it said is left in the result. */
static int import_with(const char *const *more, const char *path, const char *input, struct program_result *ret_result)
{
	const char *words[16] = {"user", "import", path, "-c", server_config_file(server)};
	size_t count = 5;

	for (; more && *more; more++)
		words[count++] = *more;
	program_run(words, input, server_folder(server), ret_result);
	return ret_result->exit_code;
}

static int64_t count_rows(const char *sql)
{
	char *text = scene_query(server, sql);
	int64_t count = strtoll(text, NULL, 10);

	free(text);
	return count;
}

static void expect_nothing_half_done(int64_t accounts)
{
	cr_expect_eq(count_rows("SELECT count(*) FROM users"), accounts);
	cr_expect_eq(count_rows("SELECT count(*) FROM user_imports"), 0);
}

/* Logs in, and waits until the stored form is Argon2id of today. */
static void expect_upgraded(const char *username)
{
	char sql[256];
	struct api_login login = api_login(server, username, IMPORT_PASSWORD "x");
	int64_t deadline_us;

	cr_expect_eq(login.status, 401, "%s", username);
	login = api_login(server, username, IMPORT_PASSWORD);
	cr_assert_eq(login.status, 200, "%s: %d", username, login.status);
	(void)snprintf(
		sql, sizeof(sql), "SELECT password LIKE '$argon2id$%%' FROM users WHERE username = '%s'", username);
	deadline_us = harness_mono_us() + SCENE_WAIT_MS * 1000;
	while (count_rows(sql) != 1 && harness_mono_us() < deadline_us)
		harness_sleep_ms(10);
	cr_expect_eq(count_rows(sql), 1, "%s", username);
	cr_expect_eq(api_login(server, username, IMPORT_PASSWORD).status, 200, "%s, upgraded", username);
}

Test(import, a_thousand_users_with_hashes_of_all_kinds_log_in_and_are_upgraded)
{
	struct program_result result;
	char path[256], name[64], *text = users(USERS, "user");

	cr_assert_eq(import_with(NULL, write_file("users", text, path), NULL, &result), 0, "%s", result.err);
	cr_expect_str_eq(result.out, "1,000 users are imported\n");
	program_result_release(&result);
	expect_nothing_half_done(USERS);
	for (int i = 0; i < KINDS; i++) {
		(void)snprintf(name, sizeof(name), "user%d", i);
		expect_upgraded(name);
		cr_expect_not(server_log_contains(server, hashes[i]));
	}
	free(text);
	text = scene_query(server, "SELECT detail FROM audit WHERE type = 'user.imported'");
	cr_expect_not_null(strstr(text, "\"count\":1000"), "%s", text);
	free(text);
}

Test(import, wrapped_hashes_log_in_and_are_upgraded)
{
	static const char *const wrap[] = {"--wrap", NULL};
	struct program_result result;
	char name[64], *text = users(KINDS, "wrapped");

	cr_assert_eq(import_with(wrap, "-", text, &result), 0, "%s", result.err);
	free(text);
	program_result_release(&result);
	cr_expect_eq(count_rows("SELECT count(*) FROM users WHERE password LIKE '$wrap$%'"), KINDS);
	for (int i = 0; i < KINDS; i++) {
		(void)snprintf(name, sizeof(name), "wrapped%d", i);
		expect_upgraded(name);
	}
}

Test(import, without_a_server_it_works_the_same)
{
	struct program_result result;
	char *text = users(300, "user");

	cr_assert_eq(server_stop(server), 0);
	cr_assert_eq(import_with(NULL, "-", text, &result), 0, "%s", result.err);
	free(text);
	cr_expect_str_eq(result.out, "300 users are imported\n");
	program_result_release(&result);
	expect_nothing_half_done(300);
	server_restart(server, NULL);
	expect_upgraded("user1");
}

Test(import, admin_and_disabled_are_taken_over)
{
	static const char text[] = "{\"username\":\"root\",\"password_hash\":\"$5$saltsalt$"
				   "3hGFMknrJ4ZpFPe7XZe397oIMEp7sbvqrcsX/ONJ3i.\",\"admin\":true}\n"
				   "\n"
				   "{\"username\":\"gone\",\"email\":null,\"password_hash\":\"$5$saltsalt$"
				   "3hGFMknrJ4ZpFPe7XZe397oIMEp7sbvqrcsX/ONJ3i.\",\"disabled\":true}";
	struct program_result result;

	cr_assert_eq(import_with(NULL, "-", text, &result), 0, "%s", result.err);
	program_result_release(&result);
	cr_expect_eq(count_rows("SELECT admin FROM users WHERE username = 'root'"), 1);
	cr_expect_eq(api_login(server, "root", IMPORT_PASSWORD).status, 200);
	cr_expect_eq(api_login(server, "gone", IMPORT_PASSWORD).status, 401);
}

Test(import, every_error_is_told_by_its_line_and_nothing_is_written)
{
	static const char text[] =
		"{\"username\":\"fine\",\"password_hash\":\"$5$saltsalt$3hGFMknrJ4ZpFPe7XZe397oIMEp7sbvqrcsX/"
		"ONJ3i.\"}\n"
		"{\"username\":\"two\"\n"
		"[]\n"
		"{\"username\":\"four\",\"password_hash\":\"$5$saltsalt$SECRETSECRETSECRET\"}\n"
		"{\"username\":\"fi "
		"ve\",\"password_hash\":\"$5$saltsalt$3hGFMknrJ4ZpFPe7XZe397oIMEp7sbvqrcsX/ONJ3i.\"}\n"
		"{\"username\":\"FINE\",\"password_hash\":\"$5$saltsalt$3hGFMknrJ4ZpFPe7XZe397oIMEp7sbvqrcsX/"
		"ONJ3i.\"}\n"
		"{\"username\":\"ALICE\",\"password_hash\":\"$5$saltsalt$3hGFMknrJ4ZpFPe7XZe397oIMEp7sbvqrcsX/"
		"ONJ3i.\"}\n"
		"{\"username\":\"eight\",\"email\":\"Alice@Example.com\","
		"\"password_hash\":\"$5$saltsalt$3hGFMknrJ4ZpFPe7XZe397oIMEp7sbvqrcsX/ONJ3i.\"}\n"
		"{\"username\":\"nine\",\"password\":\"x\",\"password_hash\":\"$5$saltsalt$"
		"3hGFMknrJ4ZpFPe7XZe397oIMEp7sbvqrcsX/ONJ3i.\"}\n"
		"{\"username\":\"ten\",\"password_hash\":\"$2b$31$abcdefghijklmnopqrstuuFiPhXf1sVd3pCCRO.uVh34H/qI/"
		"ZsuS\"}\n"
		"{\"username\":\"eleven\",\"username\":\"x\",\"password_hash\":\"$5$saltsalt$"
		"3hGFMknrJ4ZpFPe7XZe397oIMEp7sbvqrcsX/ONJ3i.\"}\n"
		"{\"username\":\"twelve\",\"admin\":1,\"password_hash\":\"$5$saltsalt$"
		"3hGFMknrJ4ZpFPe7XZe397oIMEp7sbvqrcsX/ONJ3i.\"}\n"
		"{\"username\":\"thirteen\",\"password_hash\":"
		"\"$pepper$01234567$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"
		"Gpj7qOY5RCXJvcMzqcdQqvgR3wcPX7SleI4c9NtXk6E\"}\n";
	static const char *const expected[] = {"line 2: not JSON", "line 3: not a JSON object",
		"line 4: the password hash breaks", "line 5: the username has",
		"line 6: the username is that of line 1", "line 7: the username belongs to an account",
		"line 8: the email belongs to an account", "line 9: unknown member password",
		"line 10: the password hash costs too much", "line 11: a member is there twice",
		"line 12: admin and disabled must be", "line 13: the password hash was made with a pepper",
		"nothing is imported: 12 errors in 13 lines"};
	struct program_result result;

	server_add_user(server, "alice", "alice@example.com", IMPORT_PASSWORD, false);
	cr_expect_eq(import_with(NULL, "-", text, &result), 1);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		cr_expect_not_null(strstr(result.err, expected[i]), "%s in %s", expected[i], result.err);
	cr_expect_null(strstr(result.err, "line 1:"));
	cr_expect_null(strstr(result.err, "SECRET"), "no hash in a message: %s", result.err);
	cr_expect_str_empty(result.out);
	program_result_release(&result);
	expect_nothing_half_done(1);
}

Test(import, of_many_errors_the_first_are_told)
{
	struct program_result result;
	char text[2 * 150 + 1];

	for (int i = 0; i < 150; i++)
		memcpy(text + 2 * i, "x\n", 3);
	cr_expect_eq(import_with(NULL, "-", text, &result), 1);
	cr_expect_not_null(strstr(result.err, "line 100: "));
	cr_expect_null(strstr(result.err, "line 101: "));
	cr_expect_not_null(strstr(result.err, "and 50 more"), "%s", result.err);
	program_result_release(&result);
}

Test(import, a_dry_run_writes_nothing)
{
	static const char *const dry[] = {"--dry-run", NULL};
	struct program_result result;
	char *text = users(20, "user");

	cr_expect_eq(import_with(dry, "-", text, &result), 0);
	cr_expect_str_eq(result.out, "20 users can be imported\n");
	program_result_release(&result);
	expect_nothing_half_done(0);
	cr_assert_eq(import_with(NULL, "-", text, &result), 0);
	program_result_release(&result);
	cr_expect_eq(import_with(dry, "-", text, &result), 1, "now they are there");
	program_result_release(&result);
	free(text);
}

/* A process that is in the middle of writing: rows are there and no accounts. */
static pid_t start_import(const char *path)
{
	const char *const words[] = {"user", "import", path, "-c", server_config_file(server), NULL};
	int64_t deadline_us = harness_mono_us() + SCENE_WAIT_MS * 1000;
	pid_t pid = program_start(&(struct program_options){.arguments = words,
		.folder = server_folder(server),
		.in = STDIN_FILENO,
		.out = STDERR_FILENO,
		.err = STDERR_FILENO});

	while (count_rows("SELECT count(*) FROM user_imports") == 0 && harness_mono_us() < deadline_us)
		harness_sleep_ms(1);
	return pid;
}

Test(import, killed_in_the_middle_nothing_is_half_done_and_the_next_one_works)
{
	struct program_result result;
	char path[256], *text = users(20000, "user");
	pid_t pid = start_import(write_file("users", text, path));

	cr_assert_eq(kill(pid, SIGKILL), 0);
	cr_assert_eq(program_wait(pid, PROGRAM_DEADLINE_MS), -SIGKILL, "it was in the middle");
	cr_expect_gt(count_rows("SELECT count(*) FROM user_imports"), 0);
	cr_expect_eq(count_rows("SELECT count(*) FROM users"), 0);
	free(text);
	text = users(KINDS, "user");
	cr_assert_eq(import_with(NULL, "-", text, &result), 0, "%s", result.err);
	program_result_release(&result);
	free(text);
	expect_nothing_half_done(KINDS);
}

Test(import, a_server_killed_in_the_middle_leaves_nothing_half_done)
{
	struct program_result result;
	char path[256], *text = users(20000, "user");
	pid_t pid = start_import(write_file("users", text, path));
	int code;

	server_kill(server);
	/* it goes on by itself where the server has left off, or says that it can't know */
	code = program_wait(pid, 60000);
	cr_expect_eq(count_rows("SELECT count(*) FROM users"), code == 0 ? 20000 : 0, "%d", code);
	server_restart(server, NULL);
	if (code != 0) {
		cr_assert_eq(import_with(NULL, path, NULL, &result), 0, "%s", result.err);
		program_result_release(&result);
	}
	free(text);
	expect_nothing_half_done(20000);
}

Test(import, two_at_once_never_mix)
{
	struct program_result result;
	char path[256], *text = users(20000, "first");
	pid_t pid = start_import(write_file("users", text, path));
	int code;

	free(text);
	text = users(200, "second");
	(void)import_with(NULL, "-", text, &result);
	free(text);
	code = program_wait(pid, 60000);
	cr_expect_eq(count_rows("SELECT count(*) FROM users WHERE username LIKE 'first%'"), code == 0 ? 20000 : 0);
	cr_expect_eq(count_rows("SELECT count(*) FROM users WHERE username LIKE 'second%'"),
		result.exit_code == 0 ? 200 : 0);
	cr_expect(code == 0 || result.exit_code == 0, "the later one is finished");
	program_result_release(&result);
}

Test(import, a_weak_password_on_the_command_line_is_warned_of_and_taken)
{
	const char *const words[] = {"user", "add", "bob", "--password-stdin", "-c", server_config_file(server), NULL};
	struct program_result result;

	program_run(words, "short\n", server_folder(server), &result);
	cr_expect_eq(result.exit_code, 0, "%s", result.err);
	cr_expect_not_null(strstr(result.err, "warning: The password is too short"), "%s", result.err);
	program_result_release(&result);
	cr_expect_eq(api_login(server, "bob", "short").status, 200);
}
