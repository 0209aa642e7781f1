#include "background/delivery/breaker.h"

#include <criterion/criterion.h>

enum { NOW = 1000000, OPEN_FOR = 10000, FAILURES = 3 };

static const struct breaker_config config = {.failures = FAILURES, .open_for_ms = OPEN_FOR};

static bool begin(struct breaker *breaker, int64_t now_ms)
{
	cr_assert(breaker_admits(breaker, now_ms));
	return breaker_begin(breaker);
}

static bool end(struct breaker *breaker, enum breaker_result result, bool probe, int64_t now_ms)
{
	return breaker_end(breaker, &config, result, probe, now_ms);
}

static struct breaker open_at(int64_t now_ms)
{
	struct breaker breaker = {0};

	cr_assert_not(begin(&breaker, now_ms));
	cr_assert(end(&breaker, BREAKER_CONDEMNED, false, now_ms));
	cr_assert_eq(breaker.state, BREAKER_OPEN);
	return breaker;
}

/* Half-open, its probe under way. */
static struct breaker probing_at(int64_t now_ms)
{
	struct breaker breaker = open_at(now_ms - OPEN_FOR);

	cr_assert(begin(&breaker, now_ms));
	cr_assert_eq(breaker.state, BREAKER_HALF_OPEN);
	return breaker;
}

Test(breaker, closed_it_lets_any_number_through)
{
	struct breaker breaker = {0};

	for (int i = 0; i < 1000; i++)
		cr_assert_not(begin(&breaker, NOW));
	cr_assert_eq(breaker_due_ms(&breaker), 0);
	for (int i = 0; i < 1000; i++)
		cr_assert_not(end(&breaker, BREAKER_SUCCESS, false, NOW));
	cr_assert_eq(breaker.state, BREAKER_CLOSED);
}

Test(breaker, consecutive_failures_open_it)
{
	struct breaker breaker = {0};

	for (int i = 0; i < FAILURES - 1; i++)
		cr_assert_not(end(&breaker, BREAKER_FAILURE, false, NOW));
	cr_assert(breaker_admits(&breaker, NOW));
	cr_assert(end(&breaker, BREAKER_FAILURE, false, NOW));
	cr_assert_eq(breaker.state, BREAKER_OPEN);
	cr_assert_eq(breaker_due_ms(&breaker), NOW + OPEN_FOR);
	cr_assert_not(breaker_admits(&breaker, NOW + OPEN_FOR - 1));
	cr_assert(breaker_admits(&breaker, NOW + OPEN_FOR));
	cr_assert_eq(breaker.state, BREAKER_HALF_OPEN);
}

Test(breaker, a_success_between_failures_starts_the_count_anew)
{
	struct breaker breaker = {0};

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < FAILURES - 1; i++)
			end(&breaker, BREAKER_FAILURE, false, NOW);
		end(&breaker, BREAKER_SUCCESS, false, NOW);
	}
	cr_assert_eq(breaker.state, BREAKER_CLOSED);
}

Test(breaker, a_condemned_target_opens_it_at_once)
{
	struct breaker breaker = open_at(NOW);

	cr_assert_eq(breaker_due_ms(&breaker), NOW + OPEN_FOR);
	cr_assert_not(breaker.paused);
}

Test(breaker, half_open_it_lets_one_probe_through)
{
	struct breaker breaker = probing_at(NOW);

	cr_assert_not(breaker_admits(&breaker, NOW));
	cr_assert_not(breaker_admits(&breaker, NOW + 100 * OPEN_FOR));
	cr_assert_eq(breaker_due_ms(&breaker), INT64_MAX, "time alone changes nothing while the probe is under way");
}

Test(breaker, the_probe_closes_it)
{
	struct breaker breaker = probing_at(NOW);

	cr_assert(end(&breaker, BREAKER_SUCCESS, true, NOW));
	cr_assert_eq(breaker.state, BREAKER_CLOSED);
	/* with a clean slate */
	for (int i = 0; i < FAILURES - 1; i++)
		cr_assert_not(end(&breaker, BREAKER_FAILURE, false, NOW));
}

Test(breaker, the_probe_opens_it_again)
{
	static const enum breaker_result results[] = {BREAKER_FAILURE, BREAKER_CONDEMNED};

	for (size_t i = 0; i < 2; i++) {
		struct breaker breaker = probing_at(NOW);
		cr_assert(end(&breaker, results[i], true, NOW + 7));
		cr_assert_eq(breaker.state, BREAKER_OPEN);
		cr_assert_eq(breaker_due_ms(&breaker), NOW + 7 + OPEN_FOR);
		/* and another probe comes */
		cr_assert(begin(&breaker, NOW + 7 + OPEN_FOR));
		cr_assert(end(&breaker, BREAKER_SUCCESS, true, NOW + 7 + OPEN_FOR));
		cr_assert_eq(breaker.state, BREAKER_CLOSED);
	}
}

Test(breaker, a_probe_that_was_not_sent_makes_way_for_another)
{
	struct breaker breaker = probing_at(NOW);

	breaker_withdraw(&breaker, true);
	cr_assert_eq(breaker.state, BREAKER_HALF_OPEN);
	cr_assert_eq(breaker_due_ms(&breaker), 0);
	cr_assert(begin(&breaker, NOW));
	/* what was begun before it opened is withdrawn: no probe of ours */
	breaker_withdraw(&breaker, false);
	cr_assert_not(breaker_admits(&breaker, NOW));
}

Test(breaker, late_ends_change_nothing_while_it_is_open)
{
	static const enum breaker_result results[] = {BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_CONDEMNED};

	for (size_t i = 0; i < 3; i++) {
		struct breaker breaker = open_at(NOW);
		cr_assert_not(end(&breaker, results[i], false, NOW + 5000));
		cr_assert_eq(breaker.state, BREAKER_OPEN);
		cr_assert_eq(breaker_due_ms(&breaker), NOW + OPEN_FOR, "the time is not stretched");
	}
}

Test(breaker, late_ends_change_nothing_while_it_is_half_open)
{
	static const enum breaker_result results[] = {BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_CONDEMNED};

	for (size_t i = 0; i < 3; i++) {
		struct breaker breaker = probing_at(NOW);
		cr_assert_not(end(&breaker, results[i], false, NOW));
		cr_assert_eq(breaker.state, BREAKER_HALF_OPEN);
		cr_assert_not(breaker_admits(&breaker, NOW), "a second probe");
		cr_assert(end(&breaker, BREAKER_SUCCESS, true, NOW));
		cr_assert_eq(breaker.state, BREAKER_CLOSED);
	}
}

Test(breaker, gone_pauses_it_in_every_state)
{
	struct breaker closed = {0}, open = open_at(NOW), half_open = probing_at(NOW);
	struct {
		struct breaker *breaker;
		bool probe;
	} rows[] = {{&closed, false}, {&open, false}, {&half_open, true}, {&half_open, false}};

	for (size_t i = 0; i < 4; i++) {
		struct breaker breaker = *rows[i].breaker;
		cr_assert(end(&breaker, BREAKER_GONE, rows[i].probe, NOW));
		cr_assert(breaker.paused);
		cr_assert_eq(breaker.state, BREAKER_OPEN);
		cr_assert_eq(breaker_due_ms(&breaker), INT64_MAX);
		cr_assert_not(breaker_admits(&breaker, INT64_MAX - 1));
		/* nothing that ends later lets it go, and only the first is news */
		cr_assert_not(end(&breaker, BREAKER_GONE, false, NOW));
		cr_assert_not(end(&breaker, BREAKER_SUCCESS, false, NOW));
		cr_assert_not(end(&breaker, BREAKER_SUCCESS, true, NOW));
		cr_assert_not(end(&breaker, BREAKER_FAILURE, false, NOW));
		cr_assert(breaker.paused);
		cr_assert_not(breaker_admits(&breaker, NOW + 1000 * OPEN_FOR));
	}
}

Test(breaker, after_it_closed_late_failures_count_like_others)
{
	struct breaker breaker = probing_at(NOW);

	end(&breaker, BREAKER_SUCCESS, true, NOW);
	for (int i = 0; i < FAILURES; i++)
		end(&breaker, BREAKER_FAILURE, false, NOW);
	cr_assert_eq(breaker.state, BREAKER_OPEN);
}

/* Whatever happens, due time and admission agree: a worker that sleeps until then neither spins nor oversleeps. */
Test(breaker, due_time_and_admission_agree)
{
	struct breaker breaker = {0};
	uint32_t state = 12345;
	int64_t now = NOW;
	int flying = 0;
	bool probe_flies = false;

	for (int i = 0; i < 200000; i++) {
		state = state * 1664525 + 1013904223; /* Numerical Recipes' generator */
		uint32_t draw = state >> 16;
		int64_t due = breaker_due_ms(&breaker);
		cr_assert_eq(breaker_admits(&breaker, now), due <= now);
		switch (draw % 4) {
		case 0:
			now += draw % 3000;
			break;
		case 1:
			if (!breaker_admits(&breaker, now))
				break;
			if (breaker_begin(&breaker)) {
				cr_assert_not(probe_flies, "two probes at once");
				probe_flies = true;
			} else {
				flying++;
			}
			break;
		default:
			if (probe_flies && draw % 8 < 4) {
				probe_flies = false;
				end(&breaker, (enum breaker_result)(draw / 16 % 3), true, now);
			} else if (flying > 0) {
				flying--;
				end(&breaker, (enum breaker_result)(draw / 16 % 3), false, now);
			}
		}
	}
}

Test(breaker, states_have_names)
{
	cr_assert_str_eq(breaker_state_text(BREAKER_CLOSED), "closed");
	cr_assert_str_eq(breaker_state_text(BREAKER_HALF_OPEN), "half-open");
	cr_assert_str_eq(breaker_state_text(BREAKER_OPEN), "open");
}
