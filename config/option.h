/*
 * One option: a row of a table, and how a value becomes a field of a struct by it.
 * Private to config/.
 *
 * The server's own options (options.c) and those of one effect (options_effects.c) are two
 * tables of the same rows. A row says all there is to know; reading, defaults, freeing,
 * help and "did you mean" follow from it.
 */
#ifndef TOKENFIRST_CONFIG_OPTION_H
#define TOKENFIRST_CONFIG_OPTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/options.h"
#include "config/sources.h"

enum option_type {
	OPTION_TEXT,	 /* char *: UTF-8 without control characters, so that it can go into any header or command */
	OPTION_WORD,	 /* char *: one of `words` */
	OPTION_CHOICE,	 /* an enum: the index of one of `words` */
	OPTION_NUMBER,	 /* int64_t */
	OPTION_DURATION, /* int64_t, milliseconds; written "5s" */
	OPTION_SIZE,	 /* int64_t, bytes; written "16KiB" */
	OPTION_BOOL,	 /* bool */
	OPTION_LIST,	 /* char ** and a size_t: texts */
	OPTION_MAP,	 /* objects by name, read by their own table */
	OPTION_OBJECTS,	 /* a list of objects, read by their own table */
};

struct option {
	const char *path; /* "password.memory_kib" */
	enum option_type type;
	const char *unit;	  /* of a number, for people; NULL: a count */
	int64_t min, max;	  /* of the number, in the field's unit; for texts and lists `max` is a length */
	const char *fallback;	  /* the default, as it would be written after --set; NULL: none */
	const char *const *words; /* NULL-terminated */
	size_t offset;		  /* of the field in its struct */
	size_t count_offset;	  /* OPTION_LIST: of the size_t */
	bool required;		  /* reported by the reader of the scope, not by option_read */
	bool may_be_empty;	  /* OPTION_TEXT: may be empty */
	bool lone;		  /* OPTION_LIST: a text in place of a list is a list of one */
	bool secret;		  /* the value is not repeated in messages */
	const char *doc;
};

struct option_table {
	const struct option *rows;
	size_t count;
};

/* Row with exactly this path; NULL: none. */
const struct option *option_find(const struct option_table *table, const char *path);

/*
 * A struct being filled: its table, and the path that leads to it ("" or "effects.crm."). One of several targets of
 * an effect ("effects.hooks.urls[1].") has in `outer` the effect's own path ("effects.hooks."), which speaks where the
 * target says nothing, and in `merged` what both say together. Else these are NULL.
 */
struct option_scope {
	struct sources *sources;
	const struct option_table *table;
	const char *prefix;
	const char *outer;
	json_t *merged;
	void *base;
};

/*
 * The full path of `path`, which is relative to the scope, as findings name it: of a target, what it says itself is in
 * the list, what it says nothing about is its effect's.
 */
void scope_path(const struct option_scope *scope, const char *path, char ret_path[LIMIT_CONFIG_PATH]);

/* Findings at `path`, which is relative to the scope; "" is the scope as a whole. */
void scope_error(const struct option_scope *scope, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void scope_warn(const struct option_scope *scope, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What was said about `path`, relative to the scope; NULL: nothing. Borrowed. */
json_t *scope_find(const struct option_scope *scope, const char *path);
bool scope_given(const struct option_scope *scope, const char *path);

/* The JSON value that `text`, from a command line, stands for; NULL: not UTF-8, or no memory. */
json_t *option_value(const struct option *row, const char *text);

/* Checks `value` against its row and stores it in the scope's struct, or reports what is wrong. */
void option_read(const struct option_scope *scope, const struct option *row, const json_t *value);

/* Whether `value` is what a row of OPTION_OBJECTS takes. */
bool option_objects(const struct option *row, const json_t *value);

/* What a row takes, for messages and help: "a number from 1 to 64", "one of a, b". */
void option_describe(const struct option *row, char *ret_text, size_t size);

/* A value, as it would be written after --set, into the struct. */
void option_set(const struct option_scope *scope, const struct option *row, const char *text);

/* Every row's default into the struct; rows without one are left as they are (zero). */
void option_defaults(const struct option_scope *scope);

/* Frees what the rows own in `base`. */
void option_release(const struct option_table *table, void *base);

void option_free_list(char **list, size_t count);

/* "PATH  type, range, default" and the meaning on the next line; `prefix` as in a scope. */
void option_help(const struct option *row, const char *prefix, FILE *out);

#endif
