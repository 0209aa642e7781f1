/*
 * The table of kinds, and what requests of all kinds have in common. A kind knows its own body and its
 * own headers; who sends, on whose behalf and under which key is added here, last, because the
 * signature covers the finished body.
 */
#include "background/effects/effect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/kinds.h"
#include "background/effects/oauth2.h"
#include "background/effects/sign.h"
#include "background/telemetry/trace.h"

static const struct effect_kind *const kinds[] = {
	&effect_email, &effect_analytics, &effect_crm, &effect_bus, &effect_webhook, &effect_chat};

enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

void effect_id(char ret_id[EFFECT_ID_SIZE], const char *event_id, const char *name, int part)
{
	const size_t event_len = strnlen(event_id, ID_SIZE - 1), name_len = strnlen(name, LIMIT_TARGET_KEY);
	char *end = ret_id;

	memcpy(end, event_id, event_len);
	end[event_len] = '-';
	end += event_len + 1;
	memcpy(end, name, name_len);
	end += name_len;
	*end = '\0';
	if (part != 0)
		snprintf(end, (size_t)(ret_id + EFFECT_ID_SIZE - end), "-%d", part);
}

bool effect_id_parse(const char *id, char ret_event_id[ID_SIZE], char ret_name[LIMIT_TARGET_KEY + 1], int *ret_part)
{
	const size_t event_len = strcspn(id, "-");
	const char *name = id + event_len + (id[event_len] == '-');
	const size_t name_len = strcspn(name, "-");
	const char *part = name + name_len + (name[name_len] == '-');
	char *end = NULL;
	long number = 0;

	if (event_len != ID_SIZE - 1 || name_len > LIMIT_TARGET_KEY || (id[event_len] == '-') != (name_len > 0))
		return false;
	if (name[name_len] == '-') {
		number = strtol(part, &end, 10);
		if (part[0] < '1' || part[0] > '9' || *end || number > LIMIT_RECIPIENTS)
			return false;
	}
	memcpy(ret_event_id, id, event_len);
	ret_event_id[event_len] = '\0';
	memcpy(ret_name, name, name_len);
	ret_name[name_len] = '\0';
	*ret_part = name_len > 0 ? (int)number : -1;
	return true;
}

int effect_parts(const struct effect_config *config)
{
	const struct effect_kind *kind = effect_kind_find(config->type);

	return kind && kind->mail && config->to_count > 1 ? (int)config->to_count : 1;
}

const char *effect_recipient(const struct effect_config *config, int part)
{
	return part >= 1 && (size_t)part <= config->to_count ? config->to[part - 1] : "";
}

const char *outcome_text(enum outcome outcome)
{
	static const char *const texts[OUTCOME_COUNT] = {
		[OUTCOME_OK] = "ok",
		[OUTCOME_RETRYABLE] = "retryable",
		[OUTCOME_PERMANENT] = "permanent",
		[OUTCOME_TIMEOUT] = "timeout",
		[OUTCOME_CONNECT] = "connect",
		[OUTCOME_TLS] = "tls",
		[OUTCOME_DNS] = "dns",
	};

	return texts[outcome];
}

const struct effect_kind *const *effect_kinds(size_t *ret_count)
{
	*ret_count = KIND_COUNT;
	return kinds;
}

const struct effect_kind *effect_kind_find(const char *type)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		if (strcmp(kinds[i]->type, type) == 0)
			return kinds[i];
	}
	return NULL;
}

bool effect_speaks(const struct effect_config *config, const struct effect_kind *kind, const char *format)
{
	return strcmp(config->format ? config->format : kind->formats[0], format) == 0;
}

static bool format_known(const struct effect_config *config, const struct effect_kind *kind)
{
	if (!config->format)
		return true;
	for (size_t i = 0; kind->formats && kind->formats[i]; i++) {
		if (strcmp(kind->formats[i], config->format) == 0)
			return true;
	}
	return false;
}

/* A bearer token in its header. */
static int add_bearer(struct request *request, const char *token)
{
	struct buf value;
	int err;

	buf_init_secret(&value, LIMIT_REQUEST_BODY);
	buf_printf(&value, "Bearer %s", token);
	err = buf_error(&value);
	if (!err)
		err = request_add_header(request, "Authorization", value.data);
	buf_release(&value);
	return err;
}

/* RFC 7617: a colon ends the user name, so it can't hold one. */
static int add_basic(struct request *request, const char *username, const char *password)
{
	struct buf pair;
	int err;

	if (strchr(username, ':'))
		return ERR_INVALID;
	buf_init_secret(&pair, LIMIT_REQUEST_BODY);
	buf_printf(&pair, "%s:%s", username, password);
	err = request_add_basic(request, &pair);
	buf_release(&pair);
	return err;
}

/* `token`: oauth2; another's is in its configuration. */
static int add_authorization(struct request *request, const struct auth_config *auth, const char *token)
{
	switch (auth->type) {
	case AUTH_NONE:
		return 0;
	case AUTH_BEARER:
		return auth->token ? add_bearer(request, auth->token) : ERR_INVALID;
	case AUTH_BASIC:
		if (!auth->username) /* the password may be left out: Segment's write key is a user name alone */
			return ERR_INVALID;
		return add_basic(request, auth->username, auth->password ? auth->password : "");
	case AUTH_HEADER:
		return auth->name && auth->value ? request_add_header(request, auth->name, auth->value) : ERR_INVALID;
	case AUTH_OAUTH2:
		return token ? add_bearer(request, token) : ERR_INVALID;
	}
	return ERR_INVALID;
}

static int add_common(const struct effect_config *config, const struct effect_kind *kind,
	const struct effect_input *input, struct request *request, const char **ret_why)
{
	char traceparent[TRACEPARENT_SIZE];
	int err;

	trace_child(traceparent, input->event->traceparent);
	err = request_add_header(request, "Idempotency-Key", input->id);
	if (!err)
		err = request_add_header(request, "User-Agent", "tokenfirst/" TOKENFIRST_VERSION);
	if (!err)
		err = request_add_header(request, "traceparent", traceparent);
	if (err)
		return err;
	if (!kind->own_auth || !kind->own_auth(config))
		err = add_authorization(request, &config->auth, input->token);
	if (err == ERR_INVALID)
		*ret_why = "the configured authorization can't be sent as a header";
	if (err || config->secret_count == 0)
		return err;
	err = sign_request(request, config->secrets, config->secret_count, input->id, input->now_ms);
	if (err == ERR_INVALID)
		*ret_why = "a configured secret can't be used to sign";
	return err;
}

int effect_build(const struct effect_config *config, const struct effect_input *input, struct request *request,
	const char **ret_why)
{
	const struct effect_kind *kind = effect_kind_find(config->type);
	const char *why = "the event holds what can't be sent as a header";
	int err;

	if (!kind || !format_known(config, kind)) {
		*ret_why = "no such type or format of effect";
		return ERR_INVALID;
	}
	if (event_about_nobody(input->event))
		return ERR_NOT_FOUND;
	err = kind->build(config, input, request, &why);
	if (!err && !kind->mail)
		err = add_common(config, kind, input, request, &why);
	if (err == ERR_INVALID)
		*ret_why = why;
	return err;
}

void effect_judge(const struct effect_config *config, const struct reply *reply, struct verdict *ret_verdict)
{
	const struct effect_kind *kind = effect_kind_find(config->type);

	if (kind && kind->judge)
		kind->judge(config, reply, ret_verdict);
	else
		verdict_standard(reply, kind && kind->mail, ret_verdict);
}

/* Found by its first bytes, as its end may be cut off. */
static void hide(char *text, const char *credential)
{
	enum { LEAST = 8, TELLING = 16 }; /* shorter ones could be words of any text */
	const size_t len = strlen(credential);

	if (len < LEAST)
		return;
	while (*text) {
		const bool here = strncmp(text, credential, len < TELLING ? len : TELLING) == 0;

		for (size_t i = 0; here && i < len && *text == credential[i]; i++)
			*text++ = '*';
		text += !here;
	}
}

/* Any part of a secret that says something of it: a mail's lines are folded anywhere. */
static void hide_parts(char *text, const char *secret)
{
	enum { PART = 8 };
	const size_t len = strlen(secret);

	while (*text) {
		size_t longest = 0;

		for (size_t from = 0; from + PART <= len; from++) {
			size_t same = 0;

			while (secret[from + same] && text[same] == secret[from + same])
				same++;
			longest = same > longest ? same : longest;
		}
		if (longest < PART)
			longest = 1;
		else
			memset(text, '*', longest);
		text += longest;
	}
}

void effect_hide_credentials(const struct effect_config *config, const struct request *request, char *text)
{
	const char *name = config->auth.type == AUTH_HEADER ? config->auth.name : "Authorization";

	for (size_t i = 0; name && i < request->header_count; i++) {
		const char *header = request->headers[i];
		const size_t len = strlen(name);
		const char *value = header + len + strlen(": ");

		if (strncmp(header, name, len) != 0 || header[len] != ':')
			continue;
		/* behind "Bearer " and the like, which is no secret */
		if (config->auth.type != AUTH_HEADER)
			value += strcspn(value, " ") + (value[strcspn(value, " ")] == ' ');
		hide(text, value);
	}
	if (config->auth.token) /* posthog's goes in the body */
		hide(text, config->auth.token);
	hide_parts(text, request->link_token);
}

/* Tries the authorization on a request that is thrown away: one set of rules, not two. */
static int verify_authorization(const struct effect_config *config, struct buf *why)
{
	struct request request;
	int err;

	request_init(&request);
	if (config->auth.type == AUTH_OAUTH2)
		err = oauth2_request(&config->auth, &request);
	else
		err = add_authorization(&request, &config->auth, NULL);
	request_release(&request);
	if (err)
		buf_append_text(why, "auth: incomplete, or holds what no HTTP header may hold");
	return err;
}

static int verify_secrets(const struct effect_config *config, struct buf *why)
{
	for (size_t i = 0; i < config->secret_count; i++) {
		const char *fault = sign_secret_fault(config->secrets[i]);

		if (fault) {
			buf_printf(why, "secret: %s", fault);
			return ERR_INVALID;
		}
	}
	return 0;
}

int effect_verify(const struct effect_config *config, struct buf *why)
{
	const struct effect_kind *kind = effect_kind_find(config->type);
	int err = 0;

	if (!kind) {
		buf_printf(why, "type: there is no kind of effect \"%s\"", config->type);
		return ERR_INVALID;
	}
	if (!format_known(config, kind)) {
		buf_printf(why, "format: %s does not know \"%s\"", kind->type, config->format);
		return ERR_INVALID;
	}
	if (verify_secrets(config, why) != 0)
		return ERR_INVALID;
	if (!kind->mail && !(kind->own_auth && kind->own_auth(config)))
		err = verify_authorization(config, why);
	if (!err && kind->check)
		err = kind->check(config, why);
	return err;
}
