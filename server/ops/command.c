#include "server/ops/command.h"

#include <string.h>

#include "server/ops/effects_command.h"
#include "server/ops/import_command.h"
#include "server/ops/keys_command.h"
#include "server/ops/revoke_all.h"
#include "server/ops/user_command.h"

static const struct command commands[] = {
	{"user.add", user_add_store, NULL},
	{"user.import_add", import_command_add, NULL},
	{"user.import_finish", import_command_finish, NULL},
	{"user.import_forget", import_command_forget, NULL},
	{"user.disable", user_disable_store, user_disable_live},
	{"user.enable", user_enable_store, user_enable_live},
	{"user.delete", user_delete_store, user_delete_live},
	{"user.revoke", user_revoke_store, user_revoke_live},
	{"user.revoke_all", user_revoke_all_store, user_revoke_all_live},
	{"user.require_reset", user_require_reset_store, user_require_reset_live},
	{"user.passwd", user_passwd_store, user_passwd_live},
	{"user.totp_remove", user_totp_remove_store, user_totp_remove_live},
	{"user.unlock", user_unlock_store, user_unlock_live},
	{"user.invite", NULL, user_invite_live},
	{"keys.rotate", keys_rotate_store, keys_rotate_live},
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
