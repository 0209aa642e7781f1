/*
 * Access tokens: what is issued is verified, and each rule refuses what breaks it. Broken tokens are
 * signed with the server's own key, so that the rule that is meant is the one that refuses.
 */
#include <criterion/criterion.h>
#include <openssl/ecdsa.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "background/store/store.h"
#include "config/clock.h"
#include "server/token/rotation.h"
#include "server/token/signing_key.h"
#include "server/token/token.h"

enum { NOW = 1700000000 };

static char folder[64], url[128];
static struct store *store;
static struct config config = {.token = {.issuer = (char *)"https://auth.example.com", .audience = (char *)"app"}};
static struct keys *keys;
static struct token_issuer issuer;

static const struct token_claims claims = {
	.subject = "01J00000000000000000000001",
	.token_id = "01J00000000000000000000002",
	.session_id = 77,
	.issued_s = NOW,
	.expires_s = NOW + 900,
};

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	json_object_seed(0);
	clock_start();
	(void)snprintf(folder, sizeof(folder), "/tmp/tokenfirst-token-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	(void)snprintf(url, sizeof(url), "sqlite:%s/store.db", folder);
	cr_assert_eq(store_open(url, &store, NULL), 0);
	cr_assert_eq(keys_load(store_writer(store), TOKEN_EDDSA, 1000, &keys), 0);
	cr_assert_eq(token_issuer_init(&issuer, &config), 0);
}

static void teardown(void)
{
	static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm", "store.db.lock"};
	char path[128];

	token_issuer_release(&issuer);
	keys_free(keys);
	store_close(store);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)unlink(path);
	}
	cr_expect_eq(rmdir(folder), 0);
}

/* to make keys for RSA takes valgrind a minute */
TestSuite(token, .init = setup, .fini = teardown, .timeout = 300);

static char *issue(const struct token_claims *what)
{
	struct buf out;

	buf_init(&out, LIMIT_TOKEN);
	cr_assert_eq(token_issue(&issuer, keys_current(keys), what, &out), 0);
	return buf_steal(&out);
}

/* The rule that refuses it; "" if none does. */
static const char *verdict_at(const char *token, int64_t now_s)
{
	struct token_claims read = {.session_id = -1};
	const char *why = "";
	int err = token_verify(&config, keys, token, now_s, &read, &why);

	cr_assert(err == 0 ? why[0] == '\0' : err == ERR_DENIED && why[0] && read.session_id == -1);
	return why;
}

static const char *verdict(const char *token)
{
	return verdict_at(token, NOW);
}

static void append_base64(struct buf *out, const char *text)
{
	char encoded[LIMIT_TOKEN * 2];

	sodium_bin2base64(encoded, sizeof(encoded), (const unsigned char *)text, strlen(text),
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	buf_append_text(out, encoded);
}

/* Any header and payload under the current key; "$kid" in the header becomes its id. */
static char *forge(const char *header, const char *payload)
{
	unsigned char signature[SIGNATURE_MAX];
	char encoded[SIGNATURE_MAX * 2], full[1024];
	const char *mark = strstr(header, "$kid");
	size_t len = 0;
	struct buf out;

	if (mark)
		(void)snprintf(full, sizeof(full), "%.*s%s%s", (int)(mark - header), header,
			signing_key_id(keys_current(keys)), mark + 4);
	buf_init(&out, LIMIT_TOKEN * 2);
	append_base64(&out, mark ? full : header);
	buf_append_text(&out, ".");
	append_base64(&out, payload);
	cr_assert_eq(signing_key_sign(keys_current(keys), out.data, out.len, signature, &len), 0);
	sodium_bin2base64(encoded, sizeof(encoded), signature, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	buf_append_text(&out, ".");
	buf_append_text(&out, encoded);
	return buf_steal(&out);
}

static void expect(const char *header, const char *payload, const char *rule)
{
	char *token = forge(header, payload);

	cr_expect_str_eq(verdict(token), rule, "%s %s: \"%s\", wanted \"%s\"", header, payload, verdict(token), rule);
	free(token);
}

#define HEADER	 "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"$kid\"}"
#define WHO	 "\"iss\":\"https://auth.example.com\",\"aud\":\"app\",\"client_id\":\"app\","
#define IDS	 "\"sub\":\"01J00000000000000000000001\",\"jti\":\"01J00000000000000000000002\","
#define TIMES	 "\"iat\":1700000000,\"exp\":1700000900,"
#define ACCEPTED ""

Test(token, issued_tokens_verify_under_every_algorithm)
{
	static const enum token_alg algs[] = {TOKEN_EDDSA, TOKEN_ES256, TOKEN_RS256};

	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct token_claims read = {.session_id = 0};
		const char *why = "";
		char *token;

		keys_free(keys);
		cr_assert_eq(keys_load(store_writer(store), algs[i], 2000, &keys), 0);
		token = issue(&claims);
		cr_assert_eq(token_verify(&config, keys, token, NOW, &read, &why), 0, "%s", why);
		cr_expect_str_eq(read.subject, claims.subject);
		cr_expect_str_eq(read.token_id, claims.token_id);
		cr_expect_eq(read.session_id, 77);
		cr_expect_eq(read.issued_s, NOW);
		cr_expect_eq(read.expires_s, NOW + 900);
		free(token);
	}
}

Test(token, has_the_claims_of_rfc_9068)
{
	char *token = issue(&claims);
	char *dot = strchr(token, '.');
	char bytes[LIMIT_TOKEN];
	size_t len = 0;
	json_t *json;

	cr_assert_eq(sodium_base642bin((unsigned char *)bytes, sizeof(bytes), dot + 1, strcspn(dot + 1, "."), NULL,
			     &len, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
		0);
	json = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL);
	cr_expect_str_eq(json_string_value(json_object_get(json, "iss")), "https://auth.example.com");
	cr_expect_str_eq(json_string_value(json_object_get(json, "aud")), "app");
	cr_expect_str_eq(json_string_value(json_object_get(json, "client_id")), "app");
	cr_expect_str_eq(json_string_value(json_object_get(json, "sub")), claims.subject);
	cr_expect_str_eq(json_string_value(json_object_get(json, "jti")), claims.token_id);
	cr_expect_str_eq(json_string_value(json_object_get(json, "sid")), "77");
	cr_expect_eq(json_integer_value(json_object_get(json, "iat")), NOW);
	cr_expect_eq(json_integer_value(json_object_get(json, "exp")), NOW + 900);
	cr_expect_eq(json_object_size(json), 8);
	json_decref(json);
	free(token);
}

/* The common claims are encoded apart from the others: at each length, and with what JSON escapes. */
Test(token, is_whole_whatever_the_length_of_issuer_and_audience)
{
	static const char *const issuers[] = {"i", "is", "iss", "https://\xc3\xa4\"\\\n/", "https://auth.example.com/"};
	const struct config usual = config;

	for (size_t i = 0; i < sizeof(issuers) / sizeof(issuers[0]); i++) {
		struct token_claims admin = claims;
		char *token;

		admin.admin = true;
		config.token.issuer = (char *)(uintptr_t)issuers[i];
		token_issuer_release(&issuer);
		cr_assert_eq(token_issuer_init(&issuer, &config), 0);
		token = issue(i % 2 ? &claims : &admin);
		cr_expect_str_eq(verdict(token), "", "%s: %s", issuers[i], verdict(token));
		free(token);
	}
	config = usual;
}

Test(token, what_could_not_be_verified_is_not_issued)
{
	char name[LIMIT_TOKEN];
	const struct config usual = config;
	struct token_claims broken = claims;
	struct buf out;

	buf_init(&out, (size_t)4 * LIMIT_TOKEN);
	(void)snprintf(broken.subject, sizeof(broken.subject), "%s", "\",\"scope\":\"admin\",\"sub\":\"");
	cr_expect_eq(token_issue(&issuer, keys_current(keys), &broken, &out), ERR_INVALID);
	cr_expect_eq(out.len, 0);

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	config.token.issuer = name;
	token_issuer_release(&issuer);
	cr_assert_eq(token_issuer_init(&issuer, &config), 0);
	cr_expect_eq(token_issue(&issuer, keys_current(keys), &claims, &out), ERR_LIMIT);
	buf_release(&out);
	config = usual;
}

Test(token, lives_until_exp)
{
	char *token = issue(&claims);

	cr_expect_str_eq(verdict_at(token, NOW + 899), "");
	cr_expect_str_eq(verdict_at(token, NOW + 900), "exp has passed");
	cr_expect_str_eq(verdict_at(token, NOW - LIMIT_TOKEN_SKEW_S), "");
	cr_expect_str_eq(verdict_at(token, NOW - LIMIT_TOKEN_SKEW_S - 1), "iat lies in the future");
	free(token);
}

Test(token, any_changed_character_is_refused)
{
	char *token = issue(&claims);
	size_t len = strlen(token);

	for (size_t i = 0; i < len; i++) {
		char was = token[i];

		token[i] = was == 'A' ? 'B' : 'A';
		cr_expect_str_neq(verdict(token), "", "%zu", i);
		token[i] = was == '.' ? '-' : '.';
		cr_expect_str_neq(verdict(token), "", "%zu", i);
		token[i] = was;
	}
	/* the last character of 64 bytes carries four bits that have to be zero: RFC 4648 3.5 */
	cr_expect_str_eq(verdict(token), "");
	token[len - 1]++;
	cr_expect_str_eq(verdict(token), "the signature is not base64url");
	free(token);
}

/* A decoder that is lenient gives one token many texts: RFC 4648 3.5, 12 */
Test(token, each_part_has_one_text)
{
	static const char form[] = "the header is not base64url of a JSON object";
	static const char *const headers[] = {"", "=", "e30=", "e3 0", "e30\n", "e31", "e3", "e", "e+/0", "W10"};
	char *token = issue(&claims), *changed = NULL;
	const char *payload = strchr(token, '.'), *signature = strrchr(token, '.');

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		cr_assert_geq(asprintf(&changed, "%s%s", headers[i], payload), 0);
		cr_expect_str_eq(verdict(changed), form, "%s: %s", headers[i], verdict(changed));
		free(changed);
	}
	cr_assert_geq(asprintf(&changed, "%.*s.%s", (int)(payload - token), token, signature), 0);
	cr_expect_str_eq(verdict(changed), "the signature does not verify", "no payload");
	free(changed);
	free(token);
}

static char *with_signature(const char *token, const unsigned char *signature, size_t len)
{
	char encoded[SIGNATURE_MAX * 2], *text = NULL;

	sodium_bin2base64(encoded, sizeof(encoded), signature, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	cr_assert_geq(asprintf(&text, "%.*s%s", (int)(strrchr(token, '.') + 1 - token), token, encoded), 0);
	return text;
}

static void expect_signature(const char *token, const unsigned char *signature, size_t len, const char *rule)
{
	char *changed = with_signature(token, signature, len);

	cr_expect_str_eq(verdict(changed), rule, "%zu bytes: %s", len, verdict(changed));
	free(changed);
}

static size_t signature_of(const char *token, unsigned char signature[SIGNATURE_MAX])
{
	const char *text = strrchr(token, '.') + 1;
	size_t len = 0;

	cr_assert_eq(sodium_base642bin(signature, SIGNATURE_MAX, text, strlen(text), NULL, &len, NULL,
			     sodium_base64_VARIANT_URLSAFE_NO_PADDING),
		0);
	return len;
}

static void use(enum token_alg alg)
{
	keys_free(keys);
	cr_assert_eq(keys_load(store_writer(store), alg, 2000, &keys), 0);
}

Test(token, signatures_have_one_length)
{
	static const enum token_alg algs[] = {TOKEN_EDDSA, TOKEN_ES256, TOKEN_RS256};
	static const char no[] = "the signature does not verify";

	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		unsigned char signature[SIGNATURE_MAX] = {0}, shifted[SIGNATURE_MAX + 1] = {0};
		char *token;
		size_t len;

		use(algs[i]);
		token = issue(&claims);
		len = signature_of(token, signature);
		expect_signature(token, signature, len, ACCEPTED);
		expect_signature(token, signature, len - 1, no);
		signature[len] = 0;
		expect_signature(token, signature, len + 1, no);
		expect_signature(token, signature, len / 2, no);
		expect_signature(token, signature, 0, no);
		expect_signature(token, signature, SIGNATURE_MAX, no);
		memcpy(shifted + 1, signature, len);
		expect_signature(token, shifted, len + 1, no);
		free(token);
	}
}

/* What OpenSSL would take, and JWS does not have: RFC 7518 3.4 */
Test(token, es256_in_der_or_with_a_zero_is_refused)
{
	static const char no[] = "the signature does not verify";
	unsigned char signature[SIGNATURE_MAX], changed[SIGNATURE_MAX], *der = NULL;
	ECDSA_SIG *pair = ECDSA_SIG_new();
	char *token;
	int len;

	use(TOKEN_ES256);
	token = issue(&claims);
	cr_assert_eq(signature_of(token, signature), 64);
	cr_assert_eq(ECDSA_SIG_set0(pair, BN_bin2bn(signature, 32, NULL), BN_bin2bn(signature + 32, 32, NULL)), 1);
	len = i2d_ECDSA_SIG(pair, &der);
	cr_assert_gt(len, 64);
	expect_signature(token, der, (size_t)len, no);
	for (size_t half = 0; half < 64; half += 32) {
		memcpy(changed, signature, 64);
		memset(changed + half, 0, 32);
		expect_signature(token, changed, 64, no);
		memset(changed + half, 0xff, 32);
		expect_signature(token, changed, 64, no);
	}
	memset(changed, 0, 64);
	expect_signature(token, changed, 64, no);
	OPENSSL_free(der);
	ECDSA_SIG_free(pair);
	free(token);
}

/* RFC 8725 2.1: what is public must not do as the secret of an HMAC, whatever form it is in. */
Test(token, an_hmac_under_the_public_key_is_refused)
{
	static const char payload[] = "{" WHO IDS TIMES "\"sid\":\"77\"}";
	static const enum token_alg algs[] = {TOKEN_EDDSA, TOKEN_ES256, TOKEN_RS256};

	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		char *forged, header[256];
		unsigned char mac[crypto_auth_hmacsha256_BYTES];
		crypto_auth_hmacsha256_state state;
		const char *jwk, *alg = token_alg_text(algs[i]);

		use(algs[i]);
		jwk = signing_key_jwk(keys_current(keys));
		for (int as_own = 0; as_own <= 1; as_own++) {
			(void)snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"typ\":\"at+jwt\",\"kid\":\"$kid\"}",
				as_own ? alg : "HS256");
			forged = forge(header, payload);
			crypto_auth_hmacsha256_init(&state, (const unsigned char *)jwk, strlen(jwk));
			crypto_auth_hmacsha256_update(
				&state, (const unsigned char *)forged, (size_t)(strrchr(forged, '.') - forged));
			crypto_auth_hmacsha256_final(&state, mac);
			expect_signature(forged, mac, sizeof(mac),
				as_own ? "the signature does not verify" : "alg is not the key's algorithm");
			free(forged);
		}
	}
}

/* A key is for its own algorithm: RFC 8725 3.1 */
Test(token, a_key_under_another_algorithm_is_refused)
{
	static const char payload[] = "{" WHO IDS TIMES "\"sid\":\"77\"}";
	static const char *const others[] = {"none", "None", "NONE", "", "HS256", "HS512", "ES256", "RS256", "PS256",
		"ES384", "EdDsa", "eddsa", "Ed25519"};
	char header[256];

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		(void)snprintf(
			header, sizeof(header), "{\"alg\":\"%s\",\"typ\":\"at+jwt\",\"kid\":\"$kid\"}", others[i]);
		expect(header, payload, "alg is not the key's algorithm");
	}
}

/* RFC 8725 3.10: nothing that a token brings with it decides on what it is verified with. */
Test(token, keys_in_a_header_are_refused)
{
	static const char payload[] = "{" WHO IDS TIMES "\"sid\":\"77\"}";
	static const char *const members[] = {
		"\"jwk\":{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
		"\"jku\":\"https://auth.example.com/.well-known/jwks.json\"",
		"\"x5u\":\"https://auth.example.com/cert\"",
		"\"x5c\":[\"AAAA\"]",
		"\"x5t\":\"AAAA\"",
		"\"crit\":[]",
		"\"crit\":[\"exp\"],\"exp\":1",
		"\"b64\":true",
		"\"zip\":\"DEF\"",
		"\"cty\":\"JWT\"",
	};
	char header[512];

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		(void)snprintf(header, sizeof(header), "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"$kid\",%s}",
			members[i]);
		expect(header, payload, "the header has members other than alg, typ and kid");
	}
}

Test(token, a_retired_key_verifies_nothing)
{
	struct rotation rotation;
	char *before = issue(&claims), *after;

	cr_assert_eq(rotation_init(&rotation, TOKEN_EDDSA, 0, 900000, true, NOW * INT64_C(1000)), 0);
	cr_assert_eq(db_begin(store_writer(store)), 0);
	cr_assert_eq(rotation_write(store_writer(store), &rotation), 0);
	cr_assert_eq(db_commit(store_writer(store)), 0);
	rotation_release(&rotation);
	cr_assert_eq(keys_reload(keys, store_writer(store), NOW * INT64_C(1000)), 0);
	after = issue(&claims);
	cr_expect_str_eq(verdict_at(before, NOW + 899), ACCEPTED);
	cr_expect_str_eq(verdict_at(after, NOW + 899), ACCEPTED);
	cr_expect_str_eq(verdict_at(before, NOW + 900), "exp has passed");
	cr_expect_str_eq(verdict_at(before, NOW + 900 + LIMIT_TOKEN_SKEW_S), "kid names no key");
	free(before);
	free(after);
}

Test(token, scope_says_whether_it_is_an_administrators)
{
	struct token_claims admin = claims, read = {.session_id = 0};
	const char *why = "";
	char *token;

	admin.admin = true;
	token = issue(&admin);
	cr_assert_eq(token_verify(&config, keys, token, NOW, &read, &why), 0, "%s", why);
	cr_expect(read.admin);
	free(token);
	token = issue(&claims);
	cr_assert_eq(token_verify(&config, keys, token, NOW, &read, &why), 0, "%s", why);
	cr_expect_not(read.admin);
	free(token);
}

Test(token, form)
{
	static const char *const broken[] = {"", ".", "..", "...", "a.b", "a.b.c.d", "a.b.c", " . . "};
	char *token = issue(&claims), *longer = NULL;
	char *huge = malloc(LIMIT_TOKEN + 2);

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		cr_expect_str_neq(verdict(broken[i]), "", "%s", broken[i]);
	cr_assert_geq(asprintf(&longer, "%s=", token), 0);
	cr_expect_str_eq(verdict(longer), "the signature is not base64url");
	free(longer);
	cr_assert_geq(asprintf(&longer, "%s\n", token), 0);
	cr_expect_str_neq(verdict(longer), "");
	free(longer);
	cr_assert_geq(asprintf(&longer, "%.*s", (int)(strrchr(token, '.') + 1 - token), token), 0);
	cr_expect_str_eq(verdict(longer), "the signature does not verify");
	memset(huge, 'A', LIMIT_TOKEN + 1);
	huge[LIMIT_TOKEN + 1] = '\0';
	huge[10] = huge[20] = '.';
	cr_expect_str_eq(verdict(huge), "not three parts with dots between");
	free(longer);
	free(huge);
	free(token);
}

Test(token, header_rules)
{
	static const char payload[] = "{" WHO IDS TIMES "\"sid\":\"77\"}";

	expect(HEADER, payload, ACCEPTED);
	expect("[]", payload, "the header is not base64url of a JSON object");
	expect("{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"$kid\"}", payload,
		"the header is not base64url of a JSON object");
	expect(HEADER " x", payload, "the header is not base64url of a JSON object");
	expect("{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\"}", payload, "the header lacks alg, typ or kid");
	expect("{\"alg\":\"EdDSA\",\"typ\":7,\"kid\":\"$kid\"}", payload, "the header lacks alg, typ or kid");
	expect("{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"$kid\",\"crit\":[\"b64\"],\"b64\":false}", payload,
		"the header has members other than alg, typ and kid");
	expect("{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"$kid\",\"jku\":\"http://a\"}", payload,
		"the header has members other than alg, typ and kid");
	expect("{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"$kid\"}", payload, "typ is not at+jwt");
	expect("{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"x\"}", payload, "kid names no key");
	expect("{\"alg\":\"none\",\"typ\":\"at+jwt\",\"kid\":\"$kid\"}", payload, "alg is not the key's algorithm");
	expect("{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"$kid\"}", payload, "alg is not the key's algorithm");
	expect("{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"$kid\"}", payload, "alg is not the key's algorithm");
}

Test(token, claim_rules)
{
	static const char object[] = "the payload is not base64url of a JSON object";
	static const char odd_exp[] = "exp is no time", odd_iat[] = "iat is no time", odd_nbf[] = "nbf is no time";
	static const char scope[] = "scope is none of ours";

	expect(HEADER, "", object);
	expect(HEADER, "\"x\"", object);
	expect(HEADER, "{" WHO IDS TIMES "\"sid\":\"77\",\"sid\":\"78\"}", object);
	expect(HEADER, "{" WHO IDS TIMES "\"sid\":\"77\\u0000\"}", object);
	expect(HEADER, "{" IDS TIMES "\"sid\":\"77\"}", "iss is not our issuer");
	expect(HEADER,
		"{\"iss\":\"https://auth.example.com/\",\"aud\":\"app\",\"client_id\":\"app\"," IDS TIMES
		"\"sid\":\"77\"}",
		"iss is not our issuer");
	expect(HEADER,
		"{\"iss\":\"https://auth.example.com\",\"aud\":[\"app\"],\"client_id\":\"app\"," IDS TIMES
		"\"sid\":\"77\"}",
		"aud is not our audience");
	expect(HEADER, "{\"iss\":\"https://auth.example.com\",\"aud\":\"app\"," IDS TIMES "\"sid\":\"77\"}",
		"client_id is not our audience");
	expect(HEADER, "{" WHO IDS "\"iat\":1700000000,\"exp\":1700000900.5,\"sid\":\"77\"}", odd_exp);
	expect(HEADER, "{" WHO IDS "\"iat\":1700000000,\"exp\":1.7000009e9,\"sid\":\"77\"}", odd_exp);
	expect(HEADER, "{" WHO IDS "\"iat\":1700000000,\"exp\":1e3,\"sid\":\"77\"}", odd_exp);
	expect(HEADER, "{" WHO IDS "\"iat\":1700000000,\"exp\":null,\"sid\":\"77\"}", odd_exp);
	expect(HEADER, "{" WHO IDS "\"iat\":1700000000,\"exp\":true,\"sid\":\"77\"}", odd_exp);
	expect(HEADER, "{" WHO IDS "\"iat\":1700000000,\"exp\":[1700000900],\"sid\":\"77\"}", odd_exp);
	expect(HEADER, "{" WHO IDS "\"iat\":1700000000,\"exp\":9223372036854775807,\"sid\":\"77\"}", odd_exp);
	expect(HEADER, "{" WHO IDS "\"iat\":1700000000,\"exp\":9223372036854775808,\"sid\":\"77\"}", object);
	expect(HEADER, "{" WHO IDS "\"iat\":1700000000,\"exp\":-9223372036854775808,\"sid\":\"77\"}", odd_exp);
	expect(HEADER, "{" WHO IDS "\"iat\":-1,\"exp\":1700000900,\"sid\":\"77\"}", odd_iat);
	expect(HEADER, "{" WHO IDS "\"iat\":\"1700000000\",\"exp\":1700000900,\"sid\":\"77\"}", odd_iat);
	expect(HEADER, "{" WHO IDS "\"iat\":1700000061,\"exp\":1700000900,\"sid\":\"77\"}", "iat lies in the future");
	expect(HEADER, "{" WHO IDS "\"iat\":1700000030,\"exp\":1700000030,\"sid\":\"77\"}", "exp is not after iat");
	expect(HEADER, "{" WHO IDS TIMES "\"nbf\":1700000060,\"sid\":\"77\"}", ACCEPTED);
	expect(HEADER, "{" WHO IDS TIMES "\"nbf\":1700000061,\"sid\":\"77\"}", "nbf lies in the future");
	expect(HEADER, "{" WHO IDS TIMES "\"nbf\":\"1700000000\",\"sid\":\"77\"}", odd_nbf);
	expect(HEADER, "{" WHO IDS TIMES "\"nbf\":null,\"sid\":\"77\"}", odd_nbf);
	expect(HEADER,
		"{\"iss\":\"https://auth.example.com\",\"aud\":[\"app\",\"other\"],\"client_id\":\"app\"," IDS TIMES
		"\"sid\":\"77\"}",
		"aud is not our audience");
	expect(HEADER, "{" WHO IDS "\"iat\":1700000000,\"exp\":\"1700000900\",\"sid\":\"77\"}", odd_exp);
	expect(HEADER, "{" WHO IDS "\"iat\":1700000000,\"sid\":\"77\"}", odd_exp);
	expect(HEADER, "{" WHO IDS "\"exp\":1700000900,\"sid\":\"77\"}", odd_iat);
	expect(HEADER, "{" WHO IDS "\"iat\":1700000000,\"exp\":1700000000,\"sid\":\"77\"}", "exp is not after iat");
	expect(HEADER, "{" WHO IDS "\"iat\":1699999000,\"exp\":1700000000,\"sid\":\"77\"}", "exp has passed");
	expect(HEADER, "{" WHO IDS "\"iat\":1700000000,\"exp\":-1,\"sid\":\"77\"}", odd_exp);
	expect(HEADER, "{" WHO "\"jti\":\"01J00000000000000000000002\"," TIMES "\"sid\":\"77\"}", "sub is no id");
	expect(HEADER, "{" WHO "\"sub\":\"alice\",\"jti\":\"01J00000000000000000000002\"," TIMES "\"sid\":\"77\"}",
		"sub is no id");
	expect(HEADER, "{" WHO "\"sub\":\"01J00000000000000000000001\"," TIMES "\"sid\":\"77\"}", "jti is no id");
	expect(HEADER, "{" WHO IDS TIMES "\"sid\":77}", "sid is no session id");
	expect(HEADER, "{" WHO IDS TIMES "\"sid\":\"077\"}", "sid is no session id");
	expect(HEADER, "{" WHO IDS TIMES "\"sid\":\"-7\"}", "sid is no session id");
	expect(HEADER, "{" WHO IDS TIMES "\"sid\":\"7 \"}", "sid is no session id");
	expect(HEADER, "{" WHO IDS TIMES "\"sid\":\"99999999999999999999\"}", "sid is no session id");
	expect(HEADER, "{" WHO IDS TIMES "\"sid\":\"9223372036854775807\"}", ACCEPTED);
	expect(HEADER, "{" WHO IDS TIMES "\"scope\":\"admin\",\"sid\":\"77\"}", ACCEPTED);
	expect(HEADER, "{" WHO IDS TIMES "\"scope\":\"\",\"sid\":\"77\"}", scope);
	expect(HEADER, "{" WHO IDS TIMES "\"scope\":\"admin more\",\"sid\":\"77\"}", scope);
	expect(HEADER, "{" WHO IDS TIMES "\"scope\":[\"admin\"],\"sid\":\"77\"}", scope);
	expect(HEADER, "{" WHO IDS TIMES "\"scope\":null,\"sid\":\"77\"}", scope);
	expect(HEADER, "{" WHO IDS TIMES "\"more\":\"is fine\",\"sid\":\"77\"}", ACCEPTED);
}

Test(token, another_servers_key_is_unknown)
{
	struct keys *others = NULL;
	char *token = issue(&claims);

	cr_assert_eq(db_execute(store_writer(store), "DELETE FROM signing_keys"), 0);
	cr_assert_eq(keys_load(store_writer(store), TOKEN_EDDSA, 2000, &others), 0);
	keys_free(keys);
	keys = others;
	cr_expect_str_eq(verdict(token), "kid names no key");
	free(token);
}
