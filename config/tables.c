/*
 * A tree and a table side by side: what both name is read, what only the tree names is an
 * error with the nearest name that could have been meant at that place.
 */
#include "config/tables.h"

#include <string.h>

#include "config/nearest.h"

/* Whether `path` ("password.") begins the path of some row. */
static bool is_group(const struct option_table *table, const char *path)
{
	for (size_t i = 0; i < table->count; i++) {
		if (!strncmp(table->rows[i].path, path, strlen(path)))
			return true;
	}
	return false;
}

/* Offers each name that may stand in the object at `path` ("" or "retry."): the next part of the rows' paths. */
static void offer_members(struct nearest *nearest, const struct option_table *table, const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < table->count; i++) {
		const char *row = table->rows[i].path;
		char name[LIMIT_NEAREST_NAME];
		if (strncmp(row, path, len) != 0)
			continue;
		(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(row + len, "."), row + len);
		nearest_offer(nearest, name);
	}
}

static void unknown_key(const struct option_scope *scope, const char *path, const char *key, const char *child)
{
	struct nearest nearest;

	nearest_init(&nearest, key);
	offer_members(&nearest, scope->table, path);
	const char *best = nearest_best(&nearest);
	if (best)
		scope_error(scope, child, "unknown option; did you mean \"%s\"?", best);
	else
		scope_error(scope, child, "unknown option; `help config` lists all");
}

/* The object at `path`, which is "" or ends in a dot. Goes as deep as the rows' paths do. */
static void walk(const struct option_scope *scope, const json_t *object, const char *path)
{
	const char *key = NULL;
	json_t *value = NULL;

	json_object_foreach((json_t *)object, key, value)
	{
		char child[LIMIT_CONFIG_PATH], group[LIMIT_CONFIG_PATH + 1];
		(void)snprintf(child, sizeof child, "%s%s", path, key);
		(void)snprintf(group, sizeof group, "%s.", child);
		/* {"password.queue": 1} is no way to write {"password": {"queue": 1}} */
		bool plain = !strchr(key, '.');
		const struct option *row = plain ? option_find(scope->table, child) : NULL;
		if (row)
			option_read(scope, row, value);
		else if (!plain || !is_group(scope->table, group))
			unknown_key(scope, path, key, child);
		else if (!json_is_object(value))
			scope_error(scope, child, "must be an object");
		else
			walk(scope, value, group);
	}
}

void tables_walk(const struct option_scope *scope, const json_t *object)
{
	walk(scope, object, "");
}

static void offer_paths(struct nearest *nearest, const struct option_table *table, const char *prefix)
{
	for (size_t i = 0; i < table->count; i++) {
		char path[LIMIT_CONFIG_PATH];
		(void)snprintf(path, sizeof path, "%s%s", prefix, table->rows[i].path);
		if (table->rows[i].type != OPTION_MAP)
			nearest_offer(nearest, path);
	}
}

const struct option *tables_find(const char *path, char ret_nearest[LIMIT_CONFIG_PATH])
{
	static const char map[] = "effects.";
	char prefix[sizeof map + LIMIT_EFFECT_NAME + 1] = "";
	char name[LIMIT_EFFECT_NAME + 1];
	const struct option *row = option_find(&server_options, path);
	struct nearest nearest;

	if (row && row->type == OPTION_MAP)
		row = NULL; /* a whole map can't be set by one text */
	if (!strncmp(path, map, sizeof map - 1)) {
		const char *begin = path + sizeof map - 1;
		(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(begin, "."), begin);
		(void)snprintf(prefix, sizeof prefix, "%s%s.", map, name);
		if (effect_name_valid(name) && !strncmp(path, prefix, strlen(prefix)))
			row = option_find(&effect_options, path + strlen(prefix));
	}
	ret_nearest[0] = '\0';
	if (row)
		return row;
	nearest_init(&nearest, path);
	if (prefix[0])
		offer_paths(&nearest, &effect_options, prefix);
	offer_paths(&nearest, &server_options, "");
	const char *best = nearest_best(&nearest);
	(void)snprintf(ret_nearest, LIMIT_CONFIG_PATH, "%s", best ? best : "");
	return NULL;
}
