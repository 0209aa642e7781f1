/*
 * One short play, again and again from the same start: a few logins, each delivered and settled before the next, on a
 * store that is put back before each performance. The writer then makes the same calls each time, so that each can be
 * made to fail in turn.
 *
 * The receiver answers after a while, so that an attempt is marked as started in a batch of its own.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_STAGE_H
#define TOKENFIRST_TESTS_SUPPORT_STAGE_H

#include "tests/support/ledger.h"
#include "tests/support/scene.h"
#include "tests/support/scratch.h"

struct stage {
	struct scene scene;
	struct scratch saved; /* the store at the start of the play */
	struct ledger *ledger;
	size_t logins;	/* of the play */
	size_t refused; /* of its logins, those answered with 503 */
};

/* `log_nearly_full`: the write-ahead log is copied back during the play. */
void stage_set(struct stage *stage, size_t logins, bool log_nearly_full);
void stage_clear(struct stage *stage);

/* Puts the store back and starts the server, with a new ledger. */
void stage_open(struct stage *stage);
/*
 * Plays, until the server has ended or the last login is settled or refused; anything but 200 and 503 fails while it
 * lives. `until_unready`: or until it says that it is not ready.
 */
void stage_play(struct stage *stage, bool until_unready);
/* Whether the process has ended. */
bool stage_ended(const struct stage *stage);
/* /health/ready; whether it answers so before a deadline. */
int stage_ready(const struct stage *stage);
bool stage_ready_wait(const struct stage *stage, int status);
/* Starts the server again if it has ended; a login is delivered, and nothing is owed. */
void stage_recover(struct stage *stage);
/* Ends the server in good order; what the ledger says. */
struct ledger_figures stage_close(struct stage *stage);

#endif
