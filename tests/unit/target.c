/* The counts of a target: what is reserved before a promise, and what is shown of it. */
#include "background/delivery/target.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>

#include "config/limits.h"

static char name[] = "crm", type[] = "crm";
static struct effect_config config;
static struct metrics *metrics;
static struct target target;

static void setup(void)
{
	config = (struct effect_config){.name = name, .effect = name, .type = type, .max_pending = 3};
	metrics = metrics_new();
	cr_assert_not_null(metrics);
	target_init(&target, &config, metrics);
	cr_assert_eq(metrics_error(metrics), 0);
}

static void teardown(void)
{
	target_release(&target);
	metrics_free(metrics);
}

TestSuite(target, .init = setup, .fini = teardown);

Test(target, places_are_given_back)
{
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++)
			cr_assert(target_reserve_row(&target));
		cr_assert_not(target_reserve_row(&target));
		cr_assert_not(target_reserve_row(&target));
		/* rows and effects in memory have a limit each */
		for (int i = 0; i < 3; i++)
			cr_assert(target_reserve_memory(&target));
		cr_assert_not(target_reserve_memory(&target));
		for (int i = 0; i < 3; i++) {
			target_release_row(&target);
			target_release_memory(&target);
		}
		cr_assert_eq(atomic_load(&target.pending), 0);
		cr_assert_eq(atomic_load(&target.in_memory), 0);
	}
}

Test(target, memory_has_a_limit_of_its_own)
{
	config.max_pending = 1000000;
	for (int i = 0; i < LIMIT_LANE_MEMORY; i++)
		cr_assert(target_reserve_memory(&target));
	cr_assert_not(target_reserve_memory(&target));
	cr_assert(target_reserve_row(&target));
}

static void *contend(void *arg)
{
	int64_t *got = arg;

	for (int i = 0; i < 20000; i++)
		*got += target_reserve_row(&target);
	return NULL;
}

Test(target, the_limit_holds_however_many_race_for_it)
{
	pthread_t threads[4];
	int64_t got[4] = {0};

	config.max_pending = 30000;
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, contend, &got[i]), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(got[0] + got[1] + got[2] + got[3], 30000);
	cr_assert_eq(atomic_load(&target.pending), 30000);
}

Test(target, ends_are_counted_and_dead_letters_by_cause)
{
	target_count_end(&target, END_DELIVERED, NULL);
	target_count_end(&target, END_DEAD, CAUSE_AGE);
	target_count_end(&target, END_DEAD, NULL); /* of an effect without a row: no letter is kept */
	target_add_dead(&target, CAUSE_AGE, 10);
	target_add_dead(&target, "no cause of ours", 10);
	cr_assert_eq(atomic_load(&target.ends[END_DELIVERED]->value), 1);
	cr_assert_eq(atomic_load(&target.ends[END_DEAD]->value), 2);
	for (size_t i = 0; i < CAUSE_COUNT; i++)
		cr_assert_eq(gauge_get(target.dead[i]), strcmp(target_causes[i], CAUSE_AGE) == 0 ? 11 : 0);
}

Test(target, all_causes_have_a_gauge)
{
	static const char *const causes[] = {CAUSE_CONDEMNED, CAUSE_UNBUILDABLE, CAUSE_ATTEMPTS, CAUSE_AGE,
		CAUSE_BACKLOG_FULL, CAUSE_REJECTED, CAUSE_POISON};

	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		target_add_dead(&target, causes[i], 1);
	for (size_t i = 0; i < CAUSE_COUNT; i++)
		cr_assert_eq(gauge_get(target.dead[i]), 1, "%s", target_causes[i]);
}

Test(target, gauges_are_refreshed)
{
	cr_assert(target_reserve_row(&target));
	cr_assert(target_reserve_memory(&target));
	atomic_store(&target.oldest_due_ms, 4000);
	target_refresh(&target, 5500);
	cr_assert_eq(gauge_get(target.pending_gauge), 2);
	cr_assert_eq(gauge_get(target.oldest_due), 1500);
	target_refresh(&target, 3000);
	cr_assert_eq(gauge_get(target.oldest_due), 0);
	atomic_store(&target.oldest_due_ms, 0);
	target_refresh(&target, 5500);
	cr_assert_eq(gauge_get(target.oldest_due), 0);
}

Test(target, names_of_its_metrics)
{
	struct buf out;

	buf_init(&out, LIMIT_METRICS);
	target_count_end(&target, END_SKIPPED, NULL);
	metrics_render(metrics, &out);
	cr_assert_not_null(strstr(out.data, "tokenfirst_effects_total{effect=\"crm\",outcome=\"skipped\"} 1\n"));
	cr_assert_not_null(strstr(out.data, "tokenfirst_dead_letters{effect=\"crm\",reason=\"backlog_full\"} 0\n"));
	cr_assert_not_null(strstr(out.data, "tokenfirst_breaker_state{effect=\"crm\"} 0\n"));
	cr_assert_not_null(strstr(out.data, "tokenfirst_effect_attempts_total{effect=\"crm\",outcome=\"dns\"} 0\n"));
	buf_release(&out);
}

Test(target, one_of_several_has_a_label_of_its_own)
{
	char effect[] = "hooks", shop[] = "shop", full[] = "hooks.shop", hook[] = "webhook";
	const struct effect_config several = {.name = full, .effect = effect, .target = shop, .type = hook};
	struct target other;
	struct buf out;

	buf_init(&out, LIMIT_METRICS);
	target_init(&other, &several, metrics);
	target_count_end(&other, END_DEAD, CAUSE_POISON);
	metrics_render(metrics, &out);
	cr_assert_not_null(
		strstr(out.data, "tokenfirst_effects_total{effect=\"hooks\",target=\"shop\",outcome=\"dead\"} 1\n"));
	cr_assert_not_null(
		strstr(out.data, "tokenfirst_dead_letters{effect=\"hooks\",target=\"shop\",reason=\"poison\"} 1\n"));
	cr_assert_not_null(strstr(out.data, "tokenfirst_target_paused{effect=\"hooks\",target=\"shop\"} 0\n"));
	cr_assert_not_null(strstr(out.data, "tokenfirst_effects_replayed_total{effect=\"crm\"} 0\n"));
	target_release(&other);
	buf_release(&out);
}

Test(target, several_places_at_once)
{
	config.max_pending = 10;
	cr_assert_eq(target_reserve_rows(&target, 7), 7);
	cr_assert_eq(target_reserve_rows(&target, 7), 3);
	cr_assert_eq(target_reserve_rows(&target, 7), 0);
	target_release_rows(&target, 4);
	cr_assert_eq(target_reserve_rows(&target, 4), 4);
	cr_assert_eq(atomic_load(&target.pending), 10);
	target_release_rows(&target, 10);
	atomic_store(&target.pending, 12); /* of a start with more than there is room for */
	cr_assert_eq(target_reserve_rows(&target, 1), 0);
	cr_assert_eq(atomic_load(&target.pending), 12);
}

Test(target, parked_until_a_time)
{
	cr_assert_null(target_parked(&target, 0));
	target_park(&target, TARGET_BREAKER, 1000);
	cr_assert_not_null(strstr(target_parked(&target, 999), "breaker"));
	cr_assert_null(target_parked(&target, 1000));
	target_park(&target, TARGET_PAUSED, INT64_MAX);
	cr_assert_not_null(strstr(target_parked(&target, INT64_MAX - 1), "paused"));
	target_park(&target, TARGET_TOLD, 5);
	cr_assert_not_null(strstr(target_parked(&target, 4), "asked for a pause"));
	target_park(&target, TARGET_TAKING, 0);
	cr_assert_null(target_parked(&target, 0));
}

Test(target, the_rest_of_a_pause_is_shown)
{
	atomic_store(&target.told_until_ms, 7000);
	target_refresh(&target, 5500);
	cr_assert_eq(gauge_get(target.retry_after), 1500);
	target_refresh(&target, 7500);
	cr_assert_eq(gauge_get(target.retry_after), 0);
}

Test(target, what_is_said_is_cut)
{
	char text[2 * LIMIT_REASON], said[LIMIT_REASON];

	memset(text, 'p', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	target_said(&target, SAYING_PAUSE, said);
	cr_assert_str_eq(said, "");
	target_say(&target, SAYING_PAUSE, text);
	target_said(&target, SAYING_PAUSE, said);
	cr_assert_eq(strlen(said), LIMIT_REASON - 1);
	target_said(&target, SAYING_BREAKER, said);
	cr_assert_str_eq(said, "");
}
