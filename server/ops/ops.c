#include "server/ops/ops.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "config/clock.h"
#include "config/limits.h"
#include "server/app.h"

/* An entity tag: a digest in hex within quotes. */
enum { JWKS_DIGEST = crypto_generichash_BYTES_MIN, JWKS_TAG_SIZE = 2 * JWKS_DIGEST + 3 };

void health_live(struct exchange *x, struct request_thread *thread)
{
	(void)thread;
	exchange_answer_json(x, 200, json_pack("{s:s}", "status", "live"));
}

void health_ready(struct exchange *x, struct request_thread *thread)
{
	struct app *app = thread->app;
	json_t *reasons = json_array();
	if (atomic_load(&app->draining))
		(void)json_array_append_new(reasons, json_string("draining"));
	if (!committer_healthy(app->committer))
		(void)json_array_append_new(reasons, json_string("outbox not writable"));
	if (!pool_progressing(app->pool))
		(void)json_array_append_new(reasons, json_string("workers not progressing"));

	bool ready = reasons != NULL && json_array_size(reasons) == 0;
	exchange_answer_json(x, ready ? 200 : 503,
		json_pack("{s:s, s:o}", "status", ready ? "ready" : "not ready", "reasons", reasons));
}

void metrics_show(struct exchange *x, struct request_thread *thread)
{
	struct buf text;
	buf_init(&text, LIMIT_METRICS);
	metrics_render(thread->app->metrics, &text);
	if (buf_error(&text) == 0)
		exchange_answer(x, 200, "text/plain; version=0.0.4; charset=utf-8", text.data, text.len);
	else
		exchange_problem(x, 500, "internal", "The metrics could not be rendered.");
	buf_release(&text);
}

/* A list of entity tags, of which one is ours (RFC 9110 13.1.2, compared weakly as there); or "*". */
static bool names_tag(const char *list, const char *tag)
{
	const size_t len = strlen(tag);

	for (const char *at = list; at && *at; at += *at ? strcspn(at, ",") : 0) {
		at += strspn(at, ", \t");
		if (*at == '*')
			return true;
		if (strncmp(at, "W/", 2) == 0)
			at += 2;
		if (strncmp(at, tag, len) == 0)
			return true;
	}
	return false;
}

/* What a cache may do with the set: for half of the lead it is right, whatever is rotated in. */
static void let_cache(
	struct exchange *x, const struct config *config, const struct buf *jwks, char ret_tag[JWKS_TAG_SIZE])
{
	int64_t age_s = config->token.key_lead_ms / 2000;
	unsigned char digest[JWKS_DIGEST];
	char cache[64];

	(void)crypto_generichash(digest, sizeof(digest), (const unsigned char *)jwks->data, jwks->len, NULL, 0);
	ret_tag[0] = '"';
	sodium_bin2hex(ret_tag + 1, JWKS_TAG_SIZE - 2, digest, sizeof(digest));
	memcpy(ret_tag + JWKS_TAG_SIZE - 2, "\"", 2);
	(void)snprintf(cache, sizeof(cache), "public, max-age=%lld",
		(long long)(age_s < LIMIT_JWKS_AGE_S ? age_s : LIMIT_JWKS_AGE_S));
	exchange_cache(x, cache);
	exchange_add_header(x, "ETag", ret_tag);
}

void jwks_show(struct exchange *x, struct request_thread *thread)
{
	const struct app *app = thread->app;
	char tag[JWKS_TAG_SIZE];
	struct buf jwks;

	buf_init(&jwks, LIMIT_JWKS);
	if (keys_jwks(app->keys, clock_now_ms(), &jwks) != 0) {
		exchange_problem(x, 500, "internal", "The keys could not be rendered.");
	} else {
		let_cache(x, app->config, &jwks, tag);
		if (names_tag(exchange_header(x, "If-None-Match"), tag))
			exchange_answer(x, 304, NULL, NULL, 0);
		else
			exchange_answer(x, 200, "application/jwk-set+json", jwks.data, jwks.len);
	}
	buf_release(&jwks);
}
