/*
 * What administrators and commands do to one account. In a running server a change is a unit of work: its rows, the
 * audit row, the event and its effects, a mail to the owner say, in one transaction; without one it is the rows and the
 * audit row.
 *
 *   struct user_change change;
 *   user_change_init(&change, USER_DISABLE, &user);
 *   err = user_change_commit(&change, app, &origin, actor);
 *   … answer with change.event_id …
 *   user_change_finish(&change);
 */
#ifndef TOKENFIRST_SERVER_OPS_USER_CHANGE_H
#define TOKENFIRST_SERVER_OPS_USER_CHANGE_H

#include "server/accounts/links.h"
#include "server/auth/work.h"

enum user_change_kind {
	USER_DISABLE, /* its sessions end */
	USER_ENABLE,
	USER_DELETE,	    /* for good: users_delete; sessions, second factor and links end */
	USER_REVOKE,	    /* its sessions end */
	USER_REQUIRE_RESET, /* they end, and its password is good no more; a mail has a link to set another */
	USER_SET_PASSWORD,  /* they end; `hash` is the new stored form */
	USER_REMOVE_TOTP,   /* its password alone does again: for who has lost authenticator and recovery codes */
	USER_CREATE,	    /* `user` is added: its id is 0 until then; ERR_EXISTS */
	USER_INVITE,	    /* `user` is nobody but an address; a mail has a link to make an account */
};

struct user_change {
	enum user_change_kind kind;
	struct user user;
	const char *hash; /* borrowed; of USER_SET_PASSWORD */
	int64_t now_ms;
	int64_t sessions;	/* that it has ended */
	struct link link;	/* that a mail will have; id 0: none */
	char event_id[ID_SIZE]; /* after user_change_commit */

	/* private */
	struct user_change *joined; /* NULL: none */
	char detail[AUDIT_DETAIL_SIZE];
	struct work work;
};

/* `user` is copied. */
void user_change_init(struct user_change *change, enum user_change_kind kind, const struct user *user);

/*
 * Of one account: `other` is made after `change`, in the same transaction or not at all. `change` may be what makes the
 * account: the other need not know of it more than its name and address. Before user_change_commit(change), which is
 * for both; user_change_finish is due for each.
 */
void user_change_join(struct user_change *change, struct user_change *other);

/* In a running server; user_change_finish is due whatever it returns. ERR_NOT_FOUND: the account has gone meanwhile. */
int user_change_commit(
	struct user_change *change, struct app *app, const struct origin *origin, const char *actor) MUST_CHECK;
/* Its inline effects, and the end of it. */
void user_change_finish(struct user_change *change);

/* Without a server, in a transaction of the caller's, who is a command. No mail tells of it. */
int user_change_store(struct user_change *change, struct db *writer) MUST_CHECK;

#endif
