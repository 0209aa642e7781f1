/* The log of attempts that an effect carries, as JSON. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "background/delivery/item.h"
#include "config/limits.h"

static const struct attempt first = {.number = 1,
	.start_ms = 1700000000123,
	.duration_us = 12500,
	.outcome = OUTCOME_RETRYABLE,
	.status = 503,
	.reason = "HTTP 503"};

/* Appends and frees what was before. */
static char *append(char *log, const struct attempt *attempt)
{
	char *longer = attempt_log_append(log, attempt);

	cr_assert_not_null(longer);
	free(log);
	return longer;
}

static json_t *parse(const char *log)
{
	json_t *list = json_loads(log, JSON_REJECT_DUPLICATES, NULL);

	cr_assert(json_is_array(list), "%s", log);
	return list;
}

Test(attempt_log, one_attempt)
{
	char *log = append(NULL, &first);
	json_t *list = parse(log);
	json_t *entry = json_array_get(list, 0);

	cr_assert_eq(json_array_size(list), 1);
	cr_assert_eq(json_integer_value(json_object_get(entry, "attempt")), 1);
	cr_assert_str_eq(json_string_value(json_object_get(entry, "start")), "2023-11-14T22:13:20.123Z");
	cr_assert_float_eq(json_real_value(json_object_get(entry, "duration_ms")), 12.5, 1e-9);
	cr_assert_str_eq(json_string_value(json_object_get(entry, "outcome")), "retryable");
	cr_assert_eq(json_integer_value(json_object_get(entry, "status")), 503);
	cr_assert_str_eq(json_string_value(json_object_get(entry, "reason")), "HTTP 503");
	json_decref(list);
	free(log);
}

Test(attempt_log, what_there_is_not_is_left_out)
{
	struct attempt attempt = {.number = 2, .start_ms = 1, .outcome = OUTCOME_CONNECT, .reason = ""};
	char *log = append(append(NULL, &first), &attempt);
	json_t *list = parse(log);
	json_t *entry = json_array_get(list, 1);

	cr_assert_eq(json_integer_value(json_object_get(entry, "attempt")), 2);
	cr_assert_null(json_object_get(entry, "status"));
	cr_assert_null(json_object_get(entry, "reason"));
	json_decref(list);
	attempt.reason = NULL;
	log = append(log, &attempt);
	list = parse(log);
	cr_assert_null(json_object_get(json_array_get(list, 2), "reason"));
	json_decref(list);
	free(log);
}

Test(attempt_log, a_reason_that_is_no_utf8_is_left_out)
{
	struct attempt attempt = first;

	attempt.reason = "SMTP 550 \xff\xfe";
	char *log = append(NULL, &attempt);
	json_t *list = parse(log);
	cr_assert_eq(json_array_size(list), 1);
	cr_assert_null(json_object_get(json_array_get(list, 0), "reason"));
	json_decref(list);
	free(log);
}

Test(attempt_log, quotes_in_a_reason_are_text)
{
	struct attempt attempt = first;

	attempt.reason = "said \"no\"\\ and }]";
	char *log = append(NULL, &attempt);
	json_t *list = parse(log);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "reason")), attempt.reason);
	json_decref(list);
	free(log);
}

Test(attempt_log, beyond_the_limit_the_first_and_the_latest_stay)
{
	enum { ATTEMPTS = 3 * LIMIT_ATTEMPT_LOG };
	struct attempt attempt = first;
	char *log = NULL;

	for (int i = 1; i <= ATTEMPTS; i++) {
		attempt.number = i;
		log = append(log, &attempt);
		json_t *list = parse(log);
		cr_assert_eq(json_array_size(list), (size_t)(i < LIMIT_ATTEMPT_LOG ? i : LIMIT_ATTEMPT_LOG));
		json_decref(list);
	}
	json_t *list = parse(log);
	for (int i = 0; i < LIMIT_ATTEMPT_LOG; i++) {
		int expected = i == 0 ? 1 : ATTEMPTS - LIMIT_ATTEMPT_LOG + 1 + i;
		json_t *number = json_object_get(json_array_get(list, (size_t)i), "attempt");
		cr_assert_eq(json_integer_value(number), expected);
	}
	json_decref(list);
	free(log);
}

Test(attempt_log, a_broken_log_counts_as_empty)
{
	static const char *const broken[] = {"", "[", "{}", "null", "[1,2", "not JSON", "\"text\"", "17"};

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		char *log = attempt_log_append(broken[i], &first);
		cr_assert_not_null(log);
		json_t *list = parse(log);
		cr_assert_eq(json_array_size(list), 1, "%s", broken[i]);
		json_decref(list);
		free(log);
	}
}
