/* Signing keys: known answers of the RFCs, the stored form, what a store hands back, what the world sees. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "background/store/store.h"
#include "config/clock.h"
#include "config/log.h"
#include "server/token/keys.h"
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

TestSuite(keys, .init = setup, .fini = teardown, .timeout = 30);

static struct keys *load(enum token_alg alg, int64_t now_ms)
{
	struct keys *keys = NULL;

	cr_assert_eq(keys_load(store_writer(store), alg, now_ms, &keys), 0);
	return keys;
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
	char *jwks = strdup(keys_jwks(keys)), *kid = strdup(signing_key_id(keys_current(keys)));

	memcpy(secret, keys_secret(keys, SECRET_REFRESH), sizeof(secret));
	cr_expect_eq(sodium_is_zero(secret, sizeof(secret)), 0);
	cr_expect_eq(keys_find(keys, kid), keys_current(keys));
	cr_expect_null(keys_find(keys, "another"));
	keys_free(keys);
	again = load(TOKEN_EDDSA, 2000);
	cr_expect_str_eq(keys_jwks(again), jwks);
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
	cr_expect_not_null(keys_find(keys, first));
	keys_free(keys);
	keys = load(TOKEN_EDDSA, 3000);
	cr_expect_str_eq(signing_key_id(keys_current(keys)), first, "back again, and nothing was made");
	set = json_loads(keys_jwks(keys), JSON_REJECT_DUPLICATES, NULL);
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
	char *first = strdup(signing_key_id(keys_current(keys)));

	keys_free(keys);
	cr_assert_eq(db_execute(store_writer(store), "UPDATE signing_keys SET retired_ms = 1500"), 0);
	keys = load(TOKEN_EDDSA, 2000);
	cr_expect_null(keys_find(keys, first));
	cr_expect_str_neq(signing_key_id(keys_current(keys)), first);
	cr_expect_null(strstr(keys_jwks(keys), first));
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
	set = json_loads(keys_jwks(keys), JSON_REJECT_DUPLICATES, NULL);
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
