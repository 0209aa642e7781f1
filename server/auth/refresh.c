/*
 * Nearly all refreshes are of the current generation: one step in the committer's next transaction, which reads,
 * judges and writes; one signature. No event, no audit row. No thread waits for the transaction: the exchange is
 * parked, so that as many refreshes share a sync as there are clients, whatever the number of threads.
 *
 * A claim that the step does not rotate has written nothing: a repeat within the grace is answered from what the step
 * saw, which is durable by then, and what is dead stays dead. A reuse takes a unit of work, which is planned before its
 * transaction, so it is judged again in there. Where the store can't be written, what needs no writing is
 * answered all the same, by a look at what is committed. A session that can't be read is its owner's 503 alone: the
 * others of the transaction go on. Time stands still for the whole request, so a later judgement can only agree or find
 * that the session has ended meanwhile.
 */
#include "server/auth/refresh.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "config/log.h"
#include "server/accounts/sessions.h"
#include "server/accounts/users.h"
#include "server/app.h"
#include "server/auth/refresh_cookie.h"
#include "server/auth/throttle.h"
#include "server/auth/token_answer.h"
#include "server/auth/work.h"
#include "server/token/token.h"

enum { TOKEN_LEAST_MS = 1000 };

/* One refresh under way, on the heap: it is parked while it waits for the committer. */
struct refreshing {
	struct app *app;
	struct exchange *x;
	struct commit_job job;
	int err; /* the job's */
	json_t *body;
	char *cookie;	   /* the token, if a cookie brought it; NULL: the body did */
	const char *token; /* in one of these */
	struct refresh_claim claim;
	struct refresh_result result;
};

static void release(struct refreshing *r)
{
	if (r->cookie)
		sodium_memzero(r->cookie, strlen(r->cookie));
	free(r->cookie);
	json_decref(r->body);
	free(r);
}

static void malformed(struct refreshing *r)
{
	exchange_problem(r->x, 400, "malformed", "Give refresh_token, as a string.");
}

/* One text, whatever it is that is wrong. */
static void refuse(struct refreshing *r)
{
	if (r->cookie)
		refresh_cookie_clear(r->x, r->app->config);
	exchange_problem(r->x, 401, "invalid_grant", "The refresh token is not valid, or not any more. Log in again.");
}

static void unavailable(struct refreshing *r)
{
	exchange_unavailable(r->x, "Tokens can't be refreshed right now. Try again shortly.");
}

/* 0, or it has been answered. */
static int take_token(struct refreshing *r)
{
	json_t *member = NULL;
	int err = 0;

	if (exchange_has_body(r->x)) {
		r->body = exchange_json(r->x);
		if (!r->body)
			return ERR_INVALID;
		member = json_object_get(r->body, "refresh_token");
	}
	if (!member) {
		err = refresh_cookie_take(r->x, r->app->config, &r->cookie);
		if (err)
			return err;
	}
	r->token = member ? json_string_value(member) : r->cookie;
	if (r->token)
		return 0;
	malformed(r);
	return ERR_INVALID;
}

/* 0, or it has been answered. A code of 256 bits is not guessed: who tries is slowed down for the noise alone. */
static int read_token(struct refreshing *r)
{
	const struct config *config = r->app->config;
	struct throttle_ticket ticket;

	if (refresh_token_read(keys_refresh(r->app->keys), r->token, &r->claim.id, &r->claim.generation) == 0) {
		r->claim.now_ms = clock_now_ms();
		r->claim.grace_ms = config->token.refresh_grace_ms;
		r->claim.ttl_ms = config->token.refresh_ttl_ms;
		return 0;
	}
	if (throttle_begin(r->app->throttle, r->x, THROTTLE_TOKEN, NULL, &ticket) == 0) {
		throttle_end(r->app->throttle, &ticket, THROTTLE_FAILED);
		refuse(r);
	}
	return ERR_DENIED;
}

static int write_step(struct db *writer, void *arg)
{
	struct refreshing *r = arg;

	return sessions_refresh(writer, &r->claim, &r->result);
}

/* On the committer's thread. */
static void written(void *arg, int err)
{
	struct refreshing *r = arg;

	r->err = err;
	exchange_resume(r->x);
}

static int write_end(struct db *writer, void *arg)
{
	const struct refreshing *r = arg;

	return sessions_refresh_end(writer, &r->claim);
}

/* The user hears of it, as does the audit trail; whoever asks gets what all get who are refused. */
static void end_session(struct refreshing *r, struct db *db)
{
	struct origin origin;
	struct work work;
	struct user user;

	origin_of(r->x, &origin);
	work_init(&work, r->app, &origin);
	int err = users_find_by_id(db, r->result.user_id, &user);
	if (!err)
		err = work_plan(&work, "user.refresh_reused", &user, NULL);
	if (!err) {
		work.audit.session_id = r->claim.id;
		err = work_commit(&work, write_end, r);
	}
	if (err == 0 || err == ERR_STALE || err == ERR_NOT_FOUND)
		refuse(r);
	else
		unavailable(r);
	if (!err)
		work_inline_late(&work);
	work_release(&work);
}

/* No longer than the session, which nobody can lengthen beyond its absolute end. */
static int issue(const struct refreshing *r, struct buf *out, int64_t *ret_expires_in_s)
{
	const struct config *config = r->app->config;
	const int64_t left_ms = r->result.expires_ms - r->claim.now_ms;
	const int64_t wall_ms = clock_wall_ms();
	int64_t ttl_ms = config->token.access_ttl_ms < left_ms ? config->token.access_ttl_ms : left_ms;
	struct token_claims claims = {.session_id = r->claim.id, .issued_s = wall_ms / 1000};

	if (ttl_ms < TOKEN_LEAST_MS)
		ttl_ms = TOKEN_LEAST_MS;
	claims.expires_s = (wall_ms + ttl_ms) / 1000;
	memcpy(claims.subject, r->result.public_id, sizeof(claims.subject));
	id_new(claims.token_id, wall_ms);
	*ret_expires_in_s = claims.expires_s - claims.issued_s;
	return token_issue(&r->app->issuer, keys_current(r->app->keys), &claims, out);
}

/* Should it fail, the client comes again within the grace. */
static void answer(struct refreshing *r)
{
	const int64_t left_ms = r->result.expires_ms - r->claim.now_ms;
	char child[REFRESH_TOKEN_SIZE], *body = NULL;
	struct token_answer tokens = {.refresh_expires_in_s = left_ms / 1000};
	struct buf access_token, text;

	buf_init(&access_token, LIMIT_TOKEN);
	buf_init_secret(&text, LIMIT_TOKEN_ANSWER);
	if (issue(r, &access_token, &tokens.expires_in_s) == 0) {
		refresh_token_make(keys_refresh(r->app->keys), r->claim.id, r->result.generation, child);
		tokens.access_token = access_token.data;
		tokens.refresh_token = r->cookie ? NULL : child;
		token_answer_begin(&text, &tokens);
		buf_append_text(&text, "}");
		body = buf_steal(&text);
	}
	if (body && r->cookie)
		refresh_cookie_set(r->x, r->app->config, child, left_ms);
	if (body)
		exchange_answer_text(r->x, 200, body);
	else
		unavailable(r);
	buf_release(&text);
	buf_release(&access_token);
}

/* ERR_*: it would rotate, and can't be written; or it can't be read, of which nothing else tells. */
static int decide(struct refreshing *r, struct db *db)
{
	int err = r->err;

	if (err && sessions_refresh_look(db, &r->claim, &r->result) == 0 && r->result.state != REFRESH_ROTATED)
		err = 0;
	if (err == ERR_INVALID)
		log_write(LOG_ERROR, "a session can't be read: it is not refreshed", LOG_INT("session_id", r->claim.id),
			LOG_STR("request_id", exchange_request_id(r->x)));
	return err;
}

/* The rest, once the step is durable, or could not be written. */
static void finish(struct exchange *x, struct request_thread *thread, void *arg)
{
	struct refreshing *r = arg;

	(void)x;
	if (decide(r, thread->db) != 0)
		unavailable(r);
	else if (r->result.state == REFRESH_ROTATED || r->result.state == REFRESH_REPEATED)
		answer(r);
	else if (r->result.state == REFRESH_REUSED)
		end_session(r, thread->db);
	else
		refuse(r);
	release(r);
}

void token_refresh(struct exchange *x, struct request_thread *thread)
{
	struct refreshing *r = calloc(1, sizeof(*r));
	int err;

	if (!r) {
		exchange_no_memory(x);
		return;
	}
	r->app = thread->app;
	r->x = x;
	err = take_token(r);
	if (!err)
		err = read_token(r);
	if (err) {
		release(r);
		return;
	}
	r->job = (struct commit_job){.run = write_step, .done = written, .arg = r, .single = true};
	exchange_park(x, finish, r);
	err = committer_post(r->app->committer, &r->job);
	if (err)
		written(r, err);
}
