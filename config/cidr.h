/*
 * Networks as people write them: "10.0.0.0/8", "2001:db8::/32", or one address alone (RFC 4632 3.1, RFC 4291 2.3).
 *
 * Pure. An IPv4 address within IPv6 (::ffff:10.0.0.1) is that IPv4 address.
 */
#ifndef TOKENFIRST_CONFIG_CIDR_H
#define TOKENFIRST_CONFIG_CIDR_H

#include <stdbool.h>
#include <stddef.h>

#include "config/err.h"

struct cidr {
	unsigned char bytes[16]; /* 4 of them for IPv4 */
	int family;		 /* AF_INET, AF_INET6 */
	int prefix;		 /* bits that count */
};

/* ERR_INVALID: no network. Bits behind the prefix must be 0, so that a slip is seen. */
int cidr_parse(const char *text, struct cidr *ret_cidr) MUST_CHECK;

/* A numeric address, without port, zone or brackets; its prefix is all of it. ERR_INVALID. */
int cidr_parse_address(const char *text, struct cidr *ret_address) MUST_CHECK;

bool cidr_contains(const struct cidr *network, const struct cidr *address);

/*
 * The address cut to `bits` (of IPv6, say 64: what one household has), the rest 0; `bits` beyond its length changes
 * nothing.
 */
struct cidr cidr_network(const struct cidr *address, int bits);

#endif
