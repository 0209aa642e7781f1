#include "tests/support/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/program.h"
#include "tests/support/scratch.h"

/* Not the one in /usr/sbin, which changes to the machine's own broker's user and folder. */
#define SERVER "/usr/lib/rabbitmq/bin/rabbitmq-server"
#define EPMD   "/usr/bin/epmd"

enum { POLL_MS = 100, TEXT = 400 };

struct broker {
	struct scratch scratch;
	pid_t server, mapper;
	int mapper_port, node_port, distribution_port, port;
};

bool broker_possible(void)
{
	return access(SERVER, X_OK) == 0 && access(EPMD, X_OK) == 0;
}

static void write_file(const struct broker *broker, const char *name, const char *text)
{
	char path[TEXT];

	snprintf(path, sizeof(path), "%s/%s", broker->scratch.folder, name);
	FILE *file = fopen(path, "w");
	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
		harness_fail("%s: %s", path, strerror(errno));
}

/* Its output goes to a file in the folder, which stays if the test fails. */
static pid_t spawn(const struct broker *broker, const char *const *words, const char *const *environment)
{
	char path[TEXT];
	pid_t parent = getpid();

	snprintf(path, sizeof(path), "%s/out", broker->scratch.folder);
	int out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (out < 0 || in < 0)
		harness_fail("%s: %s", path, strerror(errno));
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent && chdir(broker->scratch.folder) == 0 && dup2(in, 0) >= 0 &&
			dup2(out, 1) >= 0 && dup2(out, 2) >= 0)
			execve(words[0], (char *const *)words, (char *const *)environment);
		_exit(127);
	}
	if (pid < 0)
		harness_fail("fork: %s", strerror(errno));
	close(in);
	close(out);
	return pid;
}

static void start_mapper(struct broker *broker)
{
	char port[16];
	const char *const words[] = {EPMD, "-address", "127.0.0.1", "-port", port, NULL};
	const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};

	snprintf(port, sizeof(port), "%d", broker->mapper_port);
	broker->mapper = spawn(broker, words, environment);
}

/*
 * RUNNING_UNDER_SYSTEMD makes the script become the broker, where else it would be its parent, so that the process we
 * started is the one that we stop.
 */
static void start_server(struct broker *broker)
{
	const char *folder = broker->scratch.folder;
	char home[TEXT], mapper[TEXT], distribution[TEXT], database[TEXT], logs[TEXT], config[TEXT], plugins[TEXT];
	const char *const words[] = {SERVER, NULL};
	const char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "RUNNING_UNDER_SYSTEMD=true",
		"ERL_EPMD_ADDRESS=127.0.0.1", "RABBITMQ_NODENAME=tokenfirst@localhost", "RABBITMQ_LOGS=-",
		"RABBITMQ_CONF_ENV_FILE=/dev/null", "RABBITMQ_ADVANCED_CONFIG_FILE=/dev/null",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
		home, mapper, distribution, database, logs, config, plugins, NULL};

	snprintf(home, sizeof(home), "HOME=%s", folder);
	snprintf(mapper, sizeof(mapper), "ERL_EPMD_PORT=%d", broker->mapper_port);
	snprintf(distribution, sizeof(distribution), "RABBITMQ_DIST_PORT=%d", broker->distribution_port);
	snprintf(database, sizeof(database), "RABBITMQ_MNESIA_BASE=%s/database", folder);
	snprintf(logs, sizeof(logs), "RABBITMQ_LOG_BASE=%s/logs", folder);
	snprintf(config, sizeof(config), "RABBITMQ_CONFIG_FILE=%s/rabbitmq.conf", folder);
	snprintf(plugins, sizeof(plugins), "RABBITMQ_ENABLED_PLUGINS_FILE=%s/plugins", folder);
	broker->server = spawn(broker, words, environment);
}

static void await(const struct broker *broker)
{
	int64_t until_us = harness_mono_us() + BROKER_START_MS * 1000;
	bool up = false;

	while (!up) {
		struct http_reply reply;

		broker_call(broker, "GET", "/api/health/checks/virtual-hosts", NULL, &reply);
		up = reply.status == 200;
		http_reply_release(&reply);
		if (!up && harness_mono_us() >= until_us)
			harness_fail("the broker does not answer; see %s/out", broker->scratch.folder);
		if (!up)
			harness_sleep_ms(POLL_MS);
	}
}

struct broker *broker_start(void)
{
	struct broker *broker = calloc(1, sizeof(*broker));
	char text[TEXT];

	if (broker == NULL)
		harness_fail("out of memory");
	scratch_make(&broker->scratch);
	broker->mapper_port = closed_port();
	broker->node_port = closed_port();
	broker->distribution_port = closed_port();
	broker->port = closed_port();
	snprintf(text, sizeof(text),
		"listeners.tcp.1 = 127.0.0.1:%d\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %d\n",
		broker->node_port, broker->port);
	write_file(broker, "rabbitmq.conf", text);
	write_file(broker, "plugins", "[rabbitmq_management].\n");
	start_mapper(broker);
	start_server(broker);
	await(broker);
	return broker;
}

void broker_stop(struct broker *broker)
{
	if (broker == NULL)
		return;
	kill(broker->server, SIGTERM);
	(void)program_wait(broker->server, BROKER_STOP_MS);
	kill(broker->mapper, SIGTERM);
	(void)program_wait(broker->mapper, BROKER_STOP_MS);
	scratch_remove(&broker->scratch);
	free(broker);
}

const char *broker_url(const struct broker *broker, const char *path, char url[BROKER_URL])
{
	snprintf(url, BROKER_URL, "http://127.0.0.1:%d%s", broker->port, path);
	return url;
}

void broker_call(const struct broker *broker, const char *method, const char *path, const char *body,
	struct http_reply *ret_reply)
{
	static const char *const headers[] = {"Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=", NULL}; /* guest:guest */
	char url[BROKER_URL];
	const struct http_call call = {
		.method = method, .url = broker_url(broker, path, url), .headers = headers, .body = body};

	http_do(&call, ret_reply);
}
