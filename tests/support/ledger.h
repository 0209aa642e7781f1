/*
 * The books of a crash test: what was promised against what became of it.
 *
 *   struct ledger *ledger = ledger_new(scene.server, scene.peer, "bus");
 *   … logins, a kill; per kill: ledger_promise_crowd(ledger, crowd); ledger_note_kill(ledger); restart …
 *   … wait until nothing is owed …
 *   struct ledger_figures figures = ledger_check(ledger);
 *   cr_assert_eq(figures.lost, 0); cr_assert_eq(figures.unexplained, 0); …
 *
 * The receiver must take what it gets or refuse it for good (400): then each request of a key but the first has a kill
 * to explain it, at which it was in flight: sent, and still owed. The store is read from a copy, so that recovering it
 * is left to the server. What can't be read or is not sound ends the process.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_LEDGER_H
#define TOKENFIRST_TESTS_SUPPORT_LEDGER_H

#include "tests/support/crowd.h"
#include "tests/support/peer.h"
#include "tests/support/server.h"

struct ledger;

struct ledger_figures {
	size_t acknowledged;	      /* logins answered with 200 */
	size_t unanswered;	      /* written, yet nobody was told */
	size_t delivered, dead, owed; /* what the rows say of all of them */
	size_t requests;	      /* that came to the receiver */
	size_t repeated;	      /* of them those whose key had come before */
	size_t in_flight;	      /* effects that had been sent and were still owed, at all kills together */
	size_t kills;
	/* must be 0 */
	size_t lost;	    /* acknowledged, and neither received, dead, nor owed */
	size_t unexplained; /* received more often than the kills explain */
	size_t unknown;	    /* received, and not in the store */
};

/*
 * All three outlive it. The server has one effect of that name for each login. It has nothing to do now; what it did
 * before is left out.
 */
struct ledger *ledger_new(struct server *server, struct peer *peer, const char *effect);
void ledger_free(struct ledger *ledger); /* NULL is fine */

void ledger_promise(struct ledger *ledger, const struct api_login *login); /* nothing unless it was answered with 200 */
void ledger_promise_crowd(struct ledger *ledger, const struct crowd *crowd);

/* The server has been killed and not been started again: what is still owed, and whether the store is sound. */
void ledger_note_kill(struct ledger *ledger);
/* The server stands still or has nothing to do. */
struct ledger_figures ledger_check(struct ledger *ledger);

/* Adds up; prints one line (long_form.h). */
void ledger_figures_add(struct ledger_figures *sum, const struct ledger_figures *figures);
void ledger_figures_print(const char *what, const struct ledger_figures *figures);

#endif
