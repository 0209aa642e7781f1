#include "server/ops/effects_command.h"

#include <string.h>

#include "background/store/audit.h"
#include "background/store/pauses.h"
#include "config/clock.h"
#include "config/log.h"
#include "config/utf8.h"
#include "server/app.h"
#include "server/ops/effects_json.h"

/* In a store without a server: all batches in the caller's transaction, since nobody waits for the writer. */
static int change_store(struct db *writer, enum effects_change change, const struct outbox_filter *filter,
	struct outbox_tally *ret_tally)
{
	int64_t now_ms = clock_now_ms(), after_row = 0;
	struct outbox_tally sum = {0}, part;
	int err;

	do {
		part = (struct outbox_tally){.last_row = after_row};
		if (change == EFFECTS_REPLAY)
			err = outbox_replay(writer, filter, after_row, LIMIT_OUTBOX_BATCH, now_ms, &part);
		else
			err = outbox_discard(writer, filter, after_row, LIMIT_OUTBOX_BATCH, now_ms, &part);
		if (err)
			return err;
		outbox_tally_sum(&sum, &part);
		after_row = part.last_row;
	} while (part.more);
	*ret_tally = sum;
	return 0;
}

static int change_one(const struct effects_place *place, enum effects_change change, const struct outbox_filter *filter,
	bool dry_run, struct outbox_tally *ret_tally)
{
	if (place->pool && change == EFFECTS_REPLAY)
		return pool_replay(place->pool, filter, dry_run, ret_tally);
	if (place->pool)
		return pool_discard(place->pool, filter, dry_run, ret_tally);
	if (dry_run)
		return outbox_tally(place->writer, filter, ret_tally);
	return change_store(place->writer, change, filter, ret_tally);
}

struct audit_job {
	struct audit_entry entry;
	char detail[AUDIT_DETAIL_SIZE];
};

static int write_audit(struct db *writer, void *arg)
{
	const struct audit_job *job = arg;

	return audit_add(writer, &job->entry);
}

/* Of a change that has been made. `detail` is taken over. */
static int record(const struct effects_place *place, const char *type, json_t *detail)
{
	struct audit_job job = {.entry = {
					.type = type,
					.client = place->client ? place->client : "",
					.request_id = place->request_id ? place->request_id : "",
					.at_ms = clock_now_ms(),
					.actor = place->actor,
					.detail = job.detail,
				}};

	audit_detail(job.detail, detail);
	if (!place->pool)
		return write_audit(place->writer, &job);
	if (committer_run(place->committer, write_audit, &job) != 0)
		log_write(LOG_ERROR, "an audit row is lost", LOG_STR("type", type), LOG_STR("actor", place->actor),
			LOG_STR("detail", job.detail));
	return 0;
}

static int record_change(
	const struct effects_place *place, enum effects_change change, const struct outbox_tally *tally)
{
	return record(place, change == EFFECTS_REPLAY ? "effects.replayed" : "effects.discarded",
		json_pack("{s:I, s:o}", "rows", (json_int_t)tally->rows, "by", effects_json_tally(tally)));
}

bool effects_changeable(enum effects_change change, const struct selection *selection)
{
	const struct outbox_filter *filter = &selection->filter;

	return !filter->any_state &&
	       (filter->state == EFFECT_DEAD || (filter->state == EFFECT_PENDING && change == EFFECTS_DISCARD));
}

int effects_change(const struct effects_place *place, enum effects_change change, struct selection *selection,
	bool dry_run, json_t **ret_reply)
{
	struct outbox_tally sum = {0};
	json_t *unchanged = json_array(), *reply;
	const struct outbox_filter *filter;
	int err = unchanged ? 0 : ERR_MEMORY;

	while (!err && (filter = selection_next(selection)) != NULL) {
		struct outbox_tally part = {0};
		err = change_one(place, change, filter, dry_run, &part);
		outbox_tally_sum(&sum, &part);
		if (err)
			break;
		sum.more = sum.more || part.more;
		if (selection->ids && part.rows == 0 &&
			json_array_append(unchanged, json_array_get(selection->ids, selection->next - 1)) != 0)
			err = ERR_MEMORY;
	}
	if (err) {
		/* what a pool had done by then is not taken back */
		if (place->pool && !dry_run && sum.rows > 0)
			(void)record_change(place, change, &sum);
		json_decref(unchanged);
		return err;
	}
	reply = json_pack("{s:I, s:b, s:o, s:o}", "rows", (json_int_t)sum.rows, "more", sum.more, "by",
		effects_json_tally(&sum), "unchanged", unchanged);
	if (!reply)
		return ERR_MEMORY;
	if (!dry_run)
		err = record_change(place, change, &sum);
	if (err) {
		json_decref(reply);
		return err;
	}
	*ret_reply = reply;
	return 0;
}

int effects_pause(const struct effects_place *place, const char *name, const char *reason)
{
	int err = place->pool ? pool_pause(place->pool, name, reason)
			      : pause_add(place->writer, name, reason, clock_now_ms());

	return err ? err : record(place, "effects.paused", json_pack("{s:s, s:s}", "name", name, "reason", reason));
}

int effects_resume(const struct effects_place *place, const char *name)
{
	int err = place->pool ? pool_resume(place->pool, name) : pause_remove(place->writer, name);

	return err ? err : record(place, "effects.resumed", json_pack("{s:s}", "name", name));
}

static int run_change(
	const struct effects_place *place, enum effects_change change, const json_t *arguments, json_t **ret_reply)
{
	json_t *rest = json_copy((json_t *)(uintptr_t)arguments);
	const json_t *dry_run = json_object_get(arguments, "dry_run");
	struct selection selection;
	char why[SELECTION_WHY];
	int err;

	if (!rest)
		return ERR_MEMORY;
	(void)json_object_del(rest, "dry_run");
	err = dry_run && !json_is_boolean(dry_run) ? ERR_INVALID : 0;
	if (!err)
		err = selection_read(rest, "dead", clock_now_ms(), &selection, why);
	if (!err && !effects_changeable(change, &selection))
		err = ERR_INVALID;
	if (!err)
		err = effects_change(place, change, &selection, json_is_true(dry_run), ret_reply);
	json_decref(rest);
	return err;
}

static int named(const char *name, json_t **ret_reply)
{
	json_t *reply = json_pack("{s:s}", "name", name);

	if (!reply)
		return ERR_MEMORY;
	*ret_reply = reply;
	return 0;
}

bool effects_reason_valid(const char *reason)
{
	for (const char *c = reason; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	}
	return strlen(reason) < LIMIT_REASON && utf8_valid(reason);
}

static int pause(const struct effects_place *place, const json_t *arguments, json_t **ret_reply)
{
	const char *name, *reason;
	int err;

	if (json_unpack((json_t *)(uintptr_t)arguments, "{s:s, s:s!}", "name", &name, "reason", &reason) ||
		!effects_reason_valid(reason))
		return ERR_INVALID;
	err = effects_pause(place, name, reason);
	return err ? err : named(name, ret_reply);
}

static int resume(const struct effects_place *place, const json_t *arguments, json_t **ret_reply)
{
	const char *name;
	int err;

	if (json_unpack((json_t *)(uintptr_t)arguments, "{s:s!}", "name", &name))
		return ERR_INVALID;
	err = effects_resume(place, name);
	return err ? err : named(name, ret_reply);
}

int effects_replay_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	return run_change(&(struct effects_place){.writer = writer}, EFFECTS_REPLAY, arguments, ret_reply);
}

int effects_discard_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	return run_change(&(struct effects_place){.writer = writer}, EFFECTS_DISCARD, arguments, ret_reply);
}

int effects_pause_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	return pause(&(struct effects_place){.writer = writer}, arguments, ret_reply);
}

int effects_resume_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	return resume(&(struct effects_place){.writer = writer}, arguments, ret_reply);
}

int effects_replay_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	const struct effects_place in_server = {.pool = app->pool, .committer = app->committer};

	return run_change(&in_server, EFFECTS_REPLAY, arguments, ret_reply);
}

int effects_discard_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	const struct effects_place in_server = {.pool = app->pool, .committer = app->committer};

	return run_change(&in_server, EFFECTS_DISCARD, arguments, ret_reply);
}

int effects_pause_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	const struct effects_place in_server = {.pool = app->pool, .committer = app->committer};

	return pause(&in_server, arguments, ret_reply);
}

int effects_resume_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	const struct effects_place in_server = {.pool = app->pool, .committer = app->committer};

	return resume(&in_server, arguments, ret_reply);
}

int effects_targets_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	json_t *reply;

	if (json_object_size(arguments) > 0)
		return ERR_INVALID;
	reply = effects_json_targets(app->pool);
	if (!reply)
		return ERR_MEMORY;
	*ret_reply = reply;
	return 0;
}
