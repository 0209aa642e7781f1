#include "server/auth/me.h"

#include "server/auth/bearer.h"

void me_at_once(struct exchange *x, struct request_thread *thread)
{
	const char *token = bearer_token(x);
	char text[LIMIT_ACCESS_ANSWER];
	size_t len = token ? access_answer(thread->app, token, ACCESS_ME, text) : 0;

	if (len)
		exchange_answer(x, 200, "application/json", text, len);
}

void me(struct exchange *x, struct request_thread *thread)
{
	struct session_account account;
	struct access access;
	json_t *answer;
	char *text;

	if (bearer_authenticate_account(x, thread, &access, &account) != 0)
		return;
	answer = json_pack("{s:s, s:s, s:s?, s:b, s:b}", "id", account.owner.public_id, "username", account.username,
		"email", account.email[0] != '\0' ? account.email : NULL, "admin", account.owner.admin, "totp",
		account.second_factor);
	text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
	json_decref(answer);
	if (!text) {
		exchange_no_memory(x);
		return;
	}
	access_keep(thread->app, &access, ACCESS_ME, text);
	exchange_answer_text(x, 200, text);
}
