#include "background/effects/service_bus.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/payload.h"

#define MESSAGES "/messages"

enum {
	WINDOW_S = 20 * 60,
	MAC_TEXT = sodium_base64_ENCODED_LEN(crypto_auth_hmacsha256_BYTES, sodium_base64_VARIANT_ORIGINAL),
};

/* Bytes of the URL up to its query. */
static size_t path_end(const char *url)
{
	return strcspn(url, "?#");
}

static bool ends_in_messages(const char *url)
{
	const size_t end = path_end(url), len = strlen(MESSAGES);

	return end > len && strncmp(url + end - len, MESSAGES, len) == 0;
}

/* What is signed for: the queue or topic, which stands before "/messages". */
static char *encoded_resource(const char *url)
{
	const size_t end = path_end(url);

	return curl_easy_escape(NULL, url, (int)(ends_in_messages(url) ? end - strlen(MESSAGES) : end));
}

/* The key is used as the text that it is: it looks like base64, and is not decoded. */
static void mac_text(char ret_text[MAC_TEXT], const char *key, const char *resource, const char *expiry)
{
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, (const unsigned char *)key, strlen(key));
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)resource, strlen(resource));
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)"\n", 1);
	crypto_auth_hmacsha256_update(&state, (const unsigned char *)expiry, strlen(expiry));
	crypto_auth_hmacsha256_final(&state, mac);
	sodium_memzero(&state, sizeof state);
	sodium_bin2base64(ret_text, MAC_TEXT, mac, sizeof mac, sodium_base64_VARIANT_ORIGINAL);
}

int service_bus_signature(const char *url, const char *policy, const char *key, int64_t now_ms, struct buf *signature)
{
	const int64_t expiry_s = (now_ms / 1000 / WINDOW_S + 2) * WINDOW_S;
	char *resource = encoded_resource(url);
	char *policy_text = curl_easy_escape(NULL, policy, 0);
	char *mac = NULL;
	char text[MAC_TEXT], expiry[24];
	int err = ERR_MEMORY;

	if (!resource || !policy_text)
		goto done;
	snprintf(expiry, sizeof expiry, "%" PRId64, expiry_s);
	mac_text(text, key, resource, expiry);
	mac = curl_easy_escape(NULL, text, 0);
	if (!mac)
		goto done;
	buf_printf(signature, "SharedAccessSignature sr=%s&sig=%s&se=%s&skn=%s", resource, mac, expiry, policy_text);
	err = buf_error(signature);
done:
	curl_free(mac);
	curl_free(policy_text);
	curl_free(resource);
	return err;
}

static int add_signature(const struct effect_config *config, int64_t now_ms, struct request *request)
{
	struct buf signature;
	int err;

	buf_init_secret(&signature, LIMIT_REQUEST_BODY);
	err = service_bus_signature(config->url, config->auth.username, config->auth.password, now_ms, &signature);
	if (!err)
		err = request_add_header(request, "Authorization", signature.data);
	buf_release(&signature);
	return err;
}

/* A header: JSON, in ASCII. Label is what subscriptions filter by. */
static int add_properties(struct request *request, const char *id, const char *type)
{
	json_t *properties = json_pack("{s:s, s:s}", "MessageId", id, "Label", type);
	char *text = properties ? json_dumps(properties, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	const int err = text ? request_add_header(request, "BrokerProperties", text) : ERR_MEMORY;

	free(text);
	json_decref(properties);
	return err;
}

int service_bus_build(const struct effect_config *config, const struct effect_input *input, struct request *request,
	const char **ret_why)
{
	int err = 0;

	if (config->auth.type == AUTH_BASIC) {
		if (!config->auth.username || !config->auth.password) {
			*ret_why = "auth: the policy's name and key are wanted as user name and password";
			return ERR_INVALID;
		}
		err = add_signature(config, input->now_ms, request);
	}
	if (!err)
		err = add_properties(request, input->id, input->event->type);
	return err ? err : payload_post_envelope(request, input->event, input->id, ret_why);
}

/*
 * The statuses that mean something else here than elsewhere. 410 is what others say by 404: no such queue. It may be
 * made yet, so the target is probed and not paused for good.
 */
void service_bus_judge(const struct reply *reply, struct verdict *ret_verdict)
{
	const bool replied = reply->transport == TRANSPORT_REPLY;
	char reason[LIMIT_REASON];

	if (replied && reply->status >= 200 && reply->status <= 299 && reply->status != 201) {
		snprintf(reason, sizeof reason,
			"HTTP %d instead of 201: is this a queue's URL, ending in " MESSAGES "?", reply->status);
		verdict_own(VERDICT_RETRY, reason, ret_verdict);
	} else if (replied && reply->status == 410) {
		verdict_own(VERDICT_TARGET, "HTTP 410: no such queue or topic", ret_verdict);
	} else if (replied && reply->status == 403) {
		verdict_own(VERDICT_TARGET, "HTTP 403: not permitted, or the queue is full", ret_verdict);
	} else {
		verdict_standard(reply, false, ret_verdict);
	}
}

int service_bus_check(const struct effect_config *config, struct buf *why)
{
	const struct auth_config *auth = &config->auth;

	if (!config->url || !ends_in_messages(config->url)) {
		buf_append_text(why, "url: a queue's or topic's ends in \"" MESSAGES "\"");
		return ERR_INVALID;
	}
	if (auth->type == AUTH_NONE || auth->type == AUTH_HEADER ||
		(auth->type == AUTH_BASIC && (!auth->username || !auth->password || !*auth->password))) {
		buf_append_text(why, "auth: azure-service-bus wants type basic, with the policy's name and key as "
				     "username and password, or bearer or oauth2");
		return ERR_INVALID;
	}
	return 0;
}
