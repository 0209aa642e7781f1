/*
 * Keys change hands while tokens are signed and verified: whoever reads sees one set or the next, a token verifies with
 * the keys of any later moment, and a key that was given out stays. For ThreadSanitizer, and with results that have to
 * be right without it.
 */
#include <pthread.h>
#include <sched.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/store/store.h"
#include "config/clock.h"
#include "server/token/rotation.h"
#include "server/token/token.h"
#include "tests/support/scratch.h"

enum { READERS = 4, ROTATIONS = 40, TTL_MS = 900000 };

struct shared {
	struct config config;
	struct token_issuer issuer;
	struct keys *keys;
	atomic_bool enough;
	atomic_int verified, wrong;
};

static void fail(const char *what)
{
	(void)fprintf(stderr, "%s\n", what);
	exit(1);
}

/* One token signed, verified and found published. */
static bool round_trip(struct shared *shared)
{
	const struct signing_key *key = keys_current(shared->keys);
	const int64_t now_ms = clock_now_ms();
	struct token_claims claims = {.session_id = 7, .issued_s = now_ms / 1000, .expires_s = now_ms / 1000 + 900},
			    read;
	const char *why = NULL;
	struct buf token, jwks;
	bool good;

	id_new(claims.subject, now_ms);
	id_new(claims.token_id, now_ms);
	buf_init(&token, LIMIT_TOKEN);
	buf_init(&jwks, LIMIT_JWKS);
	good = token_issue(&shared->issuer, key, &claims, &token) == 0 &&
	       token_verify(&shared->config, shared->keys, token.data, now_ms / 1000, &read, &why) == 0 &&
	       keys_jwks(shared->keys, now_ms, &jwks) == 0 && strstr(jwks.data, signing_key_id(key)) != NULL;
	buf_release(&token);
	buf_release(&jwks);
	return good;
}

static void *reader(void *arg)
{
	struct shared *shared = arg;

	while (!atomic_load(&shared->enough))
		atomic_fetch_add(round_trip(shared) ? &shared->verified : &shared->wrong, 1);
	return NULL;
}

static void rotate(struct shared *shared, struct db *writer)
{
	struct rotation rotation;
	const int64_t now_ms = clock_now_ms();

	if (rotation_init(&rotation, TOKEN_EDDSA, 0, TTL_MS, true, now_ms) || db_begin(writer) ||
		rotation_write(writer, &rotation) || db_commit(writer) || keys_reload(shared->keys, writer, now_ms))
		fail("the keys can't be rotated");
	rotation_release(&rotation);
}

int main(void)
{
	struct shared shared = {.config = {.token = {.issuer = (char *)"issuer", .audience = (char *)"app"}}};
	pthread_t readers[READERS];
	struct scratch scratch;
	struct store *store = NULL;

	if (sodium_init() < 0)
		return 1;
	json_object_seed(0);
	clock_start();
	scratch_make(&scratch);
	if (store_open(scratch.url, &store, NULL) || token_issuer_init(&shared.issuer, &shared.config) ||
		keys_load(store_writer(store), TOKEN_EDDSA, clock_now_ms(), &shared.keys))
		fail("no store");
	for (size_t i = 0; i < READERS; i++) {
		if (pthread_create(&readers[i], NULL, reader, &shared))
			fail("no thread");
	}
	/* a key is in use for far fewer rotations than would retire it: each token must verify */
	for (int i = 0; i < ROTATIONS; i++) {
		int seen = atomic_load(&shared.verified);

		rotate(&shared, store_writer(store));
		while (atomic_load(&shared.verified) < seen + READERS && !atomic_load(&shared.wrong))
			sched_yield();
	}
	atomic_store(&shared.enough, true);
	for (size_t i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	token_issuer_release(&shared.issuer);
	keys_free(shared.keys);
	store_close(store);
	scratch_remove(&scratch);
	if (atomic_load(&shared.wrong))
		fail("a token did not verify");
	(void)printf("keys: %d tokens over %d rotations\n", atomic_load(&shared.verified), ROTATIONS);
	return 0;
}
