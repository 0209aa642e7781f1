/*
 * The writer's system calls, one by one: SIGKILL right before each, or an error instead of each, through a login and
 * its settlement, also where the write-ahead log is copied back. Whatever was answered with 200 is kept; whatever can't
 * be kept is answered with 503.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/inject.h"
#include "tests/support/long_form.h"
#include "tests/support/stage.h"

enum { TRIES = 5, PLAIN_LOGINS = 1, CHECKPOINT_LOGINS = 3, SHORT_STEP = 3 };

TestSuite(calls, .timeout = 1500);

static struct inject_calls clean_run(struct stage *stage, const char *what)
{
	struct inject_fault none = {.what = NULL};
	struct inject_calls calls;
	struct ledger_figures figures;
	char text[128];

	stage_open(stage);
	struct inject *inject = inject_attach(inject_thread(server_pid(stage->scene.server), "committer"), &none);
	stage_play(stage, false);
	inject_detach(inject, &calls);
	figures = stage_close(stage);
	cr_assert_eq(figures.acknowledged, stage->logins);
	cr_assert_gt(calls.count, 0);
	cr_assert_eq(calls.injected, 0);
	long_form_print("%s: a clean run makes %s", what, inject_describe(&calls, text));
	return calls;
}

static void must_hold(const struct ledger_figures *figures, const char *where)
{
	cr_assert_eq(figures->lost, 0, "%s: %zu lost", where, figures->lost);
	cr_assert_eq(figures->unexplained, 0, "%s: %zu repeats unexplained", where, figures->unexplained);
	cr_assert_eq(figures->unknown, 0, "%s: %zu unknown", where, figures->unknown);
	cr_assert_eq(figures->owed, 0, "%s: %zu owed", where, figures->owed);
}

/*
 * Plays with a fault. On a busy machine a mark may come so late that it shares the transaction of its settlement: there
 * are fewer calls then, and what is to be struck by the last of them is played again. A fault that never strikes fails.
 */
static struct inject *play_struck(struct stage *stage, const struct inject_fault *fault, const char *where)
{
	for (int i = 0; i < TRIES; i++) {
		struct inject_calls calls;

		stage_open(stage);
		struct inject *inject =
			inject_attach(inject_thread(server_pid(stage->scene.server), "committer"), fault);
		stage_play(stage, fault->from_then_on);
		if (inject_struck(inject))
			return inject;
		inject_detach(inject, &calls);
		server_kill(stage->scene.server);
		fprintf(stderr, "%s: there is no such call this time\n", where);
	}
	cr_assert_fail("%s: it did not strike", where);
	return NULL;
}

static void kill_at(struct stage *stage, const struct inject_fault *fault, struct ledger_figures *sum)
{
	struct inject_calls calls;
	struct ledger_figures figures;
	char where[64];

	snprintf(where, sizeof(where), "SIGKILL before %s %zu", fault->call, fault->number);
	struct inject *inject = play_struck(stage, fault, where);
	cr_assert(stage_ended(stage), "%s: it lives", where);
	cr_assert_eq(server_wait(stage->scene.server, SERVER_STOP_MS), -SIGKILL, "%s", where);
	inject_detach(inject, &calls);
	ledger_note_kill(stage->ledger);
	stage_recover(stage);
	figures = stage_close(stage);
	must_hold(&figures, where);
	ledger_figures_add(sum, &figures);
}

static void kill_at_each(const char *what, size_t logins, bool log_nearly_full)
{
	struct ledger_figures sum = {0};
	struct inject_calls calls;
	struct stage stage;

	if (!inject_possible())
		cr_skip_test("no process can be traced here");
	stage_set(&stage, logins, log_nearly_full);
	calls = clean_run(&stage, what);
	for (size_t i = 0; i < calls.count; i++) {
		struct inject_fault fault = inject_at(&calls, i, "signal=KILL");

		kill_at(&stage, &fault, &sum);
	}
	stage_clear(&stage);
	ledger_figures_print(what, &sum);
	cr_assert_eq(sum.kills, calls.count);
}

Test(calls, killed_at_each_call_of_a_login_and_its_settlement)
{
	kill_at_each("SIGKILL at each call, one login", PLAIN_LOGINS, false);
}

Test(calls, killed_at_each_call_while_the_log_is_copied_back)
{
	if (!long_form())
		cr_skip_test("in the long form");
	kill_at_each("SIGKILL at each call, with a checkpoint", CHECKPOINT_LOGINS, true);
}

#define UNHEALTHY "the store can't write: what needs it is refused until it can"

struct fault_sum {
	struct ledger_figures figures;
	size_t steps, unready, refused;
};

/* While the fault lasts nothing that needs the store is promised. */
static void check_refusal(struct stage *stage, const char *where)
{
	struct api_login login = api_login(stage->scene.server, "alice", SCENE_PASSWORD);

	cr_assert_eq(login.status, 503, "%s: a login is answered with %d", where, login.status);
	cr_assert(stage_ready_wait(stage, 503), "%s: it says that it is ready", where);
	stage->refused++;
}

/* At one call, or from there on until the fault is lifted; the server lives on. */
static void fail_at(struct stage *stage, const struct inject_fault *fault, struct fault_sum *sum)
{
	struct inject_calls calls;
	struct ledger_figures figures;
	char where[96];

	snprintf(where, sizeof(where), "%s at %s %zu%s", fault->what, fault->call, fault->number,
		fault->from_then_on ? " and later" : "");
	struct inject *inject = play_struck(stage, fault, where);
	/* ftruncate only tidies up after a checkpoint, which may fail and is repeated */
	if (fault->from_then_on && strcmp(fault->call, "ftruncate") != 0)
		check_refusal(stage, where);
	inject_detach(inject, &calls);
	cr_assert_not(stage_ended(stage), "%s: the server has ended", where);
	stage_recover(stage);
	cr_assert(stage_ready_wait(stage, 200), "%s: it does not recover", where);
	sum->unready += server_log_count(stage->scene.server, UNHEALTHY);
	figures = stage_close(stage);
	must_hold(&figures, where);
	cr_assert_eq(figures.unanswered, 0, "%s: %zu logins were refused and are there", where, figures.unanswered);
	cr_assert_eq(figures.repeated, 0, "%s: %zu effects were sent twice", where, figures.repeated);
	ledger_figures_add(&sum->figures, &figures);
	sum->refused += stage->refused;
	sum->steps++;
}

/* Every call in the long form; a few of them, and each sync, in the short one. */
static void fail_at_each(const char *what, size_t logins, bool log_nearly_full)
{
	static const char *const errors[] = {"error=EIO", "error=ENOSPC"};
	struct fault_sum sum = {.steps = 0};
	struct inject_calls calls;
	struct stage stage;

	if (!inject_possible())
		cr_skip_test("no process can be traced here");
	stage_set(&stage, logins, log_nearly_full);
	calls = clean_run(&stage, what);
	for (size_t i = 0; i < 4 * calls.count; i++) {
		struct inject_fault fault = inject_at(&calls, i / 4, errors[i % 2]);

		fault.from_then_on = i % 4 >= 2;
		if (long_form() || strcmp(fault.call, "fdatasync") == 0 || i % (4 * SHORT_STEP + 1) == 0)
			fail_at(&stage, &fault, &sum);
	}
	stage_clear(&stage);
	ledger_figures_print(what, &sum.figures);
	long_form_print("%s: %zu faults, %zu logins refused with 503, unready %zu times and ready again each time",
		what, sum.steps, sum.refused, sum.unready);
	cr_assert_gt(sum.refused, 0);
	cr_assert_gt(sum.unready, 0);
}

Test(calls, failing_at_each_call_of_a_login_and_its_settlement)
{
	fail_at_each("EIO and ENOSPC at each call, one login", PLAIN_LOGINS, false);
}

Test(calls, failing_at_each_call_while_the_log_is_copied_back)
{
	if (!long_form())
		cr_skip_test("in the long form");
	fail_at_each("EIO and ENOSPC at each call, with a checkpoint", CHECKPOINT_LOGINS, true);
}
