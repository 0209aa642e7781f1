#include "server/ops/revoke_all.h"

#include "background/store/audit.h"
#include "config/clock.h"
#include "server/accounts/sessions.h"
#include "server/app.h"

struct revocation {
	struct audit_entry entry;
	char detail[AUDIT_DETAIL_SIZE];
	bool begun;
	int64_t last_id; /* the newest as it began */
	/* of one batch, taken over once it is committed: a batch that is undone is run again */
	struct {
		int64_t last_id, after_id, count;
		bool more;
	} batch;
	int64_t after_id, count;
};

static void init(struct revocation *r, const char *actor, const char *client, const char *request_id)
{
	*r = (struct revocation){.entry = {
					 .type = "user.sessions_revoked_all",
					 .client = client,
					 .request_id = request_id,
					 .actor = actor,
					 .at_ms = clock_now_ms(),
				 }};
}

static int begin(struct db *writer, struct revocation *r)
{
	int err = sessions_last_id(writer, &r->batch.last_id);

	if (err)
		return err;
	audit_detail(r->detail, json_pack("{s:I}", "last_session", (json_int_t)r->batch.last_id));
	r->entry.detail = r->detail;
	return audit_add(writer, &r->entry);
}

static int write_batch(struct db *writer, void *arg)
{
	struct revocation *r = arg;
	int err = 0;

	r->batch.last_id = r->last_id;
	r->batch.after_id = r->after_id;
	if (!r->begun)
		err = begin(writer, r);
	if (!err)
		err = sessions_revoke_next(writer, r->batch.last_id, LIMIT_REVOKE_BATCH, r->entry.at_ms,
			&r->batch.after_id, &r->batch.count);
	r->batch.more = err == 1;
	return err < 0 ? err : 0;
}

static void take_over(struct revocation *r)
{
	r->begun = true;
	r->last_id = r->batch.last_id;
	r->after_id = r->batch.after_id;
	r->count += r->batch.count;
}

int revoke_all(struct app *app, const char *actor, const char *client, const char *request_id, int64_t *ret_count)
{
	struct revocation r;
	int err;

	init(&r, actor, client, request_id);
	do {
		err = committer_run(app->committer, write_batch, &r);
		if (err)
			return err;
		take_over(&r);
	} while (r.batch.more);
	*ret_count = r.count;
	return 0;
}

static int reply_rows(int64_t rows, json_t **ret_reply)
{
	json_t *reply = json_pack("{s:I}", "rows", (json_int_t)rows);

	if (!reply)
		return ERR_MEMORY;
	*ret_reply = reply;
	return 0;
}

int user_revoke_all_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	struct revocation r;
	int err;

	if (json_object_size(arguments) != 0)
		return ERR_INVALID;
	init(&r, "command", "", "");
	do {
		err = write_batch(writer, &r);
		if (err)
			return err;
		take_over(&r);
	} while (r.batch.more);
	return reply_rows(r.count, ret_reply);
}

int user_revoke_all_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	int64_t count = 0;
	int err = json_object_size(arguments) == 0 ? revoke_all(app, "command", "", "", &count) : ERR_INVALID;

	return err ? err : reply_rows(count, ret_reply);
}
