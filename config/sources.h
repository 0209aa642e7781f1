/*
 * What was said, where, and how loud: file, environment and --set, merged into one JSON
 * tree that remembers the origin of each value. Private to config/.
 *
 * Later sources overwrite earlier ones value by value. Findings about a path get the place
 * that a person has to edit: a line of the file, a variable, or a setting.
 */
#ifndef TOKENFIRST_CONFIG_SOURCES_H
#define TOKENFIRST_CONFIG_SOURCES_H

#include <jansson.h>
#include <stdbool.h>

#include "config/buf.h"
#include "config/options.h"

enum source_rank { SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_SETTING };

/* A value that does not come from the file. */
struct override {
	char *path;
	char *place;
	enum source_rank rank;
};

struct sources {
	const char *file; /* NULL: none */
	struct buf text;  /* of the file */
	json_t *root;	  /* the merged tree, an object; NULL if the file could not be read */
	struct override *overrides;
	size_t override_count;
	char **environment;
	struct config_errors *errors, *warnings;
	bool no_memory; /* sticky: set by whoever runs out of it */
};

/* Borrows all it is given and reads the file; what is wrong is in `errors`. To be released in any case. */
void sources_read(struct sources *sources, const struct config_source *source, struct config_errors *errors,
	struct config_errors *warnings);
void sources_release(struct sources *sources);

/* Puts a value over what was there. Takes `value`, in any case. */
void sources_override(
	struct sources *sources, const char *path, json_t *value, enum source_rank rank, const char *place);

/* Environment and settings over the file (overrides.c). */
void overrides_read(struct sources *sources, const struct config_source *source);

/* The value at "effects.crm.url" or "effects.hooks.urls[1].url"; NULL: nobody said anything about it. Borrowed. */
json_t *sources_find(const struct sources *sources, const char *path);

/* The same below any object. */
json_t *sources_member(json_t *object, const char *path);

/* Where the value at `path` comes from; the file also stands for the defaults. */
enum source_rank sources_rank(const struct sources *sources, const char *path);

/* The value of an environment variable; NULL if it is not set. Borrowed. */
const char *sources_environment(const struct sources *sources, const char *name);

/* "config/demo.json:12", "--set listen", …: where the value at `path` comes from, or else what should hold it. */
void sources_place(const struct sources *sources, const char *path, char ret_place[LIMIT_CONFIG_MESSAGE]);

/* A finding about `path`, at the place that it comes from; `list` is one of `errors` and `warnings`. */
void sources_finding(struct sources *sources, struct config_errors *list, const char *path, const char *format,
	va_list args) __attribute__((format(printf, 4, 0)));

#endif
