#include "background/effects/salesforce.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "background/effects/payload.h"
#include "config/json_text.h"

struct code_rule {
	const char *code;
	enum verdict_kind kind;
};

/*
 * Error codes whose verdict is another than that of their status, of 400 and 403 for the most part
 * (https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm).
 */
static const struct code_rule code_rules[] = {
	/* time mends them */
	{"REQUEST_LIMIT_EXCEEDED", VERDICT_RETRY}, /* of requests in 24 hours, or at once */
	{"TXN_SECURITY_METERING_ERROR", VERDICT_RETRY},
	{"UNABLE_TO_LOCK_ROW", VERDICT_RETRY},
	{"SERVER_UNAVAILABLE", VERDICT_RETRY},
	{"QUERY_TIMEOUT", VERDICT_RETRY},
	/* the same for every record: the URL, the object or the account has to be mended */
	{"INVALID_SESSION_ID", VERDICT_TARGET},
	{"API_DISABLED_FOR_ORG", VERDICT_TARGET},
	{"INVALID_TYPE", VERDICT_TARGET},
	{"INVALID_FIELD", VERDICT_TARGET},
	{"STORAGE_LIMIT_EXCEEDED", VERDICT_TARGET},
};

/* A record's name as a path segment: encoded, and not one that URLs resolve away (RFC 3986 5.2.4). */
static int set_url(struct request *request, const char *base, const char *value, const char **ret_why)
{
	const size_t path = strcspn(base, "?#");
	char *segment = NULL;
	struct buf url;
	int err;

	if (strcmp(value, ".") == 0 || strcmp(value, "..") == 0) {
		*ret_why = "a subject of dots can't stand in a URL";
		return ERR_INVALID;
	}
	segment = curl_easy_escape(NULL, value, 0);
	if (!segment)
		return ERR_MEMORY;
	buf_init(&url, LIMIT_REQUEST_BODY);
	buf_append(&url, base, path > 0 && base[path - 1] == '/' ? path - 1 : path);
	buf_printf(&url, "/%s%s", segment, base + path);
	err = buf_error(&url);
	if (!err)
		request->url = buf_steal(&url);
	buf_release(&url);
	curl_free(segment);
	return err;
}

int salesforce_build(const struct effect_config *config, const struct event *event, const json_t *data,
	struct request *request, const char **ret_why)
{
	const char *name = payload_text(data, "user.username");
	int err;

	if (!*event->subject)
		return ERR_NOT_FOUND;
	err = set_url(request, config->url, event->subject, ret_why);
	if (!err)
		err = payload_post(request, json_pack("{s:s*, s:s}", "Email", payload_text(data, "user.email"),
						    "LastName", name ? name : event->subject));
	request->method = "PATCH";
	return err;
}

int salesforce_check(const struct effect_config *config, struct buf *why)
{
	const char *objects = config->url ? strstr(config->url, "/sobjects/") : NULL;
	const char *object = objects ? objects + strlen("/sobjects/") : "";
	const char *field = object + strcspn(object, "/?#");

	if (field > object && field[0] == '/' && strcspn(field + 1, "/?#") > 0)
		return 0;
	buf_append_text(why, "url: ends with an object and its external id's field, as in "
			     "…/services/data/v61.0/sobjects/Contact/External_Id__c");
	return ERR_INVALID;
}

static const struct code_rule *find_rule(const char *code)
{
	for (size_t i = 0; i < sizeof code_rules / sizeof *code_rules; i++) {
		if (strcmp(code_rules[i].code, code) == 0)
			return &code_rules[i];
	}
	return NULL;
}

/* Errors come as an array of {"errorCode", "message", "fields"}. */
static void judge_error(const struct reply *reply, struct verdict *ret_verdict)
{
	json_t *body = NULL;
	const int err = json_text_read(reply->body, reply->body_len, &body, NULL);
	const json_t *error = json_array_get(body, 0);
	const char *code = json_string_value(json_object_get(error, "errorCode"));
	const char *message = json_string_value(json_object_get(error, "message"));
	const struct code_rule *rule = code ? find_rule(code) : NULL;
	char reason[LIMIT_REASON];

	verdict_standard(reply, false, ret_verdict);
	if (err == ERR_MEMORY)
		verdict_own(VERDICT_RETRY, "out of memory for the reply", ret_verdict);
	if (code) {
		const int64_t retry_after_ms = reply->retry_after_ms;
		const enum verdict_kind kind = rule ? rule->kind : ret_verdict->kind;

		snprintf(reason, sizeof reason, "HTTP %d %s: %s", reply->status, code, message ? message : "");
		verdict_own(kind, reason, ret_verdict);
		if (kind == VERDICT_RETRY || kind == VERDICT_TARGET)
			ret_verdict->retry_after_ms = retry_after_ms;
		ret_verdict->pauses_target = kind == VERDICT_RETRY && retry_after_ms > 0;
	}
	json_decref(body);
}

void salesforce_judge(const struct reply *reply, struct verdict *ret_verdict)
{
	const bool replied = reply->transport == TRANSPORT_REPLY;

	if (replied && reply->status == 300)
		verdict_own(VERDICT_DEAD, "HTTP 300: more than one record has this external id", ret_verdict);
	else if (replied && reply->status >= 400 && reply->status <= 499)
		judge_error(reply, ret_verdict);
	else
		verdict_standard(reply, false, ret_verdict);
}
