/*
 * Loads a configuration from texts and looks into what was found wrong with it.
 */
#ifndef TOKENFIRST_TESTS_UNIT_OPTIONS_FIXTURE_H
#define TOKENFIRST_TESTS_UNIT_OPTIONS_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/options.h"

enum { FIXTURE_SETTINGS = 16 };

struct loaded {
	int err;
	char file[64]; /* "" if there is none */
	struct config *config;
	struct config_errors errors, warnings;
};

/* A temporary file with this text; its path into `ret_path`. */
static inline void write_file(char ret_path[64], const char *text, size_t len)
{
	(void)snprintf(ret_path, 64, "/tmp/tokenfirst-options-XXXXXX");
	int fd = mkstemp(ret_path);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, len), (ssize_t)len);
	cr_assert_eq(close(fd), 0);
}

/* `settings` and `environment` are NULL-terminated; all three may be NULL. */
static inline struct loaded load(const char *text, const char *const *settings, const char *const *environment)
{
	struct loaded loaded = {.err = 0};
	struct config_source source = {.settings = settings, .environment = (char **)environment};

	while (settings && settings[source.setting_count])
		source.setting_count++;
	if (text) {
		write_file(loaded.file, text, strlen(text));
		source.file = loaded.file;
	}
	loaded.err = config_load(&source, &loaded.config, &loaded.errors, &loaded.warnings);
	if (text)
		cr_assert_eq(unlink(loaded.file), 0);
	cr_assert_eq(loaded.err == 0, loaded.config != NULL);
	cr_assert_eq(loaded.err == ERR_INVALID, loaded.errors.count > 0);
	return loaded;
}

static inline void unload(struct loaded *loaded)
{
	config_free(loaded->config);
	config_errors_release(&loaded->errors);
	config_errors_release(&loaded->warnings);
}

static inline void print_all(const struct loaded *loaded)
{
	config_errors_print(&loaded->errors, "error", stderr);
	config_errors_print(&loaded->warnings, "warning", stderr);
}

/* Whether there is a finding at this path with `part` in its message. */
static inline const struct config_error *find(const struct config_errors *findings, const char *path, const char *part)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct config_error *item = &findings->items[i];
		if (!strcmp(item->path, path) && strstr(item->message, part))
			return item;
	}
	return NULL;
}

/* The only error must be this one. */
static inline void expect_error(const char *text, const char *path, const char *part)
{
	struct loaded loaded = load(text, NULL, NULL);

	if (loaded.errors.count != 1 || !find(&loaded.errors, path, part))
		print_all(&loaded);
	cr_assert_eq(loaded.err, ERR_INVALID, "%s", text);
	cr_assert_eq(loaded.errors.count, 1, "%zu errors in %s", loaded.errors.count, text);
	cr_assert_not_null(find(&loaded.errors, path, part), "no \"%s\" at %s", part, path);
	unload(&loaded);
}

static inline void expect_fine(const char *text)
{
	struct loaded loaded = load(text, NULL, NULL);

	if (loaded.err)
		print_all(&loaded);
	cr_assert_eq(loaded.err, 0, "%s", text);
	unload(&loaded);
}

/* The only setting, and the only error it may cause. */
static inline void expect_setting_error(const char *setting, const char *path, const char *part)
{
	const char *settings[] = {setting, NULL};
	struct loaded loaded = load(NULL, settings, NULL);

	if (loaded.errors.count != 1 || !find(&loaded.errors, path, part))
		print_all(&loaded);
	cr_assert_eq(loaded.err, ERR_INVALID, "%s", setting);
	cr_assert_eq(loaded.errors.count, 1, "%zu errors from %s", loaded.errors.count, setting);
	cr_assert_not_null(find(&loaded.errors, path, part), "no \"%s\" at %s", part, path);
	unload(&loaded);
}

#endif
