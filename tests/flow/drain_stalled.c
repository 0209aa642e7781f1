/*
 * An orderly stop while something hangs: it ends within background.drain, whatever it is. Each case first shows that it
 * hangs: the stop takes most of its time.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/black_hole.h"
#include "tests/support/crowd.h"
#include "tests/support/harness.h"
#include "tests/support/scene.h"
#include "tests/support/smtp_peer.h"

enum {
	DRAIN_MS = 2000,
	DELAY_MS = 1000, /* background.drain_delay, where a case has one */
	HELD_MS = 1200,	 /* what hangs holds the stop at least so long */
	SLACK_MS = 500,	 /* for a busy machine: a stop is planned to end half a second early */
	SETTLE_MS = 300, /* until what was sent to the server hangs */
	ANSWERS = 400,	 /* of /metrics, which nobody reads: more than the kernel's buffers hold */
	WINDOW = 4096,	 /* bytes that such a client lets come */
	WAITING = 3,	 /* logins that wait for their inline effect */
};

#define BUS(delivery) "'type':'bus','format':'json','on':['user.login'],'timeout':'60s','delivery':'" delivery "'"
#define MAIL                                                                                                           \
	"'type':'email','on':['user.login'],'timeout':'60s','delivery':'durable','from':'auth@example.com',"           \
	"'to':'bob@example.com'"
#define HEAD "{'password':{'memory_kib':8,'passes':1}, 'background':{'drain':'2s'}, "

TestSuite(drain_stalled, .timeout = 60);

static const char *const alice[] = {"alice", NULL};

static void log_in(const struct server *server)
{
	cr_assert_eq(api_login(server, "alice", SCENE_PASSWORD).status, 200);
}

static void stop_in_time(struct server *server, const char *what, int64_t delay_ms)
{
	int64_t began_us = harness_mono_us();

	cr_assert_eq(server_stop(server), 0);
	int64_t took_ms = (harness_mono_us() - began_us) / 1000;
	fprintf(stderr, "figure: a stop with %s took %lld ms of %lld\n", what, (long long)took_ms,
		(long long)(delay_ms + DRAIN_MS));
	cr_assert_geq(took_ms, delay_ms + HELD_MS, "%s: nothing hung", what);
	cr_assert_lt(took_ms, delay_ms + DRAIN_MS + SLACK_MS, "%s", what);
}

static void pending_are(const struct server *server, const char *effect, const char *count)
{
	char query[128];

	snprintf(query, sizeof(query), "SELECT COUNT(*) FROM effects WHERE state = 0 AND effect LIKE '%s'", effect);
	char *text = scene_query(server, query);
	cr_assert_str_eq(text, count, "%s of %s are kept", text, effect);
	free(text);
}

/* One mail server for each stage at which it may go silent, in the middle of a line or before it. */
Test(drain_stalled, mail_servers)
{
	static const struct smtp_script stalls[] = {
		{.replies[SMTP_GREETING] = SMTP_PEER_STALL},
		{.replies[SMTP_RCPT] = SMTP_PEER_DRIP},
		{.replies[SMTP_END_OF_DATA] = SMTP_PEER_STALL},
		{.stalls_at_quit = true},
		{.replies[SMTP_RCPT] = "550 5.1.1 no such user", .stalls_at_quit = true},
	};
	static const enum smtp_stage stages[] = {
		SMTP_GREETING, SMTP_RCPT, SMTP_END_OF_DATA, SMTP_END_OF_DATA, SMTP_RCPT};
	enum { PEERS = sizeof(stalls) / sizeof(stalls[0]) };
	struct smtp_peer *peers[PEERS];
	char urls[PEERS][SMTP_PEER_URL];

	for (size_t i = 0; i < PEERS; i++) {
		peers[i] = smtp_peer_start(&stalls[i], 1);
		(void)smtp_peer_url(peers[i], urls[i]);
	}
	char *config =
		scene_text(HEAD "'effects':{'a':{" MAIL ",'url':'%s'}, 'b':{" MAIL ",'url':'%s'},"
				"'c':{" MAIL ",'url':'%s'}, 'd':{" MAIL ",'url':'%s'}, 'e':{" MAIL ",'url':'%s'}}}",
			urls[0], urls[1], urls[2], urls[3], urls[4]);
	struct server *server = scene_server(config, NULL);
	log_in(server);
	for (size_t i = 0; i < PEERS; i++)
		cr_assert(i == 0 ? smtp_peer_wait_stage(peers[i], SMTP_GREETING, 1, SCENE_WAIT_MS)
				 : smtp_peer_wait_stage(peers[i], stages[i], 1, SCENE_WAIT_MS));
	stop_in_time(server, "mail servers that have gone silent", 0);
	pending_are(server, "_", "3");
	server_free(server);
	for (size_t i = 0; i < PEERS; i++)
		smtp_peer_stop(peers[i]);
	free(config);
}

Test(drain_stalled, look_ups)
{
	if (!black_hole_possible())
		cr_skip_test("no mount namespace of our own here");
	char *config = scene_text(
		HEAD "'effects':{'bus':{" BUS("durable") ",'url':'http://receiver.example.net/'},"
							 "'mail':{" MAIL ",'url':'smtp://mail.example.net'}}}");
	struct server *server = scene_server_with(&(struct server_options){.config = config, .black_hole_dns = true});
	log_in(server);
	harness_sleep_ms(SETTLE_MS);
	cr_assert_gt(server_dns_queries(server), 0);
	stop_in_time(server, "a DNS server that never answers", 0);
	pending_are(server, "%", "2");
	server_free(server);
	free(config);
}

static int connected(const struct server *server)
{
	char url[SERVER_URL];
	unsigned int port = 0;
	int window = WINDOW;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	cr_assert_eq(sscanf(server_url(server, "", url), "http://127.0.0.1:%u", &port), 1);
	to.sin_port = htons((uint16_t)port);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window)), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static int telling(const struct server *server, const char *text, size_t times)
{
	int fd = connected(server);

	while (times-- > 0)
		cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT), (ssize_t)strlen(text));
	return fd;
}

enum { CLIENTS = 4 };

/* They read nothing, or are in the middle of a head or of a body, or say nothing at all. */
static void come(const struct server *server, int fds[CLIENTS])
{
	fds[0] = telling(server, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", ANSWERS);
	fds[1] = telling(server, "GET /health/live HT", 1);
	fds[2] = telling(server,
		"POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{", 1);
	fds[3] = connected(server);
	harness_sleep_ms(SETTLE_MS);
}

static void leave(const int fds[CLIENTS])
{
	for (size_t i = 0; i < CLIENTS; i++)
		close(fds[i]);
}

Test(drain_stalled, clients)
{
	int fds[CLIENTS];
	char *config = scene_text(HEAD "'effects':{}}");
	struct server *server = scene_server(config, NULL);

	come(server, fds);
	stop_in_time(server, "clients that neither read nor finish", 0);
	leave(fds);
	server_free(server);
	free(config);
}

static struct crowd *waiting(const struct server *server)
{
	return crowd_start(&(struct crowd_options){
		.server = server, .usernames = alice, .password = SCENE_PASSWORD, .threads = WAITING, .each = 1});
}

Test(drain_stalled, inline_effects)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct peer *peer = peer_start(silent, 1);
	char url[PEER_TEXT];
	char *config = scene_text(
		HEAD "'effects':{'bus':{" BUS("inline") ",'url':'%s','max_in_flight':8}}}", peer_url(peer, "/", url));
	struct server *server = scene_server(config, NULL);
	struct crowd *crowd = waiting(server);

	cr_assert(peer_wait(peer, WAITING, SCENE_WAIT_MS));
	stop_in_time(server, "logins that wait for their inline effects", 0);
	crowd_join(crowd);
	cr_assert_eq(crowd_count_status(crowd, 200), WAITING, "there was time to answer them");
	pending_are(server, "bus", "3");
	crowd_free(crowd);
	server_free(server);
	peer_stop(peer);
	free(config);
}

/* All of it, after a delay for balancers; then a second signal in each of the two, which ends it at once. */
Test(drain_stalled, everything)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	const struct smtp_script stall = {.replies[SMTP_END_OF_DATA] = SMTP_PEER_STALL};
	struct peer *peer = peer_start(silent, 1);
	struct smtp_peer *smtp = smtp_peer_start(&stall, 1);
	char urls[3][PEER_TEXT], mail[SMTP_PEER_URL];
	int fds[CLIENTS];
	char *config =
		scene_text("{'password':{'memory_kib':8,'passes':1},"
			   "'background':{'drain':'2s','drain_delay':'1s'}, 'effects':{"
			   "'inline':{" BUS("inline") ",'url':'%s','max_in_flight':8},"
						      "'bus':{" BUS("durable") ",'url':'%s'}, 'ping':{" BUS(
							      "fire_and_forget") ",'url':'%s'},"
										 "'mail':{" MAIL ",'url':'%s'}}}",
			peer_url(peer, "/inline", urls[0]), peer_url(peer, "/bus", urls[1]),
			peer_url(peer, "/ping", urls[2]), smtp_peer_url(smtp, mail));
	struct server *server = scene_server(config, NULL);
	struct crowd *crowd = waiting(server);

	cr_assert(peer_wait(peer, WAITING + 2, SCENE_WAIT_MS));
	cr_assert(smtp_peer_wait(smtp, 1, SCENE_WAIT_MS));
	come(server, fds);
	stop_in_time(server, "all of these, and a delay", DELAY_MS);
	crowd_free(crowd);
	leave(fds);
	pending_are(server, "%", "12");

	for (int64_t wait_ms = DELAY_MS / 2; wait_ms <= DELAY_MS + DRAIN_MS / 2; wait_ms += DELAY_MS) {
		size_t asked = peer_count(peer);
		server_restart(server, NULL);
		cr_assert(peer_wait(peer, asked + 2, SCENE_WAIT_MS));
		come(server, fds);
		server_signal(server, SIGTERM);
		cr_assert(server_log_wait(server, "draining", 1, SCENE_WAIT_MS));
		harness_sleep_ms(wait_ms);
		int64_t began_us = harness_mono_us();
		server_signal(server, SIGTERM);
		cr_assert_eq(server_wait(server, SERVER_STOP_MS), 1);
		cr_assert_lt((harness_mono_us() - began_us) / 1000, SLACK_MS);
		leave(fds);
		pending_are(server, "%", "12");
	}
	server_free(server);
	smtp_peer_stop(smtp);
	peer_stop(peer);
	free(config);
}
