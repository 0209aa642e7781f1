#include "server/auth/password_reset.h"

#include "config/clock.h"
#include "server/accounts/sessions.h"
#include "server/app.h"
#include "server/auth/account_request.h"
#include "server/auth/failure.h"

struct forgot {
	struct account_request r;
	const char *name; /* the username or the address, as it was given */
	bool by_email, known;
	struct user user;
	struct link link;
};

static int read_name(struct forgot *f)
{
	const char *username = NULL, *email = NULL;
	int err = account_request_text(&f->r, "username", &username);

	if (!err)
		err = account_request_text(&f->r, "email", &email);
	if (!err && (username == NULL) == (email == NULL))
		err = account_request_malformed(&f->r, "Give either username or email, as a string.");
	f->name = email ? email : username;
	f->by_email = email != NULL;
	return err;
}

/* A locked account is known: this is its way back. A disabled one has none by mail. */
static int look_up(struct forgot *f)
{
	int err = f->by_email ? users_find_by_email(f->r.db, f->name, &f->user)
			      : users_find_by_username(f->r.db, f->name, &f->user);

	if (err && err != ERR_NOT_FOUND) {
		account_request_unavailable(&f->r, err);
		return err;
	}
	f->known = !err && !f->user.disabled && f->user.email[0];
	return 0;
}

static int write_link(struct db *writer, void *arg)
{
	const struct forgot *f = arg;

	return links_add(writer, &f->link);
}

/* Of nobody there is a link as well, used up before it is made: it costs what a good one does. */
static int plan(struct forgot *f)
{
	links_init(&f->link, LINK_RESET, f->r.app->config->link.reset_ttl_ms, clock_now_ms());
	if (!f->known) {
		f->link.used_ms = f->link.created_ms;
		f->link.user_id = LINK_NOBODY;
		return work_plan_silent(&f->r.work, "user.password_forgot");
	}
	f->link.user_id = f->user.id;
	return work_plan(&f->r.work, "user.password_forgot", &f->user, links_event(&f->link));
}

void password_forgot(struct exchange *x, struct request_thread *thread)
{
	struct forgot f = {.known = false};
	int err = account_request_begin(&f.r, x, thread);

	if (!err)
		err = read_name(&f);
	if (!err)
		err = account_request_throttle(&f.r, f.by_email ? THROTTLE_MAIL : THROTTLE_MAIL_USERNAME, f.name);
	if (!err)
		err = look_up(&f);
	if (err)
		goto done;

	err = plan(&f);
	if (!err)
		err = work_commit(&f.r.work, write_link, &f);
	if (err) {
		account_request_unavailable(&f.r, err);
		goto done;
	}
	throttle_end(f.r.app->throttle, &f.r.ticket, THROTTLE_FAILED); /* each mail counts */
	account_request_answer(&f.r, 202, json_object());
done:
	account_request_end(&f.r);
}

struct reset {
	struct account_request r;
	const char *token, *password;
	struct link link;
	struct user user;
	char hash[PASSWORD_HASH_SIZE];
};

static int read_reset(struct reset *s)
{
	int err = account_request_text(&s->r, "token", &s->token);

	if (!err && !s->token)
		err = account_request_malformed(&s->r, "Give token, the one of the link.");
	if (!err)
		err = account_request_password(&s->r, "password", &s->password);
	return err;
}

/* The link, before anything is spent on its password, and whose it is. */
static int find_account(struct reset *s)
{
	int err = account_request_link(&s->r, s->token, LINK_RESET, &s->link);

	if (err)
		return err;
	err = users_find_by_id(s->r.db, s->link.user_id, &s->user);
	if (err == ERR_NOT_FOUND || (!err && s->user.disabled)) {
		account_request_link_invalid(&s->r);
		return ERR_DENIED;
	}
	if (err)
		account_request_unavailable(&s->r, err);
	return err;
}

/* ERR_STALE: the link, or the account, was good a moment ago. */
static int write_reset(struct db *writer, void *arg)
{
	const struct reset *s = arg;
	struct user now;
	const int64_t now_ms = clock_now_ms();
	int err = links_use(writer, s->link.id, now_ms);

	if (!err)
		err = users_find_by_id(writer, s->user.id, &now);
	if (err == ERR_NOT_FOUND || (!err && now.disabled))
		err = ERR_STALE;
	if (!err)
		err = users_set_password(writer, s->user.id, s->hash, now_ms);
	if (!err)
		err = sessions_revoke_all(writer, s->user.id, 0, now_ms, NULL);
	return err ? err : links_void(writer, s->user.id, LINK_RESET, now_ms);
}

void password_reset(struct exchange *x, struct request_thread *thread)
{
	struct reset s = {.token = NULL};
	int err = account_request_begin(&s.r, x, thread);

	if (!err)
		err = read_reset(&s);
	if (!err)
		err = find_account(&s);
	if (!err)
		err = account_request_policy(&s.r, s.password, s.user.username, s.user.email);
	if (!err)
		err = account_request_hash(&s.r, s.password, s.hash);
	if (err)
		goto done;

	err = work_plan(&s.r.work, "user.password_reset", &s.user, NULL);
	if (!err)
		err = work_commit(&s.r.work, write_reset, &s);
	if (err == ERR_STALE) {
		account_request_link_invalid(&s.r);
	} else if (err) {
		account_request_unavailable(&s.r, err);
	} else {
		throttle_end(s.r.app->throttle, &s.r.ticket, THROTTLE_PASSED);
		failure_forget(s.r.app, &s.user);
		account_request_answer(&s.r, 200, json_object());
	}
done:
	account_request_end(&s.r);
}
