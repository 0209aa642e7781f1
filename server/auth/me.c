#include "server/auth/me.h"

#include "server/accounts/totp.h"
#include "server/accounts/users.h"
#include "server/auth/bearer.h"

void me(struct exchange *x, struct request_thread *thread)
{
	struct session_owner owner;
	struct user user;
	enum totp_state second = TOTP_NONE;

	if (bearer_authenticate(x, thread, &owner) != 0)
		return;
	if (users_find_by_public_id(thread->db, owner.public_id, &user) != 0 ||
		totp_state(thread->db, owner.user_id, &second) != 0) {
		exchange_unavailable(x, "The account can't be looked up right now.");
		return;
	}
	exchange_answer_json(x, 200,
		json_pack("{s:s, s:s, s:s?, s:b, s:b}", "id", user.public_id, "username", user.username, "email",
			user.email[0] != '\0' ? user.email : NULL, "admin", user.admin, "totp", second == TOTP_ACTIVE));
}
