#include "server/auth/token_answer.h"

#include <string.h>

#include "server/token/token.h"

enum { NAMES = 160 }; /* bytes beside the tokens, and of what is likely to come behind */

void token_answer_begin(struct buf *out, const struct token_answer *answer)
{
	/* at once: growing would copy the tokens, and wipe them, again and again */
	buf_reserve(out, strlen(answer->access_token) + REFRESH_TOKEN_SIZE + NAMES);
	buf_append_text(out, "{\"access_token\":\"");
	buf_append_text(out, answer->access_token);
	buf_printf(out, "\",\"token_type\":\"Bearer\",\"expires_in\":%lld", (long long)answer->expires_in_s);
	if (answer->refresh_token) {
		buf_append_text(out, ",\"refresh_token\":\"");
		buf_append_text(out, answer->refresh_token);
		buf_append_text(out, "\"");
	}
	buf_printf(out, ",\"refresh_expires_in\":%lld", (long long)answer->refresh_expires_in_s);
}
