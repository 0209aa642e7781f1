/*
 * Everybody's sessions at once (OWASP ASVS 5.0 7.4.5), for when secrets may have leaked: those of whoever asks as well. In a running server
 * in batches, between which logins commit; who logs in meanwhile keeps what he gets. One audit row, written with the first
 * batch. No event and no mail: they would be as many as there are accounts. Access tokens that others check offline are good to
 * their own end (token.access_ttl).
 */
#ifndef TOKENFIRST_SERVER_OPS_REVOKE_ALL_H
#define TOKENFIRST_SERVER_OPS_REVOKE_ALL_H

#include <jansson.h>

#include "background/store/db.h"

struct app;

/*
 * `client` and `request_id`: "" for a command. On an error what was done by then stays done: all can be asked for again.
 * *ret_count: the sessions that this has ended.
 */
int revoke_all(
	struct app *app, const char *actor, const char *client, const char *request_id, int64_t *ret_count) MUST_CHECK;

/* For the table of command.c: user.revoke_all {} replies {"rows": how many}. */
int user_revoke_all_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int user_revoke_all_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;

#endif
