/* What may be chosen as a password. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "server/password/policy.h"
#include "tests/support/harness.h"
#include "tests/support/peer.h"
#include "tests/support/scratch.h"

static struct config config;
static struct metrics *metrics;
static struct policy *policy;
static struct scratch scratch;
static char blocklist[256], url[PEER_TEXT], why[POLICY_WHY], public_url[] = "https://Login.example.com:8443/base";

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	clock_start();
	metrics = metrics_new();
	scratch_make(&scratch);
	(void)snprintf(blocklist, sizeof(blocklist), "%s/blocklist", scratch.folder);
	config.public_url = public_url;
	config.password.min_length = 8;
	config.password.max_length = 64;
	config.password.breach_timeout_ms = 5000;
}

static void teardown(void)
{
	policy_free(policy);
	metrics_free(metrics);
	scratch_remove(&scratch);
}

TestSuite(policy, .init = setup, .fini = teardown, .timeout = 60);

static void write_blocklist(const char *text, size_t len)
{
	FILE *file = fopen(blocklist, "w");

	cr_assert_not_null(file);
	cr_assert_eq(fwrite(text, 1, len, file), len);
	cr_assert_eq(fclose(file), 0);
	config.password.blocklist = blocklist;
}

static void start(void)
{
	cr_assert_eq(policy_new(&config, metrics, &policy, why), 0, "%s", why);
}

static int check(const char *password)
{
	why[0] = '\0';
	return policy_check(policy, password, "alice.liddell", "a.liddell1865@example.com", why);
}

static void expect_refused(const char *password, const char *reason)
{
	cr_expect_eq(check(password), ERR_INVALID, "%s", password);
	cr_expect_not_null(strstr(why, reason), "%s: %s", password, why);
}

static uint64_t breach_count(const char *labels)
{
	return atomic_load(&metrics_counter(metrics, "tokenfirst_password_breach_checks_total",
		"Questions whether a new password is known from a breach; a failed one lets it pass.", labels)
				    ->value);
}

Test(policy, length_counts_characters_after_nfkc)
{
	char text[256] = "";

	start();
	expect_refused("seven77", "8 characters or more");
	cr_expect_eq(check("eight888"), 0);
	/* 7 times a letter and an accent of its own: 14 characters, and 7 after NFKC */
	for (int i = 0; i < 7; i++)
		memcpy(text + 3 * i, "a\xcc\x88", 4);
	expect_refused(text, "8 characters or more");
	/* 4 times the ligature ffi: 12 characters after NFKC */
	for (int i = 0; i < 4; i++)
		memcpy(text + 3 * i, "\xef\xac\x83", 4);
	cr_expect_eq(check(text), 0, "%s", why);
	memset(text, 'x', 65);
	text[64] = '\0';
	cr_expect_eq(check(text), 0);
	text[64] = 'x';
	text[65] = '\0';
	expect_refused(text, "longer than 64");
	expect_refused("not UTF-8 \xff\xfe at all", "UTF-8");
}

Test(policy, no_rules_of_composition)
{
	start();
	cr_expect_eq(check("aaaaaaaa"), 0);
	cr_expect_eq(check("        "), 0);
	cr_expect_eq(
		check("\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91\xf0\x9f\x94\x91"
		      "\xf0\x9f\x94\x91\xf0\x9f\x94\x91"),
		0);
}

Test(policy, ones_own_name_and_address_and_the_site_are_refused)
{
	start();
	expect_refused("alice.liddell", "name or the address");
	expect_refused("ALICE.Liddell", "name or the address");
	expect_refused("a.liddell1865@example.com", "name or the address");
	expect_refused("A.Liddell1865", "name or the address");
	expect_refused("login.example.com", "name of this site");
	cr_expect_eq(check("alice.liddell and more"), 0, "as a whole only");
	cr_expect_eq(policy_check(policy, "alice.liddell", NULL, "", why), 0, "%s", why);
}

Test(policy, a_blocklist_is_compared_in_nfkc_and_without_case)
{
	static const char text[] = "# comment\n\npasswordpassword\r\nStra\xc3\x9f"
				   "enbahn\nK\xc3\xb6nigskinder\nlast one here";

	write_blocklist(text, sizeof(text) - 1);
	start();
	expect_refused("passwordpassword", "tried first");
	expect_refused("PasswordPassword", "tried first");
	/* in full-width letters */
	expect_refused("\xef\xbd\x90\xef\xbd\x81sswordpassword", "tried first");
	expect_refused("strassenbahn", "tried first");
	expect_refused("KO\xcc\x88nigskinder", "tried first");
	expect_refused("last one here", "tried first");
	cr_expect_eq(check("# comment"), 0);
	cr_expect_eq(check("passwordpassworc"), 0);
}

Test(policy, a_blocklist_that_is_broken_is_told)
{
	static const char broken[] = "good\nb\xff"
				     "d\n";
	char *large;

	config.password.blocklist = blocklist;
	cr_expect_eq(policy_new(&config, metrics, &policy, why), ERR_SYSTEM);
	cr_expect_not_null(strstr(why, "No such file"), "%s", why);
	write_blocklist(broken, sizeof(broken) - 1);
	cr_expect_eq(policy_new(&config, metrics, &policy, why), ERR_INVALID);
	cr_expect_not_null(strstr(why, "line 2"), "%s", why);
	large = malloc(LIMIT_BLOCKLIST + 1);
	cr_assert_not_null(large);
	memset(large, '\n', LIMIT_BLOCKLIST + 1);
	write_blocklist(large, LIMIT_BLOCKLIST + 1);
	free(large);
	cr_expect_eq(policy_new(&config, metrics, &policy, why), ERR_LIMIT);
}

Test(policy, a_million_lines_are_loaded)
{
	FILE *file = fopen(blocklist, "w");
	int64_t begun_us;

	cr_assert_not_null(file);
	for (int i = 0; i < 1000000; i++)
		cr_assert_gt(fprintf(file, "Password Number %d\n", i), 0);
	cr_assert_eq(fclose(file), 0);
	config.password.blocklist = blocklist;
	begun_us = clock_mono_us();
	start();
	fprintf(stderr, "figure: a blocklist of 1,000,000 lines in %lld ms\n",
		(long long)(clock_mono_us() - begun_us) / 1000);
	expect_refused("password number 999999", "tried first");
	expect_refused("password number 0", "tried first");
	cr_expect_eq(check("password number 1000000"), 0);
}

/* A policy that asks this peer. */
static struct peer *breach_peer(const struct peer_step *step)
{
	struct peer *peer = peer_start(step, 1);

	config.password.breach_url = (char *)(uintptr_t)peer_url(peer, "/range", url);
	start();
	return peer;
}

/* "abc": FIPS 180-4's A9993E364706816ABA3E25717850C26C9CD0D89D, of which 5 digits are told */
static const char known_body[] = "00000000000000000000000000000000000:12\r\n364706816ABA3E25717850C26C9CD0D89D0:0\r\n"
				 "E364706816ABA3E25717850C26C9CD0D89D:7\r\nFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF:1";

Test(policy, a_breached_password_is_refused_and_five_digits_are_told)
{
	struct peer *peer;
	struct peer_request request;
	char value[PEER_TEXT];

	config.password.min_length = 3;
	peer = breach_peer(&(struct peer_step){.body = known_body});
	expect_refused("abc", "data breach");
	cr_expect_eq(check("abd"), 0, "%s", why);
	request = peer_request(peer, 0);
	cr_expect_str_eq(request.path, "/range/A9993");
	cr_expect_str_eq(peer_header(&request, "Add-Padding", value), "true");
	cr_expect_eq(breach_count("outcome=\"breached\""), 1);
	cr_expect_eq(breach_count("outcome=\"clean\""), 1);
	peer_stop(peer);
}

Test(policy, suffixes_are_compared_without_case_and_padding_does_not_count)
{
	static const struct {
		const char *body;
		int err;
	} cases[] = {
		{"e364706816aba3e25717850c26c9cd0d89d:7\n", ERR_INVALID},
		{"E364706816ABA3E25717850C26C9CD0D89D:0\r\n", 0},
		{"E364706816ABA3E25717850C26C9CD0D89D:00\r\n", 0},
		{"E364706816ABA3E25717850C26C9CD0D89D:10\r\n", ERR_INVALID},
		{"", 0},
	};

	config.password.min_length = 3;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct peer *peer = breach_peer(&(struct peer_step){.body = cases[i].body});

		cr_expect_eq(check("abc"), cases[i].err, "%s", cases[i].body);
		peer_stop(peer);
		policy_free(policy);
		policy = NULL;
	}
	cr_expect_eq(breach_count("outcome=\"failed\""), 0);
}

Test(policy, no_answer_lets_a_password_pass)
{
	static const struct peer_step steps[] = {
		{.action = PEER_SILENT},
		{.action = PEER_RESET},
		{.action = PEER_GARBAGE},
		{.action = PEER_DRIP_BODY},
		{.action = PEER_ENDLESS_BODY},
		{.action = PEER_CUT_BODY, .body = known_body},
		{.status = 503, .body = known_body},
		{.status = 302, .headers = "Location: /range/A9993\r\n", .body = known_body},
		{.body = "<html>Please log in to this network</html>"},
		{.body = "E364706816ABA3E25717850C26C9CD0D89D"},
	};
	enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

	config.password.min_length = 3;
	config.password.breach_timeout_ms = 300;
	for (size_t i = 0; i < STEPS; i++) {
		struct peer *peer = breach_peer(&steps[i]);
		int64_t begun_us = clock_mono_us();

		cr_expect_eq(check("abc"), 0, "%zu: %s", i, why);
		cr_expect_lt(clock_mono_us() - begun_us, 5 * 1000000, "%zu", i);
		peer_stop(peer);
		policy_free(policy);
		policy = NULL;
	}
	cr_expect_eq(breach_count("outcome=\"failed\""), STEPS);
}

Test(policy, a_dead_breach_server_lets_a_password_pass)
{
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/range/", closed_port());
	config.password.breach_url = url;
	start();
	cr_expect_eq(check("long enough"), 0);
	cr_expect_eq(breach_count("outcome=\"failed\""), 1);
	expect_refused("short", "8 characters");
	cr_expect_eq(breach_count("outcome=\"failed\""), 1, "what is refused anyhow is not asked about");
}
