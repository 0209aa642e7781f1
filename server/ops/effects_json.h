/* Effects as operators see them, in JSON: the same members by command line and by /admin/effects. */
#ifndef TOKENFIRST_SERVER_OPS_EFFECTS_JSON_H
#define TOKENFIRST_SERVER_OPS_EFFECTS_JSON_H

#include <jansson.h>

#include "background/delivery/operate.h"
#include "background/store/outbox_admin.h"

/*
 * {"id","event_id","type","subject","effect","target","recipient","delivery","state","attempts":N,"cause","reason","created",
 *  "next_attempt" or "settled", "replayed"}, with null for what there is none of; `whole` adds "attempt_log" and "reply". NULL without memory.
 * The name of an effect with targets is taken apart: "hooks.shop" is effect "hooks" and target "shop".
 */
json_t *effects_json_entry(const struct outbox_entry *entry, bool whole);

/* null for "" and NULL. Of what a stranger said, bytes that are no UTF-8 become '?'. NULL without memory. */
json_t *effects_json_text(const char *text);

/*
 * Adds what the server that runs knows of a pending one: "waits_for" (null: nothing), and when that makes the next
 * attempt.
 */
int effects_json_wait(json_t *entry, const char *waits_for, int64_t next_ms) MUST_CHECK;

/* {"effect","cause" (null: they were pending),"rows"} of each. NULL without memory. */
json_t *effects_json_tally(const struct outbox_tally *tally);

/*
 * {"targets":[{"name","effect","target","type","delivery","breaker","cause","paused","pause_reason","told_to_wait_until",
 *  "waits_for","waits_until","pending","in_flight","oldest_due","dead_letters":{CAUSE: N}} …]} as they stand. NULL without memory.
 */
json_t *effects_json_targets(struct pool *pool);

#endif
