#include "server/auth/signup.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/clock.h"
#include "server/app.h"
#include "server/auth/account_request.h"

struct signup {
	struct account_request r;
	const char *email, *token, *username, *password; /* in the body; NULL: not there */
	struct link link;
	struct user user; /* to be, or whose address it is */
};

static int mode_check(struct signup *s, bool invited)
{
	const enum signup_mode mode = s->r.app->config->signup.mode;

	if (mode == SIGNUP_OPEN || (mode == SIGNUP_INVITE && invited))
		return 0;
	if (mode == SIGNUP_CLOSED)
		exchange_problem(s->r.x, 403, "signup_closed", "Accounts can't be made here.");
	else
		exchange_problem(s->r.x, 403, "signup_invited_only", "An account takes an invitation.");
	return ERR_DENIED;
}

static int read_signup(struct signup *s)
{
	const char *why = NULL;
	int err = account_request_text(&s->r, "email", &s->email);

	if (!err)
		err = account_request_text(&s->r, "invite_token", &s->token);
	if (!err)
		err = mode_check(s, s->token != NULL);
	if (!err && (s->email == NULL) == (s->token == NULL))
		err = account_request_malformed(&s->r, "Give either email or invite_token, as a string.");
	if (!err && s->email && email_acceptable(s->email, &why) != 0)
		err = account_request_malformed(&s->r, why);
	if (!err)
		err = account_request_username(&s->r, &s->username);
	return err ? err : account_request_password(&s->r, "password", &s->password);
}

/* A name with an @ reads like an address. If it were another's, whoever looks that one up would find, and disable, this account. */
static int own_username(struct signup *s, const char *email)
{
	if (!s->username || !strchr(s->username, '@') || strcasecmp(s->username, email) == 0)
		return 0;
	return account_request_malformed(&s->r, "A username with an @ must be the account's own email.");
}

static int write_link(struct db *writer, void *arg)
{
	const struct signup *s = arg;

	return links_add(writer, &s->link);
}

/*
 * What the mail will say depends on whether there is an account; all else is the same, down to a row of `links`: of an address that
 * has an account, one that is used up before it is made.
 */
static int plan_mail(struct signup *s)
{
	const char *username = s->username ? s->username : "";
	int err = users_find_by_email(s->r.db, s->email, &s->user);

	(void)snprintf(s->link.email, sizeof(s->link.email), "%s", s->email);
	(void)snprintf(s->link.username, sizeof(s->link.username), "%s", username);
	if (err && err != ERR_NOT_FOUND)
		return err;
	if (!err) {
		s->link.used_ms = s->link.created_ms;
		memset(s->link.password, '*', strlen(s->link.password)); /* as long, and no password */
		return work_plan(&s->r.work, "user.signup_repeated", &s->user, NULL);
	}
	(void)snprintf(s->user.email, sizeof(s->user.email), "%s", s->email);
	(void)snprintf(s->user.username, sizeof(s->user.username), "%s", username);
	return work_plan(&s->r.work, "user.signup", &s->user, links_event(&s->link));
}

/*
 * A password that is refused uses up no mail, but of the address's allowance: to be told so may have taken a look at the breaches, for
 * which a thread that logs in has waited.
 */
static int check_policy(struct signup *s)
{
	int err = account_request_throttle(&s->r, THROTTLE_TOKEN, NULL);

	if (err)
		return err;
	err = account_request_policy(&s->r, s->password, s->username, s->email);
	throttle_end(s->r.app->throttle, &s->r.ticket, err == ERR_INVALID ? THROTTLE_FAILED : THROTTLE_UNKNOWN);
	return err;
}

static void ask(struct signup *s)
{
	int err = own_username(s, s->email);

	if (!err)
		err = check_policy(s);
	if (!err)
		err = account_request_throttle(&s->r, THROTTLE_MAIL, s->email);
	links_init(&s->link, LINK_VERIFY, s->r.app->config->link.verify_ttl_ms, clock_now_ms());
	if (!err)
		err = account_request_hash(&s->r, s->password, s->link.password);
	if (err)
		return;

	err = plan_mail(s);
	if (!err)
		err = work_commit(&s->r.work, write_link, s);
	if (err) {
		account_request_unavailable(&s->r, err);
		return;
	}
	throttle_end(s->r.app->throttle, &s->r.ticket, THROTTLE_FAILED); /* each mail counts */
	account_request_answer(&s->r, 202, json_object());
}

/* "user-" and ten random digits of base 32: fifty bits. */
static void make_username(char ret_username[LIMIT_USERNAME + 1])
{
	enum { DIGITS = 10 };
	char id[ID_SIZE];

	id_new(id, clock_now_ms());
	(void)snprintf(ret_username, LIMIT_USERNAME + 1, "user-%s", id + ID_LENGTH - DIGITS);
	for (char *c = ret_username; *c; c++)
		*c = (char)tolower((unsigned char)*c);
}

/* ERR_STALE: the link is used, or its address has an account by now. ERR_EXISTS: the name is taken, and nothing has happened. */
static int write_account(struct db *writer, void *arg)
{
	struct signup *s = arg;
	const int64_t now_ms = clock_now_ms();
	struct user other;
	int err = links_use(writer, s->link.id, now_ms);

	if (err)
		return err;
	err = users_find_by_email(writer, s->user.email, &other);
	if (err != ERR_NOT_FOUND)
		return err ? err : ERR_STALE;
	err = users_add(writer, &s->user, now_ms);
	if (err)
		return err;
	s->r.work.event->user_id = s->r.work.audit.user_id = s->user.id;
	return links_void_address(writer, s->user.email, now_ms);
}

/* The account that a link stands for; the password's stored form is in `link`. */
static void make_account(struct signup *s)
{
	const char *username = s->username ? s->username : s->link.username;
	int err;

	(void)snprintf(s->user.username, sizeof(s->user.username), "%s", username);
	if (!*username)
		make_username(s->user.username);
	memcpy(s->user.email, s->link.email, sizeof(s->user.email));
	memcpy(s->user.password, s->link.password, sizeof(s->user.password));
	id_new(s->user.public_id, clock_now_ms());

	err = work_plan(&s->r.work, "user.created", &s->user, NULL);
	if (!err)
		err = work_commit(&s->r.work, write_account, s);
	if (err == ERR_STALE) {
		account_request_link_invalid(&s->r);
	} else if (err == ERR_EXISTS) {
		/* counted, or a link would be a way to find out who there is */
		throttle_end(s->r.app->throttle, &s->r.ticket, THROTTLE_FAILED);
		exchange_problem(s->r.x, 409, "username_taken", "This username is taken: choose another one.");
	} else if (err) {
		account_request_unavailable(&s->r, err);
	} else {
		throttle_end(s->r.app->throttle, &s->r.ticket, THROTTLE_PASSED);
		account_request_answer(&s->r, 201,
			json_pack("{s:{s:s, s:s, s:s}}", "user", "id", s->user.public_id, "username", s->user.username,
				"email", s->user.email));
	}
}

/* A password that is chosen with the link. */
static int choose(struct signup *s)
{
	const char *username = s->username ? s->username : s->link.username;
	int err = account_request_policy(&s->r, s->password, username, s->link.email);

	return err ? err : account_request_hash(&s->r, s->password, s->link.password);
}

static void take_up(struct signup *s)
{
	int err = account_request_link(&s->r, s->token, LINK_INVITE, &s->link);

	if (!err)
		err = own_username(s, s->link.email);
	if (!err)
		err = choose(s);
	if (!err)
		make_account(s);
}

void signup(struct exchange *x, struct request_thread *thread)
{
	struct signup s = {.email = NULL};
	int err = account_request_begin(&s.r, x, thread);

	if (!err)
		err = read_signup(&s);
	if (!err && s.token)
		take_up(&s);
	else if (!err)
		ask(&s);
	account_request_end(&s.r);
}

void email_verify(struct exchange *x, struct request_thread *thread)
{
	struct signup s = {.email = NULL};
	int err = account_request_begin(&s.r, x, thread);

	if (!err)
		err = mode_check(&s, false);
	if (!err)
		err = account_request_text(&s.r, "token", &s.token);
	if (!err && !s.token)
		err = account_request_malformed(&s.r, "Give token, the one of the link.");
	if (!err)
		err = account_request_username(&s.r, &s.username);
	if (!err && json_object_get(s.r.body, "password"))
		err = account_request_password(&s.r, "password", &s.password);
	if (!err)
		err = account_request_link(&s.r, s.token, LINK_VERIFY, &s.link);
	if (!err)
		err = own_username(&s, s.link.email);
	if (!err && s.password)
		err = choose(&s);
	if (!err)
		make_account(&s);
	account_request_end(&s.r);
}
