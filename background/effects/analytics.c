/*
 * Product analytics. `segment`: the track call of Segment's HTTP Tracking API
 * (https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/), authorized by basic auth with
 * the write key as the user name. Segment discards a messageId that it has seen, which makes retries harmless.
 *
 * `posthog`: one event to PostHog's capture endpoint, /i/v0/e/ (https://posthog.com/docs/api/capture). PostHog wants
 * the project's key in the body and reads no Authorization header, so `auth` is a bearer token, where people look for a
 * key, and it is sent in the body alone. It merges events of the same uuid, time, name and person, which a repeat is.
 *
 * Analytics is told who (by an id), what, when and from where, and no name and no address: `user` and
 * `request` of the data are not sent on as properties.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "background/effects/kinds.h"
#include "background/effects/payload.h"
#include "config/clock.h"

/* What is particular to the event: its data without the members that have places of their own. NULL: no memory. */
static json_t *properties_of(const json_t *data)
{
	const char *request_id = payload_text(data, "request.id");
	json_t *properties = json_copy((json_t *)data);

	if (!properties)
		return NULL;
	json_object_del(properties, "user");
	json_object_del(properties, "request");
	if (request_id && json_object_set_new(properties, "request_id", json_string(request_id)) != 0) {
		json_decref(properties);
		return NULL;
	}
	return properties;
}

static int segment(struct request *request, const struct event *event, const char *id, const json_t *data)
{
	/* one of the two ids is required; an event about nobody stands for itself */
	const char *who = *event->subject ? "userId" : "anonymousId";
	json_t *properties = properties_of(data);
	char time[RFC3339_SIZE];

	if (!properties)
		return ERR_MEMORY;
	clock_rfc3339(time, event->created_ms);
	return payload_post(
		request, json_pack("{s:s, s:s, s:s, s:s, s:{s:s*, s:s*}, s:o}", "messageId", id, who,
				 *event->subject ? event->subject : event->id, "event", event->type, "timestamp", time,
				 "context", "ip", payload_text(data, "request.ip"), "userAgent",
				 payload_text(data, "request.user_agent"), "properties", properties));
}

/* A UUID of version 8 that follows from the effect's id: the first bytes of its hash (RFC 9562 5.8, B.2). */
enum { UUID_SIZE = 37 };
static void uuid_of(char ret_uuid[UUID_SIZE], const char *id)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	char hex[2 * 16 + 1];

	crypto_hash_sha256(hash, (const unsigned char *)id, strlen(id));
	hash[6] = (unsigned char)((hash[6] & 0x0f) | 0x80);
	hash[8] = (unsigned char)((hash[8] & 0x3f) | 0x80);
	sodium_bin2hex(hex, sizeof hex, hash, 16);
	snprintf(ret_uuid, UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* Of an event about nobody no person is to be made; the caller's address and program have names of their own. */
static int add_posthog_properties(json_t *properties, const struct event *event, const json_t *data)
{
	const char *ip = payload_text(data, "request.ip");
	const char *user_agent = payload_text(data, "request.user_agent");
	int failed = 0;

	if (!*event->subject)
		failed |= json_object_set_new(properties, "$process_person_profile", json_false());
	if (ip)
		failed |= json_object_set_new(properties, "$ip", json_string(ip));
	if (user_agent)
		failed |= json_object_set_new(properties, "$raw_user_agent", json_string(user_agent));
	return failed ? ERR_MEMORY : 0;
}

static int posthog(
	struct request *request, const char *key, const struct event *event, const char *id, const json_t *data)
{
	json_t *properties = properties_of(data);
	char time[RFC3339_SIZE], uuid[UUID_SIZE];

	if (!properties || add_posthog_properties(properties, event, data) != 0) {
		json_decref(properties);
		return ERR_MEMORY;
	}
	clock_rfc3339(time, event->created_ms);
	uuid_of(uuid, id);
	return payload_post(request, json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "api_key", key, "uuid", uuid, "event",
					     event->type, "distinct_id", *event->subject ? event->subject : event->id,
					     "timestamp", time, "properties", properties));
}

static bool own_auth(const struct effect_config *config)
{
	return effect_speaks(config, &effect_analytics, "posthog");
}

static int check(const struct effect_config *config, struct buf *why)
{
	if (own_auth(config) && (config->auth.type != AUTH_BEARER || !config->auth.token || !*config->auth.token)) {
		buf_append_text(why, "auth: posthog wants type bearer, with the project's API key as the token");
		return ERR_INVALID;
	}
	return 0;
}

static int build(const struct effect_config *config, const struct effect_input *input, struct request *request,
	const char **ret_why)
{
	const struct event *event = input->event;
	json_t *data;
	int err;

	if (effect_speaks(config, &effect_analytics, "json"))
		return payload_post_envelope(request, event, input->id, ret_why);
	err = payload_data(event, &data, ret_why);
	if (err)
		return err;
	if (effect_speaks(config, &effect_analytics, "segment"))
		err = segment(request, event, input->id, data);
	else
		err = posthog(request, config->auth.token ? config->auth.token : "", event, input->id, data);
	json_decref(data);
	return err;
}

static const char *const formats[] = {"segment", "posthog", "json", NULL};

const struct effect_kind effect_analytics = {
	.type = "analytics", .formats = formats, .build = build, .own_auth = own_auth, .check = check};
