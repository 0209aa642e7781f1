/*
 * Lines of an import, and hashes of other programs: read, wrapped and, where it is cheap, checked.
 */
#include <sodium.h>

#include "config/json_text.h"
#include "config/options.h"
#include "server/accounts/import_line.h"
#include "server/password/foreign.h"
#include "tests/fuzz/fuzz.h"

static struct stored_rules rules;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct config config = {.password = {.memory_kib = 8, .passes = 1}};

	(void)argc, (void)argv;
	json_text_setup();
	fuzz_require(sodium_init() >= 0, "libsodium");
	stored_rules_make(&config, &rules);
	return 0;
}

static void try_foreign(const char *stored)
{
	struct foreign foreign, again;
	const char *hash = NULL, *why = NULL;

	if (foreign_read(stored, &foreign, &hash, &why) != 0) {
		fuzz_require(why != NULL && *why != '\0', "a refusal says why");
		return;
	}
	fuzz_require(strlen(hash) == foreign.hash_len && foreign.hash_len < FOREIGN_OUTPUT, "a hash has its length");
	fuzz_require(hash >= stored && hash + foreign.hash_len == stored + strlen(stored), "it is the end of the text");
	fuzz_require(foreign.settings_len <= LIMIT_FOREIGN_HASH && foreign.salt_len <= FOREIGN_SALT, "settings fit");
	why = NULL;
	fuzz_require(foreign_read_settings(foreign.settings, foreign.settings_len, foreign.hash_len, &again, &why) == 0,
		"settings alone are read as well");
	fuzz_require(again.kind == foreign.kind && again.rounds == foreign.rounds && again.n == foreign.n &&
			     again.r == foreign.r && again.p == foreign.p && again.salt_len == foreign.salt_len,
		"and say the same");
}

static void try_stored(const char *stored)
{
	const char *why = NULL;
	int err = stored_acceptable(&rules, stored, &why);

	if (err != 0)
		fuzz_require(why != NULL && *why != '\0' && !fuzz_has_control(why), "a refusal says why");
	else
		fuzz_require(
			strlen(stored) < PASSWORD_HASH_SIZE && !fuzz_has_control(stored), "what is taken fits its row");
}

static void try_line(const char *line, size_t len)
{
	struct user user = {.id = -1};
	char why[IMPORT_WHY] = "";
	const char *reason = NULL;

	if (import_line_read(line, len, &rules, &user, why) != 0) {
		fuzz_require(user.id == -1 && why[0] != '\0' && !fuzz_has_control(why), "a refusal says why alone");
		fuzz_require(strchr(why, '$') == NULL, "and shows no hash");
		return;
	}
	fuzz_require(username_acceptable(user.username, &reason) == 0, "a name is one");
	fuzz_require(user.email[0] == '\0' || email_acceptable(user.email, &reason) == 0, "an address is one");
	fuzz_require(stored_acceptable(&rules, user.password, &reason) == 0, "a hash can be checked");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	size_t len = 0;
	char *text = fuzz_text(&input, '\0', &len);

	try_line(text, len);
	try_foreign(text);
	try_stored(text);
	free(text);
	return 0;
}
