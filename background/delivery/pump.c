/*
 * What a turn of a worker does with its lanes: operators' orders, refills, attempts that may begin, and what is shown.
 */
#include "background/delivery/worker_internal.h"
#include "config/clock.h"

void pump_take_orders(struct worker *worker)
{
	for (size_t i = 0; i < worker->lane_count; i++)
		worker->orders[i] |= atomic_exchange(&worker->targets[i]->orders, 0);
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
	if ((orders & ORDER_NOTE) || atomic_exchange(&worker->targets[i]->overflowed, false))
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
			worker->kept_out = true;
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

void pump_lane(struct worker *worker, size_t i, int64_t now_ms)
{
	struct lane *lane = worker->lanes[i];
	int64_t until_ms;

	carry_out(worker, i);
	refill(worker, lane, worker->targets[i], now_ms);
	start_all(worker, i, now_ms);
	enum target_parking parking = parking_of(lane, &until_ms);
	if (until_ms > now_ms)
		inline_refuse_waiting(worker, lane, target_parking_text(parking));
}

/* The lane whose suspect has waited longest; NULL: none has one that could begin. */
static struct lane *suspected(struct worker *worker, int64_t now_ms)
{
	struct lane *first = NULL;
	for (size_t i = 0; i < worker->lane_count; i++) {
		int64_t since_ms = lane_suspect_since_ms(worker->lanes[i]);
		if (since_ms > 0 && lane_suspect_may_begin(worker->lanes[i], now_ms) &&
			(first == NULL || since_ms < lane_suspect_since_ms(first)))
			first = worker->lanes[i];
	}
	return first;
}

void pump_suspects(struct worker *worker, int64_t now_ms, int64_t now_us)
{
	struct quarantine *gate = worker->options.quarantine;
	struct lane *lane =
		worker->suspect == NULL && !atomic_load(&worker->draining) ? suspected(worker, now_ms) : NULL;
	worker->suspects_wait = lane != NULL;
	if (worker->suspect != NULL)
		return;
	if (lane == NULL) {
		quarantine_open(gate, worker, now_us); /* it has gone meanwhile: discarded, say */
		return;
	}
	bool urgent = now_ms - lane_suspect_since_ms(lane) >= LIMIT_SUSPECT_MS;
	if (!quarantine_ask(gate, worker, urgent, now_us))
		return;
	worker->suspect = lane_start_suspect(lane, now_ms);
	if (worker->suspect == NULL)
		quarantine_open(gate, worker, now_us);
	else
		flight_begin(worker, worker->suspect);
}

int64_t pump_due_in_ms(const struct worker *worker, int64_t now_ms, int64_t most_ms)
{
	int64_t ms = most_ms;
	for (size_t i = 0; i < worker->lane_count; i++) {
		int64_t due = token_fetch_holds(worker, i) ? INT64_MAX : lane_due_ms(worker->lanes[i], now_ms);
		if (due != INT64_MAX && due - now_ms < ms)
			ms = due - now_ms;
	}
	if (worker->kept_out || (worker->suspects_wait && ms > QUARANTINE_LOOK_MS))
		ms = QUARANTINE_LOOK_MS; /* nobody wakes those at the gate when it opens */
	return ms;
}

/* After what has ended is known, and before the sleep, which may be long. */
void pump_show(struct worker *worker, size_t i)
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
