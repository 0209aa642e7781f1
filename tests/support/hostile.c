#include "tests/support/hostile.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/breaker.h"
#include "config/clock.h"
#include "tests/support/harness.h"

enum {
	WARM_UP = 3,	     /* deliveries before memory is measured: connections, statements and buffers are there */
	BESIDE_EVERY_MS = 5, /* an event for the lane beside */
	BESIDE_LEAST =
		2, /* deliveries beside a hold of 100 ms and more; it is one each 5 ms on a machine that is idle */
	ENOUGH_HOLD_MS = 100,
};

/* An address sanitizer keeps what is freed: figures of memory say nothing then. There only where there is one. */
extern void __asan_init(void) __attribute__((weak));

static int64_t status_kib(const char *name)
{
	char line[256];
	int64_t kib = -1;
	FILE *in = fopen("/proc/self/status", "re");

	cr_assert_not_null(in);
	while (kib < 0 && fgets(line, sizeof(line), in) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtoll(line + strlen(name), NULL, 10);
	fclose(in);
	return kib;
}

/* proc_pid_clear_refs(5): 5 sets the peak of resident memory back to what it is now. */
static void forget_peak(void)
{
	FILE *out = fopen("/proc/self/clear_refs", "we");

	cr_assert_not_null(out);
	cr_assert_gt(fputs("5", out), 0);
	cr_assert_eq(fclose(out), 0);
}

size_t hostile_threads(void)
{
	DIR *folder = opendir("/proc/self/task");
	size_t count = 0;

	cr_assert_not_null(folder);
	for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

static uint64_t attempts_at(struct delivery_scene *scene, const char *effect)
{
	struct target *target = delivery_scene_target(scene, effect);
	uint64_t sum = 0;

	for (int i = 0; i < OUTCOME_COUNT; i++)
		sum += atomic_load(&target->attempts[i]->value);
	return sum;
}

uint64_t hostile_attempts(struct hostile_run *run)
{
	return attempts_at(&run->scene, "hostile");
}

static void send_beside(struct hostile_run *run)
{
	char id[ID_SIZE];

	cr_assert_eq(delivery_scene_event_of(&run->scene, "beside.event", NULL, id), 0);
}

void hostile_beside(struct hostile_run *run)
{
	uint64_t before = delivery_scene_ended(&run->scene, "beside", "delivered");
	int64_t until_us = harness_mono_us() + HOSTILE_MARGIN_MS * 1000;

	send_beside(run);
	while (delivery_scene_ended(&run->scene, "beside", "delivered") <= before) {
		cr_assert_lt(harness_mono_us(), until_us, "the lane beside is held up");
		harness_sleep_ms(1);
	}
}

/* A first attempt alone: the next is an hour away, and so is a probe. */
static void set_up(struct hostile_run *run, const struct hostile_case *wanted)
{
	char url[PEER_TEXT], more[2 * PEER_TEXT];
	static const char base[] = "{'on':['user.login'],'timeout':'%dms','retry':{'first':'1h','cap':'1h'},"
				   "'breaker':{'failures':1000,'open_for':'1h'}%s%s";

	snprintf(more, sizeof(more), base, wanted->held_ms > 0 ? HOSTILE_TIMEOUT_MS : HOSTILE_LONG_TIMEOUT_MS,
		wanted->more != NULL ? "," : "", wanted->more != NULL ? wanted->more + 1 : "}");
	run->beside = peer_start(NULL, 0);
	peer_url(run->beside, "/", url);
	/* targets go to the two workers in turn: the first and the third share one */
	delivery_scene_make(&run->scene,
		(struct delivery_effect[]){{.name = "hostile", .url = wanted->url, .more = more},
			{.name = "elsewhere", .url = url, .more = "{'on':['none']}"},
			{.name = "beside", .url = url, .more = "{'on':['beside.event']}"}},
		3);
	cr_assert_eq(delivery_scene_target(&run->scene, "hostile")->worker,
		delivery_scene_target(&run->scene, "beside")->worker);
	for (int i = 0; i < WARM_UP; i++)
		hostile_beside(run);
}

/* The attempt itself, with the lane beside at work; its verdict may not be settled yet. */
static void watch(struct hostile_run *run, const struct hostile_case *wanted)
{
	int64_t most_us = (wanted->held_ms + HOSTILE_MARGIN_MS) * 1000;
	int64_t began_us, next_us = 0;
	uint64_t before;

	cr_assert_eq(delivery_scene_event_of(&run->scene, "user.login", wanted->data, run->id), 0);
	began_us = harness_mono_us();
	run->committed_ms = clock_now_ms();
	before = delivery_scene_ended(&run->scene, "beside", "delivered");
	while (hostile_attempts(run) == 0) {
		int64_t now_us = harness_mono_us();

		cr_assert_lt(now_us - began_us, most_us, "%s: its slot is held for longer than %lld ms", wanted->name,
			(long long)wanted->held_ms);
		if (now_us >= next_us) {
			send_beside(run);
			next_us = now_us + BESIDE_EVERY_MS * 1000;
		}
		harness_sleep_ms(1);
	}
	run->held_us = harness_mono_us() - began_us;
	run->ended_ms = clock_now_ms();
	run->delivered_beside = delivery_scene_ended(&run->scene, "beside", "delivered") - before;
}

static const char *state_of(enum hostile_verdict verdict)
{
	switch (verdict) {
	case HOSTILE_DELIVERED:
		return "delivered";
	case HOSTILE_DEAD:
		return "dead";
	case HOSTILE_RETRIED:
	case HOSTILE_WAITS:
	case HOSTILE_PARKED:
		break;
	}
	return "pending";
}

/* The settlement follows the end of the attempt: what the row says of it, once it says anything. */
static void await_settled(struct hostile_run *run)
{
	for (int i = 0; i < DELIVERY_WAIT_MS; i++) {
		run->row = delivery_scene_row(&run->scene, run->id, "hostile");
		if (run->row.log != NULL && strcmp(run->row.log, "[]") != 0)
			return;
		delivery_row_release(&run->row);
		harness_sleep_ms(1);
	}
	cr_assert_fail("the attempt is never settled");
}

static const char *text_member(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

static void check_verdict(struct hostile_run *run, const struct hostile_case *wanted)
{
	int64_t breaker = gauge_get(delivery_scene_target(&run->scene, "hostile")->breaker);
	json_t *log = json_loads(run->row.log, 0, NULL);
	const json_t *first = json_array_get(log, 0);

	cr_assert_str_eq(text_member(first, "outcome"), wanted->outcome, "%s: %s", wanted->name, run->row.log);
	cr_assert_str_eq(
		run->row.state, state_of(wanted->verdict), "%s: %s: %s", wanted->name, run->row.state, run->row.reason);
	if (wanted->reason != NULL)
		cr_assert_not_null(
			strstr(run->row.reason, wanted->reason), "%s: \"%s\"", wanted->name, run->row.reason);
	else
		cr_assert_eq(run->row.reason[0] == '\0', wanted->verdict == HOSTILE_DELIVERED, "%s: \"%s\"",
			wanted->name, run->row.reason);
	if (wanted->verdict == HOSTILE_DEAD)
		cr_assert_str_eq(run->row.cause, CAUSE_CONDEMNED);
	if (wanted->verdict != HOSTILE_WAITS)
		cr_assert_eq(breaker, wanted->verdict == HOSTILE_PARKED ? BREAKER_OPEN : BREAKER_CLOSED,
			"%s: breaker %lld", wanted->name, (long long)breaker);
	json_decref(log);
}

static void check_bounds(const struct hostile_run *run, const struct hostile_case *wanted)
{
	int64_t most_kib = wanted->memory_kib > 0 ? wanted->memory_kib : HOSTILE_MEMORY_KIB;

	cr_assert_geq(run->held_us, wanted->least_ms * 1000, "%s: ended after %lld us", wanted->name,
		(long long)run->held_us);
	if (__asan_init == NULL)
		cr_assert_leq(run->grown_kib, most_kib, "%s: memory grew by %lld KiB", wanted->name,
			(long long)run->grown_kib);
	if (wanted->least_ms > ENOUGH_HOLD_MS)
		cr_assert_geq(run->delivered_beside, BESIDE_LEAST, "%s: only %zu delivered beside", wanted->name,
			run->delivered_beside);
}

static void print_figures(const struct hostile_run *run, const struct hostile_case *wanted)
{
	static const char *const verdicts[] = {
		[HOSTILE_DELIVERED] = "delivered",
		[HOSTILE_RETRIED] = "nothing condemned",
		[HOSTILE_WAITS] = "nothing condemned",
		[HOSTILE_DEAD] = "effect condemned",
		[HOSTILE_PARKED] = "target condemned",
	};

	printf("figure: %s: held %.3f s of %.3f s, %.1f MiB, outcome %s, %s, %zu delivered beside\n", wanted->name,
		(double)run->held_us / 1e6, (double)wanted->held_ms / 1e3, (double)run->grown_kib / 1024,
		wanted->outcome, verdicts[wanted->verdict], run->delivered_beside);
	fflush(stdout);
}

void hostile_begin(struct hostile_run *run, const struct hostile_case *wanted)
{
	int64_t before_kib;

	*run = (struct hostile_run){.beside = NULL};
	set_up(run, wanted);
	forget_peak();
	before_kib = status_kib("VmRSS:");
	watch(run, wanted);
	run->grown_kib = status_kib("VmHWM:") - before_kib;
	hostile_beside(run); /* what cleans up after the attempt holds up nobody, either */
	await_settled(run);
	check_verdict(run, wanted);
	check_bounds(run, wanted);
	print_figures(run, wanted);
}

void hostile_end(struct hostile_run *run)
{
	delivery_row_release(&run->row);
	delivery_scene_remove(&run->scene);
	peer_stop(run->beside);
}
