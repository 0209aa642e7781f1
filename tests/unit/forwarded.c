#include "server/http/forwarded.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define CLIENT "198.51.100.7"
#define PROXY  "10.0.0.1"

static char text[INET6_ADDRSTRLEN];

/* The client behind a peer, with up to three header lines; 10.0.0.0/8 and 2001:db8:f::/48 are trusted. */
static const char *client(const char *header, const char *peer, const char *const *lines, size_t count)
{
	char *networks[] = {(char *)"10.0.0.0/8", (char *)"2001:db8:f::/48"};
	struct config config = {
		.http = {.trusted_proxies = networks, .trusted_proxy_count = 2, .forwarded_header = (char *)header}};
	struct forwarded forwarded;
	struct cidr from;

	cr_assert_eq(forwarded_init(&forwarded, &config), 0);
	cr_assert_eq(cidr_parse_address(peer, &from), 0);
	struct cidr found = forwarded_client(&forwarded, &from, lines, count);
	cr_assert_not_null(inet_ntop(found.family, found.bytes, text, sizeof(text)));
	return text;
}

static const char *by_list(const char *value)
{
	return client("X-Forwarded-For", PROXY, &value, 1);
}

static const char *by_standard(const char *value)
{
	return client("Forwarded", PROXY, &value, 1);
}

struct pair {
	const char *value, *client;
};

static void expect(const char *(*by)(const char *), const struct pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *found = by(pairs[i].value);
		cr_expect_str_eq(found, pairs[i].client, "%s: %s, not %s", pairs[i].value, found, pairs[i].client);
	}
}

#define EXPECT(by, pairs) expect(by, pairs, sizeof(pairs) / sizeof((pairs)[0]))

Test(forwarded, a_stranger_is_not_believed)
{
	const char *line = "1.2.3.4", *standard = "for=1.2.3.4";

	cr_expect_str_eq(client("X-Forwarded-For", CLIENT, &line, 1), CLIENT);
	cr_expect_str_eq(client("Forwarded", CLIENT, &standard, 1), CLIENT);
	cr_expect_str_eq(client("X-Forwarded-For", "2001:db8:e::1", &line, 1), "2001:db8:e::1");
}

Test(forwarded, without_a_line_it_is_the_peer)
{
	cr_expect_str_eq(client("X-Forwarded-For", PROXY, NULL, 0), PROXY);
	cr_expect_str_eq(client("X-Forwarded-For", CLIENT, NULL, 0), CLIENT);
}

Test(forwarded, nobody_is_trusted_without_networks)
{
	struct config config = {.http = {.forwarded_header = (char *)"X-Forwarded-For"}};
	struct forwarded forwarded;
	const char *line = "1.2.3.4";
	struct cidr peer;

	cr_assert_eq(forwarded_init(&forwarded, &config), 0);
	cr_assert_eq(cidr_parse_address(PROXY, &peer), 0);
	struct cidr found = forwarded_client(&forwarded, &peer, &line, 1);
	cr_expect_eq(memcmp(&found, &peer, sizeof(peer)), 0);
}

Test(forwarded, the_right_most_that_is_no_proxy)
{
	static const struct pair list[] = {
		{"198.51.100.7", CLIENT},
		{"1.1.1.1, 198.51.100.7", CLIENT},
		{"1.1.1.1, 198.51.100.7, 10.1.1.1", CLIENT},
		{"1.1.1.1,198.51.100.7\t,10.1.1.1 , 10.2.2.2", CLIENT},
		{"10.9.9.9, 198.51.100.7, 10.1.1.1", CLIENT},
		{"198.51.100.7,, ,", CLIENT},
		{"10.3.3.3, 10.2.2.2", "10.3.3.3"},
		{"198.51.100.7:4711", CLIENT},
		{"::ffff:198.51.100.7", CLIENT},
		{"2001:db8::1", "2001:db8::1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"[2001:db8::1]:4711", "2001:db8::1"},
		{"198.51.100.7, 2001:db8:f::9, [2001:db8:f::8]:80", CLIENT},
		{"", PROXY},
		{" , ,", PROXY},
	};
	EXPECT(by_list, list);
}

Test(forwarded, nonsense_ends_the_walk)
{
	static const struct pair list[] = {
		{"unknown", PROXY},
		{"198.51.100.7, unknown", PROXY},
		{"unknown, 198.51.100.7", CLIENT},
		{"198.51.100.7, _hidden, 10.1.1.1", "10.1.1.1"},
		{"198.51.100.7, x, 10.1.1.1", "10.1.1.1"},
		{"198.51.100.300", PROXY},
		{"198.51.100.7:", PROXY},
		{"198.51.100.7:x", PROXY},
		{"198.51.100.7:123456", PROXY},
		{"[198.51.100.7]", PROXY},
		{"[2001:db8::1", PROXY},
		{"[2001:db8::1]x", PROXY},
		{"[2001:db8::1]:", PROXY},
		{"fe80::1%eth0", PROXY},
		{"198.51.100.7 10.1.1.1", PROXY},
		{"for=198.51.100.7", PROXY},
		{"\"198.51.100.7\"", PROXY},
		{"198.51.100.7, 1111111111111111111111111111111111111111111111111111111111111111111111111", PROXY},
	};
	EXPECT(by_list, list);
}

Test(forwarded, elements_of_the_standard)
{
	static const struct pair standard[] = {
		{"for=198.51.100.7", CLIENT},
		{"For=\"198.51.100.7:80\";proto=https;by=10.0.0.1", CLIENT},
		{"proto=https;FOR=198.51.100.7", CLIENT},
		{"for=198.51.100.7; host=a", CLIENT},
		{"for=198.51.100.7;", CLIENT},
		{"for=198.51.100.7:80", CLIENT},
		{"for=\"[2001:db8::1]\"", "2001:db8::1"},
		{"for=\"[2001:db8::1]:4711\"", "2001:db8::1"},
		{"for=\"[2001:db8::1]:_port\"", "2001:db8::1"},
		{"for=1.1.1.1, for=198.51.100.7, for=10.1.1.1", CLIENT},
		{"for=1.1.1.1,for=198.51.100.7;by=\"[2001:db8:f::2]\",for=\"10.1.1.1:80\"", CLIENT},
		{"for=198.51.100.7;host=\"a, for=1.1.1.1\"", CLIENT},
		{"for=198.51.100.7;host=\"a\\\", for=1.1.1.1\"", CLIENT},
		{"for=198.51.100.7;host=\"a, for=1.1.1.1;x=\\\"\"", CLIENT},
		{"for=198.51.100.7;host=\"\\\\\"", CLIENT},
		{"secret=x, for=198.51.100.7", CLIENT},
	};
	EXPECT(by_standard, standard);
}

Test(forwarded, what_a_client_leaves_open_hides_nothing)
{
	static const struct pair standard[] = {
		{"for=\", for=198.51.100.7", CLIENT},
		{"\", for=198.51.100.7", CLIENT},
		{"x=\"\\, for=\"198.51.100.7\"", CLIENT},
		{"for=\"1.1.1.1, for=\"[2001:db8::1]:80\"", "2001:db8::1"},
		{"for=1.1.1.1;x=\"\\, for=198.51.100.7, for=10.1.1.1", CLIENT},
	};
	EXPECT(by_standard, standard);
}

Test(forwarded, nonsense_of_the_standard)
{
	static const struct pair standard[] = {
		{"for=unknown", PROXY},
		{"for=_hidden", PROXY},
		{"for=198.51.100.7, for=_hidden, for=10.1.1.1", "10.1.1.1"},
		{"198.51.100.7", PROXY},
		{"for", PROXY},
		{"for=", PROXY},
		{"for=\"198.51.100.7", PROXY},
		{"for=\"198.51.100.7\\\"", PROXY},
		{"for=198.51.100.7;for=198.51.100.8", PROXY},
		{"for=198.51.100.7 proto=https", PROXY},
		{"for =198.51.100.7", PROXY},
		{"for=198.51.100.7;;proto=http", PROXY},
		{"by=198.51.100.7", PROXY},
		{"for=198.51.100.7;host=\"a\"b", PROXY},
	};
	EXPECT(by_standard, standard);
}

Test(forwarded, several_lines_are_one_list)
{
	const char *const lines[] = {"1.1.1.1, 198.51.100.7", "10.1.1.1", "10.2.2.2"};
	const char *const torn[] = {"for=198.51.100.7, for=\"", "for=10.1.1.1"};

	cr_expect_str_eq(client("X-Forwarded-For", PROXY, lines, 3), CLIENT);
	cr_expect_str_eq(client("Forwarded", PROXY, torn, 2), "10.1.1.1");
}

Test(forwarded, hops_are_bounded)
{
	char line[64 + LIMIT_FORWARDED_HOPS * 16] = "198.51.100.7";
	const char *lines[] = {line};

	for (int i = 1; i < LIMIT_FORWARDED_HOPS; i++)
		strcat(line, ", 10.1.1.1");
	cr_expect_str_eq(client("X-Forwarded-For", PROXY, lines, 1), CLIENT);
	strcat(line, ", 10.2.2.2");
	cr_expect_str_eq(client("X-Forwarded-For", PROXY, lines, 1), "10.1.1.1");
}

/*
 * Every short value of the bytes that mean something: it ends, and tells either the peer or an address that is in it.
 */
Test(forwarded, every_short_value)
{
	static const char bytes[] = "for=\"\\,;[]:_ 1";
	char value[7] = "";

	for (unsigned long n = 0; n < 14UL * 14 * 14 * 14; n++) {
		unsigned long rest = n;
		for (size_t i = 0; i < 4; i++, rest /= 14)
			value[i] = bytes[rest % 14];
		value[4] = '\0';
		cr_assert_str_eq(by_standard(value), PROXY, "%s", value);
		cr_assert(strcmp(by_list(value), PROXY) == 0 || strstr(value, "::"), "%s", value);
	}
}
