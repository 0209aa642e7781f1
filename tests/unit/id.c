#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "config/id.h"

Test(id, time_part_is_that_of_the_specification)
{
	char id[ID_SIZE];
	id_new(id, 1469918176385); /* the example of github.com/ulid/spec: 01ARYZ6S41… */
	cr_assert_eq(strlen(id), ID_LENGTH);
	cr_assert(!strncmp(id, "01ARYZ6S41", 10), "%s", id);
	id_new(id, 0);
	cr_assert(!strncmp(id, "0000000000", 10), "%s", id);
	id_new(id, (INT64_C(1) << 48) - 1);
	cr_assert(!strncmp(id, "7ZZZZZZZZZ", 10), "%s", id);
}

Test(id, sorts_by_time_and_differs_within_a_millisecond)
{
	char a[ID_SIZE], b[ID_SIZE], c[ID_SIZE];
	id_new(a, 1700000000000);
	id_new(b, 1700000000000);
	id_new(c, 1700000000001);
	cr_assert_str_neq(a, b);
	cr_assert(strcmp(a, c) < 0 && strcmp(b, c) < 0);
}

/* Each of the 80 bits must be drawn: over many ids every character takes every value. */
Test(id, every_random_character_takes_every_value)
{
	static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	unsigned int seen[ID_LENGTH] = {0};
	for (int i = 0; i < 2000; i++) {
		char id[ID_SIZE];
		id_new(id, 1700000000000);
		cr_assert(id_valid(id), "%s", id);
		for (int j = 0; j < ID_LENGTH; j++)
			seen[j] |= 1u << (strchr(alphabet, id[j]) - alphabet);
	}
	for (int j = 10; j < ID_LENGTH; j++)
		cr_assert_eq(seen[j], 0xFFFFFFFFu, "character %d: %x", j, seen[j]);
}

enum { THREADS = 4, EACH = 2000, TOTAL = THREADS * EACH };

static char many[TOTAL][ID_SIZE];

static void *fill(void *arg)
{
	char(*part)[ID_SIZE] = arg;

	for (int i = 0; i < EACH; i++)
		id_new(part[i], 1700000000000);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Each thread has its stock filled many times over, and no two are alike. */
Test(id, no_two_are_alike_on_any_thread)
{
	pthread_t threads[THREADS];

	for (size_t i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, fill, many[i * EACH]), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	qsort(many, TOTAL, ID_SIZE, compare);
	for (size_t i = 1; i < TOTAL; i++)
		cr_assert_str_neq(many[i - 1], many[i]);
}

Test(id, validity)
{
	cr_assert(id_valid("01ARYZ6S41TSV4RRFFQ69G5FAV"));
	cr_assert(id_valid("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"));
	cr_assert_not(id_valid("8ZZZZZZZZZZZZZZZZZZZZZZZZZ"), "beyond 128 bits");
	cr_assert_not(id_valid("01ARYZ6S41TSV4RRFFQ69G5FA"), "short");
	cr_assert_not(id_valid("01ARYZ6S41TSV4RRFFQ69G5FAVV"), "long");
	cr_assert_not(id_valid("01aryz6s41tsv4rrffq69g5fav"), "lower case");
	cr_assert_not(id_valid("01ARYZ6S41TSV4RRFFQ69G5FAU"), "U is not in the alphabet");
	cr_assert_not(id_valid("01ARYZ6S41TSV4RRFFQ69G5FA'"));
	cr_assert_not(id_valid(""));
	cr_assert_not(id_valid(NULL));
}

Test(id, a_series_counts_up)
{
	struct id_series series = {.count = 0};
	char id[ID_SIZE];

	memset(series.start, 0xff, sizeof(series.start));
	series.start[ID_RANDOM - 1] = 0xfe;
	id_series_next(&series, id, 1);
	cr_expect_str_eq(id, "0000000001ZZZZZZZZZZZZZZZY");
	id_series_next(&series, id, 1);
	cr_expect_str_eq(id, "0000000001ZZZZZZZZZZZZZZZZ");
	id_series_next(&series, id, 2);
	cr_expect_str_eq(id, "00000000020000000000000000");
	id_series_next(&series, id, 2);
	cr_expect_str_eq(id, "00000000020000000000000001");
}

Test(id, no_two_series_are_alike)
{
	struct id_series one, other;
	char id[ID_SIZE], other_id[ID_SIZE];

	id_series_init(&one);
	id_series_init(&other);
	id_series_next(&one, id, 1);
	id_series_next(&other, other_id, 1);
	cr_expect(id_valid(id));
	cr_expect_str_neq(id, other_id);
}
