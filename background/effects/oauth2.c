#include "background/effects/oauth2.h"

#include <curl/curl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/json_text.h"

/* A form's encoding of a value; "%20" stands for a space as well as "+" does. */
static void append_encoded(struct buf *out, const char *text)
{
	char *encoded = *text ? curl_easy_escape(NULL, text, 0) : NULL;

	if (encoded) {
		buf_append_text(out, encoded);
		sodium_memzero(encoded, strlen(encoded));
	} else if (*text) {
		out->err = ERR_MEMORY;
	}
	curl_free(encoded);
}

static int add_client(struct request *request, const struct auth_config *auth)
{
	struct buf pair;
	int err;

	buf_init_secret(&pair, LIMIT_REQUEST_BODY);
	append_encoded(&pair, auth->client_id);
	buf_append_text(&pair, ":");
	append_encoded(&pair, auth->client_secret);
	err = request_add_basic(request, &pair);
	buf_release(&pair);
	return err;
}

int oauth2_request(const struct auth_config *auth, struct request *request)
{
	int err;

	if (!auth->token_url || !auth->client_id || !*auth->client_id || !auth->client_secret)
		return ERR_INVALID;
	request->method = "POST";
	request->url = strdup(auth->token_url);
	if (!request->url)
		return ERR_MEMORY;
	buf_append_text(&request->body, "grant_type=client_credentials");
	if (auth->scope && *auth->scope) {
		buf_append_text(&request->body, "&scope=");
		append_encoded(&request->body, auth->scope);
	}
	err = buf_error(&request->body);
	if (!err)
		err = request_add_header(request, "Content-Type", "application/x-www-form-urlencoded");
	if (!err)
		err = request_add_header(request, "Accept", "application/json");
	if (!err)
		err = request_add_header(request, "User-Agent", "tokenfirst/" TOKENFIRST_VERSION);
	return err ? err : add_client(request, auth);
}

/* The syntax of a bearer token, b64token of RFC 6750 2.1 and no more than a header may hold. */
static bool sendable(const char *token)
{
	const size_t len = token ? strlen(token) : 0;

	if (len == 0 || len > LIMIT_CONFIG_TEXT)
		return false;
	for (size_t i = 0; i < len; i++) {
		/* some are laxer than the grammar, so any visible character will do */
		if (token[i] <= ' ' || token[i] >= 0x7f)
			return false;
	}
	return true;
}

/* RFC 6749 wants a number; some send it as text. Seconds of years ahead are cut. */
static int64_t ttl_of(const json_t *expires_in)
{
	enum { TTL_MAX_S = 366 * 86400 };
	json_int_t seconds = json_integer_value(expires_in);

	if (json_is_string(expires_in))
		seconds = strtoll(json_string_value(expires_in), NULL, 10);
	else if (json_real_value(expires_in) > 0 && json_real_value(expires_in) < TTL_MAX_S)
		seconds = (json_int_t)json_real_value(expires_in);
	if (seconds <= 0)
		return LIMIT_TOKEN_TTL_MS;
	return (int64_t)(seconds < TTL_MAX_S ? seconds : TTL_MAX_S) * 1000;
}

/* A copy of what jansson holds is to be left nowhere. */
static void release(json_t *body)
{
	json_t *token = json_object_get(body, "access_token");

	if (json_is_string(token))
		sodium_memzero((void *)(uintptr_t)json_string_value(token), json_string_length(token));
	json_decref(body);
}

static void refuse(enum verdict_kind kind, const struct reply *reply, const char *why, struct verdict *ret_verdict)
{
	char reason[LIMIT_REASON];

	snprintf(reason, sizeof reason, "token endpoint: HTTP %d%s%s", reply->status, why ? " " : "", why ? why : "");
	verdict_own(kind, reason, ret_verdict);
	ret_verdict->retry_after_ms = reply->retry_after_ms;
	ret_verdict->pauses_target = kind == VERDICT_RETRY; /* without a token nothing can be sent */
}

static bool take_token(const struct reply *reply, const json_t *body, char **ret_token, int64_t *ret_ttl_ms,
	struct verdict *ret_verdict)
{
	const char *token = json_string_value(json_object_get(body, "access_token"));
	const char *type = json_string_value(json_object_get(body, "token_type"));
	char *copy;

	if (!sendable(token)) {
		refuse(VERDICT_TARGET, reply, "without a usable access_token", ret_verdict);
		return false;
	}
	if (type && strcasecmp(type, "bearer") != 0) {
		refuse(VERDICT_TARGET, reply, "with a token_type other than bearer", ret_verdict);
		return false;
	}
	copy = strdup(token);
	if (!copy) {
		refuse(VERDICT_RETRY, reply, "but out of memory", ret_verdict);
		return false;
	}
	*ret_token = copy;
	*ret_ttl_ms = ttl_of(json_object_get(body, "expires_in"));
	return true;
}

/*
 * The standard verdict, but none on an effect: no effect was sent. What would condemn one, and what would pause a target
 * for good, condemns the target: the client, its secret or the scope is refused, until someone mends that.
 */
static void judge_refusal(const struct reply *reply, const json_t *body, struct verdict *ret_verdict)
{
	const char *error = json_string_value(json_object_get(body, "error"));
	struct verdict standard;
	enum verdict_kind kind;
	char reason[LIMIT_REASON + sizeof "token endpoint: "];

	verdict_standard(reply, false, &standard);
	kind = standard.kind == VERDICT_RETRY ? VERDICT_RETRY : VERDICT_TARGET;
	if (reply->transport == TRANSPORT_REPLY) {
		/* 5.2 has these for every grant; others are a client or server that is mended by hand */
		if (error && (strcmp(error, "temporarily_unavailable") == 0 || strcmp(error, "server_error") == 0))
			kind = VERDICT_RETRY;
		refuse(kind, reply, error, ret_verdict);
		return;
	}
	snprintf(reason, sizeof reason, "token endpoint: %s", standard.reason);
	verdict_own(kind, reason, ret_verdict);
	ret_verdict->outcome = standard.outcome;
}

bool oauth2_reply(const struct reply *reply, char **ret_token, int64_t *ret_ttl_ms, struct verdict *ret_verdict)
{
	json_t *body = NULL;
	bool taken = false;

	if (reply->transport == TRANSPORT_REPLY &&
		json_text_read(reply->body, reply->body_len, &body, NULL) == ERR_MEMORY)
		refuse(VERDICT_RETRY, reply, "but out of memory", ret_verdict);
	else if (reply->transport == TRANSPORT_REPLY && reply->status >= 200 && reply->status <= 299)
		taken = take_token(reply, body, ret_token, ret_ttl_ms, ret_verdict);
	else
		judge_refusal(reply, body, ret_verdict);
	release(body);
	return taken;
}
