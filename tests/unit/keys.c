/* Signing keys: known answers of the RFCs, the stored form, what a store hands back, what the world sees. */
#include <criterion/criterion.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "background/store/store.h"
#include "config/clock.h"
#include "config/log.h"
#include "server/token/key_rows.h"
#include "server/token/keys.h"
#include "server/token/rotation.h"
#include "server/token/signing_key.h"

static const enum token_alg algs[] = {TOKEN_EDDSA, TOKEN_ES256, TOKEN_RS256};

static char folder[64], url[128];
static struct store *store;

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	json_object_seed(0);
	clock_start();
	(void)snprintf(folder, sizeof(folder), "/tmp/tokenfirst-keys-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	(void)snprintf(url, sizeof(url), "sqlite:%s/store.db", folder);
	cr_assert_eq(store_open(url, &store, NULL), 0);
}

static void teardown(void)
{
	static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm", "store.db.lock"};
	char path[128];

	store_close(store);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)unlink(path);
	}
	cr_expect_eq(rmdir(folder), 0);
}

/* to find primes for RSA takes valgrind a minute */
TestSuite(keys, .init = setup, .fini = teardown, .timeout = 300);

static struct keys *load(enum token_alg alg, int64_t now_ms)
{
	struct keys *keys = NULL;

	cr_assert_eq(keys_load(store_writer(store), alg, now_ms, &keys), 0);
	return keys;
}

/* The set as it is published at that time; free it. */
static char *jwks_at(const struct keys *keys, int64_t now_ms)
{
	struct buf out;

	buf_init(&out, LIMIT_JWKS);
	cr_assert_eq(keys_jwks(keys, now_ms, &out), 0);
	return buf_steal(&out);
}

static json_t *set_at(const struct keys *keys, int64_t now_ms)
{
	char *text = jwks_at(keys, now_ms);
	json_t *set = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	cr_assert_not_null(set, "%s", text);
	free(text);
	return set;
}

/* RFC 7638 3.1 and RFC 8037 A.3 */
Test(keys, thumbprints_of_the_rfcs)
{
	json_t *rsa = json_pack("{s:s, s:s, s:s}", "n",
		"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"
		"BJECPebWKRXjBZCiFV4"
		"n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"
		"FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgd"
		"AZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-"
		"csFCur-"
		"kEgU8awapJzKnqDKgw",
		"e", "AQAB", "kty", "RSA");
	json_t *ed = json_pack(
		"{s:s, s:s, s:s}", "crv", "Ed25519", "kty", "OKP", "x", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
	char kid[KEY_ID_SIZE];

	cr_assert_eq(jwk_thumbprint(rsa, kid), 0);
	cr_expect_str_eq(kid, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	cr_assert_eq(jwk_thumbprint(ed, kid), 0);
	cr_expect_str_eq(kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
	json_decref(rsa);
	json_decref(ed);
}

/* RFC 8037 A.4: the signature over "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc" */
Test(keys, eddsa_of_rfc_8037)
{
	static const char input[] = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
	static const char seed_hex[] = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
	static const char expected[] = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvp"
				       "Ar_MuM0KAg";
	unsigned char seed[32], signature[SIGNATURE_MAX];
	struct signing_key *key = NULL;
	char text[128];
	size_t len = 0;

	cr_assert_eq(sodium_hex2bin(seed, sizeof(seed), seed_hex, strlen(seed_hex), NULL, &len, NULL), 0);
	cr_assert_eq(signing_key_parse(TOKEN_EDDSA, seed, sizeof(seed), &key), 0);
	cr_expect_str_eq(signing_key_id(key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
	cr_assert_eq(signing_key_sign(key, input, strlen(input), signature, &len), 0);
	sodium_bin2base64(text, sizeof(text), signature, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	cr_expect_str_eq(text, expected);
	cr_expect_eq(signing_key_verify(key, input, strlen(input), signature, len), 0);
	signing_key_free(key);
}

Test(keys, what_is_signed_verifies_and_nothing_else)
{
	static const size_t lengths[] = {[TOKEN_EDDSA] = 64, [TOKEN_ES256] = 64, [TOKEN_RS256] = 256};
	unsigned char signature[SIGNATURE_MAX];

	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct signing_key *key = NULL, *other = NULL;
		size_t len = 0;

		cr_assert_eq(signing_key_generate(algs[i], &key), 0);
		cr_assert_eq(signing_key_generate(algs[i], &other), 0);
		cr_assert_eq(signing_key_alg(key), algs[i]);
		cr_expect_str_neq(signing_key_id(key), signing_key_id(other));
		cr_assert_eq(signing_key_sign(key, "message", 7, signature, &len), 0);
		cr_expect_eq(len, lengths[algs[i]]);
		cr_expect_eq(signing_key_verify(key, "message", 7, signature, len), 0);
		cr_expect_eq(signing_key_verify(key, "messagf", 7, signature, len), ERR_DENIED);
		cr_expect_eq(signing_key_verify(key, "message", 6, signature, len), ERR_DENIED);
		cr_expect_eq(signing_key_verify(other, "message", 7, signature, len), ERR_DENIED);
		cr_expect_eq(signing_key_verify(key, "message", 7, signature, len - 1), ERR_DENIED);
		cr_expect_eq(signing_key_verify(key, "message", 7, signature, 0), ERR_DENIED);
		for (size_t bit = 0; bit < len * 8; bit += 7) {
			signature[bit / 8] ^= (unsigned char)(1 << bit % 8);
			cr_expect_eq(signing_key_verify(key, "message", 7, signature, len), ERR_DENIED, "bit %zu", bit);
			signature[bit / 8] ^= (unsigned char)(1 << bit % 8);
		}
		memset(signature, 0, sizeof(signature));
		cr_expect_eq(signing_key_verify(key, "message", 7, signature, len), ERR_DENIED, "r = s = 0");
		signing_key_free(key);
		signing_key_free(other);
	}
}

/* About 1 in 128 values of r or s is shorter than 32 bytes, which has to be padded. */
Test(keys, es256_signatures_always_have_64_bytes)
{
	unsigned char signature[SIGNATURE_MAX];
	struct signing_key *key = NULL;
	int padded = 0;

	cr_assert_eq(signing_key_generate(TOKEN_ES256, &key), 0);
	for (int i = 0; i < 20000 && padded < 2; i++) {
		size_t len = 0;

		cr_assert_eq(signing_key_sign(key, &i, sizeof(i), signature, &len), 0);
		cr_assert_eq(len, 64);
		if (signature[0] && signature[32])
			continue;
		padded++;
		cr_expect_eq(signing_key_verify(key, &i, sizeof(i), signature, len), 0);
	}
	cr_assert_eq(padded, 2);
	signing_key_free(key);
}

Test(keys, stored_form_gives_the_same_key_back)
{
	unsigned char signature[SIGNATURE_MAX];

	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct signing_key *key = NULL, *again = NULL, *wrong = NULL;
		struct buf stored;
		size_t len = 0;

		buf_init(&stored, PRIVATE_KEY_MAX);
		cr_assert_eq(signing_key_generate(algs[i], &key), 0);
		cr_assert_eq(signing_key_store(key, &stored), 0);
		cr_assert_eq(signing_key_parse(algs[i], stored.data, stored.len, &again), 0);
		cr_expect_str_eq(signing_key_id(key), signing_key_id(again));
		cr_assert_eq(signing_key_sign(again, "m", 1, signature, &len), 0);
		cr_expect_eq(signing_key_verify(key, "m", 1, signature, len), 0);
		for (size_t j = 0; j < sizeof(algs) / sizeof(algs[0]); j++) {
			if (j != i)
				cr_expect_eq(signing_key_parse(algs[j], stored.data, stored.len, &wrong), ERR_CRYPTO);
		}
		cr_expect_eq(signing_key_parse(algs[i], stored.data, stored.len - 1, &wrong), ERR_CRYPTO);
		cr_expect_eq(signing_key_parse(algs[i], "", 0, &wrong), ERR_CRYPTO);
		signing_key_free(key);
		signing_key_free(again);
		buf_release(&stored);
	}
}

Test(keys, made_once_and_found_again)
{
	struct keys *keys = load(TOKEN_EDDSA, 1000), *again;
	unsigned char secret[32];
	char *jwks = jwks_at(keys, 1000), *after, *kid = strdup(signing_key_id(keys_current(keys)));

	memcpy(secret, keys_secret(keys, SECRET_REFRESH), sizeof(secret));
	cr_expect_eq(sodium_is_zero(secret, sizeof(secret)), 0);
	cr_expect_eq(keys_find(keys, kid, 1000), keys_current(keys));
	cr_expect_null(keys_find(keys, "another", 1000));
	keys_free(keys);
	again = load(TOKEN_EDDSA, 2000);
	after = jwks_at(again, 2000);
	cr_expect_str_eq(after, jwks);
	free(after);
	cr_expect_str_eq(signing_key_id(keys_current(again)), kid);
	cr_expect_arr_eq(keys_secret(again, SECRET_REFRESH), secret, sizeof(secret));
	keys_free(again);
	free(jwks);
	free(kid);
}

Test(keys, another_algorithm_is_added_and_the_old_key_still_verifies)
{
	struct keys *keys = load(TOKEN_EDDSA, 1000);
	char *first = strdup(signing_key_id(keys_current(keys)));
	json_t *set, *list;

	keys_free(keys);
	keys = load(TOKEN_ES256, 2000);
	cr_expect_eq(signing_key_alg(keys_current(keys)), TOKEN_ES256);
	cr_expect_not_null(keys_find(keys, first, 2000));
	keys_free(keys);
	keys = load(TOKEN_EDDSA, 3000);
	cr_expect_str_eq(signing_key_id(keys_current(keys)), first, "back again, and nothing was made");
	set = set_at(keys, 3000);
	list = json_object_get(set, "keys");
	cr_assert_eq(json_array_size(list), 2);
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "kid")), first, "current first");
	json_decref(set);
	keys_free(keys);
	free(first);
}

Test(keys, retired_keys_are_gone)
{
	struct keys *keys = load(TOKEN_EDDSA, 1000);
	char *first = strdup(signing_key_id(keys_current(keys))), *jwks;

	keys_free(keys);
	cr_assert_eq(db_execute(store_writer(store), "UPDATE signing_keys SET retired_ms = 1500"), 0);
	keys = load(TOKEN_EDDSA, 2000);
	cr_expect_null(keys_find(keys, first, 2000));
	cr_expect_str_neq(signing_key_id(keys_current(keys)), first);
	jwks = jwks_at(keys, 2000);
	cr_expect_null(strstr(jwks, first));
	free(jwks);
	keys_free(keys);
	free(first);
}

Test(keys, a_key_that_was_tampered_with_is_refused)
{
	struct keys *keys = load(TOKEN_EDDSA, 1000);

	log_configure(LOG_ERROR + 1, LOG_JSON);
	keys_free(keys);
	keys = NULL;
	cr_assert_eq(db_execute(store_writer(store), "UPDATE signing_keys SET kid = 'other'"), 0);
	cr_expect_eq(keys_load(store_writer(store), TOKEN_EDDSA, 2000, &keys), ERR_CRYPTO);
	cr_assert_eq(db_execute(store_writer(store), "UPDATE signing_keys SET private = 'short'"), 0);
	cr_expect_eq(keys_load(store_writer(store), TOKEN_EDDSA, 2000, &keys), ERR_CRYPTO);
	cr_assert_eq(db_execute(store_writer(store), "UPDATE signing_keys SET alg = 'none'"), 0);
	cr_expect_lt(keys_load(store_writer(store), TOKEN_EDDSA, 2000, &keys), 0);
	cr_expect_null(keys);
}

static void expect_public(const json_t *key, const char *const *names, size_t count)
{
	cr_expect_eq(json_object_size(key), count);
	for (size_t i = 0; i < count; i++)
		cr_expect_not_null(json_string_value(json_object_get(key, names[i])), "%s", names[i]);
}

Test(keys, jwks_has_public_members_only)
{
	static const char *const okp[] = {"kty", "crv", "x", "kid", "alg", "use"};
	static const char *const ec[] = {"kty", "crv", "x", "y", "kid", "alg", "use"};
	static const char *const rsa[] = {"kty", "n", "e", "kid", "alg", "use"};
	struct keys *keys;
	json_t *set, *key;
	size_t i, seen = 0;

	for (i = 0; i < sizeof(algs) / sizeof(algs[0]); i++)
		keys_free(load(algs[i], 1000 + (int64_t)i));
	keys = load(TOKEN_EDDSA, 9000);
	set = set_at(keys, 9000);
	cr_expect_eq(json_object_size(set), 1);
	json_array_foreach(json_object_get(set, "keys"), i, key)
	{
		const char *kty = json_string_value(json_object_get(key, "kty"));

		seen++;
		if (strcmp(kty, "OKP") == 0)
			expect_public(key, okp, 6);
		else if (strcmp(kty, "EC") == 0)
			expect_public(key, ec, 7);
		else
			expect_public(key, rsa, 6);
	}
	cr_expect_eq(seen, 3);
	json_decref(set);
	keys_free(keys);
}

enum { LEAD = 600000, TTL = 900000, SKEW = LIMIT_TOKEN_SKEW_S * 1000 };

/* In a transaction of its own; the id of the new key, or "". */
static int rotate(enum token_alg alg, bool at_once, int64_t now_ms, char ret_kid[KEY_ID_SIZE])
{
	struct db *db = store_writer(store);
	struct rotation rotation;
	int err;

	cr_assert_eq(rotation_init(&rotation, alg, LEAD, TTL, at_once, now_ms), 0);
	cr_assert_eq(db_begin(db), 0);
	err = rotation_write(db, &rotation);
	if (err)
		db_rollback(db);
	else
		cr_assert_eq(db_commit(db), 0);
	memcpy(ret_kid, err ? "" : signing_key_id(rotation.key), err ? 1 : KEY_ID_SIZE);
	rotation_release(&rotation);
	return err;
}

static bool signs(const struct keys *keys, const char *kid, int64_t now_ms)
{
	return strcmp(signing_key_id(keys_current_at(keys, now_ms)), kid) == 0;
}

static size_t published(const struct keys *keys, int64_t now_ms)
{
	json_t *set = set_at(keys, now_ms);
	size_t count = json_array_size(json_object_get(set, "keys"));

	json_decref(set);
	return count;
}

Test(keys, a_rotation_happens_by_time_alone)
{
	struct keys *keys = load(TOKEN_EDDSA, 1000), *again;
	const struct signing_key *first = keys_current_at(keys, 1000);
	const int64_t at = 5000000, switched = at + LEAD, gone = switched + TTL + SKEW;
	char second[KEY_ID_SIZE];

	cr_assert_eq(rotate(TOKEN_EDDSA, false, at, second), 0);
	cr_expect_null(keys_find(keys, second, at), "it is in the store alone");
	cr_assert_eq(keys_reload(keys, store_writer(store), at), 0);
	cr_expect_eq(published(keys, at), 2);
	cr_expect_not_null(keys_find(keys, second, at));
	cr_expect_eq(keys_current_at(keys, switched - 1), first, "and the very same one, which somebody may be using");
	cr_expect(signs(keys, second, switched));
	cr_expect_eq(keys_find(keys, signing_key_id(first), gone - 1), first);
	cr_expect_eq(published(keys, gone - 1), 2);
	cr_expect_null(keys_find(keys, signing_key_id(first), gone));
	cr_expect_eq(published(keys, gone), 1);
	/* a server that starts somewhere between sees the same */
	again = load(TOKEN_EDDSA, at + 1);
	cr_expect(signs(again, signing_key_id(first), switched - 1));
	cr_expect(signs(again, second, switched));
	cr_expect_eq(published(again, gone), 1);
	keys_free(again);
	keys_free(keys);
}

Test(keys, a_second_one_waits_for_the_first_and_one_at_once_does_not)
{
	struct keys *keys = load(TOKEN_EDDSA, 1000);
	char second[KEY_ID_SIZE], third[KEY_ID_SIZE], none[KEY_ID_SIZE];
	const int64_t at = 5000000;

	cr_assert_eq(rotate(TOKEN_EDDSA, false, at, second), 0);
	cr_expect_eq(rotate(TOKEN_EDDSA, false, at + LEAD - 1, none), ERR_EXISTS);
	cr_assert_eq(rotate(TOKEN_EDDSA, true, at + 1, third), 0);
	cr_assert_eq(keys_reload(keys, store_writer(store), at + 1), 0);
	cr_expect(signs(keys, third, at + 1));
	cr_expect(signs(keys, third, at + LEAD + TTL), "the one that waited has retired");
	cr_expect_null(keys_find(keys, second, at + 1));
	/* the first one's end came nearer with the switch */
	cr_expect_eq(published(keys, at + 1 + TTL + SKEW - 1), 2);
	cr_expect_eq(published(keys, at + 1 + TTL + SKEW), 1);
	cr_expect_eq(rotate(TOKEN_EDDSA, false, at + 2, none), 0);
	keys_free(keys);
}

static int64_t count(const char *sql)
{
	struct db_statement *s = NULL;
	int64_t value;

	cr_assert_eq(db_prepare(store_writer(store), sql, &s), 0);
	cr_assert_eq(db_step(s), 1);
	value = db_int(s, 0);
	db_finish(s);
	return value;
}

/* It is of no use any more, and could be stolen still. */
Test(keys, a_retired_key_loses_its_private_half)
{
	char kid[KEY_ID_SIZE];

	keys_free(load(TOKEN_EDDSA, 1000));
	cr_assert_eq(rotate(TOKEN_EDDSA, true, 5000000, kid), 0);
	cr_expect_eq(count("SELECT COUNT(*) FROM signing_keys WHERE private = ''"), 0, "it verifies still");
	cr_assert_eq(rotate(TOKEN_EDDSA, true, 5000000 + TTL + SKEW, kid), 0);
	cr_expect_eq(count("SELECT COUNT(*) FROM signing_keys WHERE private = ''"), 1);
	/* a clock that is set back brings nothing back, and stops no start */
	keys_free(load(TOKEN_EDDSA, 1000));
}

Test(keys, rotation_often_ends_no_start)
{
	struct keys *keys = load(TOKEN_EDDSA, 1000);
	char kid[KEY_ID_SIZE];

	keys_free(load(TOKEN_ES256, 1500));
	keys_free(load(TOKEN_RS256, 1500));
	for (int64_t i = 0; i < 2 * LIMIT_SIGNING_KEYS; i++) {
		cr_assert_eq(rotate(TOKEN_EDDSA, true, 5000000 + i, kid), 0);
		cr_assert_eq(keys_reload(keys, store_writer(store), 5000000 + i), 0);
		cr_assert(signs(keys, kid, 5000000 + i));
	}
	cr_expect_eq(published(keys, 5000100), LIMIT_KEYS_RETIRING + 1);
	keys_free(keys);
	keys = load(TOKEN_ES256, 5000100);
	keys_free(keys);
}

/* Tokens of the algorithm before may be out, and leaking keys are the reason for many a rotation. */
Test(keys, a_rotation_retires_keys_of_all_algorithms)
{
	struct keys *keys;
	char *first, kid[KEY_ID_SIZE];

	keys = load(TOKEN_EDDSA, 1000);
	first = strdup(signing_key_id(keys_current(keys)));
	keys_free(keys);
	keys_free(load(TOKEN_ES256, 2000));
	cr_assert_eq(rotate(TOKEN_ES256, false, 5000000, kid), 0);
	/* back to the first algorithm: what is on its way out signs nothing that would outlive it */
	keys = load(TOKEN_EDDSA, 5000001);
	cr_expect_not_null(keys_find(keys, first, 5000001));
	cr_expect_not(signs(keys, first, 5000001));
	keys_free(keys);
	free(first);
}

Test(keys, a_rotation_is_on_record)
{
	char kid[KEY_ID_SIZE];

	keys_free(load(TOKEN_EDDSA, 1000));
	cr_assert_eq(rotate(TOKEN_EDDSA, false, 5000000, kid), 0);
	cr_expect_eq(rotate(TOKEN_EDDSA, false, 5000001, kid), ERR_EXISTS);
	cr_expect_eq(count("SELECT COUNT(*) FROM audit WHERE type = 'key.rotated'"), 1);
	cr_expect_eq(count("SELECT COUNT(*) FROM audit JOIN signing_keys ON detail LIKE '%' || kid || '%' "
			   "WHERE active_ms = 5600000"),
		1);
}

Test(keys, states)
{
	const struct key_row plain = {.active_ms = 1000}, next = {.active_ms = 3000};
	const struct key_row retiring = {.active_ms = 1000, .retired_ms = 3000};

	cr_expect_eq(key_row_state(&plain, true, 2000), KEY_SIGNS);
	cr_expect_eq(key_row_state(&plain, false, 2000), KEY_VERIFIES);
	cr_expect_eq(key_row_state(&next, false, 2000), KEY_NEXT);
	cr_expect_eq(key_row_state(&retiring, true, 2000), KEY_SIGNS);
	cr_expect_eq(key_row_state(&retiring, false, 2999), KEY_RETIRING);
	cr_expect_eq(key_row_state(&retiring, false, 3000), KEY_RETIRED);
}

/* A clock that was set back: the store's keys are all of the future, and logins go on. */
Test(keys, there_is_always_one_that_signs)
{
	struct keys *keys = load(TOKEN_EDDSA, 5000000);

	keys_free(keys);
	keys = load(TOKEN_EDDSA, 1000);
	cr_expect_not_null(keys_current_at(keys, 1000));
	cr_expect_eq(published(keys, 1000), 1);
	keys_free(keys);
}

static int from_jwks(const char *text, struct keys **ret_keys, const char **ret_why)
{
	return keys_from_jwks(text, strlen(text), ret_keys, ret_why);
}

Test(keys, of_a_published_set_verify_and_do_not_sign)
{
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct keys *ours = load(algs[i], 1000 + (int64_t)i), *theirs = NULL;
		const struct signing_key *key = keys_current(ours), *public;
		unsigned char signature[SIGNATURE_MAX], none[SIGNATURE_MAX];
		char *jwks = jwks_at(ours, 9000);
		const char *why = NULL;
		struct buf stored;
		size_t len = 0;

		cr_assert_eq(from_jwks(jwks, &theirs, &why), 0, "%s", why);
		public = keys_find(theirs, signing_key_id(key), 9000);
		cr_assert_not_null(public);
		cr_expect_str_eq(signing_key_jwk(public), signing_key_jwk(key));
		cr_assert_eq(signing_key_sign(key, "message", 7, signature, &len), 0);
		cr_expect_eq(signing_key_verify(public, "message", 7, signature, len), 0);
		cr_expect_eq(signing_key_verify(public, "massage", 7, signature, len), ERR_DENIED);
		cr_expect_eq(signing_key_sign(public, "message", 7, none, &len), ERR_CRYPTO);
		buf_init(&stored, PRIVATE_KEY_MAX);
		cr_expect_eq(signing_key_store(public, &stored), ERR_CRYPTO);
		buf_release(&stored);
		free(jwks);
		keys_free(theirs);
		keys_free(ours);
	}
}

#define OKP_X	"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define OKP_KID "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
#define OKP	"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" OKP_X "\",\"kid\":\"" OKP_KID "\""

Test(keys, of_a_set_only_sound_ones_are_taken)
{
	static const char none[] = "no key in it is one that could verify a token";
	static const struct {
		const char *set, *why; /* NULL: it is taken */
	} cases[] = {
		{"{\"keys\":[{" OKP "}]}", NULL},
		{"{\"keys\":[{" OKP ",\"alg\":\"EdDSA\",\"use\":\"sig\",\"key_ops\":[\"verify\"],\"more\":1}]}", NULL},
		{"{\"keys\":[7,{\"kty\":\"oct\",\"k\":\"AAAA\"},{\"kty\":\"OKP\",\"crv\":\"X25519\"},{" OKP "}]}",
			NULL},
		{"", "it is no JWK Set: a JSON object with a list of keys"},
		{"[]", "it is no JWK Set: a JSON object with a list of keys"},
		{"{\"keys\":{}}", "it is no JWK Set: a JSON object with a list of keys"},
		{"{\"keys\":[{" OKP "}],\"keys\":[]}", "it is no JWK Set: a JSON object with a list of keys"},
		{"{\"keys\":[]}", none},
		{"{\"keys\":[{" OKP ",\"d\":\"AAAA\"}]}", "a key in it has its private half with it"},
		{"{\"keys\":[{" OKP ",\"alg\":\"ES256\"}]}", none},
		{"{\"keys\":[{" OKP ",\"use\":\"enc\"}]}", none},
		{"{\"keys\":[{" OKP ",\"key_ops\":[\"sign\"]}]}", none},
		{"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" OKP_X "\",\"kid\":\"other\"}]}", none},
		{"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" OKP_X "\"}]}", none},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct keys *keys = NULL;
		const char *why = NULL;
		int err = from_jwks(cases[i].set, &keys, &why);

		if (cases[i].why) {
			cr_expect_eq(err, ERR_INVALID, "%s", cases[i].set);
			cr_expect_str_eq(why, cases[i].why, "%s: %s", cases[i].set, why);
		} else {
			cr_expect_eq(err, 0, "%s: %s", cases[i].set, why);
			cr_expect_not_null(keys_find(keys, OKP_KID, 1000));
			cr_expect_eq(published(keys, 1000), 1);
		}
		keys_free(keys);
	}
}

/* Each under its right thumbprint, so that it is refused for what it is. */
Test(keys, of_a_set_unsound_ones_are_skipped)
{
	static const char *const unsound[] = {
		/* too short; padded; not canonical in its last character; no point of the curve */
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" OKP_X "=\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
		/* the neutral element, under which anybody can sign */
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
		/* not on the curve; the point at infinity has no such form; another curve's name */
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" OKP_X "\",\"y\":\"" OKP_X "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" OKP_X "\",\"y\":\"" OKP_X "\"}",
		/* a modulus of 24 bits, a number that is no text, none */
		"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"n\":7,\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"e\":\"AQAB\"}",
	};

	for (size_t i = 0; i < sizeof(unsound) / sizeof(unsound[0]); i++) {
		json_t *jwk = json_loads(unsound[i], JSON_REJECT_DUPLICATES, NULL);
		struct signing_key *key = NULL;
		const char *why = NULL;
		char kid[KEY_ID_SIZE];

		cr_assert_eq(jwk_thumbprint(jwk, kid), 0);
		cr_assert_eq(json_object_set_new(jwk, "kid", json_string(kid)), 0);
		cr_expect_eq(signing_key_from_jwk(jwk, &key, &why), ERR_NOT_FOUND, "%s", unsound[i]);
		json_decref(jwk);
	}
}

/* The size is a rule of its own (RFC 7518 3.3); and under an exponent of 1, or 2, a signature takes no secret. */
Test(keys, of_a_set_rsa_keys_have_2048_bits_and_a_sound_exponent)
{
	static const struct {
		unsigned bits;
		const char *e;
		int expected;
	} cases[] = {{1024, "AQAB", ERR_NOT_FOUND}, {2048, "AQAB", 0}, {2048, "AQ", ERR_NOT_FOUND},
		{2048, "Ag", ERR_NOT_FOUND}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EVP_PKEY *pair = EVP_RSA_gen(cases[i].bits);
		unsigned char n[SIGNATURE_MAX];
		BIGNUM *modulus = NULL;
		struct signing_key *key = NULL;
		const char *why = NULL;
		char kid[KEY_ID_SIZE];
		json_t *jwk;

		cr_assert_eq(EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_N, &modulus), 1);
		jwk = json_pack("{s:s, s:o, s:s}", "kty", "RSA", "n", jwk_bytes(n, (size_t)BN_bn2bin(modulus, n)), "e",
			cases[i].e);
		cr_assert_eq(jwk_thumbprint(jwk, kid), 0);
		cr_assert_eq(json_object_set_new(jwk, "kid", json_string(kid)), 0);
		cr_expect_eq(signing_key_from_jwk(jwk, &key, &why), cases[i].expected, "%u bits, e %s", cases[i].bits,
			cases[i].e);
		signing_key_free(key);
		BN_free(modulus);
		EVP_PKEY_free(pair);
		json_decref(jwk);
	}
}
