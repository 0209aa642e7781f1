#include "server/accounts/import_line.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "config/json_text.h"

enum { NAME_SHOWN = 40 };

static const char *const members[] = {"username", "email", "password_hash", "admin", "disabled"};
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

static int invalid(char ret_why[IMPORT_WHY], const char *why)
{
	(void)snprintf(ret_why, IMPORT_WHY, "%s", why);
	return ERR_INVALID;
}

/* A name that can be shown: ours are of letters and underscores. */
static bool presentable(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

	return len > 0 && len <= NAME_SHOWN && name[len] == '\0';
}

static int check_members(const json_t *object, char ret_why[IMPORT_WHY])
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, name, value)
	{
		bool known = false;

		for (size_t i = 0; i < MEMBERS; i++)
			known |= strcmp(name, members[i]) == 0;
		if (known)
			continue;
		(void)snprintf(ret_why, IMPORT_WHY, "unknown member%s%s", presentable(name) ? " " : "",
			presentable(name) ? name : "");
		return ERR_INVALID;
	}
	return 0;
}

/* false: it is there and is neither true nor false. */
static bool read_flag(const json_t *object, const char *name, bool *ret_flag)
{
	const json_t *value = json_object_get(object, name);

	if (value && !json_is_boolean(value))
		return false;
	*ret_flag = json_is_true(value);
	return true;
}

static int read_object(
	const json_t *object, const struct stored_rules *rules, struct user *ret_user, char ret_why[IMPORT_WHY])
{
	const json_t *email_value = json_object_get(object, "email");
	const char *username = json_string_value(json_object_get(object, "username"));
	const char *email = json_is_null(email_value) || !email_value ? "" : json_string_value(email_value);
	const char *hash = json_string_value(json_object_get(object, "password_hash"));
	struct user user = {.id = 0};
	const char *why = NULL;
	int err = check_members(object, ret_why);

	if (err)
		return err;
	if (!username)
		return invalid(ret_why, "username is missing, or no text");
	if (username_acceptable(username, &why))
		return invalid(ret_why, why);
	if (!email)
		return invalid(ret_why, "email is no text");
	if (*email && email_acceptable(email, &why))
		return invalid(ret_why, why);
	if (!hash)
		return invalid(ret_why, "password_hash is missing, or no text");
	if (stored_acceptable(rules, hash, &why))
		return invalid(ret_why, why);
	if (!read_flag(object, "admin", &user.admin) || !read_flag(object, "disabled", &user.disabled))
		return invalid(ret_why, "admin and disabled must be true or false");
	/* each has been checked to fit */
	memcpy(user.username, username, strlen(username) + 1);
	memcpy(user.email, email, strlen(email) + 1);
	memcpy(user.password, hash, strlen(hash) + 1);
	*ret_user = user;
	return 0;
}

int import_line_read(
	const char *line, size_t len, const struct stored_rules *rules, struct user *ret_user, char ret_why[IMPORT_WHY])
{
	json_error_t error;
	json_t *object = NULL;
	int err;

	if (len > LIMIT_IMPORT_LINE) {
		(void)snprintf(ret_why, IMPORT_WHY, "longer than %d bytes", LIMIT_IMPORT_LINE);
		return ERR_INVALID;
	}
	err = json_text_read(line, len, &object, &error);
	if (err == ERR_MEMORY)
		return err;
	/* jansson's own words show what they are about */
	if (!object && json_error_code(&error) == json_error_duplicate_key)
		return invalid(ret_why, "a member is there twice");
	if (!object) {
		(void)snprintf(ret_why, IMPORT_WHY, "not JSON, at byte %d", error.position);
		return ERR_INVALID;
	}
	if (json_is_object(object))
		err = read_object(object, rules, ret_user, ret_why);
	else
		err = invalid(ret_why, "not a JSON object");
	json_decref(object);
	return err;
}
