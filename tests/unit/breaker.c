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
	return breaker_end(breaker, &config, result, probe, now_ms, 0);
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

static const struct breaker_config sharing = {
	.failures = 1000, .failure_share = 60, .window_ms = 30000, .window_min = 10, .open_for_ms = OPEN_FOR};

static bool end_sharing(struct breaker *breaker, bool failed, int64_t now_ms)
{
	return breaker_end(breaker, &sharing, failed ? BREAKER_FAILURE : BREAKER_SUCCESS, false, now_ms, 0);
}

/* The very attempt that makes it too many, and not one before. */
Test(breaker, a_share_of_failures_opens_it)
{
	struct breaker breaker = {0};

	for (int i = 0; i < 4; i++)
		cr_assert_not(end_sharing(&breaker, false, NOW + i));
	for (int i = 0; i < 5; i++) /* all but window_min, and then less than the share */
		cr_assert_not(end_sharing(&breaker, true, NOW + 10 + i));
	cr_assert_eq(breaker.state, BREAKER_CLOSED);
	cr_assert(end_sharing(&breaker, true, NOW + 20)); /* 6 of 10 */
	cr_assert_eq(breaker.state, BREAKER_OPEN);
	cr_assert_str_eq(breaker.cause, "60 % of 10 attempts in 30 s failed");
}

Test(breaker, a_smaller_share_does_not_open_it)
{
	struct breaker breaker = {0};

	for (int i = 0; i < 100000; i++)
		cr_assert_not(end_sharing(&breaker, i % 5 < 2, NOW + i)); /* 40 % */
	cr_assert_eq(breaker.state, BREAKER_CLOSED);
}

Test(breaker, a_success_never_opens_it)
{
	struct breaker breaker = {0};

	for (int i = 0; i < 9; i++)
		cr_assert_not(end_sharing(&breaker, true, NOW));
	cr_assert_not(end_sharing(&breaker, false, NOW)); /* 9 of 10, and window_min is reached */
	cr_assert_eq(breaker.state, BREAKER_CLOSED);
	cr_assert(end_sharing(&breaker, true, NOW));
}

/* What is older than the window says nothing, whenever in a slice it came. */
Test(breaker, the_window_slides)
{
	for (int64_t offset = 0; offset < sharing.window_ms; offset += 701) {
		struct breaker breaker = {0};
		int64_t start = NOW + offset;
		for (int i = 0; i < 9; i++)
			end_sharing(&breaker, true, start);
		cr_assert_not(end_sharing(&breaker, true, start + sharing.window_ms), "offset %ld", offset);
		for (int i = 0; i < 8; i++)
			end_sharing(&breaker, true, start + sharing.window_ms);
		/* nine tenths of a window later they all count */
		cr_assert(end_sharing(&breaker, true, start + sharing.window_ms + sharing.window_ms * 8 / 10));
	}
}

/* Rests of any length leave nothing of the past behind. */
Test(breaker, a_long_rest_empties_the_window)
{
	struct breaker breaker = {0};
	int64_t now = NOW;

	for (int i = 0; i < 1000; i++) {
		for (int k = 0; k < 9; k++)
			cr_assert_not(end_sharing(&breaker, true, now));
		breaker.failures = 0; /* of a row, which is not the question here */
		now += sharing.window_ms * (1 + i % 37);
	}
}

Test(breaker, without_a_share_only_failures_in_a_row_count)
{
	const struct breaker_config plain = {.failures = 1000, .window_ms = 30000, .open_for_ms = OPEN_FOR};
	struct breaker breaker = {0};

	for (int i = 0; i < 999; i++)
		cr_assert_not(breaker_end(&breaker, &plain, BREAKER_FAILURE, false, NOW, 0));
	cr_assert(breaker_end(&breaker, &plain, BREAKER_FAILURE, false, NOW, 0));
	cr_assert_str_eq(breaker.cause, "1000 failures in a row");
}

Test(breaker, the_probe_clears_the_window)
{
	struct breaker breaker = {0};

	for (int i = 0; i < 10; i++)
		end_sharing(&breaker, true, NOW);
	cr_assert_eq(breaker.state, BREAKER_OPEN);
	cr_assert(begin(&breaker, NOW + OPEN_FOR));
	cr_assert(breaker_end(&breaker, &sharing, BREAKER_SUCCESS, true, NOW + OPEN_FOR, 0));
	for (int i = 0; i < 9; i++)
		cr_assert_not(end_sharing(&breaker, true, NOW + OPEN_FOR), "old failures count again");
}

Test(breaker, its_open_time_is_spread)
{
	int64_t longest = 0, shortest = INT64_MAX;

	for (uint32_t i = 0; i <= 1000; i++) {
		struct breaker breaker = {0};
		uint32_t random = i == 1000 ? UINT32_MAX : i * (UINT32_MAX / 1000);
		breaker_end(&breaker, &config, BREAKER_CONDEMNED, false, NOW, random);
		int64_t open = breaker_due_ms(&breaker) - NOW;
		longest = open > longest ? open : longest;
		shortest = open < shortest ? open : shortest;
	}
	cr_assert_eq(shortest, OPEN_FOR);
	cr_assert_eq(longest, OPEN_FOR + OPEN_FOR / 4);
}

Test(breaker, it_tells_its_cause)
{
	struct breaker breaker = {0};

	cr_assert_str_eq(breaker.cause, "");
	for (int i = 0; i < FAILURES; i++)
		end(&breaker, BREAKER_FAILURE, false, NOW);
	cr_assert_str_eq(breaker.cause, "3 failures in a row");
	begin(&breaker, NOW + OPEN_FOR);
	end(&breaker, BREAKER_FAILURE, true, NOW + OPEN_FOR);
	cr_assert_str_eq(breaker.cause, "its probe failed");
	breaker = open_at(NOW);
	cr_assert_str_eq(breaker.cause, "condemned");
	end(&breaker, BREAKER_GONE, false, NOW);
	cr_assert_str_eq(breaker.cause, "gone");
}

Test(breaker, an_operator_lets_it_probe_at_once)
{
	struct breaker closed = {0}, open = open_at(NOW), gone = open_at(NOW), probing = probing_at(NOW);

	breaker_resume(&closed);
	cr_assert_eq(closed.state, BREAKER_CLOSED);
	breaker_resume(&open);
	cr_assert_eq(open.state, BREAKER_HALF_OPEN);
	cr_assert(begin(&open, NOW));
	cr_assert_not(breaker_admits(&open, NOW));
	end(&gone, BREAKER_GONE, false, NOW);
	breaker_resume(&gone);
	cr_assert_not(gone.paused);
	cr_assert(begin(&gone, NOW));
	cr_assert(end(&gone, BREAKER_SUCCESS, true, NOW));
	cr_assert_eq(gone.state, BREAKER_CLOSED);
	breaker_resume(&probing);
	cr_assert_not(breaker_admits(&probing, NOW), "its probe is still under way");
}

Test(breaker, states_have_names)
{
	cr_assert_str_eq(breaker_state_text(BREAKER_CLOSED), "closed");
	cr_assert_str_eq(breaker_state_text(BREAKER_HALF_OPEN), "half-open");
	cr_assert_str_eq(breaker_state_text(BREAKER_OPEN), "open");
}
