#include "tests/support/forge.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "tests/support/harness.h"
#include "tests/support/jws.h"

static const char *text_of(const json_t *claims, const char *name)
{
	const char *text = json_string_value(json_object_get(claims, name));

	return text ? text : "";
}

struct token_claims forge_claims(const struct api_login *login)
{
	struct token_claims claims = {.session_id = 0};
	json_t *json = jws_part(login->access_token, 1);

	(void)snprintf(claims.subject, sizeof(claims.subject), "%s", text_of(json, "sub"));
	(void)snprintf(claims.token_id, sizeof(claims.token_id), "%s", text_of(json, "jti"));
	claims.session_id = strtoll(text_of(json, "sid"), NULL, 10);
	claims.issued_s = json_integer_value(json_object_get(json, "iat"));
	claims.expires_s = json_integer_value(json_object_get(json, "exp"));
	claims.admin = strcmp(text_of(json, "scope"), "admin") == 0;
	json_decref(json);
	return claims;
}

char *forge_token(const struct server *server, const struct api_login *like, const struct token_claims *claims)
{
	json_t *json = jws_part(like->access_token, 1);
	char url[SERVER_URL], *issuer = strdup(text_of(json, "iss")), *audience = strdup(text_of(json, "aud")), *token;
	struct config config = {.token = {.issuer = issuer, .audience = audience}};
	struct token_issuer maker = {.encoded = NULL};
	struct keys *keys = NULL;
	struct db *db = NULL;
	struct buf out;

	clock_start();
	buf_init(&out, LIMIT_TOKEN);
	(void)snprintf(url, sizeof(url), "sqlite:%s/tokenfirst.db", server_folder(server));
	if (sodium_init() < 0 || db_open(url, DB_READER, &db) || keys_read(db, TOKEN_EDDSA, clock_now_ms(), &keys) ||
		token_issuer_init(&maker, &config) || token_issue(&maker, keys_current(keys), claims, &out))
		harness_fail("no token can be made with the keys of %s", url);
	token = buf_steal(&out);
	token_issuer_release(&maker);
	keys_free(keys);
	db_close(db);
	free(issuer);
	free(audience);
	json_decref(json);
	return token;
}
