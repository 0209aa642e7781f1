/*
 * A lane against a model: rows on a pretend disk, a pretend committer that writes in order and announces later, and a
 * worker that does random things at random times under a simulated clock: pauses, Retry-After, a rate, rows that are
 * discarded or replayed behind the lane's back, suspects. Whatever the order, every row is started until it is settled,
 * none twice at once, none after it was settled, none while the lane was not to send, none lost; and a worker that
 * sleeps until lane_due_ms neither spins nor oversleeps.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "background/delivery/lane.h"
#include "config/limits.h"

enum {
	ROWS = 6000,
	LEFT = 600, /* on disk at the start */
	BURST = 400,
	STEPS = 30000,
	NOW = 1000000,
	MEMORY = 500,
	SUSPECT_MS = 400, /* after which a suspect makes the others wait */
};

struct row {
	bool pending; /* on disk: owed */
	bool settled; /* on disk: for good */
	bool busy;    /* started, and the worker has not heard that its outcome is durable */
	bool heard;   /* the worker has seen its offer, or it was there at the start */
	bool again, suspect;
	int64_t due_ms;
	int starts;
};

/* What the committer writes and then tells the worker: a new row's offer, or an outcome. */
struct change {
	struct change *next;
	struct item *item;
	bool outcome;
	struct lane_decision decision;
};

struct changes {
	struct change *first, **last;
};

static struct model {
	struct effect_config config;
	struct event *event;
	struct lane *lane;
	struct row rows[ROWS + 1];
	int64_t row_count, settled, memory, memory_ended;
	struct changes posted, written, inbox;
	struct item *flying[LIMIT_LANE_WINDOW];
	size_t flying_count;
	int64_t now_ms;
	uint64_t random;
	int64_t refills, handed_back, turned_away, suspects_sent, discarded, replayed, told;
	bool paused;
	int64_t told_until_ms;
	/* the rate, told another way: the time before which the next attempt would be too early, in ms * per_second */
	int64_t rate_time, rate_slack;
	int64_t unheard; /* outcomes posted that the worker has not heard of */
} m;

/* xorshift64 (Marsaglia 2003) */
static uint32_t draw(uint32_t below)
{
	m.random ^= m.random << 13;
	m.random ^= m.random >> 7;
	m.random ^= m.random << 17;
	return (uint32_t)(m.random >> 20) % below;
}

static void changes_init(struct changes *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void add(struct changes *queue, struct change *change)
{
	change->next = NULL;
	*queue->last = change;
	queue->last = &change->next;
}

static struct change *take(struct changes *queue)
{
	struct change *change = queue->first;

	if (change == NULL)
		return NULL;
	queue->first = change->next;
	if (queue->first == NULL)
		queue->last = &queue->first;
	return change;
}

static struct item *make(int64_t row, int64_t due_ms)
{
	struct item *item = item_new(m.event, due_ms);

	cr_assert_not_null(item);
	item->row = row;
	return item;
}

static void post(struct item *item, const struct lane_decision *decision)
{
	struct change *change = calloc(1, sizeof(*change));

	cr_assert_not_null(change);
	change->item = item;
	change->outcome = decision != NULL;
	m.unheard += decision != NULL;
	if (decision != NULL)
		change->decision = *decision;
	add(&m.posted, change);
}

static void add_rows(uint32_t count)
{
	for (; count > 0 && m.row_count < ROWS; count--)
		post(make(++m.row_count, m.now_ms), NULL);
}

/* A batch is written only when the one before it has been announced. */
static void write_batch(uint32_t most)
{
	if (m.written.first != NULL)
		return;
	for (; most > 0 && m.posted.first != NULL; most--) {
		struct change *change = take(&m.posted);
		struct row *row = &m.rows[change->item->row];
		if (!change->outcome) {
			row->pending = true;
			row->due_ms = change->item->due_ms;
		} else if (change->decision.action == LANE_AGAIN) {
			row->due_ms = change->decision.due_ms;
			row->again = true;
			row->suspect = false;
		} else {
			row->pending = false;
			row->settled = true;
			m.settled++;
		}
		add(&m.written, change);
	}
}

static void announce(uint32_t most)
{
	for (; most > 0 && m.written.first != NULL; most--)
		add(&m.inbox, take(&m.written));
}

static void hear_outcome(struct item *item, const struct lane_decision *decision)
{
	if (item->row != 0)
		m.rows[item->row].busy = false;
	if (decision->action != LANE_AGAIN) {
		lane_forget(m.lane, item);
		item_free(item);
		return;
	}
	item->due_ms = decision->due_ms;
	if (lane_wait(m.lane, item))
		return;
	cr_assert_neq(item->row, 0);
	m.handed_back++;
	item_free(item);
}

static void take_messages(void)
{
	for (struct change *change = take(&m.inbox); change != NULL; change = take(&m.inbox)) {
		m.unheard -= change->outcome;
		m.rows[change->item->row].heard = true;
		if (change->outcome) {
			hear_outcome(change->item, &change->decision);
		} else if (!lane_offer(m.lane, change->item, false, m.now_ms)) {
			m.turned_away++;
			item_free(change->item);
		}
		free(change);
	}
}

static int by_due(const void *a, const void *b)
{
	const struct row *one = &m.rows[*(const int64_t *)a], *two = &m.rows[*(const int64_t *)b];

	return one->due_ms != two->due_ms ? (one->due_ms < two->due_ms ? -1 : 1) : (one < two ? -1 : one > two);
}

static bool is_due(const struct row *row)
{
	return row->pending && (!row->again || row->due_ms <= m.now_ms);
}

/* As refill.c does it. */
static void refill(enum outbox_class class)
{
	static int64_t due[ROWS];
	size_t count = 0;
	int64_t next_due_ms = INT64_MAX;
	int seen = 0;

	m.refills++;
	lane_refill_begin(m.lane, class);
	for (int64_t row = 1; row <= m.row_count; row++) {
		if (!m.rows[row].pending || m.rows[row].again != (class == OUTBOX_AGAIN))
			continue;
		if (is_due(&m.rows[row]))
			due[count++] = row;
		else if (m.rows[row].due_ms < next_due_ms)
			next_due_ms = m.rows[row].due_ms;
	}
	qsort(due, count, sizeof(due[0]), by_due);
	for (size_t i = 0; i < count && seen < LIMIT_REFILL_ROWS; i++) {
		const struct row *row = &m.rows[due[i]];
		seen++;
		if (lane_holds(m.lane, due[i]))
			continue;
		struct item *item = make(due[i], row->due_ms < m.now_ms ? row->due_ms : m.now_ms);
		item->again = row->again;
		item->suspect = row->suspect;
		if (lane_offer(m.lane, item, false, m.now_ms))
			continue;
		item_free(item);
		if (!row->suspect)
			break;
	}
	lane_refilled(m.lane, class, seen, LIMIT_REFILL_ROWS, next_due_ms);
}

static int64_t rate_ms(void)
{
	int64_t per_second = m.config.rate.per_second;

	return per_second == 0 ? 0 : (m.rate_time - m.rate_slack + per_second - 1) / per_second;
}

/* When an attempt may begin, by the model's own account; INT64_MAX: not by time alone. */
static int64_t open_ms(void)
{
	int64_t open = breaker_due_ms(lane_breaker(m.lane));

	if (m.paused || m.flying_count >= (size_t)m.config.max_in_flight)
		return INT64_MAX;
	if (m.told_until_ms > open)
		open = m.told_until_ms;
	return rate_ms() > open ? rate_ms() : open;
}

static void begun(struct item *item)
{
	int64_t per_second = m.config.rate.per_second;

	cr_assert_leq(item->due_ms, m.now_ms, "started before its time");
	cr_assert(!m.paused && m.told_until_ms <= m.now_ms, "started while it was to wait");
	cr_assert_leq(rate_ms(), m.now_ms, "started faster than the rate");
	m.rate_time = (m.rate_time > m.now_ms * per_second ? m.rate_time : m.now_ms * per_second) + 1000;
	item->attempts++;
	m.flying[m.flying_count++] = item;
	cr_assert_leq(m.flying_count, (size_t)m.config.max_in_flight);
	if (item->row == 0)
		return;
	struct row *row = &m.rows[item->row];
	cr_assert(row->pending && !row->settled, "row %ld is started after it was settled", item->row);
	cr_assert_not(row->busy, "row %ld is started twice at once", item->row);
	cr_assert_eq(row->again, item->again);
	row->busy = true;
	row->starts++;
}

static bool start_suspect(void)
{
	struct item *item = lane_start_suspect(m.lane, m.now_ms);

	if (item == NULL)
		return false;
	cr_assert(item->suspect);
	cr_assert_eq(m.flying_count, 0);
	begun(item);
	m.suspects_sent++;
	return true;
}

/* Whether anything began. */
static bool start_all(void)
{
	bool any = false;

	for (struct item *item = lane_start(m.lane, m.now_ms); item != NULL; item = lane_start(m.lane, m.now_ms)) {
		any = true;
		cr_assert_not(item->suspect);
		begun(item);
	}
	return any;
}

/* What is due, known to the worker and no suspect has begun, or waits for what lane_due_ms says. */
static void check_idle(void)
{
	if (m.unheard + (int64_t)m.flying_count > 100)
		return; /* there may be no room for a refill beside those */
	for (int64_t i = 1; i <= m.row_count; i++) {
		const struct row *row = &m.rows[i];
		if (!is_due(row) || row->busy || row->suspect || !row->heard)
			continue;
		cr_assert_gt(open_ms(), m.now_ms, "row %ld is due and could begin", i);
		cr_assert_leq(lane_due_ms(m.lane, m.now_ms), open_ms(), "the worker oversleeps row %ld", i);
		return;
	}
}

/* A turn of the worker's loop, and as many more as it would take without sleeping. */
static void pump(void)
{
	int idle = 0;

	do {
		for (int class = 0; class < OUTBOX_CLASSES; class ++)
			if (lane_wants_refill(m.lane, (enum outbox_class) class, m.now_ms))
				refill((enum outbox_class) class);
		int64_t since_ms = lane_suspect_since_ms(m.lane);
		if (since_ms != 0 && m.now_ms - since_ms > SUSPECT_MS) {
			if (m.flying_count == 0)
				start_suspect();
			return; /* the others wait until it has had its turn */
		}
		idle = start_all() ? 0 : idle + 1;
		cr_assert_lt(idle, 3, "the worker spins");
	} while (lane_due_ms(m.lane, m.now_ms) <= m.now_ms);
	check_idle();
	if (m.flying_count == 0)
		start_suspect();
}

static enum verdict_kind draw_verdict(bool well)
{
	uint32_t n = draw(100);

	if (well || n < 50)
		return VERDICT_OK;
	return n < 90 ? VERDICT_RETRY : n < 95 ? VERDICT_DEAD : VERDICT_TARGET;
}

static void end_one(bool well)
{
	if (m.flying_count == 0)
		return;
	size_t i = draw((uint32_t)m.flying_count);
	struct item *item = m.flying[i];
	struct verdict verdict = {.kind = draw_verdict(well), .retry_after_ms = -1};

	if (verdict.kind == VERDICT_RETRY && draw(20) == 0) {
		verdict.retry_after_ms = draw(300);
		verdict.pauses_target = draw(3) != 0;
	}

	m.flying[i] = m.flying[--m.flying_count];
	lane_clear_suspect(m.lane, item);
	struct lane_decision decision = lane_end(m.lane, item, &verdict, m.now_ms, (uint32_t)m.random);
	cr_assert(decision.action != LANE_AGAIN || decision.due_ms >= m.now_ms + verdict.retry_after_ms);
	if (verdict.pauses_target && m.now_ms + verdict.retry_after_ms > m.told_until_ms) {
		m.told_until_ms = m.now_ms + verdict.retry_after_ms;
		m.told++;
	}
	item->attempts -= decision.action == LANE_AGAIN && verdict.kind == VERDICT_TARGET;
	if (item->row != 0) {
		post(item, &decision);
		return;
	}
	m.memory_ended += decision.action != LANE_AGAIN;
	hear_outcome(item, &decision);
}

/* Rows are discarded, and others replayed, while the lane may hold them. */
static void change_rows(void)
{
	for (uint32_t n = 1 + draw(20); n > 0 && m.row_count > 0; n--) {
		struct row *row = &m.rows[1 + draw((uint32_t)m.row_count)];
		if (row->busy || !row->heard || row->suspect)
			continue;
		if (row->pending) {
			row->pending = false;
			row->settled = true;
			m.settled++;
			m.discarded++;
		} else if (row->settled) {
			row->pending = true;
			row->settled = row->again = false;
			row->due_ms = m.now_ms;
			m.settled--;
			m.replayed++;
		}
	}
	lane_reread(m.lane);
}

static void pause_or_resume(void)
{
	m.paused = !m.paused;
	if (m.paused) {
		lane_pause(m.lane);
		return;
	}
	lane_resume(m.lane);
	m.told_until_ms = 0;
}

static void act(void)
{
	switch (draw(14)) {
	case 0:
		if (draw(20) == 0)
			add_rows(draw(BURST));
		break;
	case 1:
		add_rows(draw(3));
		break;
	case 2:
		write_batch(draw(64));
		break;
	case 3:
		announce(draw(64));
		break;
	case 4:
	case 5:
		take_messages();
		pump();
		break;
	case 6:
		m.now_ms += draw(30);
		break;
	case 7:
		if (m.memory < MEMORY && lane_offer(m.lane, make(0, m.now_ms), false, m.now_ms))
			m.memory++;
		break;
	case 8:
		if (draw(100) == 0)
			change_rows();
		break;
	case 9:
		if (m.paused ? draw(10) == 0 : draw(300) == 0)
			pause_or_resume();
		break;
	default:
		for (uint32_t n = draw(8); n > 0; n--)
			end_one(false);
	}
}

/* The target is well again and nothing new comes: sleeping only as long as the lane says, all of it ends. */
static void finish(void)
{
	if (m.paused)
		pause_or_resume();
	for (int turn = 0; m.settled < m.row_count || m.memory_ended < m.memory; turn++) {
		cr_assert_lt(turn, 200000, "%ld of %ld rows settled", m.settled, m.row_count);
		write_batch(256);
		announce(256);
		take_messages();
		pump();
		bool quiet = m.flying_count == 0 && m.posted.first == NULL && m.written.first == NULL;
		while (m.flying_count > 0)
			end_one(true);
		if (!quiet)
			continue;
		int64_t due_ms = lane_due_ms(m.lane, m.now_ms), since_ms = lane_suspect_since_ms(m.lane);
		if (since_ms != 0 && since_ms + SUSPECT_MS < due_ms)
			due_ms = since_ms + SUSPECT_MS + 1;
		if (m.settled == m.row_count && m.memory_ended == m.memory)
			break;
		cr_assert_neq(due_ms, INT64_MAX, "%ld of %ld rows are lost", m.row_count - m.settled, m.row_count);
		m.now_ms = due_ms > m.now_ms ? due_ms : m.now_ms + 1;
	}
}

/* Rows of an earlier run. */
static void leave_rows(bool suspects)
{
	while (m.row_count < LEFT) {
		struct row *row = &m.rows[++m.row_count];
		*row = (struct row){
			.pending = true,
			.heard = true,
			.again = draw(2) == 0,
			.suspect = suspects && draw(4) == 0,
			.due_ms = NOW - 500 + draw(1000),
		};
	}
	lane_note_disk(m.lane);
}

struct setting {
	int64_t max_in_flight, first_ms, per_second, burst;
};

static void run(uint64_t seed, struct setting setting)
{
	m = (struct model){.now_ms = NOW, .random = seed * UINT64_C(0x9e3779b97f4a7c15)};
	m.config = (struct effect_config){
		.delivery = DELIVERY_DURABLE,
		.max_in_flight = setting.max_in_flight,
		.rate = {.per_second = setting.per_second, .burst = setting.burst},
		.retry = {.max_attempts = 10000,
			.first_ms = setting.first_ms,
			.cap_ms = 40 * setting.first_ms,
			.max_age_ms = INT64_C(1) << 40},
		.breaker =
			{.failures = 20, .failure_share = 80, .window_ms = 1000, .window_min = 30, .open_for_ms = 300},
	};
	bool suspects = seed % 2 == 0; /* they wake the worker for their own sake, too */
	int64_t capacity = 1000 * setting.burst;
	m.rate_slack = (capacity > setting.per_second ? capacity : setting.per_second) - 1000;
	m.event = event_new("01ARZ3NDEKTSV4RRFFQ69G5FAV", "user.login", "s", "{}", 7, "", NOW);
	m.lane = lane_new(&m.config);
	cr_assert(m.event != NULL && m.lane != NULL);
	changes_init(&m.posted);
	changes_init(&m.written);
	changes_init(&m.inbox);
	leave_rows(suspects);
	for (int step = 0; step < STEPS; step++)
		act();
	add_rows(ROWS);
	finish();
	take_messages();
	for (int64_t row = 1; row <= m.row_count; row++)
		cr_assert(m.rows[row].settled && !m.rows[row].busy, "row %ld", row);
	cr_assert_eq(m.row_count, ROWS);
	cr_assert_null(lane_take(m.lane));
	/* what the run was for has happened */
	cr_assert(m.turned_away > 0 && m.refills > 0 && (m.suspects_sent > 0) == suspects);
	cr_assert(m.discarded > 0 && m.replayed > 0 && m.told > 0);
	lane_free(m.lane);
	event_unref(m.event);
}

TestSuite(lane_model, .timeout = 60);

Test(lane_model, few_at_a_time)
{
	for (uint64_t seed = 1; seed <= 4; seed++)
		run(seed, (struct setting){.max_in_flight = 8, .first_ms = 50});
}

Test(lane_model, many_at_a_time)
{
	for (uint64_t seed = 11; seed <= 14; seed++)
		run(seed, (struct setting){.max_in_flight = LIMIT_LANE_WINDOW, .first_ms = 50});
}

Test(lane_model, at_a_rate)
{
	for (uint64_t seed = 31; seed <= 34; seed++)
		run(seed, (struct setting){.max_in_flight = 64,
				  .first_ms = 50,
				  .per_second = 777,
				  .burst = 1 + (int64_t)seed % 4 * 9});
}

/* So long a backoff that the heap's room is used up. */
Test(lane_model, long_backoffs)
{
	int64_t handed_back = 0;

	for (uint64_t seed = 21; seed <= 24; seed++) {
		run(seed, (struct setting){.max_in_flight = 200, .first_ms = 20000});
		handed_back += m.handed_back;
	}
	cr_assert_gt(handed_back, 0, "the heap was never full");
}
