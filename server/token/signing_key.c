#include "server/token/signing_key.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	HEADER_TEXT = sizeof("{\"alg\":\"EdDSA\",\"typ\":\"" TOKEN_TYPE "\",\"kid\":\"\"}") + KEY_ID_SIZE,
	HEADER_SIZE = sodium_base64_ENCODED_LEN(HEADER_TEXT, sodium_base64_VARIANT_URLSAFE_NO_PADDING) + 1,
};

struct signing_key {
	const struct key_kind *kind;
	void *state;
	char *jwk;
	char id[KEY_ID_SIZE];
	char header[HEADER_SIZE];
};

static const struct key_kind *const kinds[] = {
	[TOKEN_EDDSA] = &key_kind_ed25519,
	[TOKEN_ES256] = &key_kind_es256,
	[TOKEN_RS256] = &key_kind_rs256,
};

/* RFC 7518 3.1, RFC 8037 3.1 */
static const char *const alg_texts[] = {
	[TOKEN_EDDSA] = "EdDSA",
	[TOKEN_ES256] = "ES256",
	[TOKEN_RS256] = "RS256",
};

const char *token_alg_text(enum token_alg alg)
{
	return alg_texts[alg];
}

int token_alg_parse(const char *text, enum token_alg *ret_alg)
{
	for (size_t i = 0; i < sizeof(alg_texts) / sizeof(alg_texts[0]); i++) {
		if (strcmp(text, alg_texts[i]) == 0) {
			*ret_alg = (enum token_alg)i;
			return 0;
		}
	}
	return ERR_INVALID;
}

/* The members that make the id, and what RFC 7517 4 has for all keys. NULL: no memory. */
static char *render_jwk(json_t *jwk, const char *kid, enum token_alg alg)
{
	if (json_object_set_new(jwk, "kid", json_string(kid)) ||
		json_object_set_new(jwk, "alg", json_string(token_alg_text(alg))) ||
		json_object_set_new(jwk, "use", json_string("sig")))
		return NULL;
	return json_dumps(jwk, JSON_COMPACT);
}

/* Neither the names of algorithms nor base64url have a character that JSON escapes. */
static void render_header(const char *kid, enum token_alg alg, char ret_header[HEADER_SIZE])
{
	char text[HEADER_TEXT];
	int len = snprintf(text, sizeof(text), "{\"alg\":\"%s\",\"typ\":\"" TOKEN_TYPE "\",\"kid\":\"%s\"}",
		token_alg_text(alg), kid);

	assert(len > 0 && (size_t)len < sizeof(text));
	sodium_bin2base64(ret_header, HEADER_SIZE - 1, (const unsigned char *)text, (size_t)len,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	memcpy(ret_header + strlen(ret_header), ".", 2);
}

/* Owns `state` whatever comes of it. */
static int wrap(const struct key_kind *kind, void *state, struct signing_key **ret_key)
{
	struct signing_key *key = calloc(1, sizeof(*key));
	json_t *jwk = kind->jwk(state);
	int err = ERR_MEMORY;

	if (key && jwk)
		err = jwk_thumbprint(jwk, key->id);
	if (!err) {
		key->jwk = render_jwk(jwk, key->id, kind->alg);
		err = key->jwk ? 0 : ERR_MEMORY;
	}
	json_decref(jwk);
	if (err) {
		kind->free(state);
		free(key);
		return err;
	}
	render_header(key->id, kind->alg, key->header);
	key->kind = kind;
	key->state = state;
	*ret_key = key;
	return 0;
}

int signing_key_generate(enum token_alg alg, struct signing_key **ret_key)
{
	void *state = NULL;
	int err = kinds[alg]->generate(&state);

	return err ? err : wrap(kinds[alg], state, ret_key);
}

int signing_key_parse(enum token_alg alg, const void *bytes, size_t len, struct signing_key **ret_key)
{
	void *state = NULL;
	int err = kinds[alg]->parse(bytes, len, &state);

	return err ? err : wrap(kinds[alg], state, ret_key);
}

void signing_key_free(struct signing_key *key)
{
	if (!key)
		return;
	key->kind->free(key->state);
	free(key->jwk);
	free(key);
}

int signing_key_store(const struct signing_key *key, struct buf *out)
{
	return key->kind->store(key->state, out);
}

const char *signing_key_header(const struct signing_key *key)
{
	return key->header;
}

const char *signing_key_jwk(const struct signing_key *key)
{
	return key->jwk;
}

static bool text_is(const json_t *object, const char *name, const char *expected)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text && strcmp(text, expected) == 0;
}

/* Absent, or this very text. */
static bool text_may_be(const json_t *object, const char *name, const char *expected)
{
	return !json_object_get(object, name) || text_is(object, name, expected);
}

static const struct key_kind *kind_of(const json_t *jwk)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (text_is(jwk, "kty", kinds[i]->kty) && (!kinds[i]->crv || text_is(jwk, "crv", kinds[i]->crv)) &&
			text_may_be(jwk, "alg", token_alg_text(kinds[i]->alg)))
			return kinds[i];
	}
	return NULL;
}

/* RFC 7517 4.3 */
static bool may_verify(const json_t *jwk)
{
	const json_t *operations = json_object_get(jwk, "key_ops"), *operation;
	size_t i;

	json_array_foreach(operations, i, operation)
	{
		const char *text = json_string_value(operation);

		if (text && strcmp(text, "verify") == 0)
			return true;
	}
	return !operations;
}

int signing_key_from_jwk(const json_t *jwk, struct signing_key **ret_key, const char **ret_why)
{
	const struct key_kind *kind = kind_of(jwk);
	struct signing_key *key = NULL;
	void *state = NULL;
	int err;

	if (!kind || !text_may_be(jwk, "use", "sig") || !may_verify(jwk))
		return ERR_NOT_FOUND;
	/* all private halves have it: RFC 7518 6.2.2, 6.3.2, RFC 8037 2 */
	if (json_object_get(jwk, "d")) {
		*ret_why = "a key in it has its private half with it";
		return ERR_INVALID;
	}
	err = kind->from_jwk(jwk, &state);
	if (!err)
		err = wrap(kind, state, &key);
	/* our key ids are thumbprints: under another one it is not what it says, or not ours */
	if (!err && !text_is(jwk, "kid", key->id)) {
		signing_key_free(key);
		err = ERR_NOT_FOUND;
	}
	if (!err)
		*ret_key = key;
	return err == ERR_CRYPTO ? ERR_NOT_FOUND : err;
}

const char *signing_key_id(const struct signing_key *key)
{
	return key->id;
}

enum token_alg signing_key_alg(const struct signing_key *key)
{
	return key->kind->alg;
}

int signing_key_sign(const struct signing_key *key, const void *message, size_t len,
	unsigned char ret_signature[SIGNATURE_MAX], size_t *ret_len)
{
	return key->kind->sign(key->state, message, len, ret_signature, ret_len);
}

int signing_key_verify(const struct signing_key *key, const void *message, size_t len, const unsigned char *signature,
	size_t signature_len)
{
	return key->kind->verify(key->state, message, len, signature, signature_len);
}
