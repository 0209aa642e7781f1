#include "tests/support/stage.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/harness.h"

enum {
	ANSWER_MS = 80,	  /* longer than a mark waits for company */
	LOG_FRAME = 4120, /* bytes of a page in the write-ahead log */
	LOG_FRAMES = 970, /* of the 1,000 at which it is copied back */
	POLL_MS = 2,
};

static const char *const parts[] = {"", "-wal", "-shm"};

static void copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return;
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t len = 0;

	while (out >= 0 && (len = sendfile(out, in, NULL, 1 << 20)) > 0) {
	}
	if (out < 0 || len < 0 || close(out) != 0)
		harness_fail("%s can't be copied to %s: %m", from, to);
	close(in);
}

/* The shared memory is never kept: it is made anew from the log. */
static void move_store(const struct stage *stage, bool save)
{
	for (size_t i = 0; i < 3; i++) {
		char live[SERVER_URL], kept[SERVER_URL];

		snprintf(live, sizeof(live), "%s/tokenfirst.db%s", server_folder(stage->scene.server), parts[i]);
		snprintf(kept, sizeof(kept), "%s%s", stage->saved.path, parts[i]);
		if (save && i < 2)
			copy(live, kept);
		else if (!save) {
			unlink(live);
			copy(kept, live);
		}
	}
}

static void fill_log(const struct scene *scene)
{
	while (metric_value(scene->server, "tokenfirst_store_wal_bytes") < (double)LOG_FRAMES * LOG_FRAME) {
		struct api_login login = scene_login(scene);

		if (!api_effect_wait(scene->server, &login, "bus", "delivered", SCENE_WAIT_MS))
			harness_fail("stage: a login is not delivered");
	}
}

void stage_set(struct stage *stage, size_t logins, bool log_nearly_full)
{
	struct peer_step answer[] = {{.delay_ms = ANSWER_MS}};

	*stage = (struct stage){.logins = logins};
	/* a machine that stands still for a moment is no reason to send anything twice */
	scene_set(&stage->scene, NULL, 0, "{'effects':{'bus':{'timeout':'60s', 'connect_timeout':'20s'}}}");
	scratch_make(&stage->saved);
	if (log_nearly_full)
		fill_log(&stage->scene);
	server_kill(stage->scene.server);
	move_store(stage, true);
	peer_script(stage->scene.peer, answer, 1);
}

void stage_clear(struct stage *stage)
{
	ledger_free(stage->ledger);
	scratch_remove(&stage->saved);
	scene_clear(&stage->scene);
}

void stage_open(struct stage *stage)
{
	ledger_free(stage->ledger);
	stage->refused = 0;
	move_store(stage, false);
	stage->ledger = ledger_new(stage->scene.server, stage->scene.peer, "bus");
	server_restart(stage->scene.server, NULL);
}

bool stage_ended(const struct stage *stage)
{
	siginfo_t info = {.si_pid = 0};

	if (waitid(P_PID, (id_t)server_pid(stage->scene.server), &info, WEXITED | WNOHANG | WNOWAIT) != 0)
		harness_fail("waitid: %m");
	return info.si_pid != 0;
}

static bool settled(const struct stage *stage, const struct api_login *login)
{
	json_t *event = api_event(stage->scene.server, login);
	const char *state = json_string_value(json_object_get(api_event_effect(event, "bus"), "state"));
	bool is = state != NULL && strcmp(state, "delivered") == 0;

	json_decref(event);
	return is;
}

int stage_ready(const struct stage *stage)
{
	struct http_reply reply;
	int status;

	api_get(stage->scene.server, "/health/ready", NULL, &reply);
	status = reply.status;
	http_reply_release(&reply);
	return status;
}

bool stage_ready_wait(const struct stage *stage, int status)
{
	int64_t until_us = harness_mono_us() + SCENE_WAIT_MS * 1000;

	while (stage_ready(stage) != status) {
		if (harness_mono_us() > until_us)
			return false;
		harness_sleep_ms(POLL_MS);
	}
	return true;
}

/* One login, until it is settled, refused, or the play is over. */
static void play_login(struct stage *stage, bool until_unready)
{
	int64_t until_us = harness_mono_us() + SCENE_WAIT_MS * 1000;
	struct api_login login = api_login(stage->scene.server, "alice", SCENE_PASSWORD);

	ledger_promise(stage->ledger, &login);
	stage->refused += login.status == 503;
	if (login.status == 503)
		return;
	while (!stage_ended(stage) && !(until_unready && stage_ready(stage) == 503) &&
		(login.status != 200 || !settled(stage, &login))) {
		if (harness_mono_us() > until_us)
			harness_fail("stage: a login is answered with %d and not settled", login.status);
		harness_sleep_ms(POLL_MS);
	}
}

void stage_play(struct stage *stage, bool until_unready)
{
	for (size_t i = 0; i < stage->logins && !stage_ended(stage); i++) {
		play_login(stage, until_unready);
		if (until_unready && !stage_ended(stage) && stage_ready(stage) == 503)
			return;
	}
}

void stage_recover(struct stage *stage)
{
	struct api_login login;

	if (!server_running(stage->scene.server))
		server_restart(stage->scene.server, NULL);
	login = scene_login(&stage->scene);
	ledger_promise(stage->ledger, &login);
	if (!api_effect_wait(stage->scene.server, &login, "bus", "delivered", SCENE_WAIT_MS) ||
		!metric_wait_below(stage->scene.server, "tokenfirst_effects_pending{effect=\"bus\"}", 0, SCENE_WAIT_MS))
		harness_fail("stage: not delivered after the fault");
}

struct ledger_figures stage_close(struct stage *stage)
{
	if (server_stop(stage->scene.server) != 0)
		harness_fail("stage: the server does not end in good order");
	return ledger_check(stage->ledger);
}
