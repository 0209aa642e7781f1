/*
 * A log of facts, each about one key; the check sorts them by key and judges what it finds under each.
 */
#include "tests/support/ledger.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/long_form.h"
#include "tests/support/scratch.h"

enum { KEY = 96, QUIET_MS = 30000 };

enum kind { EARLIER, PROMISED, OWED_AT_KILL, RECEIVED, ROW_PENDING, ROW_DELIVERED, ROW_DEAD, KINDS };

struct fact {
	char key[KEY];
	enum kind kind;
	int64_t at_us;
};

struct ledger {
	struct server *server;
	struct peer *peer;
	const char *effect;
	size_t kills;
	size_t first; /* earlier requests are none of ours */
	size_t count, room;
	struct fact *facts;
};

void ledger_free(struct ledger *ledger)
{
	if (ledger != NULL)
		free(ledger->facts);
	free(ledger);
}

static void note(struct ledger *ledger, enum kind kind, const char *key, int64_t at_us)
{
	if (ledger->count == ledger->room) {
		ledger->room = ledger->room == 0 ? 1024 : ledger->room * 2;
		ledger->facts = reallocarray(ledger->facts, ledger->room, sizeof(*ledger->facts));
		if (ledger->facts == NULL)
			harness_fail("out of memory");
	}
	struct fact *fact = &ledger->facts[ledger->count++];
	if (strlen(key) >= sizeof(fact->key))
		harness_fail("a key of %zu bytes", strlen(key));
	snprintf(fact->key, sizeof(fact->key), "%s", key);
	fact->kind = kind;
	fact->at_us = at_us;
}

void ledger_promise(struct ledger *ledger, const struct api_login *login)
{
	char key[KEY + API_ID];

	if (login->status != 200)
		return;
	snprintf(key, sizeof(key), "%s-%s", login->event_id, ledger->effect);
	note(ledger, PROMISED, key, 0);
}

void ledger_promise_crowd(struct ledger *ledger, const struct crowd *crowd)
{
	size_t count = crowd_count((struct crowd *)crowd);

	for (size_t i = 0; i < count; i++)
		ledger_promise(ledger, crowd_login(crowd, i));
}

static void copy(const char *from, const char *to, bool must)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ssize_t len = 0;

	if (in < 0 && !must)
		return;
	while (out >= 0 && (len = sendfile(out, in, NULL, 1 << 20)) > 0) {
	}
	if (out < 0 || len < 0 || close(out) != 0)
		harness_fail("%s can't be copied to %s: %m", from, to);
	close(in);
}

/* A copy of the store, as it lies there. */
static sqlite3 *store_copy(const struct ledger *ledger, const struct scratch *scratch)
{
	static const char *const parts[] = {"", "-wal"};
	sqlite3 *db = NULL;

	for (size_t i = 0; i < 2; i++) {
		char from[SERVER_URL], to[SERVER_URL];

		snprintf(from, sizeof(from), "%s/tokenfirst.db%s", server_folder(ledger->server), parts[i]);
		snprintf(to, sizeof(to), "%s%s", scratch->path, parts[i]);
		copy(from, to, i == 0);
	}
	if (sqlite3_open(scratch->path, &db) != SQLITE_OK)
		harness_fail("a copy of the store: %s", sqlite3_errmsg(db));
	return db;
}

/* Calls `row` with the columns of each row. */
static void query(
	sqlite3 *db, const char *sql, const char *effect, void (*row)(void *arg, sqlite3_stmt *row), void *arg)
{
	sqlite3_stmt *statement = NULL;
	int code;

	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK ||
		(effect != NULL && sqlite3_bind_text(statement, 1, effect, -1, SQLITE_STATIC) != SQLITE_OK))
		harness_fail("%s: %s", sql, sqlite3_errmsg(db));
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		row(arg, statement);
	if (code != SQLITE_DONE)
		harness_fail("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_finalize(statement);
}

static void must_be_ok(void *arg, sqlite3_stmt *row)
{
	const char *text = (const char *)sqlite3_column_text(row, 0);

	if (text == NULL || strcmp(text, "ok") != 0)
		harness_fail("%s: %s", (const char *)arg, text);
}

/* Whole: each event with its effect, each counter as counted. */
static void check_sound(sqlite3 *db, const char *effect)
{
	query(db, "PRAGMA integrity_check", NULL, must_be_ok, "integrity_check");
	query(db,
		"SELECT CASE count(*) WHEN 0 THEN 'ok' ELSE count(*) || ' events without their effect' END"
		" FROM events e WHERE e.type = 'user.login' AND"
		" (SELECT count(*) FROM effects f WHERE f.event = e.id AND f.effect = ?1) <> 1",
		effect, must_be_ok, "the store");
	query(db,
		"SELECT CASE WHEN coalesce((SELECT count FROM counters WHERE effect = ?1 AND kind = 'pending'), 0)"
		" = (SELECT count(*) FROM effects WHERE effect = ?1 AND state = 0) AND"
		" (SELECT total(count) FROM counters WHERE effect = ?1 AND kind <> 'pending')"
		" = (SELECT count(*) FROM effects WHERE effect = ?1 AND state = 2)"
		" THEN 'ok' ELSE 'they differ from the rows' END",
		effect, must_be_ok, "the counters");
}

static void note_earlier(void *arg, sqlite3_stmt *row)
{
	note(arg, EARLIER, (const char *)sqlite3_column_text(row, 0), 0);
}

struct ledger *ledger_new(struct server *server, struct peer *peer, const char *effect)
{
	struct scratch scratch;
	struct ledger *ledger = calloc(1, sizeof(*ledger));

	if (ledger == NULL)
		harness_fail("out of memory");
	*ledger = (struct ledger){.server = server, .peer = peer, .effect = effect, .first = peer_count(peer)};
	scratch_make(&scratch);
	sqlite3 *db = store_copy(ledger, &scratch);
	query(db,
		"SELECT e.event_id || '-' || f.effect FROM effects f JOIN events e ON e.id = f.event WHERE f.effect = "
		"?1",
		effect, note_earlier, ledger);
	sqlite3_close(db);
	scratch_remove(&scratch);
	return ledger;
}

static void note_row(void *arg, sqlite3_stmt *row)
{
	struct ledger *ledger = arg;
	static const enum kind kinds[] = {ROW_PENDING, ROW_DELIVERED, ROW_DEAD};
	int state = sqlite3_column_int(row, 1);

	if (state < 0 || state > 2)
		harness_fail("an effect in state %d", state);
	note(ledger, kinds[state], (const char *)sqlite3_column_text(row, 0), 0);
}

static void note_owed(void *arg, sqlite3_stmt *row)
{
	/* later than all that the dead process has sent */
	note(arg, OWED_AT_KILL, (const char *)sqlite3_column_text(row, 0), harness_mono_us());
}

/* Connections that the receiver has not closed yet, accepted or not. */
static size_t open_connections(int peer_port)
{
	enum { ESTABLISHED = 1, CLOSE_WAIT = 8 }; /* Linux, include/net/tcp_states.h */
	FILE *table = fopen("/proc/net/tcp", "re");
	char line[256];
	size_t count = 0;

	if (table == NULL)
		harness_fail("/proc/net/tcp: %m");
	while (fgets(line, sizeof(line), table) != NULL) {
		unsigned port = 0;
		unsigned state = 0;

		if (sscanf(line, " %*d: %*x:%x %*x:%*x %x", &port, &state) == 2)
			count += port == (unsigned)peer_port && (state == ESTABLISHED || state == CLOSE_WAIT);
	}
	fclose(table);
	return count;
}

/* The receiver has read all that the dead process sent: then it closes, as the other end is gone. */
static void await_quiet(struct peer *peer)
{
	int64_t until_us = harness_mono_us() + QUIET_MS * 1000;

	while (open_connections(peer_port(peer)) > 0) {
		if (harness_mono_us() > until_us)
			harness_fail("the receiver still holds connections of a dead process");
		harness_sleep_ms(1);
	}
}

void ledger_note_kill(struct ledger *ledger)
{
	struct scratch scratch;

	scratch_make(&scratch);
	sqlite3 *db = store_copy(ledger, &scratch);
	check_sound(db, ledger->effect);
	await_quiet(ledger->peer);
	query(db,
		"SELECT e.event_id || '-' || f.effect FROM effects f JOIN events e ON e.id = f.event"
		" WHERE f.effect = ?1 AND f.state = 0",
		ledger->effect, note_owed, ledger);
	sqlite3_close(db);
	scratch_remove(&scratch);
	ledger->kills++;
}

static void note_end(struct ledger *ledger)
{
	struct scratch scratch;
	size_t requests = peer_count(ledger->peer);

	if (requests > PEER_REQUESTS)
		harness_fail("more requests than are remembered");
	for (size_t i = ledger->first; i < requests; i++) {
		struct peer_request request = peer_request(ledger->peer, i);
		char value[PEER_TEXT];

		note(ledger, RECEIVED, peer_header(&request, "Idempotency-Key", value), request.arrived_us);
	}
	scratch_make(&scratch);
	sqlite3 *db = store_copy(ledger, &scratch);
	check_sound(db, ledger->effect);
	query(db,
		"SELECT e.event_id || '-' || f.effect, f.state FROM effects f JOIN events e ON e.id = f.event"
		" WHERE f.effect = ?1",
		ledger->effect, note_row, ledger);
	sqlite3_close(db);
	scratch_remove(&scratch);
}

/* By key, then by time. */
static int compare(const void *a, const void *b)
{
	const struct fact *one = a;
	const struct fact *other = b;
	int order = strcmp(one->key, other->key);

	return order != 0 ? order : (one->at_us > other->at_us) - (one->at_us < other->at_us);
}

/* Of the facts of one key: how many of each kind, and at how many kills it was in flight. */
struct account {
	size_t had[KINDS];
	size_t in_flight;
};

static struct account account_of(const struct fact *facts, size_t count)
{
	struct account account = {0};

	for (size_t i = 0; i < count; i++) {
		account.had[facts[i].kind]++;
		account.in_flight += facts[i].kind == OWED_AT_KILL && account.had[RECEIVED] > 0;
	}
	return account;
}

static void judge(const char *key, const struct account *account, struct ledger_figures *figures)
{
	const size_t *had = account->had;
	size_t rows = had[ROW_PENDING] + had[ROW_DELIVERED] + had[ROW_DEAD];
	size_t repeated = had[RECEIVED] > 1 ? had[RECEIVED] - 1 : 0;
	bool lost;

	if (had[EARLIER] > 0)
		return;
	lost = rows != 1 || (had[ROW_DELIVERED] > 0 && had[RECEIVED] == 0);

	figures->acknowledged += had[PROMISED];
	figures->unanswered += had[PROMISED] == 0 && rows > 0;
	figures->delivered += had[ROW_DELIVERED];
	figures->dead += had[ROW_DEAD];
	figures->owed += had[ROW_PENDING];
	figures->requests += had[RECEIVED];
	figures->repeated += repeated;
	figures->in_flight += account->in_flight;
	if (rows == 0 && had[RECEIVED] > 0) {
		figures->unknown++;
		fprintf(stderr, "received, and not in the store: %s\n", key);
	}
	if (lost && had[PROMISED] + rows > 0) {
		figures->lost++;
		fprintf(stderr, "lost: %s, %zu rows, %zu requests\n", key, rows, had[RECEIVED]);
	}
	if (repeated > account->in_flight) {
		figures->unexplained++;
		fprintf(stderr, "%zu requests of %s, which was owed at %zu kills, in flight at %zu\n", had[RECEIVED],
			key, had[OWED_AT_KILL], account->in_flight);
	}
}

struct ledger_figures ledger_check(struct ledger *ledger)
{
	struct ledger_figures figures = {.kills = ledger->kills};
	size_t before = ledger->count;

	note_end(ledger);
	struct fact *facts = calloc(ledger->count + 1, sizeof(*facts));
	if (facts == NULL)
		harness_fail("out of memory");
	memcpy(facts, ledger->facts, ledger->count * sizeof(*facts));
	qsort(facts, ledger->count, sizeof(*facts), compare);
	for (size_t i = 0, next; i < ledger->count; i = next) {
		for (next = i + 1; next < ledger->count && strcmp(facts[i].key, facts[next].key) == 0; next++) {
		}
		struct account account = account_of(&facts[i], next - i);
		judge(facts[i].key, &account, &figures);
	}
	free(facts);
	ledger->count = before; /* it may be checked again */
	return figures;
}

void ledger_figures_add(struct ledger_figures *sum, const struct ledger_figures *figures)
{
	sum->acknowledged += figures->acknowledged;
	sum->unanswered += figures->unanswered;
	sum->delivered += figures->delivered;
	sum->dead += figures->dead;
	sum->owed += figures->owed;
	sum->requests += figures->requests;
	sum->repeated += figures->repeated;
	sum->in_flight += figures->in_flight;
	sum->kills += figures->kills;
	sum->lost += figures->lost;
	sum->unexplained += figures->unexplained;
	sum->unknown += figures->unknown;
}

void ledger_figures_print(const char *what, const struct ledger_figures *f)
{
	long_form_print(
		"%s: %zu kills, %zu logins acknowledged and %zu written unanswered: %zu delivered, %zu dead, %zu owed, "
		"%zu lost; %zu requests, %zu of them repeats (%zu in flight at the kills), %zu unexplained, %zu "
		"unknown",
		what, f->kills, f->acknowledged, f->unanswered, f->delivered, f->dead, f->owed, f->lost, f->requests,
		f->repeated, f->in_flight, f->unexplained, f->unknown);
}
