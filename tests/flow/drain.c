/*
 * An orderly stop with much to do: 10,000 effects are owed to a destination that accepts and never answers. It ends in
 * time, its counts add up, and what is on disk stays there however it ends.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/crowd.h"
#include "tests/support/harness.h"
#include "tests/support/scene.h"

enum { THREADS = 16, LOGINS = 10000, DRAIN_MS = 3000, SLACK_MS = 1000, AT_ONCE_MS = 1000, BACKLOG_WAIT_MS = 60000 };

/*
 * Effects of each login, all in memory. To write them is work for a processor, of which a busy machine has much less.
 */
enum { PINGS = 10, MEMORY_DRAIN_MS = 10000, MEMORY_SLACK_MS = 10000 };

TestSuite(drain, .timeout = 180);

static const char *const alice[] = {"alice", NULL};

static json_int_t stopped(struct server *server, const char *member)
{
	json_t *line = server_log_line(server, "stopped");
	json_t *value = json_object_get(line, member);
	json_int_t count = json_integer_value(value);

	cr_assert(json_is_integer(value), "\"stopped\" does not say %s", member);
	json_decref(line);
	return count;
}

static json_int_t count_rows(struct server *server, const char *where)
{
	char query[256];

	snprintf(query, sizeof(query), "SELECT COUNT(*) FROM effects WHERE %s", where);
	char *text = scene_query(server, query);
	json_int_t count = strtoll(text, NULL, 10);
	free(text);
	return count;
}

/* To a dead destination "bus", durable, and "ping", fire and forget; to one that is well, "good". */
static char *configuration(struct peer *dead, struct peer *good)
{
	char bus[PEER_TEXT], ping[PEER_TEXT], well[PEER_TEXT];

	return scene_text("{'password':{'memory_kib':8,'passes':1}, 'background':{'drain':'3s'}, 'effects':{"
			  "'bus':{'type':'bus','format':'json','on':['user.login'],'delivery':'durable','url':'%s',"
			  " 'timeout':'60s','max_in_flight':16},"
			  "'ping':{'type':'bus','format':'json','on':['user.login'],'delivery':'fire_and_forget',"
			  " 'url':'%s','timeout':'60s','max_in_flight':16},"
			  "'good':{'type':'bus','format':'json','on':['user.login'],'delivery':'durable','url':'%s',"
			  " 'retry':{'first':'20ms'}}}}",
		peer_url(dead, "/bus", bus), peer_url(dead, "/ping", ping), peer_url(good, "/good", well));
}

static void all_log_in(struct server *server, unsigned logins)
{
	struct crowd *crowd = crowd_start(&(struct crowd_options){.server = server,
		.usernames = alice,
		.password = SCENE_PASSWORD,
		.threads = THREADS,
		.each = logins / THREADS});

	crowd_join(crowd);
	cr_assert_eq(crowd_count_status(crowd, 200), logins);
	crowd_free(crowd);
}

static double ended(const struct server *server, const char *effect, const char *outcome)
{
	char series[256];

	snprintf(series, sizeof(series), "tokenfirst_effects_total{effect=\"%s\",outcome=\"%s\"}", effect, outcome);
	return metric_value(server, series);
}

/* With a sanitizer the time is only told: what must be written takes ten times as long. */
static void stop_within(struct server *server, const char *what, int64_t drain_ms, int64_t slack_ms)
{
	bool judged = !server_has_sanitizer(server);
	int64_t began_us = harness_mono_us();

	cr_assert_eq(server_stop(server), 0);
	int64_t took_ms = (harness_mono_us() - began_us) / 1000;
	fprintf(stderr, "figure: a drain of %lld ms with %s took %lld ms\n", (long long)drain_ms, what,
		(long long)took_ms);
	cr_assert(!judged || took_ms < drain_ms + slack_ms, "%s took %lld ms", what, (long long)took_ms);
}

/*
 * The first stop: all of it in time, and every effect is delivered, kept or was dropped before. What was to be
 * delivered has been by then: "delivered" counts from when the workers begin to drain, which no reader of metrics can
 * tell.
 */
static void stop_in_time(struct server *server)
{
	cr_assert(metric_wait(
		server, "tokenfirst_effects_total{effect=\"good\",outcome=\"delivered\"}", LOGINS, BACKLOG_WAIT_MS));
	cr_assert_eq(ended(server, "good", "delivered"), LOGINS);
	double dropped = ended(server, "ping", "dropped");
	stop_within(server,
		"10,000 durable effects and as many fire-and-forget ones owed to a destination that is dead", DRAIN_MS,
		SLACK_MS);
	json_int_t kept = stopped(server, "kept");
	cr_assert_eq(kept, count_rows(server, "state = 0"), "what is said to be kept is on disk");
	cr_assert_eq(count_rows(server, "effect = 'bus' AND state = 0"), LOGINS);
	cr_assert_eq(count_rows(server, "effect = 'good' AND state = 0"), 0);
	cr_assert_eq(count_rows(server, "effect = 'good'"), LOGINS);
	cr_assert_eq(stopped(server, "delivered"), 0);
	cr_assert_eq(stopped(server, "dropped"), (json_int_t)dropped);
	json_int_t pings = count_rows(server, "effect = 'ping' AND state = 0");
	cr_assert_eq(pings + (json_int_t)dropped, LOGINS, "%lld pings kept, %.0f dropped", (long long)pings, dropped);
	cr_assert_eq(kept, LOGINS + pings);
}

/* A second signal, with all of it in the hands of workers: what was on disk still is, to the last row. */
static void stop_at_once(struct server *server, struct peer *dead)
{
	json_int_t before = count_rows(server, "1");
	size_t asked = peer_count(dead);

	server_restart(server, NULL);
	cr_assert(peer_wait(dead, asked + 1, SCENE_WAIT_MS));
	server_signal(server, SIGTERM);
	cr_assert(server_log_wait(server, "draining", 1, SCENE_WAIT_MS));
	int64_t began_us = harness_mono_us();
	server_signal(server, SIGTERM);
	cr_assert_eq(server_wait(server, SERVER_STOP_MS), 1);
	cr_assert_lt((harness_mono_us() - began_us) / 1000, AT_ONCE_MS);
	cr_assert_eq(count_rows(server, "1"), before);
	cr_assert_eq(count_rows(server, "effect = 'bus' AND state = 0"), LOGINS);
}

Test(drain, ten_thousand_pending_on_a_dead_destination)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct peer *dead = peer_start(silent, 1), *good = peer_start(NULL, 0);
	char *config = configuration(dead, good);
	struct server *server = scene_server(config, NULL);

	all_log_in(server, LOGINS);
	stop_in_time(server);
	stop_at_once(server, dead);

	peer_script(dead, NULL, 0);
	server_restart(server, NULL);
	cr_assert(metric_wait_below(server, "tokenfirst_effects_pending{effect=\"bus\"}", 0, BACKLOG_WAIT_MS));
	cr_assert(metric_wait_below(server, "tokenfirst_effects_pending{effect=\"ping\"}", 0, BACKLOG_WAIT_MS));
	cr_assert_eq(ended(server, "bus", "delivered"), LOGINS);
	cr_assert_eq(count_rows(server, "state = 0"), 0);
	server_free(server);
	peer_stop(dead);
	peer_stop(good);
	free(config);
}

/*
 * Nothing of them is on disk when the stop begins, and all of it must be when it ends. A tenth of them is enough for a
 * sanitizer: it sees the same code, and would need most of a minute for all.
 */
Test(drain, a_hundred_thousand_in_memory)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct peer *dead = peer_start(silent, 1);
	char effects[8192], what[64], url[PEER_TEXT];
	size_t len = 0;

	for (int i = 0; i < PINGS; i++)
		len += (size_t)snprintf(effects + len, sizeof(effects) - len,
			"%s'ping%d':{'type':'bus','format':'json','on':['user.login'],'delivery':'fire_and_forget',"
			"'url':'%s','timeout':'60s','max_in_flight':16,'max_pending':%d}",
			i > 0 ? "," : "", i, peer_url(dead, "/ping", url), LOGINS);
	char *config = scene_text(
		"{'password':{'memory_kib':8,'passes':1}, 'background':{'drain':'10s'}, 'effects':{%s}}", effects);
	struct server *server = scene_server(config, NULL);
	const unsigned logins = server_has_sanitizer(server) ? LOGINS / 10 / THREADS * THREADS : LOGINS;

	all_log_in(server, logins);
	(void)snprintf(what, sizeof(what), "%u fire-and-forget effects in memory", logins * PINGS);
	stop_within(server, what, MEMORY_DRAIN_MS, MEMORY_SLACK_MS);
	json_int_t kept = stopped(server, "kept");
	cr_assert_eq(kept, logins * PINGS, "%lld kept", (long long)kept);
	cr_assert_eq(count_rows(server, "state = 0"), kept);
	char *counted = scene_query(server, "SELECT SUM(count) FROM counters WHERE kind = 'pending'");
	cr_assert_eq(strtoll(counted, NULL, 10), kept, "counted as pending: %s", counted);
	free(counted);
	cr_assert_eq(stopped(server, "dropped"), 0);
	server_free(server);
	peer_stop(dead);
	free(config);
}
