#include "server/ops/user_change.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "config/clock.h"
#include "server/accounts/sessions.h"
#include "server/accounts/totp.h"
#include "server/app.h"

/* Types of events and of audit rows alike. */
static const char *const types[] = {
	[USER_DISABLE] = "user.disabled",
	[USER_ENABLE] = "user.enabled",
	[USER_DELETE] = "user.deleted",
	[USER_REVOKE] = "user.sessions_revoked",
	[USER_REQUIRE_RESET] = "user.reset_required",
	[USER_SET_PASSWORD] = "user.password_changed",
	[USER_REMOVE_TOTP] = "user.totp_disabled",
	[USER_CREATE] = "user.created",
	[USER_INVITE] = "user.invited",
};

void user_change_init(struct user_change *change, enum user_change_kind kind, const struct user *user)
{
	change->kind = kind;
	change->user = *user;
	change->hash = NULL;
	change->now_ms = clock_now_ms();
	change->sessions = 0;
	change->link.id = 0;
	change->event_id[0] = '\0';
	change->joined = NULL;
	work_init(&change->work, NULL, NULL);
}

static int write_deleted(struct db *writer, const struct user_change *change)
{
	int err = users_delete(writer, change->user.id, change->now_ms);

	if (!err)
		err = totp_remove(writer, change->user.id);
	return err ? err : links_void(writer, change->user.id, LINK_RESET, change->now_ms);
}

/* The account itself. */
static int write_account(struct db *writer, struct user_change *change)
{
	const int64_t id = change->user.id, now_ms = change->now_ms;

	switch (change->kind) {
	case USER_DISABLE:
	case USER_ENABLE:
		return users_set_disabled(writer, id, change->kind == USER_DISABLE, now_ms);
	case USER_DELETE:
		return write_deleted(writer, change);
	case USER_REQUIRE_RESET:
		return users_set_must_reset(writer, id, now_ms);
	case USER_SET_PASSWORD:
		return users_set_password(writer, id, change->hash, now_ms);
	case USER_REMOVE_TOTP:
		return totp_remove(writer, id);
	case USER_CREATE:
		return users_add(writer, &change->user, now_ms);
	case USER_REVOKE:
	case USER_INVITE:
		return 0;
	}
	return ERR_INVALID;
}

static bool ends_sessions(enum user_change_kind kind)
{
	return kind != USER_ENABLE && kind != USER_REMOVE_TOTP && kind != USER_CREATE && kind != USER_INVITE;
}

static int write_rows(struct db *writer, struct user_change *change)
{
	json_t *detail = json_object();
	int err = write_account(writer, change);

	if (!err && ends_sessions(change->kind)) {
		err = sessions_revoke_all(writer, change->user.id, 0, change->now_ms, &change->sessions);
		(void)json_object_set_new(detail, "sessions", json_integer(change->sessions));
	}
	if (!err && change->link.id) {
		err = links_add(writer, &change->link);
		(void)json_object_set_new(detail, "link", json_integer(change->link.id));
	}
	if (change->kind == USER_CREATE)
		(void)json_object_set_new(detail, "admin", json_boolean(change->user.admin));
	audit_detail(change->detail, detail);
	return err;
}

/* On the committer's thread, before the audit row is written. */
static int write_change(struct db *writer, void *arg)
{
	struct user_change *change = arg;
	int err = write_rows(writer, change);

	change->work.audit.detail = change->detail;
	change->work.audit.user_id = change->user.id;
	change->work.event->user_id = change->user.id;
	if (!err && change->joined) {
		change->joined->user.id = change->joined->link.user_id = change->user.id;
		err = write_change(writer, change->joined);
	}
	return err;
}

static void make_link(struct user_change *change, const struct config *config)
{
	const bool invites = change->kind == USER_INVITE;

	links_init(&change->link, invites ? LINK_INVITE : LINK_RESET,
		invites ? config->link.invite_ttl_ms : config->link.reset_ttl_ms, change->now_ms);
	change->link.user_id = change->user.id;
	if (invites)
		memcpy(change->link.email, change->user.email, sizeof(change->link.email));
}

/* Its event, and the places of its effects. */
static int plan(struct user_change *change, struct app *app, const struct origin *origin, const char *actor)
{
	json_t *more = NULL;
	int err = 0;

	work_init(&change->work, app, origin);
	if (change->kind == USER_REQUIRE_RESET || change->kind == USER_INVITE) {
		make_link(change, app->config);
		more = links_event(&change->link);
		err = more ? 0 : ERR_MEMORY;
	}
	if (!err)
		err = work_plan(&change->work, types[change->kind], &change->user, more);
	if (err)
		return err;
	change->work.audit.actor = actor;
	return 0;
}

void user_change_join(struct user_change *change, struct user_change *other)
{
	change->joined = other;
}

int user_change_commit(struct user_change *change, struct app *app, const struct origin *origin, const char *actor)
{
	struct user_change *other = change->joined;
	int err;

	if (change->kind == USER_CREATE)
		id_new(change->user.public_id, change->now_ms); /* which events have, too */
	err = plan(change, app, origin, actor);
	if (!err && other) {
		memcpy(other->user.public_id, change->user.public_id, sizeof(other->user.public_id));
		err = plan(other, app, origin, actor);
		work_join(&change->work, &other->work);
	}
	if (!err)
		err = work_commit(&change->work, write_change, change);
	if (err)
		return err;
	memcpy(change->event_id, work_event_id(&change->work), sizeof(change->event_id));
	if (other)
		memcpy(other->event_id, work_event_id(&other->work), sizeof(other->event_id));
	return 0;
}

void user_change_finish(struct user_change *change)
{
	if (change->work.committed)
		work_inline_late(&change->work);
	work_release(&change->work);
}

int user_change_store(struct user_change *change, struct db *writer)
{
	struct audit_entry entry = {
		.type = types[change->kind],
		.client = "",
		.request_id = "",
		.actor = "command",
		.detail = change->detail,
		.at_ms = change->now_ms,
	};
	int err;

	assert(change->kind != USER_INVITE); /* which is nothing without its mail */
	err = write_rows(writer, change);
	entry.user_id = change->user.id;
	return err ? err : audit_add(writer, &entry);
}
