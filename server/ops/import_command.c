#include "server/ops/import_command.h"

#include <stdio.h>
#include <string.h>

#include "background/store/audit.h"
#include "config/clock.h"
#include "server/accounts/import.h"
#include "server/password/stored.h"

static json_t *writable(const json_t *json)
{
	return (json_t *)(uintptr_t)json; /* jansson unpacks without changing, and takes no const */
}

static int reply_rows(int64_t rows, bool part, json_t **ret_reply)
{
	json_t *reply = json_pack("{s:I, s:b}", "rows", (json_int_t)rows, "part", part);

	if (!reply)
		return ERR_MEMORY;
	*ret_reply = reply;
	return 0;
}

static int add_one(struct db *writer, const char *import, const json_t *row, int64_t now_ms)
{
	const char *username, *email, *hash, *why = NULL;
	struct user user = {.id = 0};
	json_int_t line = 0;
	int admin, disabled;

	if (json_unpack(writable(row), "{s:I, s:s, s:s, s:s, s:b, s:b!}", "line", &line, "username", &username, "email",
		    &email, "password", &hash, "admin", &admin, "disabled", &disabled) ||
		username_acceptable(username, &why) || (email[0] && email_acceptable(email, &why)) ||
		stored_acceptable(NULL, hash, &why))
		return ERR_INVALID;
	memcpy(user.username, username, strlen(username) + 1);
	memcpy(user.email, email, strlen(email) + 1);
	memcpy(user.password, hash, strlen(hash) + 1);
	user.admin = admin;
	user.disabled = disabled;
	return import_add(writer, import, line, &user, now_ms);
}

int import_command_add(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	const char *import;
	json_t *users = NULL;
	int64_t now_ms = clock_now_ms();
	int err = 0;

	if (json_unpack(writable(arguments), "{s:s, s:o!}", "import", &import, "users", &users) || !id_valid(import) ||
		!json_is_array(users) || json_array_size(users) > LIMIT_IMPORT_BATCH)
		return ERR_INVALID;
	for (size_t i = 0; !err && i < json_array_size(users); i++)
		err = add_one(writer, import, json_array_get(users, i), now_ms);
	return err ? err : reply_rows((int64_t)json_array_size(users), true, ret_reply);
}

int import_command_finish(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	struct audit_entry entry = {.type = "user.imported", .client = "", .request_id = "", .at_ms = clock_now_ms()};
	char detail[128];
	const char *import;
	json_int_t count = 0;
	int err;

	if (json_unpack(writable(arguments), "{s:s, s:I!}", "import", &import, "count", &count) || !id_valid(import))
		return ERR_INVALID;
	err = import_finish(writer, import, count, entry.at_ms);
	if (err)
		return err;
	(void)snprintf(detail, sizeof(detail), "{\"import\":\"%s\",\"count\":%lld}", import, (long long)count);
	entry.detail = detail;
	err = audit_add(writer, &entry);
	return err ? err : reply_rows(count, false, ret_reply);
}

int import_command_forget(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	const char *import;
	int64_t count = 0;
	int err;

	if (json_unpack(writable(arguments), "{s:s!}", "import", &import) || (*import && !id_valid(import)))
		return ERR_INVALID;
	err = import_forget(writer, *import ? import : NULL, &count);
	return err ? err : reply_rows(count, true, ret_reply);
}
