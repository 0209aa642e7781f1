#include "server/ops/user_command.h"

#include <string.h>

#include "background/telemetry/trace.h"
#include "config/clock.h"
#include "server/accounts/lockout.h"
#include "server/accounts/totp.h"
#include "server/app.h"
#include "server/auth/failure.h"
#include "server/ops/user_change.h"
#include "server/password/stored.h"

/* The command line has hashed it; a password as such has no business here and is refused by its form. */
static bool is_hash(const char *text)
{
	const char *why = NULL;

	return stored_acceptable(NULL, text, &why) == 0;
}

/* What a command says of an account that is there. */
struct words {
	const char *username, *hash; /* hash: of user.passwd alone, else NULL */
};

static int read_words(const json_t *arguments, bool with_hash, struct words *ret_words)
{
	struct words words = {.hash = NULL};
	json_t *json = (json_t *)(uintptr_t)arguments;

	if (with_hash) {
		if (json_unpack(json, "{s:s, s:s!}", "username", &words.username, "password", &words.hash) ||
			!is_hash(words.hash))
			return ERR_INVALID;
	} else if (json_unpack(json, "{s:s!}", "username", &words.username)) {
		return ERR_INVALID;
	}
	*ret_words = words;
	return 0;
}

/* `event_id` "": there is none. */
static int reply_user(const struct user *user, const char *event_id, json_t **ret_reply)
{
	json_t *reply = json_pack("{s:s, s:s, s:s*, s:s*}", "id", user->public_id, "username", user->username, "email",
		user->email[0] ? user->email : NULL, "event_id", event_id[0] ? event_id : NULL);

	if (!reply)
		return ERR_MEMORY;
	*ret_reply = reply;
	return 0;
}

static int change_store(struct db *writer, enum user_change_kind kind, const json_t *arguments, json_t **ret_reply)
{
	struct user_change change;
	struct words words;
	struct user user;
	int err = read_words(arguments, kind == USER_SET_PASSWORD, &words);

	if (!err)
		err = users_find_by_username(writer, words.username, &user);
	if (err)
		return err;
	user_change_init(&change, kind, &user);
	change.hash = words.hash;
	err = user_change_store(&change, writer);
	return err ? err : reply_user(&user, "", ret_reply);
}

/* A command comes from no client. */
static void init_origin(struct origin *origin)
{
	*origin = (struct origin){.request_id = ""};
	trace_child(origin->traceparent, "");
}

static int find_live(struct app *app, const char *username, const char *email, struct user *ret_user)
{
	struct db *db = NULL;
	int err = store_reader(app->store, &db);

	if (!err)
		err = username ? users_find_by_username(db, username, ret_user)
			       : users_find_by_email(db, email, ret_user);
	db_close(db);
	return err;
}

static int change_live(struct app *app, enum user_change_kind kind, const json_t *arguments, json_t **ret_reply)
{
	struct user_change change;
	struct origin origin;
	struct words words;
	struct user user;
	int err = read_words(arguments, kind == USER_SET_PASSWORD, &words);

	if (!err)
		err = find_live(app, words.username, NULL, &user);
	if (err)
		return err;
	init_origin(&origin);
	user_change_init(&change, kind, &user);
	change.hash = words.hash;
	err = user_change_commit(&change, app, &origin, "command");
	user_change_finish(&change);
	if (!err && kind == USER_SET_PASSWORD)
		failure_forget(app, &user);
	return err ? err : reply_user(&user, change.event_id, ret_reply);
}

int user_add_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	const char *username, *email, *hash, *why = NULL;
	struct user user = {.id = 0};
	struct user_change change;
	int admin, err;

	if (json_unpack((json_t *)(uintptr_t)arguments, "{s:s, s:s, s:b, s:s!}", "username", &username, "email", &email,
		    "admin", &admin, "password", &hash) ||
		username_acceptable(username, &why) || (email[0] && email_acceptable(email, &why)) || !is_hash(hash))
		return ERR_INVALID;
	memcpy(user.username, username, strlen(username) + 1);
	memcpy(user.email, email, strlen(email) + 1);
	memcpy(user.password, hash, strlen(hash) + 1);
	user.admin = admin;
	user_change_init(&change, USER_CREATE, &user);
	err = user_change_store(&change, writer);
	return err ? err : reply_user(&change.user, "", ret_reply);
}

/* What is changed of an account by a command alone, with its audit row. */
static int change_row(struct db *writer, const json_t *arguments, const char *type,
	int (*change)(struct db *writer, int64_t user_id), json_t **ret_reply)
{
	struct audit_entry entry = {
		.type = type, .client = "", .request_id = "", .at_ms = clock_now_ms(), .actor = "command"};
	struct words words;
	struct user user = {.id = 0};
	int err = read_words(arguments, false, &words);

	if (!err)
		err = users_find_by_username(writer, words.username, &user);
	if (!err)
		err = change(writer, user.id);
	if (err)
		return err;
	entry.user_id = user.id;
	err = audit_add(writer, &entry);
	return err ? err : reply_user(&user, "", ret_reply);
}

int user_unlock_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	return change_row(writer, arguments, "user.unlocked", lockout_clear, ret_reply);
}

struct unlocking {
	const json_t *arguments;
	json_t *reply;
};

static int write_unlocking(struct db *writer, void *arg)
{
	struct unlocking *u = arg;

	json_decref(u->reply); /* of an earlier run, if there was one */
	u->reply = NULL;
	return user_unlock_store(writer, u->arguments, &u->reply);
}

/* Codes as well: it is the operator who vouches for the owner. */
int user_unlock_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	struct unlocking u = {.arguments = arguments};
	char name[THROTTLE_ID_SIZE];
	struct words words;
	struct user user;
	int err = read_words(arguments, false, &words);

	if (!err)
		err = find_live(app, words.username, NULL, &user);
	if (!err)
		err = committer_run(app->committer, write_unlocking, &u);
	if (err) {
		json_decref(u.reply);
		return err;
	}
	failure_forget(app, &user);
	throttle_id(user.id, name);
	throttle_forget(app->throttle, THROTTLE_CODE, name);
	*ret_reply = u.reply;
	return 0;
}

int user_invite_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	const char *email, *why = NULL;
	struct user user = {.id = 0}, found;
	struct user_change change;
	char expires[RFC3339_SIZE];
	struct origin origin;
	int err;

	if (json_unpack((json_t *)(uintptr_t)arguments, "{s:s!}", "email", &email) || email_acceptable(email, &why))
		return ERR_INVALID;
	if (app->config->signup.mode == SIGNUP_CLOSED)
		return ERR_DENIED;
	err = find_live(app, NULL, email, &found);
	if (err != ERR_NOT_FOUND)
		return err ? err : ERR_EXISTS;
	memcpy(user.email, email, strlen(email) + 1);
	init_origin(&origin);
	user_change_init(&change, USER_INVITE, &user);
	err = user_change_commit(&change, app, &origin, "command");
	user_change_finish(&change);
	if (err)
		return err;
	clock_rfc3339(expires, change.link.expires_ms);
	*ret_reply = json_pack("{s:s, s:s, s:s}", "email", user.email, "expires", expires, "event_id", change.event_id);
	return *ret_reply ? 0 : ERR_MEMORY;
}

int user_passwd_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	return change_store(writer, USER_SET_PASSWORD, arguments, ret_reply);
}

int user_passwd_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	return change_live(app, USER_SET_PASSWORD, arguments, ret_reply);
}

int user_disable_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	return change_store(writer, USER_DISABLE, arguments, ret_reply);
}

int user_disable_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	return change_live(app, USER_DISABLE, arguments, ret_reply);
}

int user_enable_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	return change_store(writer, USER_ENABLE, arguments, ret_reply);
}

int user_enable_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	return change_live(app, USER_ENABLE, arguments, ret_reply);
}

int user_delete_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	return change_store(writer, USER_DELETE, arguments, ret_reply);
}

int user_delete_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	return change_live(app, USER_DELETE, arguments, ret_reply);
}

int user_revoke_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	return change_store(writer, USER_REVOKE, arguments, ret_reply);
}

int user_revoke_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	return change_live(app, USER_REVOKE, arguments, ret_reply);
}

int user_require_reset_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	return change_store(writer, USER_REQUIRE_RESET, arguments, ret_reply);
}

int user_require_reset_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	return change_live(app, USER_REQUIRE_RESET, arguments, ret_reply);
}

int user_totp_remove_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	return change_store(writer, USER_REMOVE_TOTP, arguments, ret_reply);
}

int user_totp_remove_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	return change_live(app, USER_REMOVE_TOTP, arguments, ret_reply);
}
