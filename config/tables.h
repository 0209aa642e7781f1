/*
 * The tables of options, and what is checked beyond a single value. Private to config/.
 */
#ifndef TOKENFIRST_CONFIG_TABLES_H
#define TOKENFIRST_CONFIG_TABLES_H

#include "config/option.h"

/* Into struct config. */
extern const struct option_table server_options;

/* Into struct effect_config. */
extern const struct option_table effect_options;

/* Into struct service_config. */
extern const struct option_table service_options;

/* The default of an effect of this type, where it differs from the row's own; NULL: it does not. */
const char *effect_default(const char *type, const struct option *row);

/* Whether `path` ("retry.") begins the path of some row. */
bool tables_group(const struct option_table *table, const char *path);

/*
 * Row of a full path ("password.queue", "effects.crm.url"); NULL: none such. `ret_nearest`, where not NULL, then gets
 * the nearest path that exists, or "", or `path` itself if that is made of objects and can't be set by a text.
 */
const struct option *tables_find(const char *path, char ret_nearest[LIMIT_CONFIG_PATH]);

/* Walks an object of the tree: each known key into the scope's struct, each unknown one an error. */
void tables_walk(const struct option_scope *scope, const json_t *object);

/* The map at "effects", into `config`. */
void effects_read(struct sources *sources, struct config *config);
bool effect_name_valid(const char *name);

/* The map at "services", into `config`. */
void services_read(struct sources *sources, struct config *config);

/* "user.login", "user.*" or "*". */
bool pattern_valid(const char *pattern);

/* What no single row can say. Fields whose value was refused are NULL or hold their default. */
void server_check(const struct option_scope *scope, const struct config *config);
void accounts_check(const struct option_scope *scope, const struct config *config); /* a part of server_check */
void effect_check(const struct option_scope *scope, const struct effect_config *effect);

#endif
