#include "tests/support/jws.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

enum { PART_MAX = 4096, COORDINATE = 32 };

struct bytes {
	unsigned char data[PART_MAX];
	size_t len;
};

/* base64url without padding (RFC 7515 2), by OpenSSL's decoder, which wants the other alphabet and padding. */
static bool decode(const char *text, size_t len, struct bytes *ret_bytes)
{
	unsigned char padded[PART_MAX];
	size_t padding = (4 - len % 4) % 4;
	int decoded;

	if (padding == 3 || len + padding > PART_MAX || memchr(text, '=', len) != NULL)
		return false;
	for (size_t i = 0; i < len; i++)
		padded[i] = (unsigned char)(text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]);
	memset(padded + len, '=', padding);
	decoded = EVP_DecodeBlock(ret_bytes->data, padded, (int)(len + padding));
	if (decoded < (int)padding)
		return false;
	ret_bytes->len = (size_t)decoded - padding;
	return true;
}

/* The start and length of one of the three parts. */
static const char *part_find(const char *token, int part, size_t *ret_len)
{
	for (; part > 0 && token != NULL; part--) {
		token = strchr(token, '.');
		token = token == NULL ? NULL : token + 1;
	}
	*ret_len = token == NULL ? 0 : strcspn(token, ".");
	return token;
}

json_t *jws_part(const char *token, int part)
{
	struct bytes bytes;
	size_t len;
	const char *text = part_find(token, part, &len);

	if (text == NULL || !decode(text, len, &bytes))
		return NULL;
	return json_loadb((const char *)bytes.data, bytes.len, JSON_REJECT_DUPLICATES, NULL);
}

static bool member(const json_t *jwk, const char *name, struct bytes *ret_bytes)
{
	const char *text = json_string_value(json_object_get(jwk, name));

	return text != NULL && decode(text, strlen(text), ret_bytes);
}

static bool text_is(const json_t *object, const char *name, const char *expected)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL && strcmp(text, expected) == 0;
}

static EVP_PKEY *key_from(const char *type, OSSL_PARAM_BLD *builder)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY *key = NULL;

	if (context == NULL || params == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
		EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(context);
	return key;
}

static EVP_PKEY *key_ec(const json_t *jwk)
{
	unsigned char point[1 + 2 * COORDINATE] = {4}; /* uncompressed */
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;
	struct bytes x, y;

	if (!text_is(jwk, "crv", "P-256") || !member(jwk, "x", &x) || !member(jwk, "y", &y) || x.len != COORDINATE ||
		y.len != COORDINATE)
		goto done;
	memcpy(point + 1, x.data, COORDINATE);
	memcpy(point + 1 + COORDINATE, y.data, COORDINATE);
	if (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
		OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) == 1)
		key = key_from("EC", builder);
done:
	OSSL_PARAM_BLD_free(builder);
	return key;
}

static EVP_PKEY *key_rsa(const json_t *jwk)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;
	BIGNUM *modulus = NULL;
	BIGNUM *exponent = NULL;
	struct bytes n, e;

	if (!member(jwk, "n", &n) || !member(jwk, "e", &e))
		goto done;
	modulus = BN_bin2bn(n.data, (int)n.len, NULL);
	exponent = BN_bin2bn(e.data, (int)e.len, NULL);
	if (OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
		key = key_from("RSA", builder);
done:
	BN_free(modulus);
	BN_free(exponent);
	OSSL_PARAM_BLD_free(builder);
	return key;
}

static EVP_PKEY *key_of(const json_t *jwk, const char *alg)
{
	struct bytes x;

	if (strcmp(alg, "ES256") == 0 && text_is(jwk, "kty", "EC"))
		return key_ec(jwk);
	if (strcmp(alg, "RS256") == 0 && text_is(jwk, "kty", "RSA"))
		return key_rsa(jwk);
	if (strcmp(alg, "EdDSA") == 0 && text_is(jwk, "kty", "OKP") && text_is(jwk, "crv", "Ed25519") &&
		member(jwk, "x", &x))
		return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.data, x.len);
	return NULL;
}

/* RFC 7518 3.4: r and s side by side; OpenSSL wants them in DER. */
static bool to_der(struct bytes *signature)
{
	unsigned char *der = NULL;
	ECDSA_SIG *pair = ECDSA_SIG_new();
	int len = 0;

	if (pair != NULL && signature->len == 2 * COORDINATE &&
		ECDSA_SIG_set0(pair, BN_bin2bn(signature->data, COORDINATE, NULL),
			BN_bin2bn(signature->data + COORDINATE, COORDINATE, NULL)) == 1)
		len = i2d_ECDSA_SIG(pair, &der);
	if (len > 0) {
		memcpy(signature->data, der, (size_t)len);
		signature->len = (size_t)len;
	}
	OPENSSL_free(der);
	ECDSA_SIG_free(pair);
	return len > 0;
}

static const json_t *jwk_find(const json_t *jwks, const char *kid)
{
	const json_t *jwk;
	size_t i;

	json_array_foreach(json_object_get(jwks, "keys"), i, jwk)
	{
		if (kid != NULL && text_is(jwk, "kid", kid))
			return jwk;
	}
	return NULL;
}

bool jws_verifies(const char *token, const json_t *jwks)
{
	json_t *header = jws_part(token, 0);
	const char *alg = json_string_value(json_object_get(header, "alg"));
	const json_t *jwk = jwk_find(jwks, json_string_value(json_object_get(header, "kid")));
	EVP_PKEY *key = alg == NULL || jwk == NULL || !text_is(jwk, "alg", alg) ? NULL : key_of(jwk, alg);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	struct bytes signature;
	bool good = false;
	size_t len;
	const char *text = part_find(token, 2, &len);

	if (key == NULL || context == NULL || text == NULL || !decode(text, len, &signature))
		goto done;
	if (strcmp(alg, "ES256") == 0 && !to_der(&signature))
		goto done;
	if (EVP_DigestVerifyInit(context, NULL, strcmp(alg, "EdDSA") == 0 ? NULL : EVP_sha256(), NULL, key) == 1)
		good = EVP_DigestVerify(context, signature.data, signature.len, (const unsigned char *)token,
			       (size_t)(text - token) - 1) == 1;
done:
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	json_decref(header);
	return good;
}
