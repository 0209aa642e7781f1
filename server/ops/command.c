#include "server/ops/command.h"

#include <string.h>

#include "background/store/audit.h"
#include "config/clock.h"
#include "config/limits.h"
#include "server/accounts/sessions.h"
#include "server/accounts/totp.h"
#include "server/accounts/users.h"
#include "server/ops/effects_command.h"
#include "server/ops/import_command.h"
#include "server/password/stored.h"

/* The command line has hashed it; a password as such has no business here and is refused by its form. */
static bool is_hash(const char *text)
{
	const char *why = NULL;

	return stored_acceptable(NULL, text, &why) == 0;
}

/* Writes down that it was done, and makes the reply. */
static int finish(struct db *writer, const char *type, const struct user *user, int64_t now_ms, json_t **ret_reply)
{
	struct audit_entry entry = {
		.type = type,
		.user_id = user->id,
		.client = "",
		.request_id = "",
		.at_ms = now_ms,
	};
	json_t *reply;
	int err = audit_add(writer, &entry);

	if (err)
		return err;
	reply = json_pack("{s:s, s:s}", "id", user->public_id, "username", user->username);
	if (!reply)
		return ERR_MEMORY;
	*ret_reply = reply;
	return 0;
}

static int user_add(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	const char *username, *email, *hash, *why = NULL;
	struct user user = {.id = 0};
	int64_t now_ms = clock_now_ms();
	int admin, err;

	if (json_unpack((json_t *)(uintptr_t)arguments, "{s:s, s:s, s:b, s:s!}", "username", &username, "email", &email,
		    "admin", &admin, "password", &hash) ||
		username_acceptable(username, &why) || (email[0] && email_acceptable(email, &why)) || !is_hash(hash))
		return ERR_INVALID;
	memcpy(user.username, username, strlen(username) + 1);
	memcpy(user.email, email, strlen(email) + 1);
	memcpy(user.password, hash, strlen(hash) + 1);
	user.admin = admin;
	err = users_add(writer, &user, now_ms);
	return err ? err : finish(writer, "user.added", &user, now_ms, ret_reply);
}

static int user_disable(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	const char *username;
	struct user user;
	int64_t now_ms = clock_now_ms();
	int err;

	if (json_unpack((json_t *)(uintptr_t)arguments, "{s:s!}", "username", &username))
		return ERR_INVALID;
	err = users_find_by_username(writer, username, &user);
	if (!err)
		err = users_set_disabled(writer, user.id, true, now_ms);
	if (!err)
		err = sessions_revoke_all(writer, user.id, 0, now_ms, NULL);
	return err ? err : finish(writer, "user.disabled", &user, now_ms, ret_reply);
}

static int user_passwd(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	const char *username, *hash;
	struct user user;
	int64_t now_ms = clock_now_ms();
	int err;

	if (json_unpack((json_t *)(uintptr_t)arguments, "{s:s, s:s!}", "username", &username, "password", &hash) ||
		!is_hash(hash))
		return ERR_INVALID;
	err = users_find_by_username(writer, username, &user);
	if (!err)
		err = users_set_password(writer, user.id, hash, now_ms);
	if (!err)
		err = sessions_revoke_all(writer, user.id, 0, now_ms, NULL);
	return err ? err : finish(writer, "user.password_set", &user, now_ms, ret_reply);
}

/* For who has lost authenticator and recovery codes, and has shown an operator who they are: the password alone does again. */
static int user_totp_remove(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	const char *username;
	struct user user;
	int err;

	if (json_unpack((json_t *)(uintptr_t)arguments, "{s:s!}", "username", &username))
		return ERR_INVALID;
	err = users_find_by_username(writer, username, &user);
	if (!err)
		err = totp_remove(writer, user.id);
	return err ? err : finish(writer, "user.totp_disabled", &user, clock_now_ms(), ret_reply);
}

static const struct command commands[] = {
	{"user.add", user_add, NULL},
	{"user.import_add", import_command_add, NULL},
	{"user.import_finish", import_command_finish, NULL},
	{"user.import_forget", import_command_forget, NULL},
	{"user.disable", user_disable, NULL},
	{"user.passwd", user_passwd, NULL},
	{"user.totp_remove", user_totp_remove, NULL},
	{"effects.replay", effects_replay_store, effects_replay_live},
	{"effects.discard", effects_discard_store, effects_discard_live},
	{"effects.pause", effects_pause_store, effects_pause_live},
	{"effects.resume", effects_resume_store, effects_resume_live},
	{"effects.targets", NULL, effects_targets_live},
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}
