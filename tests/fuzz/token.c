/*
 * Tokens. The first byte says of what kind: an access token as it is; its header and payload, signed here, so that what comes after
 * the signature is reached; refresh, link and login tokens, as they are and with an HMAC made here.
 */
#include "server/token/token.h"

#include <sodium.h>

#include "background/effects/link.h"
#include "background/store/store.h"
#include "config/clock.h"
#include "config/json_text.h"
#include "server/token/mfa_token.h"
#include "tests/fuzz/fuzz.h"

#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING
enum { NOW = 1700000000, TEXT = 8192 };

static struct config config = {.token = {.issuer = (char *)"https://auth.example.com", .audience = (char *)"app"}};
static const unsigned char secret[32] = "a secret that everybody may know";
static struct refresh_key refresh; /* of it */
static struct keys *keys;

/* The store is only where the key comes from. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char folder[] = "/tmp/tokenfirst-fuzz-XXXXXX", url[64], command[80];
	struct store *store = NULL;

	(void)argc, (void)argv;
	json_text_setup();
	clock_start();
	fuzz_require(sodium_init() >= 0 && mkdtemp(folder) != NULL, "a place for a store");
	refresh_key_init(&refresh, secret);
	(void)snprintf(url, sizeof(url), "sqlite:%s/store.db", folder);
	fuzz_require(store_open(url, &store, NULL) == 0, "a store");
	fuzz_require(keys_load(store_writer(store), TOKEN_EDDSA, 1000, &keys) == 0, "a key");
	store_close(store);
	(void)snprintf(command, sizeof(command), "rm -r %s", folder);
	fuzz_require(system(command) == 0, "nothing is left behind");
	return 0;
}

static void require_canonical(const char *token)
{
	unsigned char bytes[TEXT];
	char again[TEXT], *at = again;
	size_t dots = 0;

	for (const char *part = token; part != NULL; dots++) {
		const char *dot = strchr(part, '.');
		size_t len = dot != NULL ? (size_t)(dot - part) : strlen(part), got = 0;

		fuzz_require(sodium_base642bin(bytes, sizeof(bytes), part, len, NULL, &got, NULL, VARIANT) == 0,
			"each part is base64url");
		sodium_bin2base64(at, sizeof(again) - (size_t)(at - again), bytes, got, VARIANT);
		at += strlen(at);
		if (dot != NULL)
			*at++ = '.';
		part = dot != NULL ? dot + 1 : NULL;
	}
	*at = '\0';
	fuzz_require(dots == 3, "three parts");
	fuzz_require(strcmp(token, again) == 0, "a token has one text");
}

static void try_access(const char *token)
{
	struct token_claims claims = {.session_id = -1};
	const char *why = NULL;
	int err = token_verify(&config, keys, token, NOW, &claims, &why);

	if (err != 0) {
		fuzz_require(err == ERR_DENIED && why != NULL && claims.session_id == -1, "a refusal says why alone");
		return;
	}
	require_canonical(token);
	fuzz_require(strlen(token) <= LIMIT_TOKEN, "a token is no longer than it may be");
	fuzz_require(id_valid(claims.subject) && id_valid(claims.token_id) && claims.session_id > 0, "ids are ids");
	fuzz_require(claims.expires_s > NOW && claims.issued_s <= NOW + LIMIT_TOKEN_SKEW_S &&
			     claims.issued_s < claims.expires_s,
		"it is of now");
}

/* "$kid" stands for the key's id. */
static size_t append_part(char *out, size_t size, const char *text)
{
	const char *mark = strstr(text, "$kid");
	char full[TEXT / 4];
	int len = mark == NULL ? snprintf(full, sizeof(full), "%s", text)
			       : snprintf(full, sizeof(full), "%.*s%s%s", (int)(mark - text), text,
					 signing_key_id(keys_current(keys)), mark + 4);

	if (len < 0 || (size_t)len >= sizeof(full))
		return 0;
	sodium_bin2base64(out, size, (const unsigned char *)full, (size_t)len, VARIANT);
	return strlen(out);
}

static void try_signed(struct fuzz_input *input)
{
	char *header = fuzz_text(input, '\n', NULL), *payload = fuzz_text(input, '\n', NULL);
	unsigned char signature[SIGNATURE_MAX];
	char token[TEXT];
	size_t len = append_part(token, sizeof(token), header), more, signature_len = 0;

	if (len > 0) {
		token[len++] = '.';
		more = append_part(token + len, sizeof(token) - len, payload);
		len += more;
		fuzz_require(
			signing_key_sign(keys_current(keys), token, len, signature, &signature_len) == 0, "signed");
		token[len++] = '.';
		sodium_bin2base64(token + len, sizeof(token) - len, signature, signature_len, VARIANT);
		try_access(token);
	}
	free(payload);
	free(header);
}

static void try_others(const char *token)
{
	struct mfa_claims mfa = {.user_id = 0};
	char again[128];
	int64_t id = 0, generation = 0;

	if (refresh_token_read(&refresh, token, &id, &generation) == 0) {
		refresh_token_make(&refresh, id, generation, again);
		fuzz_require(strcmp(token, again) == 0, "a refresh token has one text");
	}
	if (link_token_read(secret, LINK_RESET, token, &id) == 0) {
		link_token_make(secret, LINK_RESET, id, again);
		fuzz_require(strcmp(token, again) == 0, "a link's token has one text");
		fuzz_require(link_token_read(secret, LINK_INVITE, token, &id) != 0, "it is for one purpose");
	}
	if (mfa_token_read(secret, token, (int64_t)NOW * 1000, &mfa) == 0) {
		mfa_token_make(secret, &mfa, again);
		fuzz_require(strcmp(token, again) == 0, "a login's token has one text");
		fuzz_require(mfa.expires_ms > (int64_t)NOW * 1000, "it is of now");
	}
}

/* Made here, changed at one place by the input. */
static void try_made(struct fuzz_input *input)
{
	int64_t a = fuzz_number(input), b = fuzz_number(input), id = 0, generation = 0;
	size_t at = fuzz_byte(input) % 64;
	char change = (char)fuzz_byte(input), token[128];

	refresh_token_make(&refresh, a, b, token);
	fuzz_require(refresh_token_read(&refresh, token, &id, &generation) == 0 && id == a && generation == b,
		"what is made is read");
	if (token[at] != change) {
		token[at] = change;
		fuzz_require(
			refresh_token_read(&refresh, token, &id, &generation) == ERR_DENIED, "changed, it is refused");
	}
	link_token_make(secret, LINK_RESET, a, token);
	fuzz_require(link_token_read(secret, LINK_RESET, token, &id) == 0 && id == a, "what is made is read");
	at %= strlen(token);
	if (token[at] != change) {
		token[at] = change;
		fuzz_require(link_token_read(secret, LINK_RESET, token, &id) == ERR_DENIED, "changed, it is refused");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	uint8_t kind = fuzz_byte(&input);
	char *token;

	if (kind == 'S') {
		try_signed(&input);
	} else if (kind == 'M') {
		try_made(&input);
	} else {
		token = fuzz_text(&input, '\n', NULL);
		if (kind == 'O')
			try_others(token);
		else
			try_access(token);
		free(token);
	}
	return 0;
}
