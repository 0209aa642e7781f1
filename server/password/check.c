#include "server/password/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/log.h"
#include "server/password/cost_mean.h"
#include "server/password/password.h"

enum {
	LEVEL_TRIES = 3, /* top-ups of one check: less memory goes faster than in proportion, so that one falls short */
	LEVEL_SHARE = 50, /* what is missing is left if it is less than one in so many */
};

struct checker {
	struct stored_rules rules;
	char nobody[PASSWORD_HASH_SIZE]; /* what an unknown user's password is compared with */
	struct counter *missing;
	struct cost_mean mean;
	pthread_mutex_t mutex; /* guards what follows */
	char told[LIMIT_PEPPERS][PEPPER_ID_SIZE];
	size_t told_count;
};

int checker_new(const struct config *config, size_t threads, struct metrics *metrics, struct checker **ret_checker)
{
	struct checker *checker = calloc(1, sizeof(*checker));
	unsigned char seed[ARGON_SEED];

	if (!checker)
		return ERR_MEMORY;
	pthread_mutex_init(&checker->mutex, NULL); /* with default attributes it can't fail */
	stored_rules_make(config, &checker->rules);
	cost_mean_init(&checker->mean, (int64_t)threads);
	randombytes_buf(seed, sizeof(seed));
	argon_nobody(&checker->rules.cost, seed, checker->nobody);
	checker->missing = metrics_counter(metrics, "tokenfirst_password_pepper_missing_total",
		"Checks of hashes whose pepper is not configured: they match nothing.", NULL);
	*ret_checker = checker;
	return 0;
}

void checker_free(struct checker *checker)
{
	if (!checker)
		return;
	stored_rules_release(&checker->rules);
	pthread_mutex_destroy(&checker->mutex);
	free(checker);
}

const struct stored_rules *checker_rules(const struct checker *checker)
{
	return &checker->rules;
}

/* The thread's own, so that waiting for a core does not count. */
static int64_t processor_us(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now))
		return 0;
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Takes what a check that began at `begun_us` has taken less than one of today's would. */
static int level(struct checker *checker, int64_t begun_us, const char *text)
{
	const struct argon_cost *whole = &checker->rules.cost;

	for (int i = 0; i < LEVEL_TRIES; i++) {
		int64_t mean_us = cost_mean_us(&checker->mean), now_us = processor_us();
		int64_t owed_us = mean_us - (now_us - begun_us);
		struct argon_cost owed = *whole;
		int err;

		if (mean_us > 0) {
			owed.memory_bytes = (size_t)((double)whole->memory_bytes * (double)owed_us / (double)mean_us);
			if (owed_us < mean_us / LEVEL_SHARE || owed.memory_bytes < crypto_pwhash_MEMLIMIT_MIN)
				return 0;
		}
		err = argon_spend(&owed, text);
		if (err)
			return err;
		if (mean_us == 0) {
			/* the first check after the start is a foreign one, and pays in full for the measure */
			cost_mean_observe(&checker->mean, processor_us() - now_us);
			return 0;
		}
	}
	return 0;
}

/* Counted each time, and said once, with what has to be found. */
static void tell_missing(struct checker *checker, const char *id)
{
	bool told = false;

	counter_add(checker->missing, 1);
	pthread_mutex_lock(&checker->mutex);
	for (size_t i = 0; i < checker->told_count; i++)
		told |= strcmp(checker->told[i], id) == 0;
	if (!told && checker->told_count < LIMIT_PEPPERS)
		memcpy(checker->told[checker->told_count++], id, PEPPER_ID_SIZE);
	else
		told = true;
	pthread_mutex_unlock(&checker->mutex);
	if (!told)
		log_write(LOG_INFO,
			"a password hash was made with a pepper that is not configured: its account can't log in until "
			"the pepper is back, or the password is reset",
			LOG_STR("pepper", id));
}

static int check_nobody(struct checker *checker, const char *text)
{
	int64_t begun_us = processor_us();
	bool matches = false; /* which nobody asks for */
	int err = argon_verify(&checker->rules.cost, checker->nobody, text, &matches);

	if (!err)
		cost_mean_observe(&checker->mean, processor_us() - begun_us);
	return err;
}

static int check_text(struct checker *checker, const char *stored, const char *text, struct stored_result *ret_result)
{
	struct stored_result result = {.matches = false};
	char missing[PEPPER_ID_SIZE];
	struct argon_cost owed;
	int64_t begun_us = processor_us();
	int err = stored ? stored_check(&checker->rules, stored, text, &result, missing) : ERR_INVALID;

	if (err == ERR_NOT_FOUND)
		tell_missing(checker, missing);
	if (err == ERR_NOT_FOUND || err == ERR_INVALID)
		err = check_nobody(checker, text);
	else if (!err && result.foreign)
		err = level(checker, begun_us, text);
	else if (!err && argon_owed(&checker->rules.cost, stored, &owed))
		err = argon_spend(&owed, text);
	else if (!err && !result.needs_rehash)
		cost_mean_observe(&checker->mean, processor_us() - begun_us);
	if (!err)
		*ret_result = result;
	return err;
}

int checker_check(struct checker *checker, const char *stored, const char *normal, const char *typed, bool *ret_matches,
	bool *ret_needs_rehash)
{
	struct stored_result result;
	int err = check_text(checker, stored, normal, &result);

	if (!err && !result.matches && typed) {
		err = check_text(checker, stored, typed, &result);
		/* what is stored is of a text that is not normal */
		result.needs_rehash |= !err && result.matches;
	}
	if (err)
		return err;
	*ret_matches = result.matches;
	*ret_needs_rehash = result.matches && result.needs_rehash;
	return 0;
}
