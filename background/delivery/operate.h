/*
 * What operators do to a running pool. Any thread but the workers' and the committer's; each returns once what it did is
 * durable, and the lanes have been told.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_OPERATE_H
#define TOKENFIRST_BACKGROUND_DELIVERY_OPERATE_H

#include "background/delivery/pool.h"
#include "background/store/outbox_admin.h"

int pool_pause(struct pool *pool, const char *name, const char *reason) MUST_CHECK;
int pool_resume(struct pool *pool, const char *name) MUST_CHECK;
int pool_replay(struct pool *pool, const struct outbox_filter *filter, bool dry_run, struct outbox_tally *ret_tally) MUST_CHECK;
int pool_discard(struct pool *pool, const struct outbox_filter *filter, bool dry_run, struct outbox_tally *ret_tally) MUST_CHECK;

#endif
