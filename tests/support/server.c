/*
 * Everything that a server needs lies in its folder, so that removing the folder removes all; and every process
 * that it starts is in its process group, so that an empty group shows that none remains.
 */
#include "tests/support/server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/log_tail.h"
#include "tests/support/program.h"

enum { LOG_LINES_SHOWN = 30, FOLDER_DEPTH = 16, GROUP_WAITS = 100, GROUP_WAIT_MS = 10 };

struct server {
	struct server_options options;
	char folder[64];
	char config_file[128];
	char address[64];
	pid_t pid; /* 0: not running */
	struct log_tail *log;
	struct black_hole *dns;
};

/* Fails with the end of the server's log, which says more than we could. */
_Noreturn static void server_fail(struct server *s, const char *what)
{
	log_tail_print(s->log, LOG_LINES_SHOWN);
	if (s->pid > 0)
		kill(-s->pid, SIGKILL);
	harness_fail("server: %s (folder %s)", what, s->folder);
}

static void set_default(json_t *object, const char *name, json_t *value)
{
	if (json_object_get(object, name) == NULL)
		json_object_set(object, name, value);
	json_decref(value);
}

static void config_complete(json_t *config, const char *folder)
{
	char root[PATH_MAX];
	const char *name;
	json_t *effect;

	if (getcwd(root, sizeof(root)) == NULL)
		harness_fail("getcwd: %s", strerror(errno));
	set_default(config, "listen", json_string("127.0.0.1:0"));
	set_default(config, "store", json_sprintf("sqlite:%s/tokenfirst.db", folder));
	set_default(config, "password", json_pack("{s:i, s:i}", "memory_kib", 64, "passes", 1));
	set_default(config, "throttle", json_pack("{s:[s]}", "exempt", "127.0.0.0/8"));
	json_object_foreach(json_object_get(config, "effects"), name, effect)
	{
		const char *type = json_string_value(json_object_get(effect, "type"));

		if (type != NULL && strcmp(type, "email") == 0)
			set_default(effect, "template", json_sprintf("%s/config/templates", root));
	}
}

static void config_write(struct server *s)
{
	const char *text = s->options.config == NULL ? "{}" : s->options.config;
	json_error_t error;
	json_t *config = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (config == NULL)
		harness_fail("a test's configuration, line %d: %s", error.line, error.text);
	config_complete(config, s->folder);
	if (json_dump_file(config, s->config_file, JSON_INDENT(2)) < 0)
		harness_fail("%s can't be written", s->config_file);
	json_decref(config);
}

static void start_words(const struct server *s, const char *words[PROGRAM_ARGUMENTS])
{
	size_t count = 0;

	words[count++] = "serve";
	words[count++] = "-c";
	words[count++] = s->config_file;
	for (const char *const *setting = s->options.settings; setting != NULL && *setting != NULL; setting++) {
		if (count + 3 > PROGRAM_ARGUMENTS)
			harness_fail("too many settings");
		words[count++] = "--set";
		words[count++] = *setting;
	}
	words[count] = NULL;
}

static void process_start(struct server *s)
{
	const char *words[PROGRAM_ARGUMENTS];
	struct program_options start = {.arguments = words, .folder = s->folder, .dns = s->dns};
	int log[2];

	if (pipe2(log, O_CLOEXEC) < 0)
		harness_fail("pipe: %s", strerror(errno));
	start_words(s, words);
	start.wrapper = s->options.wrapper;
	start.environment = s->options.environment;
	start.sockets = s->options.sockets;
	start.socket_count = s->options.socket_count;
	start.in = open("/dev/null", O_RDWR | O_CLOEXEC);
	start.out = start.in;
	start.err = log[1];
	if (start.in < 0)
		harness_fail("/dev/null: %s", strerror(errno));
	s->pid = program_start(&start);
	close(start.in);
	close(log[1]);
	log_tail_follow(s->log, log[0]);
}

static void listening_wait(struct server *s)
{
	json_t *line;
	const char *address;

	if (!log_tail_wait(s->log, "listening", 1, SERVER_START_MS))
		server_fail(s, "does not listen");
	line = log_tail_line(s->log, "listening");
	address = json_string_value(json_object_get(line, "address"));
	if (address == NULL)
		server_fail(s, "listens without saying where");
	if (strcmp(s->address, address) != 0) /* one that was handed over stays, and may be in use by a crowd */
		snprintf(s->address, sizeof(s->address), "%s", address);
	json_decref(line);
}

void server_restart(struct server *s, const struct server_options *options)
{
	if (s->pid != 0)
		harness_fail("a server that runs can't be restarted");
	if (options != NULL)
		s->options = *options;
	config_write(s);
	if (s->options.black_hole_dns && s->dns == NULL) {
		s->dns = black_hole_open(s->folder);
		if (s->dns == NULL)
			harness_fail("no black hole for DNS here");
	} else if (!s->options.black_hole_dns) {
		black_hole_close(s->dns);
		s->dns = NULL;
	}
	process_start(s);
	listening_wait(s);
}

struct server *server_start(const struct server_options *options)
{
	struct server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		harness_fail("out of memory");
	snprintf(s->folder, sizeof(s->folder), "/tmp/tokenfirst-test-XXXXXX");
	if (mkdtemp(s->folder) == NULL)
		harness_fail("mkdtemp: %s", strerror(errno));
	snprintf(s->config_file, sizeof(s->config_file), "%s/config.json", s->folder);
	s->log = log_tail_new();
	server_restart(s, options);
	return s;
}

pid_t server_pid(const struct server *s)
{
	return s->pid;
}

bool server_has_sanitizer(const struct server *server)
{
	char path[64], line[512];
	uint64_t from, to;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)server_pid(server));
	FILE *maps = fopen(path, "re");
	if (maps == NULL)
		harness_fail("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), maps) != NULL)
		found |= sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2 && to - from > (uint64_t)1 << 36;
	fclose(maps);
	return found;
}

const char *server_folder(const struct server *s)
{
	return s->folder;
}

const char *server_config_file(const struct server *s)
{
	return s->config_file;
}

const char *server_url(const struct server *s, const char *path, char url[SERVER_URL])
{
	snprintf(url, SERVER_URL, "http://%s%s", s->address, path);
	return url;
}

size_t server_dns_queries(struct server *s)
{
	return s->dns == NULL ? 0 : black_hole_queries(s->dns);
}

int server_command(struct server *s, const char *const *words, const char *input, char **ret_out)
{
	const char *all[PROGRAM_ARGUMENTS];
	struct program_result result;
	size_t count = 0;

	for (; words[count] != NULL; count++) {
		if (count + 3 >= PROGRAM_ARGUMENTS)
			harness_fail("too many words");
		all[count] = words[count];
	}
	all[count++] = "-c";
	all[count++] = s->config_file;
	all[count] = NULL;
	program_run(all, input, s->folder, &result);
	if (result.exit_code != 0)
		fprintf(stderr, "%s: exit code %d\n%s", words[0], result.exit_code, result.err);
	if (ret_out != NULL) {
		*ret_out = result.out;
		result.out = NULL;
	}
	program_result_release(&result);
	return result.exit_code;
}

void server_add_user(struct server *s, const char *name, const char *email, const char *password, bool admin)
{
	const char *words[8] = {"user", "add", name, "--password-stdin"};
	size_t count = 4;

	if (email != NULL) {
		words[count++] = "--email";
		words[count++] = email;
	}
	if (admin)
		words[count++] = "--admin";
	words[count] = NULL;
	if (server_command(s, words, password, NULL) != 0)
		server_fail(s, "refuses a user");
}

bool server_running(const struct server *s)
{
	return s->pid != 0;
}

void server_signal(struct server *s, int signal)
{
	if (s->pid == 0 || kill(s->pid, signal) < 0)
		server_fail(s, "is not there to get a signal");
}

int server_wait(struct server *s, int64_t deadline_ms)
{
	pid_t group = s->pid;
	int code = program_wait(s->pid, deadline_ms);

	s->pid = 0;
	/* what it started may still be about to be reaped */
	for (int i = 0; i < GROUP_WAITS && kill(-group, 0) == 0; i++)
		harness_sleep_ms(GROUP_WAIT_MS);
	if (kill(-group, 0) == 0) {
		kill(-group, SIGKILL);
		server_fail(s, "left processes behind");
	}
	log_tail_join(s->log);
	return code;
}

int server_stop(struct server *s)
{
	server_signal(s, SIGTERM);
	return server_wait(s, SERVER_STOP_MS);
}

void server_kill(struct server *s)
{
	if (s->pid == 0 || kill(-s->pid, SIGKILL) < 0)
		server_fail(s, "is not there to be killed");
	server_wait(s, SERVER_STOP_MS);
}

static int entry_remove(const char *path, const struct stat *about, int kind, struct FTW *place)
{
	(void)about;
	(void)kind;
	(void)place;
	return remove(path);
}

void server_free(struct server *s)
{
	if (s == NULL)
		return;
	if (s->pid != 0 && server_stop(s) != 0)
		server_fail(s, "did not end in good order");
	black_hole_close(s->dns);
	if (nftw(s->folder, entry_remove, FOLDER_DEPTH, FTW_DEPTH | FTW_PHYS) != 0)
		harness_fail("%s can't be removed: %s", s->folder, strerror(errno));
	log_tail_free(s->log);
	free(s);
}

size_t server_log_count(struct server *s, const char *message)
{
	return log_tail_count(s->log, message);
}

bool server_log_wait(struct server *s, const char *message, size_t count, int64_t deadline_ms)
{
	return log_tail_wait(s->log, message, count, deadline_ms);
}

json_t *server_log_line(struct server *s, const char *message)
{
	return log_tail_line(s->log, message);
}

bool server_log_contains(struct server *s, const char *text)
{
	return log_tail_contains(s->log, text);
}
