#include "background/effects/link.h"

#include <endian.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "config/base64.h"

struct wire {
	uint64_t id; /* big-endian */
	unsigned char mac[crypto_auth_BYTES];
};

enum { VARIANT = sodium_base64_VARIANT_URLSAFE_NO_PADDING };

static_assert(sizeof(struct wire) == 40, "no padding");
static_assert((int)LINK_KEY_SIZE == (int)crypto_auth_KEYBYTES, "the secret is the key");
static_assert(sodium_base64_ENCODED_LEN(sizeof(struct wire), VARIANT) <= LINK_TOKEN_SIZE, "a token fits");

const char *link_purpose_of(const char *event_type)
{
	static const struct {
		const char *event_type, *purpose;
	} types[] = {
		{"user.signup", LINK_VERIFY},
		{"user.invited", LINK_INVITE},
		{"user.password_forgot", LINK_RESET},
		{"user.reset_required", LINK_RESET},
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strcmp(types[i].event_type, event_type) == 0)
			return types[i].purpose;
	}
	return NULL;
}

/* What is signed: the id, of a fixed length, and the purpose behind it. */
static void sign(const unsigned char *key, const char *purpose, const struct wire *wire, unsigned char *ret_mac)
{
	crypto_auth_hmacsha512256_state state;

	crypto_auth_hmacsha512256_init(&state, key, LINK_KEY_SIZE);
	crypto_auth_hmacsha512256_update(&state, (const unsigned char *)&wire->id, sizeof(wire->id));
	crypto_auth_hmacsha512256_update(&state, (const unsigned char *)purpose, strlen(purpose));
	crypto_auth_hmacsha512256_final(&state, ret_mac);
	sodium_memzero(&state, sizeof(state));
}

void link_token_make(
	const unsigned char key[LINK_KEY_SIZE], const char *purpose, int64_t id, char ret_token[LINK_TOKEN_SIZE])
{
	struct wire wire = {.id = htobe64((uint64_t)id)};

	sign(key, purpose, &wire, wire.mac);
	sodium_bin2base64(ret_token, LINK_TOKEN_SIZE, (const unsigned char *)&wire, sizeof(wire), VARIANT);
}

int link_token_read(const unsigned char key[LINK_KEY_SIZE], const char *purpose, const char *token, int64_t *ret_id)
{
	unsigned char mac[crypto_auth_BYTES];
	struct wire wire;
	size_t len = 0;

	if (!base64_read(token, strnlen(token, LINK_TOKEN_SIZE), VARIANT, &wire, sizeof(wire), &len) ||
		len != sizeof(wire))
		return ERR_DENIED;
	sign(key, purpose, &wire, mac);
	if (sodium_memcmp(mac, wire.mac, sizeof(mac)) != 0)
		return ERR_DENIED;
	*ret_id = (int64_t)be64toh(wire.id);
	return 0;
}

static const char *path_of(const struct config *config, const char *purpose)
{
	if (strcmp(purpose, LINK_VERIFY) == 0)
		return config->link.verify_path;
	if (strcmp(purpose, LINK_RESET) == 0)
		return config->link.reset_path;
	return strcmp(purpose, LINK_INVITE) == 0 ? config->link.invite_path : NULL;
}

int link_url(const struct link_maker *maker, const char *purpose, int64_t id, struct buf *out)
{
	const char *path = path_of(maker->config, purpose);
	size_t len = strlen(maker->config->public_url);
	char token[LINK_TOKEN_SIZE];

	if (!path)
		return ERR_INVALID;
	while (len > 0 && maker->config->public_url[len - 1] == '/')
		len--;
	link_token_make(maker->key, purpose, id, token);
	buf_append(out, maker->config->public_url, len);
	buf_printf(out, "%s#token=%s", path, token);
	sodium_memzero(token, sizeof(token));
	return buf_error(out);
}

/* "2026-01-02T03:04:05.678Z" (RFC 3339), for people: "2026-01-02 03:04:05 UTC". */
static bool readable_time(const char *time, char ret_text[sizeof "2026-01-02 03:04:05 UTC"])
{
	enum { DATE = 10, TIME = 8 };

	if (strlen(time) < DATE + 1 + TIME || time[DATE] != 'T')
		return false;
	(void)snprintf(ret_text, sizeof "2026-01-02 03:04:05 UTC", "%.*s %.*s UTC", DATE, time, TIME, time + DATE + 1);
	return true;
}

int link_values(const struct link_maker *maker, const char *event_type, const json_t *data, json_t **ret_values,
	char ret_token[LINK_TOKEN_SIZE], const char **ret_why)
{
	const json_t *link = json_object_get(data, "link"), *id = json_object_get(link, "id");
	const char *purpose = link_purpose_of(event_type), *said = json_string_value(json_object_get(link, "purpose")),
		   *expires = json_string_value(json_object_get(link, "expires"));
	char until[sizeof "2026-01-02 03:04:05 UTC"];
	struct buf url;
	int err;

	if (!maker) {
		*ret_why = "links can't be made here";
		return ERR_INVALID;
	}
	if (!purpose || !said || strcmp(said, purpose) != 0 || !json_is_integer(id) || !expires ||
		!readable_time(expires, until)) {
		*ret_why = "the event has no link, or not one of its purpose";
		return ERR_INVALID;
	}
	buf_init_secret(&url, LIMIT_REQUEST_BODY);
	err = link_url(maker, purpose, json_integer_value(id), &url);
	if (!err) {
		link_token_make(maker->key, purpose, json_integer_value(id), ret_token);
		*ret_values = json_pack("{s:s, s:s, s:s}", "url", url.data, "token", ret_token, "expires", until);
		err = *ret_values ? 0 : ERR_MEMORY;
	}
	buf_release(&url);
	return err;
}
