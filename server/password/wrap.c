#include "server/password/wrap.h"

#include <string.h>
#include <time.h>

#include "server/password/foreign.h"

enum { MEASUREMENTS = 3, LEAST_SHARE = 8 };

static const char measure[] = "a password to measure by";

void wrapper_init(struct wrapper *wrapper, const struct stored_rules *rules)
{
	*wrapper = (struct wrapper){.rules = rules};
}

static int64_t processor_us(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now))
		return 0;
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int run(const struct wrapper *wrapper, const struct foreign *foreign)
{
	char output[FOREIGN_OUTPUT];

	return foreign ? foreign_compute(foreign, measure, output) : argon_spend(&wrapper->rules->cost, measure);
}

/* The least of a few: what else the machine does only adds. `foreign` NULL: Argon2id of today. */
static int time_of(const struct wrapper *wrapper, const struct foreign *foreign, int64_t *ret_us)
{
	int64_t least_us = INT64_MAX;

	for (int i = 0; i < MEASUREMENTS; i++) {
		int64_t begun_us = processor_us();
		int err = run(wrapper, foreign);
		int64_t took_us = processor_us() - begun_us;

		if (err)
			return err;
		if (took_us < least_us)
			least_us = took_us;
	}
	*ret_us = least_us;
	return 0;
}

static int find_rest(struct wrapper *wrapper, const struct foreign *foreign, struct argon_cost *ret_rest)
{
	const struct argon_cost *whole = &wrapper->rules->cost;
	struct argon_cost rest = *whole;
	int64_t foreign_us = 0, least_us;
	int err = wrapper->argon_us ? 0 : time_of(wrapper, NULL, &wrapper->argon_us);

	if (!err)
		err = time_of(wrapper, foreign, &foreign_us);
	if (err)
		return err;
	least_us = wrapper->argon_us / LEAST_SHARE;
	if (wrapper->argon_us - foreign_us < least_us)
		foreign_us = wrapper->argon_us - least_us;
	rest.memory_bytes = (size_t)((double)whole->memory_bytes * (double)(wrapper->argon_us - foreign_us) /
				     (double)(wrapper->argon_us + 1));
	rest.memory_bytes -= rest.memory_bytes % 1024;
	if (rest.memory_bytes < crypto_pwhash_MEMLIMIT_MIN)
		rest.memory_bytes = crypto_pwhash_MEMLIMIT_MIN;
	*ret_rest = rest;
	return 0;
}

static int rest_for(struct wrapper *wrapper, const struct foreign *foreign, struct argon_cost *ret_rest)
{
	char text[WRAP_COST_TEXT];
	size_t at = wrapper->next;
	int err;

	foreign_cost(foreign, text, sizeof(text));
	for (size_t i = 0; i < wrapper->count; i++) {
		if (strcmp(wrapper->costs[i].text, text) == 0) {
			*ret_rest = wrapper->costs[i].rest;
			return 0;
		}
	}
	err = find_rest(wrapper, foreign, ret_rest);
	if (err)
		return err;
	memcpy(wrapper->costs[at].text, text, sizeof(text));
	wrapper->costs[at].rest = *ret_rest;
	wrapper->next = (at + 1) % WRAP_COSTS;
	if (wrapper->count < WRAP_COSTS)
		wrapper->count++;
	return 0;
}

int wrapper_wrap(struct wrapper *wrapper, const char *stored, char *ret_hash)
{
	struct foreign foreign;
	struct argon_cost rest;
	const char *hash = NULL, *why = NULL;
	int err = foreign_read(stored, &foreign, &hash, &why);

	if (!err)
		err = rest_for(wrapper, &foreign, &rest);
	return err ? err : stored_wrap(wrapper->rules, &rest, stored, ret_hash);
}
