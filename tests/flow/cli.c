/*
 * The real binary from the command line: usage, configuration, accounts with and without a running server, and the
 * socket between the two. SERVER_UNDER_TEST names the binary.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 32, OUTPUT_MAX = 1 << 16, PATIENCE_MS = 20000 };

static char folder[64], store[128], lock_path[96], socket_path[96];

struct result {
	int code;
	char out[OUTPUT_MAX], err[OUTPUT_MAX];
};

static struct result result; /* of the last run; too large for a stack */

static const char *binary(void)
{
	const char *name = getenv("SERVER_UNDER_TEST");

	return name ? name : "build/tokenfirst";
}

static void setup(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/tokenfirst-cli-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	(void)snprintf(store, sizeof(store), "store=sqlite:%s/store.db", folder);
	(void)snprintf(lock_path, sizeof(lock_path), "%s/store.db.lock", folder);
	(void)snprintf(socket_path, sizeof(socket_path), "%s/store.db.sock", folder);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static void teardown(void)
{
	(void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(cli, .init = setup, .fini = teardown, .timeout = 60);

/* argv from words; "$store" stands for --set store=… of this test. */
static void make_arguments(const char *const *words, char **argv)
{
	size_t count = 0;

	argv[count++] = (char *)(uintptr_t)binary();
	for (; *words; words++) {
		cr_assert_lt(count + 2, ARGUMENTS_MAX);
		if (strcmp(*words, "$store") == 0) {
			argv[count++] = (char *)(uintptr_t) "--set";
			argv[count++] = store;
		} else {
			argv[count++] = (char *)(uintptr_t)*words;
		}
	}
	argv[count] = NULL;
}

static void exec_binary(char **argv)
{
	/* a test that fails must leave no server behind */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(argv[0], argv);
	_exit(127);
}

/* Appends what there is to read; false at the end. */
static bool drain(int fd, char *text)
{
	size_t len = strlen(text);
	ssize_t got;

	cr_assert_lt(len, OUTPUT_MAX - 1);
	got = read(fd, text + len, OUTPUT_MAX - 1 - len);
	if (got <= 0)
		return false;
	text[len + (size_t)got] = '\0';
	return true;
}

/* Runs to the end with `input` as stdin. */
static int run_input(const char *input, const char *const *words)
{
	struct pollfd fds[2];
	char *argv[ARGUMENTS_MAX];
	int in[2], out[2], err[2], status;
	pid_t pid;

	make_arguments(words, argv);
	cr_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && pipe2(err, O_CLOEXEC) == 0);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		(void)setsid(); /* no terminal to ask */
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		(void)dup2(err[1], 2);
		exec_binary(argv);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)!write(in[1], input, strlen(input)); /* a command may end without reading it */
	close(in[1]);
	result.out[0] = result.err[0] = '\0';
	fds[0] = (struct pollfd){.fd = out[0], .events = POLLIN};
	fds[1] = (struct pollfd){.fd = err[0], .events = POLLIN};
	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		cr_assert_gt(poll(fds, 2, PATIENCE_MS), 0, "%s does not end", words[0]);
		if (fds[0].revents && !drain(out[0], result.out))
			fds[0].fd = -1;
		if (fds[1].revents && !drain(err[0], result.err))
			fds[1].fd = -1;
	}
	close(out[0]);
	close(err[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "signal %d: %s", WTERMSIG(status), result.err);
	result.code = WEXITSTATUS(status);
	return result.code;
}

#define RUN(...)	       run_input("", (const char *const[]){__VA_ARGS__, NULL})
#define RUN_WITH(input, ...)   run_input(input, (const char *const[]){__VA_ARGS__, NULL})
#define EXPECT_OUT(text)       cr_expect_not_null(strstr(result.out, text), "stdout: %s", result.out)
#define EXPECT_ERR(text)       cr_expect_not_null(strstr(result.err, text), "stderr: %s", result.err)
#define EXPECT_CODE(code, ...) cr_expect_eq(RUN(__VA_ARGS__), code, "%s%s", result.out, result.err)

struct server {
	pid_t pid;
	int log; /* its stderr */
	char text[OUTPUT_MAX];
};

static struct server server;

static void start_server(void)
{
	const char *const words[] = {"serve", "$store", "--set", "listen=127.0.0.1:0", NULL};
	char *argv[ARGUMENTS_MAX];
	int err[2];

	make_arguments(words, argv);
	cr_assert_eq(pipe2(err, O_CLOEXEC), 0);
	server.text[0] = '\0';
	server.pid = fork();
	cr_assert_geq(server.pid, 0);
	if (server.pid == 0) {
		(void)dup2(err[1], 2);
		exec_binary(argv);
	}
	close(err[1]);
	server.log = err[0];
	while (!strstr(server.text, "\"message\":\"listening\"")) {
		struct pollfd fd = {.fd = server.log, .events = POLLIN};

		cr_assert_gt(poll(&fd, 1, PATIENCE_MS), 0, "does not listen: %s", server.text);
		cr_assert(drain(server.log, server.text), "ended: %s", server.text);
	}
}

static void stop_server(void)
{
	int status;

	cr_assert_eq(kill(server.pid, SIGTERM), 0);
	while (drain(server.log, server.text))
		;
	cr_assert_eq(waitpid(server.pid, &status, 0), server.pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", server.text);
	close(server.log);
}

/* The list as JSON; json_decref it. */
static json_t *list_users(void)
{
	json_t *list;

	cr_assert_eq(RUN("user", "list", "--json", "$store"), 0, "%s", result.err);
	list = json_loads(result.out, JSON_REJECT_DUPLICATES, NULL);
	cr_assert(json_is_array(list), "%s", result.out);
	return list;
}

static bool listed(const char *username, const char *member, bool value)
{
	json_t *list = list_users(), *user;
	bool found = false;
	size_t i;

	json_array_foreach(list, i, user)
	{
		if (strcmp(json_string_value(json_object_get(user, "username")), username) == 0)
			found = json_is_true(json_object_get(user, member)) == value;
	}
	json_decref(list);
	return found;
}

Test(cli, version_and_help)
{
	EXPECT_CODE(0, "--version");
	EXPECT_OUT("tokenfirst ");
	EXPECT_OUT("libsodium ");
	EXPECT_CODE(0, "help");
	EXPECT_OUT("user add NAME");
	EXPECT_CODE(0, "--help");
	EXPECT_OUT("usage: ");
	EXPECT_CODE(0, "help", "config");
	EXPECT_OUT("password.memory_kib");
	EXPECT_CODE(0, "help", "keys");
	EXPECT_OUT("keys rotate");
	cr_expect_null(strstr(result.out, "user add"), "only what begins with the word: %s", result.out);
	EXPECT_CODE(0, "help", "user", "import");
	EXPECT_OUT("--wrap");
	cr_expect_null(strstr(result.out, "user add"), "only that command: %s", result.out);
	EXPECT_CODE(0, "user", "import", "--help");
	EXPECT_OUT("--wrap");
	cr_expect_null(strstr(result.out, "user add"), "only that command: %s", result.out);
	EXPECT_CODE(2, "help", "user", "improt");
	EXPECT_ERR("did you mean \"user import\"?");
}

Test(cli, bad_usage_is_2)
{
	cr_expect_eq(run_input("", (const char *const[]){NULL}), 2);
	EXPECT_ERR("usage: ");
	EXPECT_CODE(2, "user", "ad", "alice");
	EXPECT_ERR("unknown command \"user ad\": did you mean \"user add\"?");
	EXPECT_ERR("usage: ");
	EXPECT_CODE(2, "srve");
	EXPECT_ERR("did you mean \"serve\"?");
	EXPECT_CODE(2, "user");
	EXPECT_ERR("user passwd NAME");
	cr_expect_null(strstr(result.err, "run the server"), "only what begins with the word: %s", result.err);
	EXPECT_CODE(2, "user", "add");
	EXPECT_ERR("user add NAME");
	EXPECT_CODE(2, "user", "add", "alice", "bob");
	EXPECT_CODE(2, "user", "list", "--admin");
	EXPECT_CODE(2, "serve", "--json");
	EXPECT_CODE(2, "serve", "--nonsense");
	EXPECT_CODE(2, "serve", "--set");
	EXPECT_CODE(2, "serve", "--log-format", "xml");
	cr_expect_str_empty(result.out);
	EXPECT_CODE(2, "user", "add", "al\r\nice", "--password-stdin", "$store");
	EXPECT_CODE(2, "user", "add", "alice", "--email", "alice@example.com\r\nRCPT TO:<bob@example.com>", "$store");
}

Test(cli, who_has_no_address_is_mailed_no_link)
{
	cr_expect_eq(RUN_WITH("correct horse battery staple", "user", "add", "alice", "--password-stdin", "$store"), 0);
	EXPECT_CODE(0, "user", "require-reset", "alice", "$store");
	EXPECT_ERR("alice has no address, so no link is mailed");
}

Test(cli, check_config_names_every_error)
{
	char path[128];
	FILE *file;

	EXPECT_CODE(0, "check-config", "-c", "config/demo.json");
	EXPECT_OUT("configuration is fine\n");
	cr_expect_str_empty(result.err);
	(void)snprintf(path, sizeof(path), "%s/bad.json", folder);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	(void)fputs("{\n\"listn\": \"127.0.0.1:0\",\n\"password\": {\"passes\": \"two\"}\n}\n", file);
	(void)fclose(file);
	EXPECT_CODE(2, "check-config", "-c", path);
	EXPECT_ERR("bad.json:2: ");
	EXPECT_ERR("listen");
	EXPECT_ERR("bad.json:3: ");
	EXPECT_ERR("password.passes");
	cr_expect_str_empty(result.out);
	EXPECT_CODE(2, "-c", path, "serve");
	EXPECT_ERR("bad.json:3: ");
	EXPECT_CODE(2, "check-config", "-c", "/nonexistent/file.json");
	EXPECT_CODE(0, "--set", "password.memory_kib=64", "check-config");
	EXPECT_ERR("warning");
	EXPECT_OUT("configuration is fine\n");
}

Test(cli, check_config_tells_of_links_that_nobody_mails)
{
	EXPECT_CODE(0, "check-config");
	EXPECT_OUT("configuration is fine\n");
	EXPECT_ERR("warning: signup.mode: is \"open\", but no email effect is on user.signup");
	EXPECT_ERR("warning: effects: no email effect is on user.password_forgot");
	EXPECT_CODE(0, "check-config", "--set", "signup.mode=closed");
	cr_expect_null(strstr(result.err, "signup"), "%s", result.err);
	EXPECT_CODE(0, "check-config", "--set", "signup.mode=invite");
	EXPECT_ERR("no email effect is on user.invited");
}

/* What only the kinds of effects know has its place, too. */
Test(cli, check_config_says_where_an_effect_is_wrong)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/kinds.json", folder);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	(void)fputs(
		"{\"effects\": {\n"
		"\"sf\": {\"type\": \"crm\", \"format\": \"salesforce\", \"on\": [\"*\"], \"delivery\": \"durable\",\n"
		" \"url\": \"https://x.example/\"},\n"
		"\"hooks\": {\"type\": \"webhook\", \"on\": [\"*\"], \"delivery\": \"durable\", \"secret\": "
		"\"whsk_0\",\n"
		" \"urls\": [{\"name\": \"a\", \"url\": \"https://a.example/\", \"secret\": "
		"\"0123456789012345678901234\"},\n"
		"  {\"name\": \"b\", \"url\": \"https://b.example/\"}]}}}\n",
		file);
	(void)fclose(file);
	EXPECT_CODE(2, "check-config", "-c", path);
	EXPECT_ERR("kinds.json:2: error: effects.sf: url: ");
	EXPECT_ERR("kinds.json:6: error: effects.hooks.b: secret: ");
	EXPECT_CODE(2, "serve", "-c", path, "$store");
	EXPECT_ERR("kinds.json:2: error: effects.sf: url: ");
}

Test(cli, accounts_without_a_server)
{
	EXPECT_CODE(1, "user", "list", "$store");
	cr_expect_eq(RUN_WITH("correct horse\n", "user", "add", "alice", "--email", "alice@example.com",
			     "--password-stdin", "$store"),
		0, "%s", result.err);
	cr_expect_eq(RUN_WITH("no end of line", "$store", "--admin", "user", "--password-stdin", "add", "Bob"), 0, "%s",
		result.err);
	cr_expect_eq(RUN_WITH("x\n", "user", "add", "ALICE", "--password-stdin", "$store"), 1);
	EXPECT_ERR("taken");
	cr_expect_eq(
		RUN_WITH("x\n", "user", "add", "carol", "--email", "Alice@Example.com", "--password-stdin", "$store"),
		1);
	EXPECT_ERR("taken");
	cr_expect(listed("alice", "admin", false));
	cr_expect(listed("Bob", "admin", true));
	cr_expect_not(listed("carol", "admin", false));
	EXPECT_CODE(0, "user", "disable", "bob", "$store");
	cr_expect(listed("Bob", "disabled", true));
	cr_expect(listed("alice", "disabled", false));
	cr_expect_eq(
		RUN_WITH("another\n", "user", "passwd", "alice", "--password-stdin", "$store"), 0, "%s", result.err);
	EXPECT_CODE(1, "user", "disable", "carol", "$store");
	EXPECT_ERR("there is no user carol");
	cr_expect_eq(RUN_WITH("x\n", "user", "passwd", "carol", "--password-stdin", "$store"), 1);
	EXPECT_CODE(0, "user", "list", "$store");
	EXPECT_OUT("USERNAME");
	EXPECT_OUT("alice@example.com");
}

Test(cli, passwords_that_are_refused)
{
	char longer[1200];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cr_expect_eq(RUN_WITH("", "user", "add", "alice", "--password-stdin", "$store"), 1);
	EXPECT_ERR("the password is empty");
	cr_expect_eq(RUN_WITH("\n", "user", "add", "alice", "--password-stdin", "$store"), 1);
	cr_expect_eq(RUN_WITH("\xff\n", "user", "add", "alice", "--password-stdin", "$store"), 1);
	EXPECT_ERR("UTF-8");
	cr_expect_eq(RUN_WITH(longer, "user", "add", "alice", "--password-stdin", "$store"), 1);
	EXPECT_ERR("longer");
	longer[1024] = '\0';
	cr_expect_eq(RUN_WITH(longer, "user", "add", "alice", "--password-stdin", "$store"), 0);
	EXPECT_CODE(1, "user", "add", "bob", "$store");
	EXPECT_ERR("--password-stdin");
}

Test(cli, accounts_through_a_running_server)
{
	struct stat status;

	start_server();
	cr_assert_eq(stat(socket_path, &status), 0);
	cr_expect_eq(status.st_mode & 07777, 0600, "%o", status.st_mode);
	cr_expect_eq(
		RUN_WITH("correct horse\n", "user", "add", "alice", "--password-stdin", "$store"), 0, "%s", result.err);
	cr_expect(listed("alice", "admin", false));
	cr_expect_eq(RUN_WITH("x\n", "user", "add", "Alice", "--password-stdin", "$store"), 1);
	EXPECT_ERR("taken");
	EXPECT_CODE(0, "user", "disable", "alice", "$store");
	cr_expect(listed("alice", "disabled", true));
	EXPECT_CODE(1, "user", "disable", "bob", "$store");
	EXPECT_ERR("there is no user bob");
	EXPECT_CODE(1, "serve", "$store", "--set", "listen=127.0.0.1:0");
	stop_server();
	cr_expect(stat(socket_path, &status) != 0 && errno == ENOENT, "the socket is removed");
	cr_expect_null(strstr(server.text, "correct horse"));
	cr_expect_null(strstr(server.text, "argon2"));
	cr_expect(listed("alice", "disabled", true));
}

Test(cli, what_a_killed_server_left_behind_is_in_nobodys_way)
{
	struct stat status;
	int code;

	start_server();
	cr_assert_eq(kill(server.pid, SIGKILL), 0);
	cr_assert_eq(waitpid(server.pid, &code, 0), server.pid);
	close(server.log);
	cr_assert_eq(stat(socket_path, &status), 0, "its socket is still there");
	cr_expect_eq(RUN_WITH("x\n", "user", "add", "alice", "--password-stdin", "$store"), 0, "%s", result.err);
	start_server();
	EXPECT_CODE(0, "user", "disable", "alice", "$store");
	stop_server();
}

Test(cli, a_lock_without_a_server_is_told)
{
	int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	EXPECT_CODE(1, "user", "disable", "alice", "$store");
	EXPECT_ERR("owns the store");
	EXPECT_ERR("store.db.sock");
	close(fd);
}

static int connect_raw(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* The answer to a line; the server must not be left with a peer that reads nothing. */
static void expect_refused(const char *line, size_t len)
{
	int fd = connect_raw();
	char answer[OUTPUT_MAX] = "";
	ssize_t sent = 0;

	while (len > 0 && (sent = send(fd, line, len, MSG_NOSIGNAL)) > 0) {
		line += sent;
		len -= (size_t)sent;
	}
	while (drain(fd, answer))
		;
	cr_expect_eq(strncmp(answer, "{\"error\":-", 10), 0, "%s", answer);
	close(fd);
}

Test(cli, the_socket_refuses_what_is_no_command)
{
	static const char *const lines[] = {"\n", "x\n", "[]\n", "{}\n", "{\"command\":\"user.add\"}\n",
		"{\"command\":\"user.add\",\"arguments\":{}}\n", "{\"command\":\"drop\",\"arguments\":{}}\n",
		"{\"command\":\"user.disable\",\"arguments\":{\"username\":7}}\n",
		"{\"command\":\"user.disable\",\"arguments\":{\"username\":\"alice\"},\"more\":1}\n",
		"{\"command\":\"user.disable\",\"arguments\":{\"username\":\"alice\",\"more\":1}}\n",
		"{\"command\":\"user.disable\",\"command\":\"user.disable\",\"arguments\":{\"username\":\"alice\"}}\n",
		"{\"command\":\"user.passwd\",\"arguments\":{\"username\":\"alice\",\"password\":\"plain\"}}\n",
		"{\"command\":\"user.disable\",\"arguments\":{\"username\":\"alice\"}} x\n"};
	static char huge[100000];

	start_server();
	cr_expect_eq(RUN_WITH("x\n", "user", "add", "alice", "--password-stdin", "$store"), 0, "%s", result.err);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_refused(lines[i], strlen(lines[i]));
	memset(huge, ' ', sizeof(huge));
	huge[sizeof(huge) - 1] = '\n';
	expect_refused(huge, sizeof(huge));
	close(connect_raw()); /* says nothing and leaves */
	cr_expect(listed("alice", "disabled", false), "nothing of that was done");
	EXPECT_CODE(0, "user", "disable", "alice", "$store");
	stop_server();
}

/* Waits on the terminal until `wanted` has come. */
static void await_text(int terminal, char *seen, const char *wanted)
{
	while (!strstr(seen, wanted)) {
		struct pollfd fd = {.fd = terminal, .events = POLLIN};

		cr_assert_gt(poll(&fd, 1, PATIENCE_MS), 0, "no \"%s\" in \"%s\"", wanted, seen);
		cr_assert(drain(terminal, seen), "ended: %s", seen);
	}
}

static pid_t start_on_terminal(int *ret_terminal)
{
	const char *const words[] = {"user", "add", "alice", "$store", NULL};
	char *argv[ARGUMENTS_MAX];
	pid_t pid;

	make_arguments(words, argv);
	pid = forkpty(ret_terminal, NULL, NULL, NULL);
	cr_assert_geq(pid, 0);
	if (pid == 0)
		exec_binary(argv);
	return pid;
}

static int end_on_terminal(pid_t pid, int terminal, char *seen)
{
	int status;

	while (drain(terminal, seen))
		;
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	close(terminal);
	return status;
}

Test(cli, asks_on_the_terminal_twice_and_without_echo)
{
	static char seen[OUTPUT_MAX];
	int terminal, status;
	pid_t pid = start_on_terminal(&terminal);

	await_text(terminal, seen, "password: ");
	cr_assert_eq(write(terminal, "hidden one\n", 11), 11);
	await_text(terminal, seen, "again: ");
	cr_assert_eq(write(terminal, "hidden one\n", 11), 11);
	status = end_on_terminal(pid, terminal, seen);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", seen);
	cr_expect_null(strstr(seen, "hidden"), "%s", seen);
	cr_expect(listed("alice", "admin", false));
}

Test(cli, two_passwords_that_differ_change_nothing)
{
	static char seen[OUTPUT_MAX];
	int terminal, status;
	pid_t pid = start_on_terminal(&terminal);

	await_text(terminal, seen, "password: ");
	cr_assert_eq(write(terminal, "one\n", 4), 4);
	await_text(terminal, seen, "again: ");
	cr_assert_eq(write(terminal, "two\n", 4), 4);
	status = end_on_terminal(pid, terminal, seen);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	cr_expect_not_null(strstr(seen, "differ"), "%s", seen);
}

Test(cli, control_c_ends_it_with_the_echo_back_on)
{
	static char seen[OUTPUT_MAX];
	struct termios state;
	int terminal, status;
	pid_t pid = start_on_terminal(&terminal);

	await_text(terminal, seen, "password: ");
	cr_assert_eq(write(terminal, "\x03", 1), 1);
	/* what the terminal is left with can only be asked while its other end is open */
	await_text(terminal, seen, "\n");
	cr_assert_eq(tcgetattr(terminal, &state), 0);
	cr_expect(state.c_lflag & ECHO);
	status = end_on_terminal(pid, terminal, seen);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "%d %s", status, seen);
}
