/*
 * A tree and a table side by side: what both name is read, what only the tree names is an
 * error with the nearest name that could have been meant at that place.
 */
#include "config/tables.h"

#include <string.h>

#include "config/nearest.h"

bool tables_group(const struct option_table *table, const char *path)
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
		else if (!plain || !tables_group(scope->table, group))
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

/* Objects can't be set by one text. */
static bool can_be_text(const struct option *row)
{
	return row->type != OPTION_MAP && row->type != OPTION_OBJECTS;
}

static void offer_paths(struct nearest *nearest, const struct option_table *table, const char *prefix)
{
	for (size_t i = 0; i < table->count; i++) {
		char path[LIMIT_CONFIG_PATH];
		(void)snprintf(path, sizeof path, "%s%s", prefix, table->rows[i].path);
		if (can_be_text(&table->rows[i]))
			nearest_offer(nearest, path);
	}
}

/* A map of objects by name, and the table of those. */
static const struct {
	const char *prefix;
	const struct option_table *table;
} maps[] = {{"effects.", &effect_options}, {"services.", &service_options}};

enum { MAP_PREFIX_SIZE = sizeof "services." + LIMIT_EFFECT_NAME + 1 };

/* Row of a path that leads into a map; `ret_prefix` and `ret_table` are its object, where it is in a map. */
static const struct option *find_in_maps(
	const char *path, char ret_prefix[MAP_PREFIX_SIZE], const struct option_table **ret_table)
{
	char name[LIMIT_EFFECT_NAME + 1];

	for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
		const size_t len = strlen(maps[i].prefix);
		if (strncmp(path, maps[i].prefix, len) != 0)
			continue;
		(void)snprintf(name, sizeof name, "%.*s", (int)strcspn(path + len, "."), path + len);
		(void)snprintf(ret_prefix, MAP_PREFIX_SIZE, "%s%s.", maps[i].prefix, name);
		if (!effect_name_valid(name)) /* what is near it could not be set either */
			return NULL;
		*ret_table = maps[i].table;
		if (!strncmp(path, ret_prefix, strlen(ret_prefix)))
			return option_find(maps[i].table, path + strlen(ret_prefix));
	}
	return NULL;
}

const struct option *tables_find(const char *path, char ret_nearest[LIMIT_CONFIG_PATH])
{
	char prefix[MAP_PREFIX_SIZE] = "";
	const struct option_table *table = NULL;
	const struct option *row = option_find(&server_options, path);
	struct nearest nearest;

	if (!row)
		row = find_in_maps(path, prefix, &table);
	ret_nearest[0] = '\0';
	if (row && can_be_text(row))
		return row;
	if (row) {
		(void)snprintf(ret_nearest, LIMIT_CONFIG_PATH, "%s", path);
		return NULL;
	}
	nearest_init(&nearest, path);
	if (table)
		offer_paths(&nearest, table, prefix);
	offer_paths(&nearest, &server_options, "");
	const char *best = nearest_best(&nearest);
	(void)snprintf(ret_nearest, LIMIT_CONFIG_PATH, "%s", best ? best : "");
	return NULL;
}
