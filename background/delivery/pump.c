/*
 * What a turn of a worker does with its lanes: operators' orders, refills, attempts that may begin, and what is shown.
 *
 * A lane is looked at when something has touched it, when the time has come that it named last, or when the quarantine
 * kept it from beginning anything. That is enough: what else could let it begin an attempt is a change of it, which
 * touches it.
 */
#include "background/delivery/worker_internal.h"
#include "config/clock.h"

void pump_take_orders(struct worker *worker)
{
	if (!atomic_exchange(&worker->ordered, false))
		return;
	for (size_t i = 0; i < worker->lane_count; i++) {
		worker->orders[i] |= atomic_exchange(&worker->targets[i]->orders, 0);
		if (worker->orders[i] != 0)
			(void)lane_touch(worker, i);
	}
}

static void carry_out(struct worker *worker, size_t i)
{
	struct lane *lane = worker->lanes[i];
	unsigned orders = worker->orders[i];
	worker->orders[i] = 0;
	if (orders & ORDER_HOLD) {
		if (atomic_load(&worker->targets[i]->on_hold))
			lane_pause(lane);
		else
			lane_resume(lane);
	}
	if (orders & ORDER_REREAD)
		lane_reread(lane);
	if (orders & ORDER_NOTE)
		lane_note_disk(lane);
}

/*
 * What is offered now would wait. Told as a time, and not as a state, so that when an open breaker's time has come the
 * next effect that wants to be the probe is taken even if nothing else has woken this worker.
 */
static enum target_parking parking_of(const struct lane *lane, int64_t *ret_until_ms)
{
	int64_t breaker_ms = breaker_due_ms(lane_breaker(lane)), told_ms = lane_told_until_ms(lane);
	if (lane_paused(lane) || lane_breaker(lane)->paused) {
		*ret_until_ms = INT64_MAX;
		return TARGET_PAUSED;
	}
	*ret_until_ms = breaker_ms > told_ms ? breaker_ms : told_ms;
	return *ret_until_ms == 0 ? TARGET_TAKING : breaker_ms >= told_ms ? TARGET_BREAKER : TARGET_TOLD;
}

/*
 * At the gate of the quarantine, and while a token is on its way, nothing begins, and nothing is taken out of the lane.
 * Only the gate has to be looked at again: a token's arrival wakes this worker. What goes beyond a turn's share begins
 * in the next one, so that the first bytes leave before a long line has been built.
 */
static void start_all(struct worker *worker, size_t i, int64_t now_ms)
{
	struct lane *lane = worker->lanes[i];
	for (int begun = 0; begun < LIMIT_TURN_ATTEMPTS && !token_fetch_holds(worker, i); begun++) {
		if (!quarantine_enter(worker->options.quarantine)) {
			worker->kept_out |= UINT64_C(1) << i;
			return;
		}
		struct item *item = lane_start(lane, now_ms);
		if (item == NULL) {
			quarantine_leave(worker->options.quarantine);
			return;
		}
		flight_begin(worker, item);
	}
}

static void pump_lane(struct worker *worker, size_t i, int64_t now_ms)
{
	struct lane *lane = worker->lanes[i];
	int64_t until_ms;

	carry_out(worker, i);
	refill(worker, lane, worker->targets[i], now_ms);
	start_all(worker, i, now_ms);
	worker->suspected &= ~(UINT64_C(1) << i);
	worker->suspected |= (uint64_t)(lane_suspect_since_ms(lane) > 0) << i;
	enum target_parking parking = parking_of(lane, &until_ms);
	if (until_ms > now_ms)
		inline_refuse_waiting(worker, lane, target_parking_text(parking));
}

/* Of the lanes in `bits`, the next one, which is taken out of them. */
static size_t next_of(uint64_t *bits)
{
	size_t i = (size_t)__builtin_ctzll(*bits);
	*bits &= *bits - 1;
	return i;
}

void pump_lanes(struct worker *worker, int64_t now_ms)
{
	uint64_t bits = worker->touched | worker->kept_out;
	for (size_t i = 0; i < worker->lane_count; i++)
		if (worker->lanes_due_ms[i] <= now_ms)
			bits |= UINT64_C(1) << i;
	worker->pumped = bits;
	worker->touched = 0;
	worker->kept_out = 0;
	while (bits != 0)
		pump_lane(worker, next_of(&bits), now_ms);
}

void pump_drain(struct worker *worker)
{
	for (size_t i = 0; i < worker->lane_count && !worker->drains; i++)
		lane_drain(lane_touch(worker, i));
	worker->drains = true;
}

/* The lane whose suspect has waited longest; `lane_count`: none has one that could begin. */
static size_t suspected(const struct worker *worker, int64_t now_ms)
{
	size_t first = worker->lane_count;
	int64_t first_ms = INT64_MAX;
	for (uint64_t bits = worker->suspected; bits != 0;) {
		size_t i = next_of(&bits);
		int64_t since_ms = lane_suspect_since_ms(worker->lanes[i]);
		if (since_ms > 0 && since_ms < first_ms && lane_suspect_may_begin(worker->lanes[i], now_ms)) {
			first = i;
			first_ms = since_ms;
		}
	}
	return first;
}

void pump_suspects(struct worker *worker, int64_t now_ms, int64_t now_us)
{
	struct quarantine *gate = worker->options.quarantine;
	const bool may = worker->suspect == NULL && !atomic_load(&worker->draining);
	const size_t i = may ? suspected(worker, now_ms) : worker->lane_count;
	worker->suspects_wait = i < worker->lane_count;
	if (worker->suspect != NULL)
		return;
	if (!worker->suspects_wait) {
		quarantine_open(gate, worker, now_us); /* it has gone meanwhile: discarded, say */
		return;
	}
	bool urgent = now_ms - lane_suspect_since_ms(worker->lanes[i]) >= LIMIT_SUSPECT_MS;
	if (!quarantine_ask(gate, worker, urgent, now_us))
		return;
	worker->suspect = lane_start_suspect(lane_touch(worker, i), now_ms);
	if (worker->suspect == NULL)
		quarantine_open(gate, worker, now_us);
	else
		flight_begin(worker, worker->suspect);
}

int64_t pump_due_in_ms(const struct worker *worker, int64_t now_ms)
{
	int64_t due_ms = INT64_MAX;
	if (worker->touched != 0) /* since it was looked at */
		return 0;
	if (worker->kept_out != 0)
		return QUARANTINE_LOOK_MS; /* nobody wakes those at the gate when it opens */
	for (size_t i = 0; i < worker->lane_count; i++)
		if (worker->lanes_due_ms[i] < due_ms)
			due_ms = worker->lanes_due_ms[i];
	int64_t ms = due_ms != INT64_MAX ? due_ms - now_ms : INT64_MAX;
	return worker->suspects_wait && ms > QUARANTINE_LOOK_MS ? QUARANTINE_LOOK_MS : ms;
}

static void show(struct worker *worker, size_t i)
{
	const struct lane *lane = worker->lanes[i];
	struct target *target = worker->targets[i];
	int64_t until_ms;
	enum target_parking parking = parking_of(lane, &until_ms);

	gauge_set(target->in_flight, (int64_t)lane_in_flight(lane));
	gauge_set(target->breaker, lane_breaker(lane)->state);
	gauge_set(target->paused, parking == TARGET_PAUSED);
	atomic_store(&target->oldest_due_ms, lane_oldest_due_ms(lane));
	atomic_store(&target->told_until_ms, lane_told_until_ms(lane));
	target_park(target, parking, until_ms);
}

void pump_show(struct worker *worker, int64_t now_ms)
{
	for (uint64_t bits = worker->pumped | worker->touched; bits != 0;) {
		size_t i = next_of(&bits);
		show(worker, i);
		worker->lanes_due_ms[i] =
			token_fetch_holds(worker, i) ? INT64_MAX : lane_due_ms(worker->lanes[i], now_ms);
	}
}
