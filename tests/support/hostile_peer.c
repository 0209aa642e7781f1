#include "tests/support/hostile_peer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/links.h"

enum { READ_SIZE = 4096, END_OF_HEAD = 4, FOR_EVER_MS = 1000 };

struct hostile_peer {
	struct links *links;
	struct hostile_script script;
	atomic_int_fast64_t said;
};

/* To the end of a head; a mark of END_OF_HEAD bytes may be split over two reads. */
static bool read_head(struct link *link)
{
	static const char mark[] = "\r\n\r\n";
	char bytes[END_OF_HEAD + READ_SIZE];
	size_t kept = 0;

	for (;;) {
		ssize_t n = link_read(link, bytes + kept, READ_SIZE);

		if (n <= 0)
			return false;
		kept += (size_t)n;
		if (memmem(bytes, kept, mark, END_OF_HEAD) != NULL)
			return true;
		if (kept > END_OF_HEAD) {
			memmove(bytes, bytes + kept - END_OF_HEAD, END_OF_HEAD);
			kept = END_OF_HEAD;
		}
	}
}

static bool say(struct hostile_peer *peer, struct link *link, const struct hostile_text *text, int64_t interval_ms)
{
	size_t step = interval_ms > 0 ? 1 : text->len;

	for (size_t at = 0; at < text->len; at += step) {
		if (!link_sleep(link, interval_ms) || !link_write(link, text->bytes + at, step))
			return false;
		atomic_fetch_add(&peer->said, (int_fast64_t)step);
	}
	return true;
}

static void serve(void *arg, struct link *link)
{
	struct hostile_peer *peer = arg;
	const struct hostile_script *script = &peer->script;
	bool on = (script->unread || read_head(link)) && say(peer, link, &script->start, 0);

	if (script->again.len > 0)
		for (int64_t i = 0; on && (script->times == 0 || i < script->times); i++)
			on = say(peer, link, &script->again, script->interval_ms);
	if (!on)
		return;
	switch (script->end) {
	case HOSTILE_HOLD:
		link_linger(link);
		break;
	case HOSTILE_RESET:
		link_reset(link);
		break;
	case HOSTILE_DEAF:
		while (link_sleep(link, FOR_EVER_MS))
			;
		break;
	case HOSTILE_CLOSE:
		link_finish(link);
		break;
	}
}

struct hostile_peer *hostile_peer_start(const struct hostile_script *script)
{
	struct hostile_peer *peer = calloc(1, sizeof(*peer));

	if (peer == NULL)
		harness_fail("out of memory");
	peer->script = *script;
	peer->links = links_start(serve, peer);
	return peer;
}

void hostile_peer_stop(struct hostile_peer *peer)
{
	if (peer == NULL)
		return;
	links_stop(peer->links);
	free(peer);
}

int hostile_peer_port(const struct hostile_peer *peer)
{
	return links_port(peer->links);
}

int64_t hostile_peer_connections(struct hostile_peer *peer)
{
	return links_connections(peer->links);
}

int64_t hostile_peer_said(struct hostile_peer *peer)
{
	return atomic_load(&peer->said);
}
