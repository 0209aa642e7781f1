/*
 * Browsers and proxies before the real server: headers of every route, origins, the refresh cookie, pages, addresses.
 */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/app.h"
#include "tests/support/scene.h"

#define APP    "https://app.example.com"
#define CONFIG "{\"cors\": {\"origins\": [\"" APP "\"]}, \"cookie\": {\"enabled\": true}}"

TestSuite(browser, .timeout = 60);

static void call(const struct server *server, const char *method, const char *path, const char *header,
	const char *body, struct http_reply *ret_reply)
{
	const char *const headers[] = {header, NULL};
	char url[SERVER_URL];

	http_do(
		&(struct http_call){
			.method = method, .url = server_url(server, path, url), .headers = headers, .body = body},
		ret_reply);
}

static void header_is(const struct http_reply *reply, const char *name, const char *value, const char *where)
{
	char found[HTTP_HEADER_MAX];

	cr_expect_str_eq(http_reply_header(reply, name, found), value, "%s: %s: %s", where, name, found);
}

/* A path that the route answers: "{id}" becomes "1". */
static void real_path(const char *pattern, char path[256])
{
	const char *open = strchr(pattern, '{');

	if (open)
		snprintf(path, 256, "%.*s1%s", (int)(open - pattern), pattern, strchr(open, '}') + 1);
	else
		snprintf(path, 256, "%s", pattern);
}

static bool is_page(const struct route *route)
{
	return route->handle == page_verify || route->handle == page_reset || route->handle == page_invite;
}

Test(browser, every_route_answers_with_the_headers_that_guard_browsers)
{
	struct server *server = server_start(&(struct server_options){.config = CONFIG});
	struct http_reply reply;
	char path[256];

	for (size_t i = 0; i < app_route_count; i++) {
		const struct route *route = &app_routes[i];
		real_path(route->path, path);
		call(server, route->method, path, "Origin: " APP, route->body == BODY_NONE ? NULL : "{}", &reply);
		cr_expect_neq(reply.status, 0, "%s", path);
		header_is(&reply, "X-Content-Type-Options", "nosniff", path);
		header_is(&reply, "X-Frame-Options", "DENY", path);
		header_is(&reply, "Referrer-Policy", "no-referrer", path);
		header_is(&reply, "Vary", "Origin", path);
		header_is(&reply, "Cross-Origin-Resource-Policy", route->ops ? "same-origin" : "cross-origin", path);
		header_is(&reply, "Access-Control-Allow-Origin", route->ops ? "" : APP, path);
		header_is(&reply, "Access-Control-Allow-Credentials", route->ops ? "" : "true", path);
		header_is(&reply, "Strict-Transport-Security", "", path);
		if (!is_page(route))
			header_is(
				&reply, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'", path);
		http_reply_release(&reply);
	}
	server_free(server);
}

Test(browser, every_route_has_its_preflight)
{
	struct server *server = server_start(&(struct server_options){.config = CONFIG});
	struct http_reply reply;
	char path[256], methods[HTTP_HEADER_MAX], url[SERVER_URL], asked[64];

	for (size_t i = 0; i < app_route_count; i++) {
		const char *const headers[] = {"Origin: " APP, asked, NULL};
		real_path(app_routes[i].path, path);
		snprintf(asked, sizeof(asked), "Access-Control-Request-Method: %s", app_routes[i].method);
		http_do(
			&(struct http_call){
				.method = "OPTIONS", .url = server_url(server, path, url), .headers = headers},
			&reply);
		cr_expect_eq(reply.status, 204, "%s", path);
		const char *found = http_reply_header(&reply, "Access-Control-Allow-Methods", methods);
		cr_expect_eq(strstr(found, app_routes[i].method) != NULL, !app_routes[i].ops, "%s: %s", path, found);
		http_reply_release(&reply);
	}
	server_free(server);
}

#define LOGIN "{\"username\": \"alice\", \"password\": \"" SCENE_PASSWORD "\""

Test(browser, a_login_may_have_its_refresh_token_as_a_cookie)
{
	struct server *server = scene_server(CONFIG, NULL);
	struct http_reply reply;
	char cookie[HTTP_HEADER_MAX];

	api_post(server, "/login", NULL, LOGIN ", \"cookie\": true}", &reply);
	cr_assert_eq(reply.status, 200);
	http_reply_header(&reply, "Set-Cookie", cookie);
	cr_expect_eq(strncmp(cookie, "__Secure-tokenfirst=", 20), 0, "%s", cookie);
	cr_expect_not_null(
		strstr(cookie, "; Path=/token; HttpOnly; Secure; SameSite=Strict; Max-Age=2592000"), "%s", cookie);
	cr_expect_gt(strcspn(cookie, ";"), (size_t)40, "a token is in it");
	cr_expect_null(http_reply_member(&reply, "refresh_token"));
	cr_expect_not_null(http_reply_member(&reply, "refresh_expires_in"));
	cr_expect_not_null(http_reply_member(&reply, "access_token"));
	cookie[strcspn(cookie, ";")] = '\0';
	cr_expect(!server_log_contains(server, cookie + 20));
	http_reply_release(&reply);
	api_post(server, "/login", NULL, LOGIN "}", &reply);
	cr_expect_str_eq(http_reply_header(&reply, "Set-Cookie", cookie), "");
	cr_expect_not_null(http_reply_member(&reply, "refresh_token"));
	http_reply_release(&reply);
	server_free(server);
}

Test(browser, no_cookie_unless_it_is_enabled)
{
	struct server *server = scene_server("{}", NULL);
	struct http_reply reply;
	char cookie[HTTP_HEADER_MAX];

	api_post(server, "/login", NULL, LOGIN ", \"cookie\": true}", &reply);
	cr_assert_eq(reply.status, 200);
	cr_expect_str_eq(http_reply_header(&reply, "Set-Cookie", cookie), "");
	cr_expect_not_null(http_reply_member(&reply, "refresh_token"));
	http_reply_release(&reply);
	server_free(server);
}

Test(browser, what_a_trusted_proxy_says_is_written_down)
{
	struct server *server = scene_server(
		"{\"http\": {\"trusted_proxies\": [\"127.0.0.1\"], \"forwarded_header\": \"Forwarded\"}}", NULL);
	struct http_reply reply;

	call(server, NULL, "/login", "Forwarded: for=1.1.1.1, for=\"[2001:db8::7]:80\";host=evil.test", LOGIN "}",
		&reply);
	cr_assert_eq(reply.status, 200);
	http_reply_release(&reply);
	char *session = scene_query(server, "SELECT client FROM sessions");
	char *audit = scene_query(server, "SELECT client FROM audit WHERE type = 'user.login'");
	cr_expect_str_eq(session, "2001:db8::7");
	cr_expect_str_eq(audit, "2001:db8::7");
	free(session);
	free(audit);
	server_free(server);
}

/* The policy must name the digest of the text between these tags. */
static void named(const struct http_reply *reply, const char *tag, const char *directive)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	char text[64], encoded[64], wanted[160], policy[HTTP_HEADER_MAX];

	snprintf(text, sizeof(text), "<%s>", tag);
	const char *from = strstr(reply->body, text);
	snprintf(text, sizeof(text), "</%s>", tag);
	cr_assert_not_null(from);
	from += strlen(tag) + 2;
	const char *to = strstr(from, text);
	cr_assert_not_null(to);
	crypto_hash_sha256(hash, (const unsigned char *)from, (size_t)(to - from));
	sodium_bin2base64(encoded, sizeof(encoded), hash, sizeof(hash), sodium_base64_VARIANT_ORIGINAL);
	snprintf(wanted, sizeof(wanted), "%s 'sha256-%s';", directive, encoded);
	http_reply_header(reply, "Content-Security-Policy", policy);
	cr_expect_not_null(strstr(policy, wanted), "%s not in %s", wanted, policy);
	cr_expect_null(strstr(to + 1, text), "only one of them");
}

static size_t count(const char *text, const char *what)
{
	size_t found = 0;

	for (; (text = strstr(text, what)); text++)
		found++;
	return found;
}

static const char *const pages[] = {"/email/verify", "/password/reset", "/signup"};

Test(browser, pages_stand_alone)
{
	struct server *server = server_start(&(struct server_options){.config = NULL});
	struct http_reply reply;
	char policy[HTTP_HEADER_MAX];

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		api_get(server, pages[i], NULL, &reply);
		cr_assert_eq(reply.status, 200, "%s", pages[i]);
		header_is(&reply, "Content-Type", "text/html; charset=utf-8", pages[i]);
		header_is(&reply, "Cache-Control", "no-store", pages[i]);
		named(&reply, "style", "style-src");
		named(&reply, "script", "script-src");
		http_reply_header(&reply, "Content-Security-Policy", policy);
		cr_expect_eq(strncmp(policy, "default-src 'none'; ", 20), 0);
		cr_expect_not_null(strstr(policy, "frame-ancestors 'none'"));
		cr_expect_null(strstr(policy, "unsafe"));
		cr_expect_eq(count(reply.body, "<form "), 1);
		cr_expect_eq(count(reply.body, "http:") + count(reply.body, "https:") + count(reply.body, "src=") +
				     count(reply.body, "href=") + count(reply.body, "style="),
			0, "nothing from elsewhere");
		cr_expect_eq(count(reply.body, "<label"), count(reply.body, "<input "), "each field has its label");
		http_reply_release(&reply);
	}
	server_free(server);
}

/* 0, or the exit code; 127 where there is no node. */
static int run_script(const char *url)
{
	pid_t pid = fork();
	int status = 0;

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		execlp("node", "node", "tests/support/page_script.js", url, (char *)NULL);
		_exit(127);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(browser, the_script_of_the_pages)
{
	struct server *server = server_start(&(struct server_options){.config = NULL});
	char url[SERVER_URL];

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		int code = run_script(server_url(server, pages[i], url));
		if (code == 127) {
			server_free(server);
			cr_skip_test("there is no node here");
		}
		cr_expect_eq(code, 0, "%s", pages[i]);
	}
	server_free(server);
}
