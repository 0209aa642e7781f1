/*
 * The kinds there are, one file each. Only effect.c, which holds the table, and tests need this.
 */
#ifndef TOKENFIRST_BACKGROUND_EFFECTS_KINDS_H
#define TOKENFIRST_BACKGROUND_EFFECTS_KINDS_H

#include "background/effects/effect.h"

extern const struct effect_kind effect_email;
extern const struct effect_kind effect_analytics;
extern const struct effect_kind effect_crm;
extern const struct effect_kind effect_bus;
extern const struct effect_kind effect_webhook;
extern const struct effect_kind effect_chat;

#endif
