/*
 * What threads leave to others: a server that has nothing to do does nothing (no thread of it wakes to look whether there
 * is something), and what comes after the answers makes way for what comes before.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/scene.h"
#include "tests/support/smtp_peer.h"

enum {
	LOGINS = 8,
	THREADS = 1024,
	QUIET_MS = 2000, /* what follows the last delivery is over by then */
	IDLE_S = 10,
	PLANTED_S = 2,
	MOST = 5, /* of all threads together, so that one that ticks once a second is found; measured: 0 in 30 s */
};

TestSuite(idle, .timeout = 60);

struct thread {
	long id;
	char name[32];
	long long switches; /* since it began: asked for, and not */
	int niceness;
};

struct threads {
	size_t count;
	struct thread list[THREADS];
};

static void read_thread(pid_t pid, long id, struct thread *ret_thread)
{
	char path[64], line[256];
	long long number;

	*ret_thread = (struct thread){.id = id, .niceness = getpriority(PRIO_PROCESS, (id_t)id)};
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%ld/status", (int)pid, id);
	FILE *status = fopen(path, "re");
	if (status == NULL)
		return; /* it has just ended */
	while (fgets(line, sizeof(line), status) != NULL) {
		(void)sscanf(line, "Name:\t%31[^\n]", ret_thread->name);
		if (sscanf(line, "voluntary_ctxt_switches: %lld", &number) == 1 ||
			sscanf(line, "nonvoluntary_ctxt_switches: %lld", &number) == 1)
			ret_thread->switches += number;
	}
	(void)fclose(status);
}

static struct threads *read_threads(pid_t pid)
{
	struct threads *threads = calloc(1, sizeof(*threads));
	char path[64];
	struct dirent *entry;

	cr_assert_not_null(threads);
	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *folder = opendir(path);
	cr_assert_not_null(folder, "%s", path);
	while ((entry = readdir(folder)) != NULL) {
		long id = strtol(entry->d_name, NULL, 10);

		cr_assert_lt(threads->count, THREADS);
		if (id > 0)
			read_thread(pid, id, &threads->list[threads->count++]);
	}
	(void)closedir(folder);
	return threads;
}

/* 0 for a thread that was not there. */
static long long switches_of(const struct threads *threads, long id)
{
	for (size_t i = 0; i < threads->count; i++) {
		if (threads->list[i].id == id)
			return threads->list[i].switches;
	}
	return 0;
}

/* Wake-ups of all threads in so many seconds; `who` says whose they are. */
static long long wakeups(const struct server *server, int seconds, char who[256])
{
	struct threads *before = read_threads(server_pid(server)), *after;
	long long all = 0;
	size_t len = 0;

	harness_sleep_ms(seconds * 1000);
	after = read_threads(server_pid(server));
	who[0] = '\0';
	for (size_t i = 0; i < after->count; i++) {
		long long more = after->list[i].switches - switches_of(before, after->list[i].id);

		all += more;
		if (more > 0 && len < 200)
			len += (size_t)snprintf(who + len, 256 - len, " %s:%lld", after->list[i].name, more);
	}
	free(before);
	free(after);
	return all;
}

static void deliver_some(struct server *server)
{
	for (int i = 0; i < LOGINS; i++) {
		struct api_login login = api_login(server, "alice", SCENE_PASSWORD);

		cr_assert_eq(login.status, 200);
		json_t *event = api_event_settled(server, &login, SCENE_WAIT_MS);
		cr_assert_not_null(event);
		cr_assert_eq(json_array_size(json_object_get(event, "effects")), 4);
		json_decref(event);
	}
	harness_sleep_ms(QUIET_MS);
}

/* The library lies beside the folder of this program. */
static void find_preload(char preload[PATH_MAX + 32])
{
	char path[PATH_MAX] = "";

	cr_assert_gt(readlink("/proc/self/exe", path, sizeof(path) - 1), 0);
	*strrchr(path, '/') = '\0';
	*strrchr(path, '/') = '\0';
	(void)snprintf(preload, PATH_MAX + 32, "LD_PRELOAD=%s/support/ticking.so", path);
	cr_assert_eq(access(preload + strlen("LD_PRELOAD="), R_OK), 0, "%s is not built", preload);
}

static char *four_effects(struct peer *http, struct smtp_peer *smtp)
{
	static const char durable[] = "'on':['user.login'],'delivery':'durable','url'";
	char url[PEER_TEXT], mail_url[SMTP_PEER_URL];

	(void)peer_url(http, "/", url);
	return scene_text("{'password':{'memory_kib':8,'passes':1}, 'effects':{"
			  "'email':{'type':'email','from':'auth@example.com',%s:'%s'},"
			  "'analytics':{'type':'analytics','format':'json',%s:'%s'},"
			  "'crm':{'type':'crm','format':'json',%s:'%s'},"
			  "'bus':{'type':'bus','format':'json',%s:'%s'}}}",
		durable, smtp_peer_url(smtp, mail_url), durable, url, durable, url, durable, url);
}

Test(idle, nothing_wakes_that_has_nothing_to_do)
{
	struct peer *http = peer_start(NULL, 0);
	struct smtp_peer *smtp = smtp_peer_start(NULL, 0);
	char *config = four_effects(http, smtp), preload[PATH_MAX + 32], who[256];
	const char *const environment[] = {preload, NULL};
	struct server *server = scene_server_with(&(struct server_options){.config = config});
	bool judged = !server_has_sanitizer(server); /* whose runtime has a thread of its own */

	if (judged) {
		deliver_some(server);
		long long count = wakeups(server, IDLE_S, who);
		fprintf(stderr, "figure: %lld wake-ups in %d s of an idle server\n", count, IDLE_S);
		cr_expect_leq(count, MOST, "%lld in %d s:%s", count, IDLE_S, who);

		cr_assert_eq(server_stop(server), 0);
		find_preload(preload);
		server_restart(server, &(struct server_options){.config = config, .environment = environment});
		deliver_some(server);
		count = wakeups(server, PLANTED_S, who);
		cr_expect_gt(count, MOST, "a thread that ticks is not seen");
		cr_expect_not_null(strstr(who, "ticking"), "%s", who);
	}
	server_free(server);
	peer_stop(http);
	smtp_peer_stop(smtp);
	free(config);
}

Test(idle, what_comes_after_the_answer_lets_others_go_first)
{
	struct peer *http = peer_start(NULL, 0);
	struct smtp_peer *smtp = smtp_peer_start(NULL, 0);
	char *config = four_effects(http, smtp);
	struct server *server = scene_server_with(&(struct server_options){.config = config});
	const int own = getpriority(PRIO_PROCESS, (id_t)server_pid(server));
	size_t nicer = 0;

	deliver_some(server);
	struct threads *threads = read_threads(server_pid(server));
	for (size_t i = 0; i < threads->count; i++) {
		const struct thread *thread = &threads->list[i];
		const bool after = strncmp(thread->name, "worker", 6) == 0 || strncmp(thread->name, "courier", 7) == 0;

		nicer += after;
		cr_expect_eq(thread->niceness > own, after, "%s stands at %d", thread->name, thread->niceness);
	}
	cr_expect_geq(nicer, 2, "workers and couriers are not found by their names");
	free(threads);
	server_free(server);
	peer_stop(http);
	smtp_peer_stop(smtp);
	free(config);
}
