/*
 * ES256 and RS256 (RFC 7518 3.3, 3.4) with OpenSSL 3. An EVP_PKEY may be used by many threads at once
 * as long as nobody changes it, so one is parsed at start and each call has a context of its own.
 *
 * OpenSSL speaks of ECDSA signatures as DER, JWS as r and s of 32 bytes each, one after the other.
 *
 * The functions of OpenSSL leave their reasons on a queue of the calling thread; nobody reads it, since a
 * signature that does not verify has no other reason, so it is cleared before it could mislead anybody.
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdlib.h>

#include "server/token/signing_key.h"

enum { P256_BYTES = 32, ES256_SIGNATURE = 2 * P256_BYTES, RSA_BITS = 2048, RSA_BITS_MAX = SIGNATURE_MAX * 8 };

static int failed(void)
{
	ERR_clear_error();
	return ERR_CRYPTO;
}

static void key_free(void *state)
{
	EVP_PKEY_free(state);
}

/* PKCS#8 DER (RFC 5208). */
static int key_store(const void *state, struct buf *out)
{
	const EVP_PKEY *key = state;
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	unsigned char *der = NULL;
	int len = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;

	PKCS8_PRIV_KEY_INFO_free(info);
	if (len <= 0)
		return failed();
	buf_append(out, der, (size_t)len);
	OPENSSL_clear_free(der, (size_t)len);
	return buf_error(out);
}

static EVP_PKEY *read_pkcs8(const void *bytes, size_t len)
{
	const unsigned char *at = bytes;
	PKCS8_PRIV_KEY_INFO *info = len <= PRIVATE_KEY_MAX ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)len) : NULL;
	EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;

	PKCS8_PRIV_KEY_INFO_free(info);
	return key;
}

static bool is_p256(const EVP_PKEY *key)
{
	char group[64] = "";

	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
	       OBJ_sn2nid(group) == NID_X9_62_prime256v1;
}

static bool is_rsa(const EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	return EVP_PKEY_is_a(key, "RSA") && bits >= RSA_BITS && bits <= RSA_BITS_MAX;
}

static int parse(const void *bytes, size_t len, bool (*fits)(const EVP_PKEY *key), void **ret_state)
{
	EVP_PKEY *key = read_pkcs8(bytes, len);

	if (!key || !fits(key)) {
		EVP_PKEY_free(key);
		return failed();
	}
	*ret_state = key;
	return 0;
}

static int es256_parse(const void *bytes, size_t len, void **ret_state)
{
	return parse(bytes, len, is_p256, ret_state);
}

static int rs256_parse(const void *bytes, size_t len, void **ret_state)
{
	return parse(bytes, len, is_rsa, ret_state);
}

static int es256_generate(void **ret_state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	if (!key)
		return failed();
	*ret_state = key;
	return 0;
}

static int rs256_generate(void **ret_state)
{
	EVP_PKEY *key = EVP_RSA_gen((unsigned int)RSA_BITS);

	if (!key)
		return failed();
	*ret_state = key;
	return 0;
}

/* A number of the public key, padded to `width` bytes if that is not 0. */
static json_t *number(const EVP_PKEY *key, const char *name, int width)
{
	unsigned char bytes[SIGNATURE_MAX];
	BIGNUM *value = NULL;
	json_t *json = NULL;
	int len;

	if (EVP_PKEY_get_bn_param(key, name, &value) == 1) {
		if (width == 0)
			width = BN_num_bytes(value);
		len = width <= (int)sizeof(bytes) ? BN_bn2binpad(value, bytes, width) : -1;
		if (len > 0)
			json = jwk_bytes(bytes, (size_t)len);
	}
	BN_free(value);
	ERR_clear_error();
	return json;
}

static json_t *es256_jwk(const void *state)
{
	/* coordinates keep their leading zeros (RFC 7518 6.2.1.2) */
	return json_pack("{s:s, s:s, s:o, s:o}", "kty", "EC", "crv", "P-256", "x",
		number(state, OSSL_PKEY_PARAM_EC_PUB_X, P256_BYTES), "y",
		number(state, OSSL_PKEY_PARAM_EC_PUB_Y, P256_BYTES));
}

static json_t *rs256_jwk(const void *state)
{
	/* and these have none (RFC 7518 6.3.1) */
	return json_pack("{s:s, s:o, s:o}", "kty", "RSA", "n", number(state, OSSL_PKEY_PARAM_RSA_N, 0), "e",
		number(state, OSSL_PKEY_PARAM_RSA_E, 0));
}

/* The public half from its parameters, checked: on its curve, of a sound size. `params` is freed; NULL is an error. */
static int import(const char *type, OSSL_PARAM *params, bool (*fits)(const EVP_PKEY *key), void **ret_state)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL), *check = NULL;
	EVP_PKEY *key = NULL;
	bool good = context && params && EVP_PKEY_fromdata_init(context) == 1 &&
		    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) == 1 && fits(key);

	if (good)
		check = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	good = check && EVP_PKEY_public_check(check) == 1;
	EVP_PKEY_CTX_free(check);
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(params);
	if (!good) {
		EVP_PKEY_free(key);
		return failed();
	}
	*ret_state = key;
	return 0;
}

static int es256_from_jwk(const json_t *jwk, void **ret_state)
{
	unsigned char point[1 + 2 * P256_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	size_t x = 0, y = 0;

	if (builder && !jwk_read_bytes(jwk, "x", point + 1, P256_BYTES, &x) && x == P256_BYTES &&
		!jwk_read_bytes(jwk, "y", point + 1 + P256_BYTES, P256_BYTES, &y) && y == P256_BYTES &&
		OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
		OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) == 1)
		params = OSSL_PARAM_BLD_to_param(builder);
	OSSL_PARAM_BLD_free(builder);
	return import("EC", params, is_p256, ret_state);
}

/* NULL: it is no number, or too long. */
static BIGNUM *read_number(const json_t *jwk, const char *name)
{
	unsigned char bytes[SIGNATURE_MAX];
	size_t len = 0;

	return jwk_read_bytes(jwk, name, bytes, sizeof(bytes), &len) ? NULL : BN_bin2bn(bytes, (int)len, NULL);
}

static int rs256_from_jwk(const json_t *jwk, void **ret_state)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *n = read_number(jwk, "n"), *e = read_number(jwk, "e");
	OSSL_PARAM *params = NULL;

	if (builder && n && e && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		params = OSSL_PARAM_BLD_to_param(builder);
	OSSL_PARAM_BLD_free(builder);
	BN_free(n);
	BN_free(e);
	return import("RSA", params, is_rsa, ret_state);
}

/* OpenSSL's own form: DER for ECDSA, PKCS#1 v1.5 for RSA. `*len` comes in as the room. */
static int sign(const void *state, const void *message, size_t message_len, unsigned char *signature, size_t *len)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int err = 0;

	/* libcrypto takes no const key although it changes none */
	if (!context || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, (EVP_PKEY *)(uintptr_t)state) != 1 ||
		EVP_DigestSign(context, signature, len, message, message_len) != 1)
		err = failed();
	EVP_MD_CTX_free(context);
	return err;
}

static int verify(
	const void *state, const void *message, size_t message_len, const unsigned char *signature, size_t len)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int err = ERR_DENIED;

	if (context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, (EVP_PKEY *)(uintptr_t)state) == 1 &&
		EVP_DigestVerify(context, signature, len, message, message_len) == 1)
		err = 0;
	EVP_MD_CTX_free(context);
	ERR_clear_error();
	return err;
}

static int rs256_sign(const void *state, const void *message, size_t len, unsigned char *ret_signature, size_t *ret_len)
{
	size_t room = SIGNATURE_MAX;
	int err = sign(state, message, len, ret_signature, &room);

	if (!err)
		*ret_len = room;
	return err;
}

static int es256_sign(const void *state, const void *message, size_t len, unsigned char *ret_signature, size_t *ret_len)
{
	unsigned char der[SIGNATURE_MAX];
	const unsigned char *at = der;
	size_t der_len = sizeof(der);
	ECDSA_SIG *pair = NULL;
	int err = sign(state, message, len, der, &der_len);

	if (err)
		return err;
	pair = d2i_ECDSA_SIG(NULL, &at, (long)der_len);
	if (!pair || BN_bn2binpad(ECDSA_SIG_get0_r(pair), ret_signature, P256_BYTES) != P256_BYTES ||
		BN_bn2binpad(ECDSA_SIG_get0_s(pair), ret_signature + P256_BYTES, P256_BYTES) != P256_BYTES)
		err = failed();
	else
		*ret_len = ES256_SIGNATURE;
	ECDSA_SIG_free(pair);
	return err;
}

static int es256_verify(
	const void *state, const void *message, size_t len, const unsigned char *signature, size_t signature_len)
{
	unsigned char *der = NULL;
	ECDSA_SIG *pair = NULL;
	BIGNUM *r = NULL, *s = NULL;
	int err = ERR_DENIED;
	int der_len;

	if (signature_len != ES256_SIGNATURE)
		return ERR_DENIED;
	pair = ECDSA_SIG_new();
	r = BN_bin2bn(signature, P256_BYTES, NULL);
	s = BN_bin2bn(signature + P256_BYTES, P256_BYTES, NULL);
	if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
		r = s = NULL; /* the pair's now */
		der_len = i2d_ECDSA_SIG(pair, &der);
		if (der_len > 0)
			err = verify(state, message, len, der, (size_t)der_len);
	}
	OPENSSL_free(der);
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(pair);
	ERR_clear_error();
	return err;
}

const struct key_kind key_kind_es256 = {
	.alg = TOKEN_ES256,
	.generate = es256_generate,
	.parse = es256_parse,
	.free = key_free,
	.store = key_store,
	.jwk = es256_jwk,
	.from_jwk = es256_from_jwk,
	.kty = "EC",
	.crv = "P-256",
	.sign = es256_sign,
	.verify = es256_verify,
};

const struct key_kind key_kind_rs256 = {
	.alg = TOKEN_RS256,
	.generate = rs256_generate,
	.parse = rs256_parse,
	.free = key_free,
	.store = key_store,
	.jwk = rs256_jwk,
	.from_jwk = rs256_from_jwk,
	.kty = "RSA",
	.sign = rs256_sign,
	.verify = verify,
};
