/*
 * Targets that are held back until an operator lets them go: by `effects pause`, or because they said 410. Kept in the
 * store, so that a restart does not send to them.
 */
#ifndef TOKENFIRST_BACKGROUND_STORE_PAUSES_H
#define TOKENFIRST_BACKGROUND_STORE_PAUSES_H

#include "background/store/db.h"

/* Inside a commit job. Pausing a paused target keeps the first reason and time. */
int pause_add(struct db *db, const char *target, const char *reason, int64_t now_ms) MUST_CHECK;
int pause_remove(struct db *db, const char *target) MUST_CHECK; /* ERR_NOT_FOUND: it is not paused */

/*
 * Any connection. Texts are valid during the callback only; what it returns other than 0 ends the walk and is returned.
 */
int pause_list(struct db *db, int (*pause)(void *arg, const char *target, const char *reason, int64_t since_ms),
	void *arg) MUST_CHECK;

#endif
