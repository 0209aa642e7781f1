/*
 * Access tokens as compact JWS. Signature, base64url and JSON are the libraries'; what is ours is the order and the
 * strictness: the key is found by its id and says itself which algorithm it is for, nothing in a
 * token is believed before its signature holds, and every claim has one form (RFC 8725).
 */
#include "server/token/token.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/base64.h"
#include "config/json_text.h"
#include "config/limits.h"
#include "server/token/signing_key.h"

static const char admin_scope[] = "admin";

enum { OWN_CLAIMS = 320 }; /* bytes of those that each token has of its own, and of what is left of the common ones */

int token_issuer_init(struct token_issuer *issuer, const struct config *config)
{
	/* texts of the configuration, so escaped by jansson; the closing brace makes room for a comma */
	json_t *common = json_pack("{s:s, s:s, s:s}", "iss", config->token.issuer, "aud", config->token.audience,
		"client_id", config->token.audience);
	char *text = common ? json_dumps(common, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0, whole = len - len % 3;

	json_decref(common);
	if (!text)
		return ERR_MEMORY;
	text[len - 1] = ',';
	*issuer = (struct token_issuer){.len = whole / 3 * 4};
	memcpy(issuer->rest, text + whole, len - whole);
	issuer->encoded = malloc(issuer->len + 1);
	if (issuer->encoded)
		sodium_bin2base64(issuer->encoded, issuer->len + 1, (const unsigned char *)text, whole,
			sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	free(text);
	return issuer->encoded ? 0 : ERR_MEMORY;
}

void token_issuer_release(struct token_issuer *issuer)
{
	free(issuer->encoded);
	issuer->encoded = NULL;
}

static void append_base64url(struct buf *out, const void *bytes, size_t len)
{
	size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	char *place = buf_extend(out, size - 1);

	if (place)
		sodium_bin2base64(place, size, bytes, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* The claims after the common ones: ids and numbers, in which JSON escapes nothing. */
static int append_own(struct buf *out, const struct token_issuer *issuer, const struct token_claims *claims)
{
	char text[OWN_CLAIMS];
	int len = snprintf(text, sizeof(text),
		"%s\"sub\":\"%s\",\"exp\":%lld,\"iat\":%lld,\"jti\":\"%s\",\"sid\":\"%lld\"%s%s%s}", issuer->rest,
		claims->subject, (long long)claims->expires_s, (long long)claims->issued_s, claims->token_id,
		(long long)claims->session_id, claims->admin ? ",\"scope\":\"" : "", claims->admin ? admin_scope : "",
		claims->admin ? "\"" : "");

	assert(len > 0 && (size_t)len < sizeof(text));
	append_base64url(out, text, (size_t)len);
	return buf_error(out);
}

int token_issue(const struct token_issuer *issuer, const struct signing_key *key, const struct token_claims *claims,
	struct buf *out)
{
	unsigned char signature[SIGNATURE_MAX];
	size_t signature_len = 0;
	size_t start = out->len;
	int err;

	if (!id_valid(claims->subject) || !id_valid(claims->token_id))
		return ERR_INVALID;
	buf_append_text(out, signing_key_header(key));
	buf_append(out, issuer->encoded, issuer->len);
	err = append_own(out, issuer, claims);
	if (err)
		return err;
	err = signing_key_sign(key, out->data + start, out->len - start, signature, &signature_len);
	if (err)
		return err;
	buf_append_text(out, ".");
	append_base64url(out, signature, signature_len);
	/* more than a token may have: verification would refuse it */
	if (!buf_error(out) && out->len - start > LIMIT_TOKEN)
		return ERR_LIMIT;
	return buf_error(out);
}

/* A JWS cut at its dots; nothing is copied. */
struct parts {
	const char *header, *payload, *signature;
	size_t header_len, payload_len, signature_len;
};

static bool split(const char *token, struct parts *ret_parts)
{
	size_t len = strnlen(token, LIMIT_TOKEN + 1);
	const char *first = memchr(token, '.', len);
	const char *second = first ? memchr(first + 1, '.', len - (size_t)(first + 1 - token)) : NULL;
	const char *end = token + len;

	if (len > LIMIT_TOKEN || !second || memchr(second + 1, '.', (size_t)(end - second - 1)))
		return false;
	*ret_parts = (struct parts){
		.header = token,
		.header_len = (size_t)(first - token),
		.payload = first + 1,
		.payload_len = (size_t)(second - first - 1),
		.signature = second + 1,
		.signature_len = (size_t)(end - second - 1),
	};
	return true;
}

/* Strict: alphabet, no padding, no bits left over in the last character. */
static bool decode(const char *text, size_t len, void *ret_bytes, size_t size, size_t *ret_len)
{
	return base64_read(text, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING, ret_bytes, size, ret_len);
}

/* Said of a token that could not be read: it is not the token's fault. */
static const char no_memory[] = "out of memory";

/* An object without duplicate members and nothing behind it. NULL, or why it is not: `broken`, or no_memory. */
static const char *decode_object(const char *text, size_t len, const char *broken, json_t **ret_object)
{
	char bytes[LIMIT_TOKEN];
	size_t bytes_len = 0;
	json_t *json = NULL;

	if (!decode(text, len, bytes, sizeof(bytes), &bytes_len))
		return broken;
	if (json_text_read(bytes, bytes_len, &json, NULL) == ERR_MEMORY)
		return no_memory;
	if (!json_is_object(json)) {
		json_decref(json);
		return broken;
	}
	*ret_object = json;
	return NULL;
}

/* NULL: absent or no text. jansson lets no NUL into a text, so strcmp sees all of it. */
static const char *text_member(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

static bool text_is(const json_t *object, const char *name, const char *expected)
{
	const char *text = text_member(object, name);

	return text && strcmp(text, expected) == 0;
}

/* NULL, or the rule that failed. */
static const char *check_header(
	const struct keys *keys, const struct parts *parts, int64_t now_s, const struct signing_key **ret_key)
{
	const struct signing_key *key = NULL;
	json_t *header = NULL;
	const char *why = decode_object(
		parts->header, parts->header_len, "the header is not base64url of a JSON object", &header);

	if (why)
		return why;
	if (!text_member(header, "alg") || !text_member(header, "typ") || !text_member(header, "kid"))
		why = "the header lacks alg, typ or kid";
	else if (json_object_size(header) != 3)
		why = "the header has members other than alg, typ and kid";
	else if (!text_is(header, "typ", TOKEN_TYPE))
		why = "typ is not at+jwt";
	else if (!(key = keys_find(keys, text_member(header, "kid"), now_s * 1000)))
		why = "kid names no key";
	else if (!text_is(header, "alg", token_alg_text(signing_key_alg(key))))
		why = "alg is not the key's algorithm";
	else
		*ret_key = key;
	json_decref(header);
	return why;
}

static const char *check_signature(const struct signing_key *key, const struct parts *parts)
{
	unsigned char signature[SIGNATURE_MAX];
	size_t len = 0;

	if (!decode(parts->signature, parts->signature_len, signature, sizeof(signature), &len))
		return "the signature is not base64url";
	/* what is signed is everything before the second dot, as it came */
	if (signing_key_verify(key, parts->header, parts->header_len + 1 + parts->payload_len, signature, len))
		return "the signature does not verify";
	return NULL;
}

static bool id_member(const json_t *object, const char *name, char ret_id[ID_SIZE])
{
	const char *text = text_member(object, name);

	if (!text || !id_valid(text))
		return false;
	memcpy(ret_id, text, ID_SIZE);
	return true;
}

/* One number has one text: digits without sign or leading zero. */
static bool session_member(const json_t *object, int64_t *ret_id)
{
	const char *text = text_member(object, "sid");
	char *end = NULL;
	long long value;

	if (!text || *text < '1' || *text > '9')
		return false;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || *end)
		return false;
	*ret_id = value;
	return true;
}

/* The end of the year 9999: later times have no RFC 3339 form, and no token of ours lives that long. */
static const int64_t time_max_s = 253402300799;

/* A whole number of seconds: RFC 7519 2 allows fractions, and we make none. */
static bool time_member(const json_t *object, const char *name, int64_t *ret_s)
{
	const json_t *value = json_object_get(object, name);

	if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > time_max_s)
		return false;
	*ret_s = json_integer_value(value);
	return true;
}

const char *token_times(const struct token_claims *claims, int64_t now_s)
{
	if (claims->issued_s > now_s + LIMIT_TOKEN_SKEW_S)
		return "iat lies in the future";
	if (claims->expires_s <= claims->issued_s)
		return "exp is not after iat";
	if (claims->expires_s <= now_s)
		return "exp has passed";
	return claims->not_before_s > now_s + LIMIT_TOKEN_SKEW_S ? "nbf lies in the future" : NULL;
}

static const char *check_times(const json_t *payload, int64_t now_s, struct token_claims *claims)
{
	if (!time_member(payload, "iat", &claims->issued_s))
		return "iat is no time";
	if (!time_member(payload, "exp", &claims->expires_s))
		return "exp is no time";
	if (json_object_get(payload, "nbf") && !time_member(payload, "nbf", &claims->not_before_s))
		return "nbf is no time";
	return token_times(claims, now_s);
}

static const char *check_claims(
	const struct config *config, const json_t *payload, int64_t now_s, struct token_claims *claims)
{
	const char *why;

	if (!text_is(payload, "iss", config->token.issuer))
		return "iss is not our issuer";
	if (!text_is(payload, "aud", config->token.audience))
		return "aud is not our audience";
	if (!text_is(payload, "client_id", config->token.audience))
		return "client_id is not our audience";
	why = check_times(payload, now_s, claims);
	if (why)
		return why;
	if (!id_member(payload, "sub", claims->subject))
		return "sub is no id";
	if (!id_member(payload, "jti", claims->token_id))
		return "jti is no id";
	if (!session_member(payload, &claims->session_id))
		return "sid is no session id";
	claims->admin = text_is(payload, "scope", admin_scope);
	if (!claims->admin && json_object_get(payload, "scope"))
		return "scope is none of ours";
	return NULL;
}

int token_verify_by(const struct config *config, const struct keys *keys, const char *token, int64_t now_s,
	struct token_claims *ret_claims, const struct signing_key **ret_key, const char **ret_why)
{
	struct token_claims claims = {.session_id = 0};
	const struct signing_key *key = NULL;
	json_t *payload = NULL;
	struct parts parts;
	const char *why = NULL;

	if (!split(token, &parts))
		why = "not three parts with dots between";
	if (!why)
		why = check_header(keys, &parts, now_s, &key);
	if (!why)
		why = check_signature(key, &parts);
	if (!why)
		why = decode_object(
			parts.payload, parts.payload_len, "the payload is not base64url of a JSON object", &payload);
	if (!why)
		why = check_claims(config, payload, now_s, &claims);
	json_decref(payload);
	if (why) {
		*ret_why = why;
		return why == no_memory ? ERR_MEMORY : ERR_DENIED;
	}
	*ret_claims = claims;
	*ret_key = key;
	return 0;
}

int token_verify(const struct config *config, const struct keys *keys, const char *token, int64_t now_s,
	struct token_claims *ret_claims, const char **ret_why)
{
	const struct signing_key *key = NULL;

	return token_verify_by(config, keys, token, now_s, ret_claims, &key, ret_why);
}
