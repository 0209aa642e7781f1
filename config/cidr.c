#include "config/cidr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int length(int family)
{
	return family == AF_INET ? 32 : 128;
}

static bool bit(const struct cidr *cidr, int at)
{
	return (cidr->bytes[at / 8] >> (7 - at % 8)) & 1;
}

int cidr_parse_address(const char *text, struct cidr *ret_address)
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */
	struct cidr address = {.family = AF_INET};

	if (inet_pton(AF_INET, text, address.bytes) != 1) {
		address.family = AF_INET6;
		if (inet_pton(AF_INET6, text, address.bytes) != 1)
			return ERR_INVALID;
		if (memcmp(address.bytes, mapped, sizeof mapped) == 0) {
			memmove(address.bytes, address.bytes + sizeof mapped, 4);
			memset(address.bytes + 4, 0, sizeof mapped);
			address.family = AF_INET;
		}
	}
	address.prefix = length(address.family);
	*ret_address = address;
	return 0;
}

int cidr_parse(const char *text, struct cidr *ret_cidr)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	struct cidr cidr;
	char *end = NULL;
	long prefix;

	if (!slash)
		return cidr_parse_address(text, ret_cidr);
	if ((size_t)(slash - text) >= sizeof address || slash[1] < '0' || slash[1] > '9')
		return ERR_INVALID;
	(void)snprintf(address, sizeof address, "%.*s", (int)(slash - text), text);
	prefix = strtol(slash + 1, &end, 10);
	if (cidr_parse_address(address, &cidr) || *end || prefix > length(cidr.family))
		return ERR_INVALID;
	cidr.prefix = (int)prefix;
	for (int at = cidr.prefix; at < length(cidr.family); at++) {
		if (bit(&cidr, at))
			return ERR_INVALID;
	}
	*ret_cidr = cidr;
	return 0;
}

bool cidr_contains(const struct cidr *network, const struct cidr *address)
{
	if (network->family != address->family)
		return false;
	for (int at = 0; at < network->prefix; at++) {
		if (bit(network, at) != bit(address, at))
			return false;
	}
	return true;
}

struct cidr cidr_network(const struct cidr *address, int bits)
{
	struct cidr network = *address;

	if (bits >= length(address->family))
		return network;
	for (int at = bits; at < length(address->family); at++)
		network.bytes[at / 8] = (unsigned char)(network.bytes[at / 8] & ~(0x80 >> (at % 8)));
	network.prefix = bits;
	return network;
}
