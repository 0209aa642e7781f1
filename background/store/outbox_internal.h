/* What the files of the outbox share, and nobody else needs. */
#ifndef TOKENFIRST_BACKGROUND_STORE_OUTBOX_INTERNAL_H
#define TOKENFIRST_BACKGROUND_STORE_OUTBOX_INTERNAL_H

#include "background/store/outbox_admin.h"

#define KIND_PENDING "pending" /* of a counter; the others are causes */

int outbox_count_change(struct db *db, const char *effect, const char *kind, int64_t delta) MUST_CHECK;

/* One row more. false: another pair of effect and cause than all that the tally has room for; nothing is counted. */
bool outbox_tally_add(struct outbox_tally *tally, const char *effect, const char *cause, int64_t rows);

#endif
