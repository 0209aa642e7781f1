#include "server/http/edge.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"

/* What the server sends. The last one, 0, collects the rest and what got no answer. */
static const int statuses[EDGE_STATUSES] = {200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 408, 409, 411, 413, 414,
	415, 422, 429, 431, 500, 501, 502, 503, 0};

static const char *shed_text(enum shed shed)
{
	static const char *const texts[] = {"connections", "descriptors", "crew_queue", "crew_deadline", "client_gone"};

	return shed < SHED_HEADER_DEADLINE ? texts[shed] : deadline_text(shed - SHED_HEADER_DEADLINE);
}

static size_t status_index(int status)
{
	size_t i = 0;

	while (i < EDGE_STATUSES - 1 && statuses[i] != status)
		i++;
	return i;
}

static bool visible(const struct route *route, bool split, bool ops)
{
	if (!split)
		return true;
	if (!ops)
		return !route->ops;
	return route->ops || strncmp(route->path, "/health/", 8) == 0;
}

static void register_route(struct route_table *t, size_t row, const char *path, struct metrics *metrics)
{
	char labels[256];

	for (size_t i = 0; i < EDGE_STATUSES; i++) {
		if (statuses[i])
			snprintf(labels, sizeof(labels), "route=\"%s\",status=\"%d\"", path, statuses[i]);
		else
			snprintf(labels, sizeof(labels), "route=\"%s\",status=\"other\"", path);
		t->requests[row * EDGE_STATUSES + i] = metrics_counter(metrics, "tokenfirst_http_requests_total",
			"Requests by route and status of the answer.", labels);
	}
	snprintf(labels, sizeof(labels), "route=\"%s\"", path);
	t->seconds[row] = metrics_histogram(metrics, "tokenfirst_http_request_duration_seconds",
		"From the request line read to the answer sent.", &histogram_seconds, labels);
}

static int table_init(struct route_table *t, const struct http_options *options, bool split, bool ops)
{
	t->routes = calloc(options->route_count + 1, sizeof(*t->routes));
	t->requests = calloc((options->route_count + 1) * EDGE_STATUSES, sizeof(struct counter *));
	t->seconds = calloc(options->route_count + 1, sizeof(struct histogram *));
	if (!t->routes || !t->requests || !t->seconds)
		return ERR_MEMORY;
	for (size_t i = 0; i < options->route_count; i++) {
		if (visible(&options->routes[i], split, ops))
			t->routes[t->count++] = options->routes[i];
	}
	for (size_t i = 0; i < t->count; i++)
		register_route(t, i, t->routes[i].path, options->metrics);
	register_route(t, t->count, "unknown", options->metrics);
	return 0;
}

static void table_release(struct route_table *t)
{
	free(t->routes);
	free(t->requests);
	free(t->seconds);
}

static void register_metrics(struct edge *edge, struct metrics *metrics)
{
	char labels[64];

	for (enum shed i = 0; i < SHED_COUNT; i++) {
		snprintf(labels, sizeof(labels), "reason=\"%s\"", shed_text(i));
		edge->shed[i] = metrics_counter(metrics, "tokenfirst_shed_total",
			"Requests refused or abandoned because a limit was reached.", labels);
	}
	for (enum crew_kind i = CREW_LOOP + 1; i < CREW_COUNT; i++) {
		snprintf(labels, sizeof(labels), "crew=\"%s\"", crew_text(i));
		edge->crew_wait[i] = metrics_histogram(metrics, "tokenfirst_crew_wait_seconds",
			"From the request's last byte to its being begun.", &histogram_seconds, labels);
	}
	edge->connections_open =
		metrics_gauge(metrics, "tokenfirst_connections_open", "Client connections that are open.", 1, NULL);
}

int edge_init(struct edge *edge, const struct http_options *options)
{
	bool split = options->config->ops.listen != NULL;

	*edge = (struct edge){.config = options->config, .app = options->app};
	id_series_init(&edge->request_ids);
	pthread_mutex_init(&edge->lock, NULL);
	int err = forwarded_init(&edge->forwarded, options->config);
	if (!err)
		err = clock_condition_init(&edge->quiet);
	if (err) {
		pthread_mutex_destroy(&edge->lock);
		return err;
	}
	err = table_init(&edge->main, options, split, false);
	if (!err && split)
		err = table_init(&edge->ops, options, split, true);
	if (err) {
		edge_release(edge);
		return err;
	}
	register_metrics(edge, options->metrics);
	return 0;
}

void edge_release(struct edge *edge)
{
	table_release(&edge->main);
	table_release(&edge->ops);
	free(edge->certificate);
	if (edge->key)
		explicit_bzero(edge->key, strlen(edge->key));
	free(edge->key);
	pthread_cond_destroy(&edge->quiet);
	pthread_mutex_destroy(&edge->lock);
}

const struct route_table *edge_table(const struct edge *edge, const struct connection *c)
{
	return c->ops ? &edge->ops : &edge->main;
}

void edge_connection_opened(struct edge *edge)
{
	atomic_fetch_add(&edge->connections, 1);
	gauge_add(edge->connections_open, 1);
}

void edge_connection_closed(struct edge *edge)
{
	gauge_add(edge->connections_open, -1);
	if (atomic_fetch_sub(&edge->connections, 1) != 1 || !atomic_load(&edge->draining))
		return;
	/* the lock makes the wake-up fall before or after the waiter's check, never between check and wait */
	pthread_mutex_lock(&edge->lock);
	pthread_cond_broadcast(&edge->quiet);
	pthread_mutex_unlock(&edge->lock);
}

void edge_exchange_ended(const struct route_table *table, const struct route *route, int status, int64_t duration_us)
{
	size_t row = route ? (size_t)(route - table->routes) : table->count;

	assert(row <= table->count);
	counter_add(table->requests[row * EDGE_STATUSES + status_index(status)], 1);
	histogram_observe(table->seconds[row], duration_us);
}

int edge_wait_quiet(struct edge *edge, int64_t timeout_ms)
{
	struct timespec until = clock_deadline(clock_mono_us() + timeout_ms * 1000);

	pthread_mutex_lock(&edge->lock);
	while (atomic_load(&edge->connections) > 0) {
		if (pthread_cond_timedwait(&edge->quiet, &edge->lock, &until) != 0)
			break;
	}
	pthread_mutex_unlock(&edge->lock);
	return atomic_load(&edge->connections);
}

void edge_shed(struct edge *edge, enum shed reason)
{
	counter_add(edge->shed[reason], 1);
}
