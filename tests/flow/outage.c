/* A target that is not there: who else feels it (nobody), and what happens when it comes back. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/black_hole.h"
#include "tests/support/harness.h"
#include "tests/support/scene.h"
#include "tests/support/wire.h"

enum {
	LOGINS = 20,
	LATE_REQUEST = 64 << 10,
	OTHER_LANE_MS = 2000, /* generous: it is a matter of milliseconds */
	SLACK_MS = 30,
	DNS_FAILURES = 3,
};

TestSuite(outage, .timeout = 90);

/* A receiver whose port is known, and refused, before it listens. One connection at a time. */
struct late {
	int fd;
	int port;
	pthread_t thread;
	atomic_bool stopping;
	atomic_size_t count;
};

static void late_bind(struct late *late)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);

	*late = (struct late){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_geq(late->fd, 0);
	cr_assert_eq(bind(late->fd, (struct sockaddr *)&address, size), 0);
	cr_assert_eq(getsockname(late->fd, (struct sockaddr *)&address, &size), 0);
	late->port = ntohs(address.sin_port);
}

static bool readable(const struct late *late, int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	while (!atomic_load(&late->stopping))
		if (poll(&wait, 1, 20) > 0)
			return true;
	return false;
}

static void late_serve(struct late *late, int fd, char *bytes)
{
	static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	struct wire_frame frame;
	size_t len = 0;

	while (readable(late, fd)) {
		ssize_t n = recv(fd, bytes + len, LATE_REQUEST - len, 0);

		if (n <= 0)
			return;
		len += (size_t)n;
		while (len > 0 && wire_frame(bytes, len, WIRE_REQUEST, &frame) > 0) {
			atomic_fetch_add(&late->count, 1);
			if (send(fd, reply, sizeof(reply) - 1, MSG_NOSIGNAL) < 0)
				return;
			len -= frame.total_len;
			memmove(bytes, bytes + frame.total_len, len);
		}
	}
}

static void *late_thread(void *arg)
{
	struct late *late = arg;
	char *bytes = malloc(LATE_REQUEST);

	while (bytes != NULL && readable(late, late->fd)) {
		int fd = accept4(late->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		late_serve(late, fd, bytes);
		close(fd);
	}
	free(bytes);
	return NULL;
}

static void late_listen(struct late *late)
{
	cr_assert_eq(listen(late->fd, LOGINS), 0);
	cr_assert_eq(pthread_create(&late->thread, NULL, late_thread, late), 0);
}

static void late_stop(struct late *late)
{
	atomic_store(&late->stopping, true);
	pthread_join(late->thread, NULL);
	close(late->fd);
}

Test(outage, a_closed_port_opens_the_breaker_and_closes_it_again)
{
	static const char lost_breaker[] = "tokenfirst_breaker_state{effect=\"lost\"}";
	struct api_login logins[LOGINS];
	struct scene scene;
	struct late late;
	char *more;

	late_bind(&late);
	more = scene_text("{'background':{'workers':1}, 'effects':{'lost':{'type':'bus','format':'json',"
			  " 'on':['user.login'],'delivery':'durable','url':'http://127.0.0.1:%d/','max_in_flight':1,"
			  " 'retry':{'first':'5ms','cap':'20ms','max_attempts':1000},"
			  " 'breaker':{'failures':3,'open_for':'100ms'}}}}",
		late.port);
	scene_set(&scene, NULL, 0, more);
	for (size_t i = 0; i < LOGINS; i++)
		logins[i] = scene_login(&scene);
	cr_assert(metric_wait(scene.server, lost_breaker, 2, SCENE_WAIT_MS));
	cr_assert_geq(
		metric_value(scene.server, "tokenfirst_effect_attempts_total{effect=\"lost\",outcome=\"connect\"}"), 3);
	for (size_t i = 0; i < LOGINS; i++)
		cr_assert(api_effect_wait(scene.server, &logins[i], "bus", "delivered", OTHER_LANE_MS));
	cr_assert_eq(metric_value(scene.server, "tokenfirst_breaker_state{effect=\"bus\"}"), 0);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_pending{effect=\"lost\"}"), LOGINS);

	late_listen(&late);
	for (size_t i = 0; i < LOGINS; i++)
		cr_assert(api_effect_wait(scene.server, &logins[i], "lost", "delivered", SCENE_WAIT_MS));
	cr_assert_eq(atomic_load(&late.count), LOGINS);
	cr_assert(metric_wait_below(scene.server, lost_breaker, 0, SCENE_WAIT_MS));
	cr_assert(server_log_wait(scene.server, "breaker closed: the target answers again", 1, SCENE_WAIT_MS));
	scene_clear(&scene);
	late_stop(&late);
	free(more);
}

/* While the breaker is open the target is left in peace, whatever is waiting for it. */
Test(outage, an_open_breaker_sends_nothing)
{
	struct peer_step steps[] = {{.status = 503}};
	struct scene scene;

	scene_set(&scene, steps, 1,
		"{'effects':{'bus':{'max_in_flight':1, 'retry':{'first':'1ms','cap':'1ms'},"
		" 'breaker':{'failures':4,'open_for':'1h'}}}}");
	for (size_t i = 0; i < LOGINS; i++)
		scene_login(&scene);
	cr_assert(metric_wait(scene.server, "tokenfirst_breaker_state{effect=\"bus\"}", 2, SCENE_WAIT_MS));
	scene_login(&scene);
	cr_assert_eq(metric_value(scene.server, "tokenfirst_effects_pending{effect=\"bus\"}"), LOGINS + 1);
	cr_assert_eq(server_stop(scene.server), 0);
	cr_assert_eq(peer_count(scene.peer), 4);
	scene_clear(&scene);
}

/* A resolver that does not answer holds up neither the other lanes of the same worker nor any login. */
Test(outage, a_dead_dns_holds_up_nobody_else)
{
	static const char dns[] = "tokenfirst_effect_attempts_total{effect=\"lost\",outcome=\"dns\"}";
	struct scene scene;
	char url[PEER_TEXT];
	struct peer *peer;
	size_t logins = 0;
	char *config;

	if (!black_hole_possible())
		cr_skip_test("no mount namespace of our own here");
	peer = peer_start(NULL, 0);
	config = scene_text(
		"{'password':{'memory_kib':8,'passes':1}, 'background':{'workers':1,'drain':'300ms'},"
		" 'effects':{'lost':{'type':'bus','format':'json','on':['user.login'],'delivery':'durable',"
		"  'url':'http://receiver.example.net/','timeout':'500ms','max_in_flight':2,"
		"  'retry':{'first':'20ms','cap':'50ms','max_attempts':1000},'breaker':{'failures':1000}},"
		" 'bus':{'type':'bus','format':'json','on':['user.login'],'delivery':'durable','url':'%s'}}}",
		peer_url(peer, "/", url));
	scene = (struct scene){.peer = peer, .config = config};
	scene.server = scene_server_with(&(struct server_options){.config = config, .black_hole_dns = true});
	/* through the start, the time-out and the clean-up of several look-ups */
	while (metric_value(scene.server, dns) < DNS_FAILURES) {
		struct api_login login = scene_login(&scene);

		cr_assert_lt(login.ms, OTHER_LANE_MS, "a login took %g ms", login.ms);
		cr_assert(peer_wait(peer, ++logins, OTHER_LANE_MS), "effect %zu is held up", logins);
		cr_assert_lt(logins, PEER_REQUESTS, "the look-ups never end");
	}
	cr_assert_gt(server_dns_queries(scene.server), 0);
	scene_clear(&scene);
}

static int compare(const void *a, const void *b)
{
	double first = *(const double *)a;
	double second = *(const double *)b;

	return (first > second) - (first < second);
}

static double median_login_ms(const struct scene *scene)
{
	double ms[LOGINS];

	for (size_t i = 0; i < LOGINS; i++)
		ms[i] = scene_login(scene).ms;
	qsort(ms, LOGINS, sizeof(ms[0]), compare);
	return ms[LOGINS / 2];
}

Test(outage, a_silent_target_never_delays_a_login)
{
	struct peer_step silent[] = {{.action = PEER_SILENT}};
	struct scene scene;
	double well;
	double ill;

	scene_set(&scene, NULL, 0, "{'effects':{'bus':{'timeout':'30s','max_in_flight':2}}}");
	well = median_login_ms(&scene);
	peer_script(scene.peer, silent, 1);
	ill = median_login_ms(&scene);
	cr_assert_lt(ill, 3 * well + SLACK_MS, "%g ms beside a silent target, %g ms else", ill, well);
	scene_clear(&scene);
}
