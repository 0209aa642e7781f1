#include "server/ops/users_json.h"

#include "config/clock.h"
#include "server/accounts/totp.h"
#include "server/accounts/users_search.h"

json_t *users_json(const struct user *user)
{
	char created[RFC3339_SIZE];

	clock_rfc3339(created, user->created_ms);
	return json_pack("{s:s, s:s, s:s?, s:b, s:b, s:b, s:b, s:I, s:s}", "id", user->public_id, "username",
		user->username, "email", user->email[0] ? user->email : NULL, "admin", user->admin, "disabled",
		user->disabled, "locked", user->locked, "must_reset", user->must_reset, "failures",
		(json_int_t)user->failures, "created", created);
}

int users_json_whole(struct db *db, const struct user *user, int64_t now_ms, json_t **ret_json)
{
	static const char *const factors[] = {
		[TOTP_NONE] = "none", [TOTP_PENDING] = "pending", [TOTP_ACTIVE] = "active"};
	enum totp_state factor = TOTP_NONE;
	int64_t sessions = 0;
	json_t *json, *more;
	int err = totp_state(db, user->id, &factor);

	if (!err)
		err = users_count_sessions(db, user->id, now_ms, &sessions);
	if (err)
		return err;
	json = users_json(user);
	more = json_pack("{s:s, s:s, s:I}", "password", users_password_scheme(user->password), "second_factor",
		factors[factor], "sessions", (json_int_t)sessions);
	err = json && more && json_object_update(json, more) == 0 ? 0 : ERR_MEMORY;
	json_decref(more);
	if (err)
		json_decref(json);
	else
		*ret_json = json;
	return err;
}
