/* Options for browsers and for the proxies before the server. */
#include "tests/unit/options_fixture.h"

Test(options_browser, what_is_fine)
{
	expect_fine("{\"cors\": {\"origins\": [\"https://app.example.com\", \"http://localhost:3000\"]}}");
	expect_fine("{\"cookie\": {\"enabled\": true, \"name\": \"t\", \"same_site\": \"None\"}}");
	expect_fine(
		"{\"http\": {\"trusted_proxies\": [\"10.0.0.0/8\", \"::1\"], \"forwarded_header\": \"Forwarded\"}}");
}

Test(options_browser, origins_as_browsers_send_them)
{
	expect_error("{\"cors\": {\"origins\": [\"null\"]}}", "cors.origins", "\"null\"");
	expect_error("{\"cors\": {\"origins\": [\"*\"]}}", "cors.origins", "\"*\"");
	expect_error("{\"cors\": {\"origins\": [\"https://app.example.com/\"]}}", "cors.origins", "no path");
	expect_error("{\"cors\": {\"origins\": [\"https://app.example.com:443\"]}}", "cors.origins", "own port");
	expect_error("{\"cors\": {\"origins\": [\"http://localhost:80\"]}}", "cors.origins", "own port");
	expect_error("{\"cors\": {\"origins\": [\"https://[2001:db8::1]:443\"]}}", "cors.origins", "own port");
	expect_fine("{\"cors\": {\"origins\": [\"https://[2001:db8::1]\", \"http://a.example:443\"]}}");
	expect_error("{\"cors\": {\"origins\": [\"https://App.example.com\"]}}", "cors.origins", "capital");
}

Test(options_browser, names_of_cookies)
{
	expect_error("{\"cookie\": {\"name\": \"a b\"}}", "cookie.name", "token");
	expect_error("{\"cookie\": {\"name\": \"__Host-t\"}}", "cookie.name", "__Host-");
}

Test(options_browser, networks_of_proxies)
{
	expect_error("{\"http\": {\"trusted_proxies\": [\"10.0.0.1/8\"]}}", "http.trusted_proxies", "10.0.0.1/8");
	expect_error("{\"http\": {\"trusted_proxies\": [\"proxy\"]}}", "http.trusted_proxies", "proxy");
	expect_error("{\"http\": {\"forwarded_header\": \"X-Real-IP\"}}", "http.forwarded_header", "X-Forwarded-For");
}

Test(options_browser, a_cookie_without_https_is_warned_of)
{
	static const char *const texts[] = {
		"{\"cookie\": {\"enabled\": true}, \"public_url\": \"http://auth.example.com\"}",
		"{\"cookie\": {\"enabled\": true}, \"public_url\": \"https://auth.example.com\"}",
		"{\"public_url\": \"http://auth.example.com\"}"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct loaded loaded = load(texts[i], NULL, NULL);
		cr_assert_eq(loaded.err, 0);
		cr_assert_eq(find(&loaded.warnings, "cookie.enabled", "https") != NULL, i == 0, "%s", texts[i]);
		unload(&loaded);
	}
}
