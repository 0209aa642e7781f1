/*
 * What a server writes in its life, through the real store, committer and outbox: logins with their effects from
 * several threads, marks and settlements that nobody waits for, checkpoints, an orderly end and a second life. It is
 * recorded on the tape (power_tape.h), with the places at which each promise was made.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_POWER_WORK_H
#define TOKENFIRST_TESTS_SUPPORT_POWER_WORK_H

#include <stddef.h>
#include <stdint.h>

#include "background/store/committer.h"
#include "tests/support/scratch.h"

enum {
	POWER_WORK_RUNS = 2,
	POWER_WORK_LOGINS = 240, /* of all runs */
	POWER_WORK_ROWS = 3, /* effects of a login: "bus" is delivered, "crm" has to wait or is dead, "email" is left */
};

/* Places in time, SIZE_MAX: never. */
struct power_login {
	struct power_work *work;
	int number;
	int64_t rows[POWER_WORK_ROWS];
	size_t added, marked, settled; /* acknowledged */
	struct commit_job mark, settle;
};

struct power_work {
	struct scratch scratch;
	struct store *store;
	struct metrics *metrics;
	struct committer *committer;
	const char *pragmas;
	int failing;
	int64_t run;
	size_t begun[POWER_WORK_RUNS]; /* places in time */
	struct power_login logins[POWER_WORK_LOGINS];
};

/*
 * Plays and records, from before there was a file. `pragmas`: told to the writer first. `failing`: of 100 syncs, those
 * that fail from then on until the run's end; a login that is refused then is left. So a process may end right after a
 * failed sync, and the next one find a log that looks whole while some of it will never reach the disk. Free it.
 */
struct power_work *power_work_record(const char *pragmas, int failing);

/* A commit job: the event with all effects of a login, whose `number` is set. */
int power_work_add(struct db *db, void *arg);

#endif
