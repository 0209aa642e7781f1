#include "server/accounts/totp.h"

int totp_state(struct db *db, int64_t user_id, enum totp_state *ret_state)
{
	static const char sql[] = "SELECT confirmed_ms FROM totp WHERE user_id = $1";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, user_id);
	err = db_step(s);
	if (err >= 0) {
		*ret_state = err == 0 ? TOTP_NONE : db_int(s, 0) ? TOTP_ACTIVE : TOTP_PENDING;
		err = 0;
	}
	db_finish(s);
	return err;
}
