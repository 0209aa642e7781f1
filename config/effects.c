/*
 * The map at "effects", effect by effect and target by target.
 *
 * An effect with `urls` is read once for each of them: the target's own object is laid over the effect's, and what
 * results is read like any effect. What both share is thus looked at once for each target, and its findings, which name
 * the effect's own line, are kept once.
 */
#include <stdlib.h>
#include <string.h>

#include "config/tables.h"

static const struct option target_name = {.path = "name",
	.type = OPTION_TEXT,
	.max = LIMIT_CONFIG_TEXT,
	.offset = offsetof(struct effect_config, target),
	.doc = "how this target is told from the others"};

static bool name_valid(const char *name, size_t most)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
	static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

	if (!name[0] || !strchr(letters, name[0]) || strstr(name, "__"))
		return false;
	return strspn(name, others) == strlen(name) && strlen(name) <= most;
}

bool effect_name_valid(const char *name)
{
	return name_valid(name, LIMIT_EFFECT_NAME);
}

/* The list of an effect's targets; NULL: it has but one. */
static const json_t *targets_of(const json_t *value)
{
	const json_t *urls = json_object_get(value, "urls");

	return urls && option_objects(option_find(&effect_options, "urls"), urls) ? urls : NULL;
}

/*
 * What both objects say: groups (retry, breaker) member by member, all else, and auth, as `above` has it. Credentials
 * of one target never mix with those of another. NULL: no memory.
 */
static json_t *lay_over(const json_t *below, const json_t *above, const char *path)
{
	json_t *merged = json_copy((json_t *)below), *value = NULL;
	const char *key = NULL;

	json_object_foreach((json_t *)above, key, value)
	{
		char group[LIMIT_CONFIG_PATH];
		const json_t *own = json_object_get(merged, key);
		(void)snprintf(group, sizeof group, "%s%s.", path, key);
		bool mixes = json_is_object(own) && json_is_object(value) && strcmp(group, "auth.") != 0 &&
			     tables_group(&effect_options, group);
		json_t *both = mixes ? lay_over(own, value, group) : json_incref(value);
		if (json_object_set_new(merged, key, both)) {
			json_decref(merged);
			return NULL;
		}
	}
	return merged;
}

/* Values that nobody gave and that follow from others. */
static void resolve(const struct option_scope *scope, struct effect_config *effect)
{
	for (size_t i = 0; effect->type && i < effect_options.count; i++) {
		const struct option *row = &effect_options.rows[i];
		const char *fallback = effect_default(effect->type, row);
		if (fallback && !scope_given(scope, row->path))
			option_set(scope, row, fallback);
	}
	if (!effect->rate.burst)
		effect->rate.burst = effect->rate.per_second > 0 ? effect->rate.per_second : 1;
}

/* All but the names, of an effect or of one of its targets. */
static void read_options(const struct option_scope *scope, const json_t *value, struct effect_config *effect)
{
	option_defaults(scope);
	tables_walk(scope, value);
	for (size_t i = 0; i < effect_options.count; i++) {
		const struct option *row = &effect_options.rows[i];
		bool instead = !strcmp(row->path, "url") && (scope->outer || scope_given(scope, "urls"));
		if (row->required && !instead && !scope_given(scope, row->path))
			scope_error(scope, row->path, "is missing: %s", row->doc);
	}
	resolve(scope, effect);
	effect_check(scope, effect);
}

/* "crm", or "hooks.shop"; and the place, for what is found to be wrong with it later. */
static void set_names(const struct option_scope *scope, const char *name, struct effect_config *effect)
{
	char full[LIMIT_TARGET_KEY + 1], path[LIMIT_CONFIG_PATH], place[LIMIT_CONFIG_MESSAGE];

	(void)snprintf(
		full, sizeof full, "%s%s%s", name, effect->target ? "." : "", effect->target ? effect->target : "");
	effect->effect = strdup(name);
	effect->name = strdup(full);
	scope_path(scope, "", path);
	sources_place(scope->sources, path, place);
	effect->place = strdup(place);
	if (!effect->effect || !effect->name || !effect->place)
		scope->sources->no_memory = true;
}

/* `others` are the targets before it. */
static void check_target_name(
	const struct option_scope *scope, const struct effect_config *others, const struct effect_config *effect)
{
	if (!name_valid(effect->target, LIMIT_TARGET_NAME))
		scope_error(scope, target_name.path,
			"a name of a target is a lower-case letter, then letters, digits and _ (no __), %d bytes at "
			"most",
			LIMIT_TARGET_NAME);
	for (; others < effect; others++) {
		if (others->target && !strcmp(others->target, effect->target))
			scope_error(
				scope, target_name.path, "\"%s\" is the name of another target too", effect->target);
	}
}

/* What a target must say itself, and what it can't. */
static void read_own(const struct option_scope *scope, const json_t *own, const struct effect_config *others,
	struct effect_config *effect)
{
	const struct option_scope alone = {
		.sources = scope->sources, .table = scope->table, .prefix = scope->prefix, .base = effect};
	const json_t *name = json_object_get(own, target_name.path);

	if (name)
		option_read(&alone, &target_name, name);
	else
		scope_error(&alone, target_name.path, "is missing: %s", target_name.doc);
	if (effect->target)
		check_target_name(&alone, others, effect);
	if (!json_object_get(own, "url"))
		scope_error(&alone, "url", "is missing: %s", option_find(scope->table, "url")->doc);
	if (json_object_get(own, "urls"))
		scope_error(&alone, "urls", "is for effects; a target has a url");
}

/* Target `index` of those of one effect, the first of which is `first`. */
static void read_target(
	struct sources *sources, const char *name, const json_t *value, size_t index, struct effect_config *first)
{
	char outer[LIMIT_EFFECT_NAME + sizeof "effects.."], prefix[sizeof outer + sizeof "urls[]." + 20];
	struct effect_config *effect = &first[index];
	struct option_scope scope = {
		.sources = sources, .table = &effect_options, .prefix = prefix, .outer = outer, .base = effect};
	const json_t *own = json_array_get(targets_of(value), index);
	json_t *shared = json_copy((json_t *)value);

	(void)snprintf(outer, sizeof outer, "effects.%s.", name);
	(void)snprintf(prefix, sizeof prefix, "%surls[%zu].", outer, index);
	(void)json_object_del(shared, "url");
	scope.merged = shared ? lay_over(shared, own, "") : NULL;
	if (scope.merged) {
		(void)json_object_del(scope.merged, target_name.path);
		(void)json_object_del(scope.merged, "urls");
		read_own(&scope, own, first, effect);
		set_names(&scope, name, effect);
		read_options(&scope, scope.merged, effect);
	} else {
		sources->no_memory = true;
	}
	json_decref(scope.merged);
	json_decref(shared);
}

/* One effect, into as many of `config`'s as it has targets; what is wrong with it is reported. */
static void read_effect(struct sources *sources, const char *name, const json_t *value, struct config *config)
{
	char prefix[LIMIT_EFFECT_NAME + sizeof "effects.."];
	struct effect_config *effect = &config->effects[config->effect_count];
	struct option_scope scope = {.sources = sources, .table = &effect_options, .prefix = prefix, .base = effect};
	const size_t several = json_array_size(targets_of(value));

	(void)snprintf(prefix, sizeof prefix, "effects.%s.", name);
	config->effect_count += several ? several : 1;
	if (scope_given(&scope, "url") && scope_given(&scope, "urls"))
		scope_error(&scope, "url", "excludes urls: give the targets there, or the only one here");
	if (several && scope_given(&scope, target_name.path))
		scope_error(&scope, target_name.path, "is for the objects in urls");
	for (size_t i = 0; i < several; i++)
		read_target(sources, name, value, i, effect);
	if (several)
		return;
	set_names(&scope, name, effect);
	if (json_is_object(value))
		read_options(&scope, value, effect);
	else
		scope_error(&scope, "", "must be an object");
}

/* How many targets all effects have; 0: none, or too many, which is reported. */
static size_t count_targets(const struct option_scope *scope, json_t *map)
{
	size_t effects = json_object_size(map), targets = 0;
	const char *name = NULL;
	json_t *value = NULL;

	json_object_foreach(map, name, value)
	{
		const size_t several = json_array_size(targets_of(value));
		targets += several ? several : 1;
	}
	if (effects > LIMIT_EFFECTS)
		scope_error(scope, "effects", "there are %zu, at most %d are possible", effects, LIMIT_EFFECTS);
	else if (targets > LIMIT_TARGETS)
		scope_error(scope, "effects", "they have %zu targets, at most %d are possible", targets, LIMIT_TARGETS);
	else
		return targets;
	return 0;
}

void effects_read(struct sources *sources, struct config *config)
{
	struct option_scope scope = {.sources = sources, .table = &server_options, .prefix = "", .base = config};
	json_t *map = sources_find(sources, "effects"), *value = NULL;
	const char *name = NULL;
	size_t count = count_targets(&scope, map);

	if (!count)
		return;
	config->effects = calloc(count, sizeof *config->effects);
	if (!config->effects) {
		sources->no_memory = true;
		return;
	}
	json_object_foreach(map, name, value)
	{
		char path[LIMIT_CONFIG_PATH];
		(void)snprintf(path, sizeof path, "effects.%s", name);
		if (effect_name_valid(name))
			read_effect(sources, name, value, config);
		else
			scope_error(&scope, path,
				"a name of an effect is a lower-case letter, then letters, digits and _"
				" (no __), %d bytes at most",
				LIMIT_EFFECT_NAME);
	}
}
