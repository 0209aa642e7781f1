/*
 * planted: one bug of each kind that the checking tools must find. scripts/check-sanitizer and
 * scripts/check-valgrind run it first: a check that does not report these can't be trusted to report others.
 *
 *   planted leak | use-after-free | overflow | race | uninitialised
 */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* volatile, so that the compiler can't reason the bug away */
static char *volatile kept;
static volatile int number = INT_MAX;

static int leak(void)
{
	kept = malloc(100);
	kept = NULL;
	return 0;
}

static int use_after_free(void)
{
	char *volatile text = calloc(1, 16);

	kept = text;
	free(text);
	return kept[3];
}

/* Of a signed integer, for UBSan. */
static int overflow(void)
{
	number = number + 1;
	return number > 0;
}

static void *count_unlocked(void *arg)
{
	int *count = arg;

	for (int i = 0; i < 100000; i++)
		*(volatile int *)count += 1;
	return NULL;
}

static int race(void)
{
	int count = 0;
	pthread_t threads[2];

	for (int i = 0; i < 2; i++) {
		if (pthread_create(&threads[i], NULL, count_unlocked, &count) != 0)
			return 1;
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return count < 0;
}

static int uninitialised(void)
{
	char *volatile text = malloc(16);
	int result = 0;

	if (text != NULL && text[5] == 'x')
		result = 1;
	free(text);
	return result;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*plant)(void);
	} bugs[] = {
		{"leak", leak},
		{"use-after-free", use_after_free},
		{"overflow", overflow},
		{"race", race},
		{"uninitialised", uninitialised},
	};

	for (size_t i = 0; argc == 2 && i < sizeof(bugs) / sizeof(bugs[0]); i++) {
		if (strcmp(argv[1], bugs[i].name) == 0)
			return bugs[i].plant();
	}
	fprintf(stderr, "usage: planted leak|use-after-free|overflow|race|uninitialised\n");
	return 2;
}
