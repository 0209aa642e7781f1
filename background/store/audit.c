#include "background/store/audit.h"

#include <stdio.h>
#include <string.h>

void audit_detail(char ret_detail[AUDIT_DETAIL_SIZE], json_t *object)
{
	size_t len = object ? json_dumpb(object, ret_detail, LIMIT_AUDIT_DETAIL, JSON_COMPACT | JSON_ENSURE_ASCII) : 0;

	if (len > LIMIT_AUDIT_DETAIL)
		len = (size_t)snprintf(ret_detail, AUDIT_DETAIL_SIZE, "{\"omitted_bytes\":%zu}", len);
	else if (len == 0)
		len = (size_t)snprintf(ret_detail, AUDIT_DETAIL_SIZE, "{}");
	ret_detail[len] = '\0';
	json_decref(object);
}

int audit_add(struct db *writer, const struct audit_entry *entry)
{
	static const char sql[] =
		"INSERT INTO audit (at_ms, type, user_id, session_id, client, request_id, actor, detail)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
	struct db_statement *s = NULL;

	if (entry->detail && strlen(entry->detail) > LIMIT_AUDIT_DETAIL)
		return ERR_INVALID;
	int err = db_prepare(writer, sql, &s);
	if (err != 0)
		return err;
	db_bind_int(s, 1, entry->at_ms);
	db_bind_text(s, 2, entry->type);
	db_bind_int(s, 3, entry->user_id);
	db_bind_int(s, 4, entry->session_id);
	db_bind_text(s, 5, entry->client);
	db_bind_text(s, 6, entry->request_id);
	db_bind_text(s, 7, entry->actor ? entry->actor : "command");
	db_bind_text(s, 8, entry->detail ? entry->detail : "{}");
	return db_run(s);
}
