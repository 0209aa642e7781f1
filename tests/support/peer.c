/*
 * One thread per connection (links.h) reads requests, records them under the lock, takes the next step
 * of the script, and plays it without the lock.
 */
#include "tests/support/peer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/links.h"
#include "tests/support/wire.h"

enum { READ_SIZE = 16 << 10, INTERVAL_MS = 100, MISSING = 1000, BLOCK = 8192 };

struct peer {
	struct links *links;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t arrived;
	struct peer_step steps[PEER_STEPS];
	size_t step_count;
	size_t next_step;
	size_t count; /* requests so far */
	int64_t connections;
	struct peer_request *requests;
};

/* What was read from a connection and not yet used. */
struct input {
	char *bytes;
	size_t len;
	size_t size;
};

static struct peer_step step_at(struct peer *peer, bool at_accept, bool *ret_taken)
{
	struct peer_step step;

	pthread_mutex_lock(&peer->lock);
	step = peer->steps[peer->next_step < peer->step_count ? peer->next_step : peer->step_count - 1];
	*ret_taken = step.before_request == at_accept;
	if (*ret_taken)
		peer->next_step++;
	pthread_mutex_unlock(&peer->lock);
	return step;
}

static char *copy(const char *text, size_t len)
{
	char *made = strndup(text, len);

	if (made == NULL)
		harness_fail("out of memory");
	return made;
}

/* The index under which it is remembered; PEER_REQUESTS: only counted. */
static size_t record(struct peer *peer, char *bytes, const struct wire_frame *frame, int64_t connection)
{
	size_t method_len = strcspn(bytes, " \r");
	const char *path = bytes + method_len + (bytes[method_len] == ' ');
	struct peer_request request = {.arrived_us = harness_mono_us(), .connection = connection};
	size_t index;

	request.method = copy(bytes, method_len);
	request.path = copy(path, strcspn(path, " \r"));
	request.head = copy(bytes, frame->head_len);
	request.body_len = frame->total_len - frame->head_len;
	if (frame->chunked)
		request.body_len = wire_unchunk(bytes + frame->head_len, request.body_len);
	request.body = calloc(1, request.body_len + 1);
	if (request.body == NULL)
		harness_fail("out of memory");
	memcpy(request.body, bytes + frame->head_len, request.body_len);
	pthread_mutex_lock(&peer->lock);
	index = peer->count++;
	if (index < PEER_REQUESTS)
		peer->requests[index] = request;
	pthread_cond_broadcast(&peer->arrived);
	pthread_mutex_unlock(&peer->lock);
	if (index < PEER_REQUESTS)
		return index;
	free(request.method);
	free(request.path);
	free(request.head);
	free(request.body);
	return PEER_REQUESTS;
}

/* 1: a whole request stands at the start; 0 or below: none will come. */
static int request_read(struct link *link, struct input *in, struct wire_frame *ret_frame)
{
	for (;;) {
		int whole = in->len == 0 ? 0 : wire_frame(in->bytes, in->len, WIRE_REQUEST, ret_frame);
		ssize_t n;

		if (whole != 0)
			return whole;
		if (in->size - in->len < READ_SIZE) {
			in->size = in->size * 2 + READ_SIZE;
			in->bytes = realloc(in->bytes, in->size);
			if (in->bytes == NULL)
				harness_fail("out of memory");
		}
		n = link_read(link, in->bytes + in->len, in->size - in->len);
		if (n <= 0)
			return -1;
		in->len += (size_t)n;
	}
}

/* The head of a reply; `length` below 0: none is stated. */
static size_t head_format(const struct peer_step *step, long length, char head[PEER_TEXT * 2])
{
	char stated[64] = "";

	if (length >= 0)
		snprintf(stated, sizeof(stated), "Content-Length: %ld\r\n", length);
	return (size_t)snprintf(head, PEER_TEXT * 2,
		"HTTP/1.1 %d Scripted\r\nContent-Type: application/json\r\n%s%s%s\r\n",
		step->status == 0 ? 200 : step->status, stated, step->headers == NULL ? "" : step->headers,
		step->close || length < 0 ? "Connection: close\r\n" : "");
}

static bool reply(struct link *link, const struct peer_step *step, long excess)
{
	const char *body = step->body == NULL ? "{}" : step->body;
	size_t body_len = step->status == 204 || step->status == 304 ? 0 : strlen(body);
	char head[PEER_TEXT * 2];
	size_t head_len = head_format(step, (long)body_len - excess, head);

	return link_write(link, head, head_len) && link_write(link, body, body_len) && excess >= 0 && !step->close;
}

static void drip(struct link *link, const struct peer_step *step, const char *start, const char *byte)
{
	int64_t interval_ms = step->interval_ms == 0 ? INTERVAL_MS : step->interval_ms;

	if (!link_write(link, start, strlen(start)))
		return;
	while (link_sleep(link, interval_ms) && link_write(link, byte, 1))
		;
}

static void endless(struct link *link, const char *head)
{
	char block[BLOCK];

	memset(block, 'x', sizeof(block));
	if (!link_write(link, head, strlen(head)))
		return;
	while (link_write(link, block, sizeof(block)))
		;
}

/* Whether the connection goes on. */
static bool play(struct link *link, const struct peer_step *step)
{
	static const char garbage[] = "\x01\x02\x03 this is no HTTP\n\n";
	char head[PEER_TEXT * 2];

	if (!link_sleep(link, step->delay_ms))
		return false;
	head_format(step, -1, head);
	switch (step->action) {
	case PEER_REPLY:
		return reply(link, step, 0);
	case PEER_CUT_BODY:
		return reply(link, step, -MISSING);
	case PEER_EXCESS_BODY:
		return reply(link, step, 1);
	case PEER_RESET:
		link_reset(link);
		return false;
	case PEER_SILENT:
		link_linger(link);
		return false;
	case PEER_CLOSE:
		return false;
	case PEER_DRIP_HEADERS:
		drip(link, step, "HTTP/1.1 200 Scripted\r\nX-Drip: ", "x");
		return false;
	case PEER_DRIP_BODY:
		drip(link, step, head, "x");
		return false;
	case PEER_ENDLESS_BODY:
		endless(link, head);
		return false;
	case PEER_GARBAGE:
		link_write(link, garbage, sizeof(garbage) - 1);
		return false;
	}
	return false;
}

static void serve(void *arg, struct link *link)
{
	struct peer *peer = arg;
	struct input in = {0};
	struct wire_frame frame;
	struct peer_step step;
	int64_t connection;
	bool taken;
	bool on = true;

	pthread_mutex_lock(&peer->lock);
	connection = ++peer->connections;
	pthread_mutex_unlock(&peer->lock);
	step = step_at(peer, true, &taken);
	if (taken) {
		play(link, &step);
		return;
	}
	while (on && request_read(link, &in, &frame) > 0) {
		size_t index;

		step = step_at(peer, false, &taken);
		index = record(peer, in.bytes, &frame, connection);
		on = play(link, &step);
		pthread_mutex_lock(&peer->lock);
		if (index < PEER_REQUESTS)
			peer->requests[index].answered_us = harness_mono_us();
		pthread_mutex_unlock(&peer->lock);
		in.len -= frame.total_len;
		memmove(in.bytes, in.bytes + frame.total_len, in.len);
	}
	free(in.bytes);
}

void peer_script(struct peer *peer, const struct peer_step *steps, size_t count)
{
	if (count > PEER_STEPS)
		harness_fail("a script of %zu steps", count);
	pthread_mutex_lock(&peer->lock);
	memset(peer->steps, 0, sizeof(peer->steps));
	if (count > 0)
		memcpy(peer->steps, steps, count * sizeof(*steps));
	peer->step_count = count == 0 ? 1 : count;
	peer->next_step = 0;
	pthread_mutex_unlock(&peer->lock);
}

struct peer *peer_start(const struct peer_step *steps, size_t count)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	pthread_condattr_t monotonic;

	if (peer == NULL || (peer->requests = calloc(PEER_REQUESTS, sizeof(*peer->requests))) == NULL)
		harness_fail("out of memory");
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&peer->lock, NULL);
	pthread_cond_init(&peer->arrived, &monotonic);
	pthread_condattr_destroy(&monotonic);
	peer_script(peer, steps, count);
	peer->links = links_start(serve, peer);
	return peer;
}

void peer_stop(struct peer *peer)
{
	if (peer == NULL)
		return;
	links_stop(peer->links);
	for (size_t i = 0; i < peer->count && i < PEER_REQUESTS; i++) {
		free(peer->requests[i].method);
		free(peer->requests[i].path);
		free(peer->requests[i].head);
		free(peer->requests[i].body);
	}
	free(peer->requests);
	pthread_cond_destroy(&peer->arrived);
	pthread_mutex_destroy(&peer->lock);
	free(peer);
}

int peer_port(const struct peer *peer)
{
	return links_port(peer->links);
}

const char *peer_url(const struct peer *peer, const char *path, char url[PEER_TEXT])
{
	snprintf(url, PEER_TEXT, "http://127.0.0.1:%d%s", peer_port(peer), path);
	return url;
}

size_t peer_count(struct peer *peer)
{
	size_t count;

	pthread_mutex_lock(&peer->lock);
	count = peer->count;
	pthread_mutex_unlock(&peer->lock);
	return count;
}

int64_t peer_connections(struct peer *peer)
{
	return links_connections(peer->links);
}

bool peer_wait(struct peer *peer, size_t count, int64_t deadline_ms)
{
	int64_t until_us = harness_mono_us() + deadline_ms * 1000;
	struct timespec until = {.tv_sec = (time_t)(until_us / 1000000), .tv_nsec = (long)(until_us % 1000000) * 1000};
	bool enough;

	pthread_mutex_lock(&peer->lock);
	while (peer->count < count && harness_mono_us() < until_us)
		pthread_cond_timedwait(&peer->arrived, &peer->lock, &until);
	enough = peer->count >= count;
	pthread_mutex_unlock(&peer->lock);
	return enough;
}

struct peer_request peer_request(struct peer *peer, size_t index)
{
	struct peer_request request;

	pthread_mutex_lock(&peer->lock);
	if (index >= peer->count || index >= PEER_REQUESTS)
		harness_fail("request %zu of %zu is asked for", index, peer->count);
	request = peer->requests[index];
	pthread_mutex_unlock(&peer->lock);
	return request;
}

const char *peer_header(const struct peer_request *request, const char *name, char value[PEER_TEXT])
{
	size_t len = 0;
	const char *found = wire_header(request->head, strlen(request->head), name, &len);

	snprintf(value, PEER_TEXT, "%.*s", found == NULL ? 0 : (int)len, found == NULL ? "" : found);
	return value;
}
