#include "server/token/signing_key.h"

#include <stdlib.h>
#include <string.h>

struct signing_key {
	const struct key_kind *kind;
	void *state;
	char id[KEY_ID_SIZE];
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

/* Owns `state` whatever comes of it. */
static int wrap(const struct key_kind *kind, void *state, struct signing_key **ret_key)
{
	struct signing_key *key = calloc(1, sizeof(*key));
	json_t *jwk = kind->jwk(state);
	int err = ERR_MEMORY;

	if (key && jwk)
		err = jwk_thumbprint(jwk, key->id);
	json_decref(jwk);
	if (err) {
		kind->free(state);
		free(key);
		return err;
	}
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
	free(key);
}

int signing_key_store(const struct signing_key *key, struct buf *out)
{
	return key->kind->store(key->state, out);
}

json_t *signing_key_jwk(const struct signing_key *key)
{
	json_t *jwk = key->kind->jwk(key->state);

	if (jwk && !json_object_set_new(jwk, "kid", json_string(key->id)) &&
		!json_object_set_new(jwk, "alg", json_string(token_alg_text(key->kind->alg))) &&
		!json_object_set_new(jwk, "use", json_string("sig")))
		return jwk;
	json_decref(jwk);
	return NULL;
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
