/*
 * Customer records. `salesforce`: salesforce.h. `hubspot`: batch upsert of contacts, keyed by email, a batch of one
 * (https://developers.hubspot.com/docs/api-reference/crm-contacts-v3/batch/post-crm-v3-objects-contacts-batch-upsert).
 * Keyed so, a repeat changes nothing.
 *
 * Only the property `email` is written: it exists in every HubSpot account, and one that does not
 * exist there is an error for the whole input. Format `json` carries everything.
 */
#include <stdio.h>
#include <string.h>

#include "background/effects/kinds.h"
#include "background/effects/payload.h"
#include "background/effects/salesforce.h"
#include "config/json_text.h"

/* objectWriteTraceId comes back with the result, or in the context of an error. */
static json_t *hubspot(const char *id, const char *email)
{
	return json_pack("{s:[{s:s, s:s, s:s, s:{s:s}}]}", "inputs", "id", email, "idProperty", "email",
		"objectWriteTraceId", id, "properties", "email", email);
}

static int build(const struct effect_config *config, const struct effect_input *input, struct request *request,
	const char **ret_why)
{
	const struct event *event = input->event;
	const char *email;
	json_t *data;
	int err;

	if (effect_speaks(config, &effect_crm, "json"))
		return payload_post_envelope(request, event, input->id, ret_why);
	err = payload_data(event, &data, ret_why);
	if (err)
		return err;
	email = payload_text(data, "user.email");
	if (effect_speaks(config, &effect_crm, "salesforce"))
		err = salesforce_build(config, event, data, request, ret_why);
	else if (email)
		err = payload_post(request, hubspot(input->id, email));
	else
		err = ERR_NOT_FOUND;
	json_decref(data);
	return err;
}

/* Categories that are the same at every repeat. Others (RATE_LIMITS, INTERNAL_ERROR, new ones) may pass. */
static bool lasting(const char *category)
{
	static const char *const categories[] = {"VALIDATION_ERROR", "INVALID_EMAIL", "OBJECT_NOT_FOUND",
		"OBJECT_ALREADY_EXISTS", "CONFLICT", "MISSING_REQUIRED_PROPERTY"};

	for (size_t i = 0; i < sizeof categories / sizeof *categories; i++) {
		if (strcmp(category, categories[i]) == 0)
			return true;
	}
	return false;
}

/* 207 Multi-Status: accepted as a whole, with a list of what was not done. Our batch is of one. */
static void judge_parts(const struct reply *reply, struct verdict *ret_verdict)
{
	json_t *body = NULL;
	/* what can't be read for want of memory is tried again, as is what is no JSON */
	(void)!json_text_read(reply->body, reply->body_len, &body, NULL);
	const json_t *error = json_array_get(json_object_get(body, "errors"), 0);
	const char *category = json_string_value(json_object_get(error, "category"));
	const char *message = json_string_value(json_object_get(error, "message"));
	char reason[LIMIT_REASON];

	snprintf(reason, sizeof reason, "HTTP 207 %s: %s", category ? category : "with errors", message ? message : "");
	if (!json_is_object(body))
		verdict_own(VERDICT_RETRY, "HTTP 207 without readable JSON", ret_verdict);
	else if (error)
		verdict_own(category && lasting(category) ? VERDICT_DEAD : VERDICT_RETRY, reason, ret_verdict);
	else if (json_integer_value(json_object_get(body, "numErrors")) > 0)
		verdict_own(VERDICT_RETRY, "HTTP 207 with errors that it does not name", ret_verdict);
	else
		verdict_standard(reply, false, ret_verdict);
	json_decref(body);
}

static void judge(const struct effect_config *config, const struct reply *reply, struct verdict *ret_verdict)
{
	const bool parts = reply->transport == TRANSPORT_REPLY && reply->status == 207;

	if (parts && effect_speaks(config, &effect_crm, "hubspot"))
		judge_parts(reply, ret_verdict);
	else if (effect_speaks(config, &effect_crm, "salesforce"))
		salesforce_judge(reply, ret_verdict);
	else
		verdict_standard(reply, false, ret_verdict);
}

static int check(const struct effect_config *config, struct buf *why)
{
	return effect_speaks(config, &effect_crm, "salesforce") ? salesforce_check(config, why) : 0;
}

static const char *const formats[] = {"hubspot", "salesforce", "json", NULL};

const struct effect_kind effect_crm = {
	.type = "crm", .formats = formats, .build = build, .judge = judge, .check = check};
