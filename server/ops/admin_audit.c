#include "server/ops/admin_audit.h"

#include "config/clock.h"
#include "server/auth/bearer.h"
#include "server/ops/admin.h"
#include "server/ops/admin_request.h"
#include "server/ops/audit_query.h"

static int add_to_page(void *arg, const struct audit_row *row)
{
	return json_array_append_new(arg, audit_json(row)) == 0 ? 0 : ERR_MEMORY;
}

static void unavailable(struct exchange *x)
{
	exchange_unavailable(x, "The audit trail can't be read right now.");
}

static void list(struct exchange *x, struct request_thread *thread, const struct audit_filter *filter,
	struct audit_place place, int limit)
{
	json_t *rows = json_array();
	char next[AUDIT_PLACE_SIZE];
	int seen = rows ? audit_list(thread->db, filter, &place, limit, add_to_page, rows, &place) : ERR_MEMORY;

	if (seen < 0) {
		json_decref(rows);
		unavailable(x);
		return;
	}
	audit_place_text(&place, next);
	exchange_answer_json(x, 200, json_pack("{s:o, s:s?}", "rows", rows, "next", place.id ? next : NULL));
}

void admin_audit_list(struct exchange *x, struct request_thread *thread)
{
	struct audit_filter filter;
	struct audit_place after;
	char why[AUDIT_QUERY_WHY];
	struct user admin;
	int64_t limit;
	int err;

	if (bearer_authenticate_admin(x, thread, &admin) != 0)
		return;
	const struct audit_words words = {
		.user = exchange_query(x, "user"),
		.type = exchange_query(x, "type"),
		.since = exchange_query(x, "since"),
		.until = exchange_query(x, "until"),
		.client = exchange_query(x, "client"),
		.request_id = exchange_query(x, "request_id"),
		.before = exchange_query(x, "before"),
	};
	if (admin_request_number(x, "limit", ADMIN_PAGE_MAX, ADMIN_PAGE, &limit) != 0) {
		exchange_problem(x, 400, "malformed", "\"limit\" is a number from 1 to 1000.");
		return;
	}
	err = audit_query(thread->db, &words, clock_now_ms(), &filter, &after, why);
	if (err == ERR_INVALID)
		exchange_problem(x, 400, "malformed", why);
	else if (err == ERR_NOT_FOUND)
		exchange_problem(x, 404, "user_not_found", "There is no account of this id or name.");
	else if (err)
		unavailable(x);
	else
		list(x, thread, &filter, after, (int)limit);
}
