#include "server/http/cors.h"

#include <criterion/criterion.h>

static char *origins[] = {(char *)"https://app.example.com", (char *)"http://localhost:3000"};
static const struct config config = {.cors = {.origins = origins, .origin_count = 2}};

Test(cors, listed_origins)
{
	cr_expect_eq(cors_match(&config, "https://app.example.com"), origins[0]);
	cr_expect_eq(cors_match(&config, "http://localhost:3000"), origins[1]);
}

Test(cors, others)
{
	static const char *const others[] = {"", "null", "*", "https://example.com", "http://app.example.com",
		"https://app.example.com/", "https://app.example.com:443", "https://app.example.com.evil.test",
		"https://evilapp.example.com", "https://APP.example.com", "http://localhost", "http://localhost:30000",
		"https://app.example.com, https://app.example.com", "https://app.example.com "};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_expect_null(cors_match(&config, others[i]), "%s", others[i]);
	cr_expect_null(cors_match(&config, NULL));
	cr_expect_null(cors_match(&(struct config){.listen = NULL}, "https://app.example.com"));
}
