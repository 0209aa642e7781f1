/*
 * A lane against a model: rows on a pretend disk, a pretend committer that writes in order and announces later, and a
 * worker that does random things at random times under a simulated clock. Whatever the order, every row is started until it
 * is settled, none twice at once, none after it was settled, none lost; and a worker that sleeps until lane_due_ms neither
 * spins nor oversleeps.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "background/delivery/lane.h"
#include "config/limits.h"

enum { ROWS = 6000, BURST = 400, STEPS = 30000, NOW = 1000000, MEMORY = 500 };

struct row {
	bool pending; /* on disk: owed */
	bool settled; /* on disk: for good */
	bool busy;    /* started, and the worker has not heard that its outcome is durable */
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

struct queue {
	struct change *first, **last;
};

static struct model {
	struct effect_config config;
	struct event *event;
	struct lane *lane;
	struct row rows[ROWS + 1];
	int64_t row_count, settled, memory, memory_ended;
	struct queue posted, written, inbox;
	struct item *flying[LIMIT_LANE_WINDOW];
	size_t flying_count;
	int64_t now_ms;
	uint64_t random;
	int64_t refills, handed_back, turned_away;
} m;

/* xorshift64 (Marsaglia 2003) */
static uint32_t draw(uint32_t below)
{
	m.random ^= m.random << 13;
	m.random ^= m.random >> 7;
	m.random ^= m.random << 17;
	return (uint32_t)(m.random >> 20) % below;
}

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void queue_add(struct queue *queue, struct change *change)
{
	change->next = NULL;
	*queue->last = change;
	queue->last = &change->next;
}

static struct change *queue_take(struct queue *queue)
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
	if (decision != NULL)
		change->decision = *decision;
	queue_add(&m.posted, change);
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
		struct change *change = queue_take(&m.posted);
		struct row *row = &m.rows[change->item->row];
		if (!change->outcome) {
			row->pending = true;
			row->due_ms = change->item->due_ms;
		} else if (change->decision.action == LANE_AGAIN) {
			row->due_ms = change->decision.due_ms;
		} else {
			row->pending = false;
			row->settled = true;
			m.settled++;
		}
		queue_add(&m.written, change);
	}
}

static void announce(uint32_t most)
{
	for (; most > 0 && m.written.first != NULL; most--)
		queue_add(&m.inbox, queue_take(&m.written));
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
	for (struct change *change = queue_take(&m.inbox); change != NULL; change = queue_take(&m.inbox)) {
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

/* As refill.c does it. */
static void refill(void)
{
	static int64_t due[ROWS];
	size_t count = 0;
	int64_t next_due_ms = INT64_MAX;
	int seen = 0;

	m.refills++;
	lane_refill_begin(m.lane);
	for (int64_t row = 1; row <= m.row_count; row++) {
		if (!m.rows[row].pending)
			continue;
		if (m.rows[row].due_ms <= m.now_ms)
			due[count++] = row;
		else if (m.rows[row].due_ms < next_due_ms)
			next_due_ms = m.rows[row].due_ms;
	}
	qsort(due, count, sizeof(due[0]), by_due);
	for (size_t i = 0; i < count && seen < LIMIT_LANE_WINDOW; i++) {
		seen++;
		if (lane_holds(m.lane, due[i]))
			continue;
		struct item *item = make(due[i], m.rows[due[i]].due_ms);
		if (lane_offer(m.lane, item, false, m.now_ms))
			continue;
		item_free(item);
		break;
	}
	lane_refilled(m.lane, seen, LIMIT_LANE_WINDOW, next_due_ms);
}

/* Whether anything began. */
static bool start_all(void)
{
	bool any = false;

	for (struct item *item = lane_start(m.lane, m.now_ms); item != NULL; item = lane_start(m.lane, m.now_ms)) {
		any = true;
		cr_assert_leq(item->due_ms, m.now_ms, "started before its time");
		item->attempts++;
		m.flying[m.flying_count++] = item;
		cr_assert_leq(m.flying_count, (size_t)m.config.max_in_flight);
		if (item->row == 0)
			continue;
		struct row *row = &m.rows[item->row];
		cr_assert(row->pending && !row->settled, "row %ld is started after it was settled", item->row);
		cr_assert_not(row->busy, "row %ld is started twice at once", item->row);
		row->busy = true;
		row->starts++;
	}
	return any;
}

/* A turn of the worker's loop, and as many more as it would take without sleeping. */
static void pump(void)
{
	int idle = 0;

	do {
		if (lane_wants_refill(m.lane, m.now_ms))
			refill();
		idle = start_all() ? 0 : idle + 1;
		cr_assert_lt(idle, 3, "the worker spins");
	} while (lane_due_ms(m.lane, m.now_ms) <= m.now_ms);
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
	const struct verdict verdict = {.kind = draw_verdict(well), .retry_after_ms = -1};

	m.flying[i] = m.flying[--m.flying_count];
	struct lane_decision decision = lane_end(m.lane, item, &verdict, m.now_ms, (uint32_t)m.random);
	item->attempts -= decision.action == LANE_AGAIN && verdict.kind == VERDICT_TARGET;
	if (item->row != 0) {
		post(item, &decision);
		return;
	}
	m.memory_ended += decision.action != LANE_AGAIN;
	hear_outcome(item, &decision);
}

static void act(void)
{
	switch (draw(12)) {
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
	default:
		for (uint32_t n = draw(8); n > 0; n--)
			end_one(false);
	}
}

/* The target is well again and nothing new comes: sleeping only as long as the lane says, all of it ends. */
static void finish(void)
{
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
		int64_t due_ms = lane_due_ms(m.lane, m.now_ms);
		if (m.settled == m.row_count && m.memory_ended == m.memory)
			break;
		cr_assert_neq(due_ms, INT64_MAX, "%ld of %ld rows are lost", m.row_count - m.settled, m.row_count);
		m.now_ms = due_ms;
	}
}

static void run(uint64_t seed, int64_t max_in_flight, int64_t first_ms)
{
	m = (struct model){.now_ms = NOW, .random = seed * UINT64_C(0x9e3779b97f4a7c15)};
	m.config = (struct effect_config){
		.delivery = DELIVERY_DURABLE,
		.max_in_flight = max_in_flight,
		.retry = {.max_attempts = 10000,
			.first_ms = first_ms,
			.cap_ms = 40 * first_ms,
			.max_age_ms = INT64_C(1) << 40},
		.breaker = {.failures = 20, .open_for_ms = 300},
	};
	m.event = event_new("01ARZ3NDEKTSV4RRFFQ69G5FAV", "user.login", "s", "{}", 7, "", NOW);
	m.lane = lane_new(&m.config);
	cr_assert(m.event != NULL && m.lane != NULL);
	queue_init(&m.posted);
	queue_init(&m.written);
	queue_init(&m.inbox);
	for (int step = 0; step < STEPS; step++)
		act();
	add_rows(ROWS);
	finish();
	take_messages();
	for (int64_t row = 1; row <= m.row_count; row++)
		cr_assert(m.rows[row].starts > 0 && m.rows[row].settled, "row %ld", row);
	cr_assert_eq(m.row_count, ROWS);
	cr_assert_null(lane_take(m.lane));
	lane_free(m.lane);
	event_unref(m.event);
}

TestSuite(lane_model, .timeout = 60);

Test(lane_model, few_at_a_time)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		run(seed, 8, 50);
		cr_assert_gt(m.turned_away, 0, "the window was never full");
		cr_assert_gt(m.refills, 0);
	}
}

Test(lane_model, many_at_a_time)
{
	for (uint64_t seed = 11; seed <= 14; seed++)
		run(seed, LIMIT_LANE_WINDOW, 50);
}

/* So long a backoff that the heap's room is used up. */
Test(lane_model, long_backoffs)
{
	int64_t handed_back = 0;

	for (uint64_t seed = 21; seed <= 24; seed++) {
		run(seed, 200, 20000);
		handed_back += m.handed_back;
	}
	cr_assert_gt(handed_back, 0, "the heap was never full");
}
