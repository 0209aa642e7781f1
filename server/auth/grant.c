#include "server/auth/grant.h"

#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "config/log.h"
#include "server/app.h"
#include "server/auth/refresh_cookie.h"
#include "server/auth/token_answer.h"

void grant_init(struct grant *grant, struct app *app)
{
	grant->app = app;
	grant->user = NULL;
	grant->session = (struct session){.id = 0};
	buf_init(&grant->access_token, LIMIT_TOKEN);
	grant->answer = NULL;
	grant->cookie = false;
}

void grant_release(struct grant *grant)
{
	buf_release(&grant->access_token);
	free(grant->answer);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int grant_prepare(struct grant *grant, const struct user *user, const struct origin *origin)
{
	const struct config *config = grant->app->config;
	int64_t now_ms = clock_now_ms();
	/* token times are for other machines' clocks: the wall as it is now */
	int64_t wall_ms = clock_wall_ms();
	int64_t ttl_ms = config->token.access_ttl_ms;

	grant->user = user;
	grant->session = (struct session){
		.id = atomic_fetch_add(&grant->app->session_id, 1) + 1,
		.user_id = user->id,
		.generation = 1,
		.created_ms = now_ms,
		.refreshed_ms = now_ms,
		.absolute_ms = now_ms + config->token.absolute_ttl_ms,
		.expires_ms = now_ms + earlier(config->token.refresh_ttl_ms, config->token.absolute_ttl_ms),
		.client = origin->client,
		.user_agent = origin->user_agent,
	};
	/* an administrator's rights are for a while after a login, and so is a token that has them */
	if (user->admin)
		ttl_ms = earlier(ttl_ms, config->token.admin_ttl_ms);
	grant->claims = (struct token_claims){
		.session_id = grant->session.id,
		.issued_s = wall_ms / 1000,
		.expires_s = (wall_ms + ttl_ms) / 1000,
		.admin = user->admin,
	};
	memcpy(grant->claims.subject, user->public_id, sizeof(grant->claims.subject));
	id_new(grant->claims.token_id, wall_ms);
	refresh_token_make(
		keys_refresh(grant->app->keys), grant->session.id, grant->session.generation, grant->refresh_token);
	return token_issue(&grant->app->issuer, keys_current(grant->app->keys), &grant->claims, &grant->access_token);
}

int grant_write(struct db *writer, const struct grant *grant)
{
	int err = users_confirm(writer, grant->user);

	return err ? err : sessions_add(writer, &grant->session);
}

static int write_revocation(struct db *writer, void *arg)
{
	const struct grant *grant = arg;

	return sessions_revoke(writer, grant->session.id, clock_now_ms());
}

void grant_reject(const struct grant *grant, struct exchange *x, const struct origin *origin, const char *event_id)
{
	if (committer_run(grant->app->committer, write_revocation, (void *)(uintptr_t)grant) != 0)
		log_write(LOG_ERROR, "a rejected login's session could not be revoked; nobody holds its token",
			LOG_STR("request_id", origin->request_id), LOG_INT("session", grant->session.id));
	exchange_add_header(x, "X-Event-Id", event_id);
	exchange_problem(x, 502, "effect_failed", "Something that this login depends on failed. Try again later.");
}

static int64_t life_ms(const struct grant *grant)
{
	return grant->session.expires_ms - grant->session.created_ms;
}

/* The only texts in it that others have chosen. */
static char *render_user(const struct user *user)
{
	json_t *json = json_pack("{s:s, s:s, s:s?}", "id", user->public_id, "username", user->username, "email",
		user->email[0] ? user->email : NULL);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	return text;
}

int grant_render(struct grant *grant, const json_t *body, const char *event_id)
{
	bool cookie = refresh_cookie_wanted(grant->app->config, body);
	const struct token_answer tokens = {
		.access_token = grant->access_token.data,
		.refresh_token = cookie ? NULL : grant->refresh_token,
		.expires_in_s = grant->claims.expires_s - grant->claims.issued_s,
		.refresh_expires_in_s = life_ms(grant) / 1000,
	};
	char *user = render_user(grant->user);
	struct buf text;

	if (!user)
		return ERR_MEMORY;
	buf_init_secret(&text, LIMIT_TOKEN_ANSWER);
	token_answer_begin(&text, &tokens);
	buf_printf(&text, ",\"user\":%s,\"event_id\":\"%s\"}", user, event_id);
	free(user);
	grant->answer = buf_steal(&text);
	grant->cookie = cookie;
	buf_release(&text);
	return grant->answer ? 0 : ERR_MEMORY;
}

void grant_answer(struct grant *grant, struct exchange *x, const char *event_id)
{
	char *text = grant->answer;

	if (grant->cookie)
		refresh_cookie_set(x, grant->app->config, grant->refresh_token, life_ms(grant));
	exchange_add_header(x, "X-Event-Id", event_id);
	grant->answer = NULL; /* the exchange's now */
	exchange_answer_text(x, 200, text);
}
