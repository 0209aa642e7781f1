/*
 * The bodies of login and sign-up: JSON, then what may be a name, an address, a password; its normal form, and the rules for new
 * ones.
 */
#include "background/effects/mail.h"
#include "config/json_text.h"
#include "config/utf8.h"
#include "server/accounts/users.h"
#include "server/password/normal.h"
#include "server/password/policy.h"
#include "tests/fuzz/fuzz.h"

static struct config config = {.password = {.min_length = 8, .max_length = 128}};
static struct policy *policy;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char why[POLICY_WHY] = "";

	(void)argc, (void)argv;
	json_text_setup();
	fuzz_require(policy_new(&config, NULL, &policy, why) == 0, "a policy can be made");
	return 0;
}

static void try_username(const char *name)
{
	const char *why = NULL;
	char key[USERS_KEY_SIZE], again[USERS_KEY_SIZE];

	if (username_acceptable(name, &why) != 0) {
		fuzz_require(why != NULL && *why != '\0', "a refusal says why");
		return;
	}
	fuzz_require(!fuzz_has_control(name) && strpbrk(name, " <>\",;:/\\%&='") == NULL, "a name is plain");
	fuzz_require(users_key(name, key) && users_key(key, again) && strcmp(key, again) == 0, "a key is its own key");
}

static void try_email(const char *email)
{
	const char *why = NULL;
	char key[USERS_KEY_SIZE];

	if (email_acceptable(email, &why) != 0) {
		fuzz_require(why != NULL && *why != '\0', "a refusal says why");
		return;
	}
	fuzz_require(strpbrk(email, "\r\n \t<>,;\"\\") == NULL && !fuzz_has_control(email), "no more than an address");
	fuzz_require(strchr(email, '@') == strrchr(email, '@'), "one @");
	fuzz_require(mail_address_valid(email), "mails can be sent to it");
	fuzz_require(users_key(email, key), "it has a key");
}

static void try_password(const char *password, const char *username, const char *email)
{
	struct normal normal = {.text = NULL}, again = {.text = NULL};
	const char *why = NULL;
	char refusal[POLICY_WHY] = "";
	bool acceptable = password_acceptable(password, &why) == 0;
	int err = normal_make(password, NORMAL_CASE_KEPT, &normal);

	fuzz_require(!acceptable || err == 0, "what is acceptable has a normal form");
	if (err == 0) {
		fuzz_require(utf8_valid(normal.text) && strlen(normal.text) == normal.len, "a normal form is a text");
		if (normal.len <= LIMIT_PASSWORD && normal_make(normal.text, NORMAL_CASE_KEPT, &again) == 0)
			fuzz_require(strcmp(normal.text, again.text) == 0, "a normal form is its own");
	}
	if (acceptable && policy_check(policy, password, username, email, refusal) != 0)
		fuzz_require(refusal[0] != '\0', "a refusal says why");
	normal_release(&again);
	normal_release(&normal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *username, *email, *password;
	json_t *body = NULL;

	if (json_text_read((const char *)data, size, &body, NULL) != 0)
		return 0;
	username = json_string_value(json_object_get(body, "username"));
	email = json_string_value(json_object_get(body, "email"));
	password = json_string_value(json_object_get(body, "password"));
	if (username != NULL)
		try_username(username);
	if (email != NULL)
		try_email(email);
	if (password != NULL)
		try_password(password, username, email);
	json_decref(body);
	return 0;
}
