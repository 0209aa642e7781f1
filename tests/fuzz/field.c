/*
 * What browsers and proxies send beside JSON: form fields, cookies, Forwarded and X-Forwarded-For. The first byte says which.
 */
#include <arpa/inet.h>

#include "config/json_text.h"
#include "config/utf8.h"
#include "server/http/cookie.h"
#include "server/http/form.h"
#include "server/http/forwarded.h"
#include "tests/fuzz/fuzz.h"

static struct forwarded standard, usual;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char *networks[] = {(char *)(uintptr_t) "10.0.0.0/8", (char *)(uintptr_t) "2001:db8::/32"};
	static struct config config = {.http = {.trusted_proxies = networks, .trusted_proxy_count = 2}};

	(void)argc, (void)argv;
	json_text_setup();
	config.http.forwarded_header = (char *)(uintptr_t) "Forwarded";
	fuzz_require(forwarded_init(&standard, &config) == 0 && standard.standard, "networks");
	config.http.forwarded_header = (char *)(uintptr_t) "X-Forwarded-For";
	fuzz_require(forwarded_init(&usual, &config) == 0 && !usual.standard, "networks");
	return 0;
}

static void try_form(struct fuzz_input *input)
{
	json_t *fields = NULL, *value;
	const char *name;

	if (form_parse((const char *)input->at, input->left, &fields) != 0)
		return;
	json_object_foreach(fields, name, value)
	{
		fuzz_require(utf8_valid(name), "a name is UTF-8");
		fuzz_require(json_is_string(value) && utf8_valid(json_string_value(value)) &&
				     strlen(json_string_value(value)) == json_string_length(value),
			"a value is a text");
	}
	fuzz_require(json_object_size(fields) <= input->left, "no more fields than bytes");
	json_decref(fields);
}

static void try_cookie(struct fuzz_input *input)
{
	char *header = fuzz_text(input, '\0', NULL), *value = cookie_find(header, "__Secure-tokenfirst");
	char again[4096];

	if (value != NULL) {
		fuzz_require(!fuzz_has_control(value) && strpbrk(value, " \",;\\") == NULL, "a value is cookie-octets");
		fuzz_require(strstr(header, value) != NULL, "it is a part of the header");
		int len = snprintf(again, sizeof(again), "a=b; __Secure-tokenfirst=%s", value);
		if (len < (int)sizeof(again)) {
			char *second = cookie_find(again, "__Secure-tokenfirst");
			fuzz_require(second != NULL && strcmp(second, value) == 0, "sent back it is the same");
			free(second);
		}
	}
	free(value);
	free(header);
}

static bool same(const struct cidr *a, const struct cidr *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, a->family == AF_INET ? 4 : 16) == 0;
}

static void try_forwarded(struct fuzz_input *input, const struct forwarded *forwarded)
{
	enum { LINES = 4 };
	struct cidr stranger, proxy, last;
	char *lines[LINES + 1];
	const char *given[LINES + 1];
	size_t count = 0;

	fuzz_require(cidr_parse_address("192.0.2.9", &stranger) == 0 && cidr_parse_address("10.0.0.1", &proxy) == 0,
		"addresses");
	while (count < LINES && input->left > 0) {
		given[count] = lines[count] = fuzz_text(input, '\n', NULL);
		count++;
	}
	struct cidr client = forwarded_client(forwarded, &stranger, given, count);
	fuzz_require(same(&client, &stranger), "who is not trusted is not believed");
	client = forwarded_client(forwarded, &proxy, given, count);
	fuzz_require(client.family == AF_INET || client.family == AF_INET6, "a client has an address");
	fuzz_require(count > 0 || same(&client, &proxy), "nothing said, it is the peer");
	/* what a proxy that is trusted adds at the right is what counts, whatever stands left of it */
	given[count] = forwarded->standard ? "for=192.0.2.9" : "192.0.2.9";
	last = forwarded_client(forwarded, &proxy, given, count + 1);
	fuzz_require(same(&last, &stranger), "the last one added is believed");
	while (count > 0)
		free(lines[--count]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};

	switch (fuzz_byte(&input)) {
	case 'C':
		try_cookie(&input);
		break;
	case 'F':
		try_forwarded(&input, &standard);
		break;
	case 'X':
		try_forwarded(&input, &usual);
		break;
	default:
		try_form(&input);
		break;
	}
	return 0;
}
