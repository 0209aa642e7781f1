/*
 * What has had its time, removed by the janitor (background/store/janitor.h): sessions and links that ended longer than
 * retention.sessions ago, and lines of an import that was broken off more than LIMIT_IMPORT_MS ago.
 *
 * A session that has merely run out is marked as revoked at its end, and a link as used, so that no wall clock that
 * is set back later opens it again (sessions.h). The row with the highest id of a table stays, whatever its age: the
 * next id is one above it, and an id that was given twice would give old tokens to a new owner.
 *
 * A round goes through all rows by their ids, once in LIMIT_SWEEP_MS, or in a tenth of the retention if that is less,
 * and takes no more than a tenth of the time: nothing of it is indexed by time, since such an index would be written
 * at each refresh.
 */
#ifndef TOKENFIRST_SERVER_ACCOUNTS_SWEEP_H
#define TOKENFIRST_SERVER_ACCOUNTS_SWEEP_H

#include <stdint.h>

#include "background/store/janitor.h"
#include "background/telemetry/metrics.h"
#include "config/limits.h"

enum sweep_kind { SWEEP_SESSIONS, SWEEP_LINKS, SWEEP_IMPORTS, SWEEP_KINDS };

struct sweep {
	int64_t retention_ms;
	struct counter *removed[SWEEP_KINDS];

	/* where the round is */
	enum sweep_kind kind;
	int64_t cursor;		       /* the last id that was looked at */
	int64_t begun_us, next_us;     /* clock_mono_us; begun_us 0: no round is under way */
	int64_t now_ms;		       /* of the whole round */
	int64_t ids[LIMIT_SWEEP_ROWS]; /* found */
	size_t count;
	char import[64];
	int64_t gone; /* rows that the last write removed or marked */
};

void sweep_init(struct sweep *sweep, struct metrics *metrics, int64_t retention_ms);

/* For struct janitor_sweep, `arg` is the sweep. */
int sweep_look(void *arg, struct db *reader) MUST_CHECK;
int sweep_write(struct db *writer, void *arg) MUST_CHECK;

#endif
