/*
 * Links in mails (DESIGN 10): what a link is about is a row of the table `links`; its token is that row's id under an
 * HMAC, made when the mail is built. So neither an event, nor a stored effect, nor a dead letter holds one that can be
 * used, and every attempt of one mail says the same.
 *
 * Pure. Any thread.
 */
#ifndef TOKENFIRST_BACKGROUND_EFFECTS_LINK_H
#define TOKENFIRST_BACKGROUND_EFFECTS_LINK_H

#include <jansson.h>
#include <stdint.h>

#include "config/buf.h"
#include "config/options.h"

enum { LINK_TOKEN_SIZE = 56, LINK_KEY_SIZE = 32 }; /* base64url of 8 + 32 bytes, and the NUL */

#define LINK_VERIFY "verify" /* an address, and the account that was asked for with it */
#define LINK_RESET  "reset"  /* a password */
#define LINK_INVITE "invite" /* an account for this address */

/*
 * The purpose of the link that mails of a type of event have; NULL: they have none. A service can't send events of
 * these types.
 */
const char *link_purpose_of(const char *event_type);

/* What building a mail takes to make links. */
struct link_maker {
	unsigned char key[LINK_KEY_SIZE];
	const struct config *config; /* public_url and link.…_path */
};

/* `purpose` is signed, so that a token for one can't be used for another. */
void link_token_make(
	const unsigned char key[LINK_KEY_SIZE], const char *purpose, int64_t id, char ret_token[LINK_TOKEN_SIZE]);
/* 0 and the row's id, or ERR_DENIED. Compares in constant time. */
int link_token_read(
	const unsigned char key[LINK_KEY_SIZE], const char *purpose, const char *token, int64_t *ret_id) MUST_CHECK;

/*
 * public_url, the purpose's path, "#token=" and the token: in the fragment, which browsers send to nobody, neither in a
 * request line nor in Referer. ERR_INVALID: no such purpose.
 */
int link_url(const struct link_maker *maker, const char *purpose, int64_t id, struct buf *out) MUST_CHECK;
/*
 * What {{link.…}} stands for in a mail of this event: {"url", "token", "expires"}, to be json_decref'ed, and the token
 * alone. `data` is the event's, whose "link" is as links_event (server/accounts/links.h) has made it. ERR_INVALID with
 * `ret_why` (static text): no link in it, or one of another purpose than the type's; or `maker` is NULL.
 */
int link_values(const struct link_maker *maker, const char *event_type, const json_t *data, json_t **ret_values,
	char ret_token[LINK_TOKEN_SIZE], const char **ret_why) MUST_CHECK;

#endif
