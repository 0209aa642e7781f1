/* Effects as operators see them, in JSON: the same members by command line and by /admin/effects. */
#ifndef TOKENFIRST_SERVER_OPS_EFFECTS_JSON_H
#define TOKENFIRST_SERVER_OPS_EFFECTS_JSON_H

#include <jansson.h>

#include "background/store/outbox_admin.h"

/*
 * {"id","event_id","type","subject","effect","target","recipient","delivery","state","attempts":N,"cause","reason","created",
 *  "next_attempt" or "settled", "replayed"}, with null for what there is none of; `whole` adds "attempt_log" and "reply". NULL without memory.
 * The name of an effect with targets is taken apart: "hooks.shop" is effect "hooks" and target "shop".
 */
json_t *effects_json_entry(const struct outbox_entry *entry, bool whole);

/* RFC 3339; null for 0: it has not been. */
json_t *effects_json_time(int64_t ms);
/* null for "" and NULL. Of what a stranger said, bytes that are no UTF-8 become '?'. NULL without memory. */
json_t *effects_json_text(const char *text);

/* {"effect","cause" (null: they were pending),"rows"} of each. NULL without memory. */
json_t *effects_json_tally(const struct outbox_tally *tally);

#endif
