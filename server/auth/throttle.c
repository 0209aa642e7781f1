/*
 * Two tables under one lock, which is held for the look-ups alone: for accounts (by kind and name) and for addresses, so that a flood of
 * the one can't push out the other.
 *
 * An attempt that is under way is counted in both, as in flight. One whose admission hangs on the outcome of such others waits until any
 * ends, and is then decided anew from the start; it holds a place in neither table meanwhile, so there is nothing that two could wait for in
 * a ring. There are at most as many that wait as there are request threads.
 */
#include "server/auth/throttle.h"

#include <assert.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/cidr.h"
#include "config/clock.h"
#include "config/limits.h"
#include "server/auth/throttle_rules.h"
#include "server/auth/throttle_table.h"

enum { HOUSEHOLD_BITS = 64, MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };

enum by { BY_ACCOUNT, BY_ADDRESS, BY_COUNT };

struct throttle {
	/* constant */
	bool enabled;
	struct cidr *exempt;
	size_t exempt_count;
	int64_t wait_us;
	struct throttle_rule account, address, mail;
	unsigned char key[crypto_shorthash_KEYBYTES];
	struct counter *refused[THROTTLE_KINDS][BY_COUNT];
	struct counter *late, *gone;
	struct gauge *entries[BY_COUNT], *evicted[BY_COUNT];

	pthread_mutex_t mutex; /* guards what follows */
	pthread_cond_t ended;  /* an attempt has ended */
	struct throttle_table tables[BY_COUNT];
	int64_t waiting;
};

struct attempt {
	struct throttle_ticket ticket;
	const struct throttle_rule *account_rule;
};

static void register_metrics(struct throttle *t, struct metrics *metrics)
{
	static const char *const refused[THROTTLE_KINDS][BY_COUNT] = {
		[THROTTLE_PASSWORD] = {"kind=\"password\",by=\"account\"", "kind=\"password\",by=\"address\""},
		[THROTTLE_PASSWORD_EMAIL] = {"kind=\"password\",by=\"account\"", "kind=\"password\",by=\"address\""},
		[THROTTLE_PASSWORD_ID] = {"kind=\"password\",by=\"account\"", "kind=\"password\",by=\"address\""},
		[THROTTLE_CODE] = {"kind=\"code\",by=\"account\"", "kind=\"code\",by=\"address\""},
		[THROTTLE_TOKEN] = {NULL, "kind=\"token\",by=\"address\""},
		[THROTTLE_MAIL] = {"kind=\"mail\",by=\"mail\"", "kind=\"mail\",by=\"address\""},
		[THROTTLE_MAIL_USERNAME] = {"kind=\"mail\",by=\"mail\"", "kind=\"mail\",by=\"address\""},
	};
	static const char *const tables[BY_COUNT] = {"table=\"accounts\"", "table=\"addresses\""};
	static const char shed[] = "tokenfirst_shed_total";
	static const char shed_help[] = "Requests refused or abandoned because a limit was reached.";

	for (size_t kind = 0; kind < THROTTLE_KINDS; kind++) {
		for (size_t by = 0; by < BY_COUNT; by++) {
			if (refused[kind][by])
				t->refused[kind][by] = metrics_counter(metrics, "tokenfirst_throttled_total",
					"Guesses that were refused without a look at the secret.", refused[kind][by]);
		}
	}
	for (size_t by = 0; by < BY_COUNT; by++) {
		t->entries[by] = metrics_gauge(metrics, "tokenfirst_throttle_entries",
			"Names and addresses of which something is remembered.", 1, tables[by]);
		t->evicted[by] = metrics_mirror(metrics, "tokenfirst_throttle_evicted_total",
			"Of these, forgotten for want of room.", 1, tables[by]);
	}
	t->late = metrics_counter(metrics, shed, shed_help, "reason=\"throttle_wait\"");
	t->gone = metrics_counter(metrics, shed, shed_help, "reason=\"client_gone\"");
}

static int read_exempt(struct throttle *t, const struct config *config)
{
	int err = 0;

	t->exempt = calloc(config->throttle.exempt_count + 1, sizeof(*t->exempt));
	if (!t->exempt)
		return ERR_MEMORY;
	for (; !err && t->exempt_count < config->throttle.exempt_count; t->exempt_count++)
		err = cidr_parse(config->throttle.exempt[t->exempt_count], &t->exempt[t->exempt_count]);
	return err;
}

int throttle_new(const struct config *config, struct metrics *metrics, struct throttle **ret_throttle)
{
	struct throttle *t = calloc(1, sizeof(*t));
	int err;

	if (!t)
		return ERR_MEMORY;
	err = clock_condition_init(&t->ended);
	if (err) {
		free(t);
		return err;
	}
	pthread_mutex_init(&t->mutex, NULL);
	t->enabled = config->throttle.enabled;
	t->wait_us = config->password.queue_timeout_ms * 1000;
	t->account = throttle_ladder(config->throttle.account.free, config->throttle.account.first_ms,
		config->throttle.account.cap_ms, config->throttle.account.forget_ms);
	t->address = throttle_meter(config->throttle.address.burst, config->throttle.address.per_minute, MINUTE_MS);
	t->mail = throttle_meter(config->throttle.mail.per_hour, config->throttle.mail.per_hour, HOUR_MS);
	randombytes_buf(t->key, sizeof(t->key));
	register_metrics(t, metrics);
	err = read_exempt(t, config);
	if (!err)
		err = throttle_table_init(&t->tables[BY_ACCOUNT], LIMIT_THROTTLE_ACCOUNTS);
	if (!err)
		err = throttle_table_init(&t->tables[BY_ADDRESS], LIMIT_THROTTLE_ADDRESSES);
	if (err)
		throttle_free(t);
	else
		*ret_throttle = t;
	return err;
}

void throttle_free(struct throttle *throttle)
{
	if (!throttle)
		return;
	for (size_t by = 0; by < BY_COUNT; by++)
		throttle_table_release(&throttle->tables[by]);
	pthread_cond_destroy(&throttle->ended);
	pthread_mutex_destroy(&throttle->mutex);
	free(throttle->exempt);
	sodium_memzero(throttle->key, sizeof(throttle->key));
	free(throttle);
}

/* Whether each counts, whatever comes of it. */
static bool is_mail(enum throttle_kind kind)
{
	return kind == THROTTLE_MAIL || kind == THROTTLE_MAIL_USERNAME;
}

void throttle_id(int64_t user_id, char ret_name[THROTTLE_ID_SIZE])
{
	(void)snprintf(ret_name, THROTTLE_ID_SIZE, "%" PRId64, user_id);
}

static uint64_t shorthash(const struct throttle *t, const void *bytes, size_t len)
{
	uint64_t hash;

	static_assert(sizeof(hash) == crypto_shorthash_BYTES, "a hash is a key");
	(void)crypto_shorthash((unsigned char *)&hash, bytes, len, t->key);
	return hash != 0 ? hash : 1; /* 0 is for none */
}

/* Folded as accounts' names are (users.c); all of what is longer than any account's name is one name. */
static uint64_t account_key(const struct throttle *t, enum throttle_kind kind, const char *name)
{
	char text[1 + LIMIT_EMAIL + 1];
	size_t len = strnlen(name, LIMIT_EMAIL + 1);

	text[0] = (char)kind;
	if (len > LIMIT_EMAIL)
		return shorthash(t, text, 1);
	for (size_t i = 0; i < len; i++)
		text[1 + i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
	text[1 + len] = '\0';
	return shorthash(t, text, len + 2);
}

static uint64_t address_key(const struct throttle *t, const struct cidr *address)
{
	struct cidr network = cidr_network(address, address->family == AF_INET6 ? HOUSEHOLD_BITS : 32);
	unsigned char bytes[1 + sizeof(network.bytes)];

	bytes[0] = address->family == AF_INET6;
	memcpy(bytes + 1, network.bytes, sizeof(network.bytes));
	return shorthash(t, bytes, sizeof(bytes));
}

static bool is_exempt(const struct throttle *t, const struct cidr *address)
{
	if (!t->enabled)
		return true;
	for (size_t i = 0; i < t->exempt_count; i++) {
		if (cidr_contains(&t->exempt[i], address))
			return true;
	}
	return false;
}

static struct attempt describe(const struct throttle *t, const char *client, enum throttle_kind kind, const char *name)
{
	struct attempt a = {.ticket = {.held = true, .kind = kind}};
	struct cidr address = {.family = AF_UNSPEC}; /* what is no address: one and the same, and never exempt */

	if (cidr_parse_address(client, &address))
		a.ticket.exempt = !t->enabled;
	else
		a.ticket.exempt = is_exempt(t, &address);
	if (a.ticket.exempt)
		return a;
	a.account_rule = is_mail(kind) ? &t->mail : &t->account;
	a.ticket.account = name && kind != THROTTLE_TOKEN ? account_key(t, kind, name) : 0;
	a.ticket.address = address_key(t, &address);
	return a;
}

/* What one table says. */
static enum throttle_verdict ask(const struct throttle_table *table, uint64_t key, const struct throttle_rule *rule,
	int64_t now_ms, int64_t *ret_retry_ms)
{
	static const struct throttle_state nothing;
	const struct throttle_entry *entry = key ? throttle_table_find(table, key) : NULL;

	return key ? throttle_decide(rule, entry ? &entry->state : &nothing, now_ms, ret_retry_ms) : VERDICT_ADMIT;
}

/* A mail counts at once, whatever becomes of it; anything else once it has failed. False: no room. */
static bool enter(
	struct throttle *t, enum by by, uint64_t key, const struct throttle_rule *rule, bool at_once, int64_t now_ms)
{
	struct throttle_entry *entry = throttle_table_claim(&t->tables[by], key, rule, now_ms);

	if (!entry)
		return false;
	if (at_once)
		throttle_count(entry->rule, &entry->state, now_ms);
	else
		entry->state.in_flight++;
	return true;
}

/* What in_flight or a mail had been counted for is over. */
static void leave(struct throttle *t, enum by by, uint64_t key, enum throttle_outcome outcome, int64_t now_ms)
{
	struct throttle_entry *entry = throttle_table_find(&t->tables[by], key);

	assert(entry && entry->state.in_flight > 0); /* what is in flight is never pushed out */
	entry->state.in_flight--;
	if (outcome == THROTTLE_FAILED)
		throttle_count(entry->rule, &entry->state, now_ms);
	else if (outcome == THROTTLE_PASSED && by == BY_ACCOUNT)
		entry->state.used = 0;
	throttle_table_tidy(&t->tables[by], entry, now_ms);
}

static void show(struct throttle *t)
{
	for (size_t by = 0; by < BY_COUNT; by++) {
		gauge_set(t->entries[by], (int64_t)t->tables[by].used);
		gauge_set(t->evicted[by], (int64_t)t->tables[by].evicted);
	}
}

/* With the mutex held. Admitted, the attempt is counted. */
static enum throttle_verdict decide(struct throttle *t, const struct attempt *a, int64_t *ret_retry_ms)
{
	const struct throttle_ticket *ticket = &a->ticket;
	int64_t now_ms = clock_now_ms(), retry_ms[BY_COUNT] = {0};
	enum throttle_verdict account =
		ask(&t->tables[BY_ACCOUNT], ticket->account, a->account_rule, now_ms, &retry_ms[BY_ACCOUNT]);
	enum throttle_verdict address =
		ask(&t->tables[BY_ADDRESS], ticket->address, &t->address, now_ms, &retry_ms[BY_ADDRESS]);
	bool at_once = is_mail(ticket->kind);

	if (account == VERDICT_REFUSE || address == VERDICT_REFUSE) {
		counter_add(t->refused[ticket->kind][account == VERDICT_REFUSE ? BY_ACCOUNT : BY_ADDRESS], 1);
		*ret_retry_ms =
			retry_ms[BY_ACCOUNT] > retry_ms[BY_ADDRESS] ? retry_ms[BY_ACCOUNT] : retry_ms[BY_ADDRESS];
		return VERDICT_REFUSE;
	}
	if (account == VERDICT_WAIT || address == VERDICT_WAIT)
		return VERDICT_WAIT;
	if (!enter(t, BY_ADDRESS, ticket->address, &t->address, false, now_ms))
		return VERDICT_WAIT;
	if (ticket->account && !enter(t, BY_ACCOUNT, ticket->account, a->account_rule, at_once, now_ms)) {
		leave(t, BY_ADDRESS, ticket->address, THROTTLE_UNKNOWN, now_ms);
		return VERDICT_WAIT;
	}
	if (at_once)
		leave(t, BY_ADDRESS, ticket->address, THROTTLE_FAILED, now_ms);
	show(t);
	return VERDICT_ADMIT;
}

/* With the mutex held, which it gives up while it waits. Until any attempt ends, or a while has gone by. */
static void await_end(struct throttle *t, int64_t now_us)
{
	struct timespec look = clock_deadline(now_us + (int64_t)LIMIT_THROTTLE_LOOK_MS * 1000);

	t->waiting++;
	(void)pthread_cond_timedwait(&t->ended, &t->mutex, &look);
	t->waiting--;
}

int throttle_admit(struct throttle *throttle, const char *client, enum throttle_kind kind, const char *name,
	bool (*gone)(const void *arg), const void *arg, struct throttle_ticket *ret_ticket, int64_t *ret_retry_ms)
{
	struct throttle *t = throttle;
	const struct attempt a = describe(t, client, kind, name);
	const int64_t deadline_us = clock_mono_us() + t->wait_us;
	enum throttle_verdict verdict = VERDICT_ADMIT;
	int64_t retry_ms = 0;
	int err = 0;

	if (!a.ticket.exempt) {
		pthread_mutex_lock(&t->mutex);
		while (!err && (verdict = decide(t, &a, &retry_ms)) == VERDICT_WAIT) {
			int64_t now_us = clock_mono_us();
			if (gone && gone(arg))
				err = ERR_CLOSED;
			else if (now_us >= deadline_us)
				err = ERR_TIMEOUT;
			else
				await_end(t, now_us);
		}
		pthread_mutex_unlock(&t->mutex);
	}
	if (err) {
		counter_add(err == ERR_CLOSED ? t->gone : t->late, 1);
	} else if (verdict == VERDICT_REFUSE) {
		*ret_retry_ms = retry_ms;
		err = ERR_LIMIT;
	} else {
		*ret_ticket = a.ticket;
	}
	return err;
}

int throttle_try(struct throttle *throttle, const char *client, enum throttle_kind kind, const char *name,
	struct throttle_ticket *ret_ticket)
{
	struct throttle *t = throttle;
	const struct attempt a = describe(t, client, kind, name);
	int64_t now_ms = clock_now_ms(), retry_ms = 0;
	bool admitted = a.ticket.exempt;

	if (!admitted) {
		pthread_mutex_lock(&t->mutex);
		/* asked before it is decided, as a refusal counts */
		admitted = ask(&t->tables[BY_ACCOUNT], a.ticket.account, a.account_rule, now_ms, &retry_ms) ==
				   VERDICT_ADMIT &&
			   ask(&t->tables[BY_ADDRESS], a.ticket.address, &t->address, now_ms, &retry_ms) ==
				   VERDICT_ADMIT &&
			   decide(t, &a, &retry_ms) == VERDICT_ADMIT;
		pthread_mutex_unlock(&t->mutex);
	}
	if (!admitted)
		return ERR_LIMIT;
	*ret_ticket = a.ticket;
	return 0;
}

void throttle_end(struct throttle *throttle, struct throttle_ticket *ticket, enum throttle_outcome outcome)
{
	struct throttle *t = throttle;
	int64_t now_ms = clock_now_ms();

	if (!ticket->held)
		return;
	ticket->held = false;
	if (ticket->exempt || is_mail(ticket->kind))
		return;
	pthread_mutex_lock(&t->mutex);
	if (ticket->account)
		leave(t, BY_ACCOUNT, ticket->account, outcome, now_ms);
	leave(t, BY_ADDRESS, ticket->address, outcome, now_ms);
	show(t);
	if (t->waiting > 0)
		pthread_cond_broadcast(&t->ended);
	pthread_mutex_unlock(&t->mutex);
}

void throttle_forget(struct throttle *throttle, enum throttle_kind kind, const char *name)
{
	struct throttle *t = throttle;
	const uint64_t key = account_key(t, kind, name);
	struct throttle_entry *entry;

	pthread_mutex_lock(&t->mutex);
	entry = throttle_table_find(&t->tables[BY_ACCOUNT], key);
	if (entry) {
		entry->state.used = 0;
		throttle_table_tidy(&t->tables[BY_ACCOUNT], entry, clock_now_ms());
		show(t);
	}
	if (t->waiting > 0)
		pthread_cond_broadcast(&t->ended);
	pthread_mutex_unlock(&t->mutex);
}

int throttle_begin(struct throttle *throttle, struct exchange *x, enum throttle_kind kind, const char *name,
	struct throttle_ticket *ret_ticket)
{
	int64_t retry_ms = LIMIT_RETRY_SOON_MS; /* those who have waited too long: others' outcomes are known by then */
	int err = throttle_admit(throttle, exchange_client(x), kind, name, exchange_gone, x, ret_ticket, &retry_ms);

	if (!err)
		return 0;
	exchange_problem_retry(x, 429, "throttled",
		is_mail(kind) ? "Too many mails were asked for. Try again after the time in Retry-After."
			      : "Too many attempts have failed. Try again after the time in Retry-After.",
		retry_ms);
	return ERR_LIMIT;
}

int throttle_begin_user(struct throttle *throttle, struct exchange *x, enum throttle_kind kind, int64_t user_id,
	struct throttle_ticket *ret_ticket)
{
	char name[THROTTLE_ID_SIZE];

	assert(kind == THROTTLE_PASSWORD_ID || kind == THROTTLE_CODE); /* of which nobody chooses the name */
	throttle_id(user_id, name);
	return throttle_begin(throttle, x, kind, name, ret_ticket);
}
