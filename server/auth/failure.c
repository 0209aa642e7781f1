/*
 * One transaction for each failure: its audit row, and the account's count. That a failure locks its account is known only within that
 * transaction, and then there is an event to be planned, which is done before one. So the first transaction that would lock undoes
 * itself, and all is written anew as a unit of work; should another failure lock the account in between, the same the other way round.
 *
 * The writing takes the same statements and changes as many rows whether there is such an account or not: whoever measures his next
 * request against this work learns nothing.
 */
#include "server/auth/failure.h"

#include "config/clock.h"
#include "config/log.h"
#include "server/accounts/lockout.h"
#include "server/app.h"

/* one after which a failure locks no more, and one to spare: an administrator may unlock in between */
enum { TURNS = 3 };

struct failure {
	struct app *app;
	const struct origin *origin;
	const struct user *user; /* NULL: nobody */
	const char *type;
	bool counts;  /* towards a lock */
	bool planned; /* as the one that locks */
};

static struct counter *lost(struct metrics *metrics)
{
	return metrics_counter(metrics, "tokenfirst_audit_lost_total",
		"Failures of logins and the like that could not be written down.", NULL);
}

void failure_register(struct metrics *metrics)
{
	(void)lost(metrics);
}

/* ERR_STALE: it locks, or does not, and was planned otherwise. */
static int count_towards_lock(struct db *writer, const struct failure *f, int64_t now_ms)
{
	const int64_t hard = f->app->config->throttle.account.hard;
	bool locks = false;
	int err;

	if (!f->counts)
		return 0;
	if (!f->user)
		return lockout_fail_nobody(writer, hard, now_ms);
	err = lockout_fail(writer, f->user->id, hard, now_ms, &locks);
	if (err == ERR_NOT_FOUND)
		err = 0; /* deleted since: what happened is written down all the same */
	return !err && locks != f->planned ? ERR_STALE : err;
}

static int write_failure(struct db *writer, void *arg)
{
	const struct failure *f = arg;
	const struct audit_entry entry = {
		.type = f->type,
		.user_id = f->user ? f->user->id : 0,
		.client = f->origin->client,
		.request_id = f->origin->request_id,
		.at_ms = clock_now_ms(),
		.actor = "user",
	};
	int err = count_towards_lock(writer, f, entry.at_ms);

	return err ? err : audit_add(writer, &entry);
}

/* The failure and the lock that it leads to, with the mail that tells the account's owner. */
static int write_with_lock(struct failure *f)
{
	struct work work;
	int err;

	f->planned = true;
	work_init(&work, f->app, f->origin);
	err = work_plan(&work, "user.locked", f->user, NULL);
	if (!err) {
		work.audit.actor = "server";
		err = work_commit(&work, write_failure, f);
	}
	if (!err)
		log_write(LOG_WARN, "an account is locked by too many failures until its password is reset",
			LOG_STR("user", f->user->public_id), LOG_STR("request_id", f->origin->request_id),
			LOG_STR("event_id", work_event_id(&work)));
	if (!err)
		work_inline_late(&work);
	work_release(&work);
	f->planned = false;
	return err;
}

void failure_record(struct app *app, const struct origin *origin, const struct user *user,
	const struct throttle_ticket *ticket, const char *type)
{
	struct failure f = {.app = app, .origin = origin, .user = user, .type = type, .counts = !ticket->exempt};
	int err = ERR_STALE;

	for (int turn = 0; turn < TURNS && err == ERR_STALE; turn++) {
		err = committer_run(app->committer, write_failure, &f);
		if (err == ERR_STALE)
			err = write_with_lock(&f);
	}
	if (!err)
		return;
	counter_add(lost(app->metrics), 1);
	if (err != ERR_STORE) /* of which the committer tells, once */
		log_write(LOG_WARN, "a failure could not be written down", LOG_STR("type", type),
			LOG_STR("request_id", origin->request_id), LOG_STR("reason", err_text(err)));
}

void failure_forget(struct app *app, const struct user *user)
{
	char name[THROTTLE_ID_SIZE];

	throttle_id(user->id, name);
	throttle_forget(app->throttle, THROTTLE_PASSWORD_ID, name);
	throttle_forget(app->throttle, THROTTLE_PASSWORD, user->username);
	if (user->email[0])
		throttle_forget(app->throttle, THROTTLE_PASSWORD_EMAIL, user->email);
}
