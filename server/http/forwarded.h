/*
 * Who a client is when proxies stand before the server: the address that they pass on, as far as they are trusted.
 *
 * Each proxy adds at the right whom it has seen; what stands left of that is hearsay, and at last what the client
 * itself wrote. So the list is read from the right, and the client is the first that is no trusted proxy. What can't be
 * read ends the walk at the last trusted hop, so that nobody becomes somebody else by writing nonsense. Elements are
 * told apart from the right too: a quote that a client leaves open on the left hides nothing of what a proxy added
 * behind it.
 *
 * Forwarded: RFC 7239 (for= an address, in quotes and brackets if IPv6, perhaps with a port; "unknown" and "_names" say
 * nothing). X-Forwarded-For: addresses between commas, the same with ports.
 *
 * Pure but for init and release. Any thread.
 */
#ifndef TOKENFIRST_SERVER_HTTP_FORWARDED_H
#define TOKENFIRST_SERVER_HTTP_FORWARDED_H

#include <stdbool.h>
#include <stddef.h>

#include "config/cidr.h"
#include "config/limits.h"
#include "config/options.h"

struct forwarded {
	const char *header; /* the one that is looked at: "Forwarded" or "X-Forwarded-For"; the config's */
	bool standard;	    /* it is the first of them */
	size_t count;	    /* of trusted networks; 0: nobody is believed */
	struct cidr networks[LIMIT_CIDRS];
};

/* ERR_INVALID: one of http.trusted_proxies is no network (config_load refuses those). The config must outlive it. */
int forwarded_init(struct forwarded *forwarded, const struct config *config) MUST_CHECK;

/*
 * The client of a request that came from `peer`. `lines`: the values of the header's lines, in their order. No more
 * than LIMIT_FORWARDED_HOPS elements are looked at. Without a line, or if the peer is not trusted, it is the peer.
 */
struct cidr forwarded_client(
	const struct forwarded *forwarded, const struct cidr *peer, const char *const *lines, size_t count);

#endif
