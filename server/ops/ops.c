#include "server/ops/ops.h"

#include <string.h>

#include "config/limits.h"
#include "server/app.h"

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

void jwks_show(struct exchange *x, struct request_thread *thread)
{
	const char *jwks = keys_jwks(thread->app->keys);
	exchange_answer(x, 200, "application/jwk-set+json", jwks, strlen(jwks));
}
