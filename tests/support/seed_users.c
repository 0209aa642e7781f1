/*
 * seed_users: a store with many accounts, faster than hashing a password for each would make them.
 *
 *   seed_users --store sqlite:PATH --like NAME --count N [--first I]
 *
 * Adds accounts u0000001@…, each with the stored password of the account NAME, through the store's own functions; --first
 * numbers the first one otherwise than 1. No server may have the store open. Prints one JSON object.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "background/store/store.h"
#include "config/clock.h"
#include "server/accounts/users.h"
#include "tests/support/harness.h"

enum { TRANSACTION = 5000, COUNT_MAX = 9999999 };

static void fail_if(int err, struct db *db)
{
	if (err != 0)
		harness_quit("%s: %s", err_text(err), db_message(db));
}

static void add_one(struct db *db, const struct user *like, int64_t number, int64_t now_ms)
{
	struct user user = {0};

	memcpy(user.password, like->password, sizeof(user.password));
	snprintf(user.username, sizeof(user.username), "u%07" PRId64, number);
	snprintf(user.email, sizeof(user.email), "u%07" PRId64 "@example.com", number);
	fail_if(users_add(db, &user, now_ms), db);
}

static void add_all(struct db *db, const struct user *like, int64_t first, int64_t count)
{
	const int64_t now_ms = clock_now_ms();

	for (int64_t i = 0; i < count; i++) {
		if (i % TRANSACTION == 0)
			fail_if(db_begin(db), db);
		add_one(db, like, first + i, now_ms);
		if (i % TRANSACTION == TRANSACTION - 1 || i == count - 1)
			fail_if(db_commit(db), db);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"store", required_argument, NULL, 's'},
		{"like", required_argument, NULL, 'l'},
		{"count", required_argument, NULL, 'n'},
		{"first", required_argument, NULL, 'f'},
		{0},
	};
	const char *url = NULL, *name = NULL;
	struct store *store = NULL;
	struct user like;
	char why[256] = "";
	int64_t count = 0, first = 1;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			url = optarg;
		else if (c == 'l')
			name = optarg;
		else if (c == 'n')
			count = harness_number("count", optarg, 1, COUNT_MAX);
		else if (c == 'f')
			first = harness_number("first", optarg, 1, COUNT_MAX);
		else
			return 2;
	}
	if (!url || !name || count == 0 || first + count - 1 > COUNT_MAX)
		harness_quit("--store, --like and --count are needed; the last number is %d at most", COUNT_MAX);
	clock_start();
	const int64_t start_us = harness_mono_us();
	int err = store_open(url, &store, why);
	if (err != 0)
		harness_quit("%s: %s", url, why[0] != '\0' ? why : err_text(err));
	fail_if(users_find_by_username(store_writer(store), name, &like), store_writer(store));
	add_all(store_writer(store), &like, first, count);
	store_close(store);
	printf("{\"rows\":%" PRId64 ",\"seconds\":%.3f}\n", count, (double)(harness_mono_us() - start_us) / 1e6);
	return 0;
}
