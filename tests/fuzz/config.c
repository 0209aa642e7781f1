/*
 * The file of options, with settings and environment over it. A secret that is given beside it shows up in no message.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "config/json_text.h"
#include "config/options.h"
#include "config/utf8.h"
#include "tests/fuzz/fuzz.h"

#define SECRET "zq-7-not-to-be-shown"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	json_text_setup();
	return 0;
}

static void require_findings(const struct config_errors *findings, bool shows_it_itself)
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct config_error *item = &findings->items[i];

		fuzz_require(*item->place != '\0' && *item->message != '\0', "a finding says where and what");
		fuzz_require(shows_it_itself ||
				     (strstr(item->message, SECRET) == NULL && strstr(item->path, SECRET) == NULL &&
					     strstr(item->place, SECRET) == NULL),
			"no secret in a message");
	}
}

static void require_sound(const struct config *config)
{
	fuzz_require(config->listen != NULL && config->store != NULL && config->token.issuer != NULL &&
			     config->token.audience != NULL && config->totp.issuer != NULL,
		"what must be there is there");
	for (size_t i = 0; i < config->effect_count; i++) {
		const struct effect_config *effect = &config->effects[i];

		fuzz_require(effect->name != NULL && effect->type != NULL && effect->url != NULL, "an effect is whole");
		fuzz_require(!fuzz_has_control(effect->url), "a URL is one line");
		fuzz_require(
			effect->retry.first_ms <= effect->retry.cap_ms && effect->max_in_flight > 0, "its bounds fit");
	}
}

/* The text goes into a file of memory, which is read by its name. */
static void load(const char *text, size_t len, struct config_source *source, bool shows_it_itself)
{
	int fd = memfd_create("config", MFD_CLOEXEC);
	char path[64];
	struct config *config = NULL;
	struct config_errors errors = {.count = 0}, warnings = {.count = 0};

	fuzz_require(fd >= 0 && write(fd, text, len) == (ssize_t)len, "a file can be written");
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	source->file = path;
	int err = config_load(source, &config, &errors, &warnings);
	fuzz_require(err == 0 || (err == ERR_INVALID && errors.count > 0), "it is loaded, or it is said why not");
	fuzz_require(err != 0 || errors.count == 0, "a config has no errors");
	require_findings(&errors, shows_it_itself);
	require_findings(&warnings, shows_it_itself);
	if (err == 0)
		require_sound(config);
	config_free(config);
	config_errors_release(&errors);
	config_errors_release(&warnings);
	close(fd);
}

/* Whether the input has the secret itself, in any case of letters: names of variables are told in small ones. */
static bool shows_secret(const char *bytes, size_t size)
{
	const size_t len = strlen(SECRET);

	for (size_t i = 0; i + len <= size; i++) {
		if (strncasecmp(bytes + i, SECRET, len) == 0)
			return true;
	}
	return false;
}

/* Lines "key=value" of the front up to an empty one are settings and, in capitals, variables; the file follows. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	const char *settings[6] = {"password.pepper=" SECRET};
	char *environment[6] = {(char *)(uintptr_t) "TOKENFIRST_SERVICES__SHOP__TOKEN=" SECRET};
	char *lines[8];
	size_t setting_count = 1, variable_count = 1, line_count = 0, len = 0;
	bool shows = shows_secret((const char *)data, size);

	while (line_count < 8 && input.left > 0 && *input.at != '{') {
		char *line = fuzz_text(&input, '\n', &len);

		lines[line_count++] = line;
		if (strncmp(line, "TOKENFIRST_", 11) == 0 && variable_count < 5)
			environment[variable_count++] = line;
		else if (len > 0 && setting_count < 6)
			settings[setting_count++] = line;
	}
	char *text = fuzz_text(&input, '\0', &len);
	struct config_source source = {
		.settings = settings, .setting_count = setting_count, .environment = environment};
	load(text, len, &source, shows);
	free(text);
	for (size_t i = 0; i < line_count; i++)
		free(lines[i]);
	return 0;
}
