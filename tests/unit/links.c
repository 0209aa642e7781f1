/* Links as rows: open until they are used, voided or too old; and the tokens that name them. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "server/accounts/links.h"
#include "server/accounts/users.h"
#include "tests/support/open_store.h"

enum { NOW = 1000000, TTL = 5000 };

static struct open_store opened;
static struct db *db;
static unsigned char key[LINK_KEY_SIZE];

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	open_store_make(&opened);
	committer_stop(opened.committer); /* the writer is ours */
	opened.committer = NULL;
	db = store_writer(opened.store);
	randombytes_buf(key, sizeof(key));
}

static void teardown(void)
{
	open_store_remove(&opened);
}

TestSuite(links, .init = setup, .fini = teardown, .timeout = 20);

static struct link added(const char *purpose, int64_t user_id, const char *email)
{
	struct link link;

	links_init(&link, purpose, TTL, NOW);
	link.user_id = user_id;
	(void)snprintf(link.email, sizeof(link.email), "%s", email);
	(void)snprintf(link.username, sizeof(link.username), "alice");
	(void)snprintf(link.password, sizeof(link.password), "$argon2id$stored");
	cr_assert_eq(links_add(db, &link), 0);
	return link;
}

static struct link found(int64_t id)
{
	struct link link = {.id = 0};

	cr_assert_eq(links_find(db, id, &link), 0);
	return link;
}

static bool is_open(const struct link *link, int64_t now_ms)
{
	struct link row = found(link->id);

	return links_open(&row, link->purpose, now_ms);
}

Test(links, a_link_is_found_as_it_was_added)
{
	struct link link = added(LINK_VERIFY, 0, "Alice@example.com"), row = found(link.id);

	cr_assert_str_eq(row.purpose, "verify");
	cr_assert_str_eq(row.email, "Alice@example.com");
	cr_assert_str_eq(row.username, "alice");
	cr_assert_str_eq(row.password, "$argon2id$stored");
	cr_assert_eq(row.user_id, 0);
	cr_assert_eq(row.created_ms, NOW);
	cr_assert_eq(row.expires_ms, NOW + TTL);
	cr_assert_eq(row.used_ms, 0);
	cr_assert_eq(links_find(db, link.id ^ 1, &row), ERR_NOT_FOUND);
}

Test(links, ids_are_of_53_bits_and_differ)
{
	int64_t most = 0;
	struct link a, b;

	for (int i = 0; i < 200; i++) {
		links_init(&a, LINK_RESET, TTL, NOW);
		links_init(&b, LINK_RESET, TTL, NOW);
		cr_assert(a.id > 0 && a.id < INT64_C(1) << 53);
		cr_assert_neq(a.id, b.id);
		most = a.id > most ? a.id : most;
	}
	cr_assert_gt(most, INT64_C(1) << 50);
}

Test(links, one_use)
{
	struct link link = added(LINK_RESET, 7, "");

	cr_assert(is_open(&link, NOW + 1));
	cr_assert_eq(links_use(db, link.id, NOW + 1), 0);
	cr_assert_not(is_open(&link, NOW + 1));
	cr_assert_eq(found(link.id).used_ms, NOW + 1);
	cr_assert_eq(links_use(db, link.id, NOW + 2), ERR_STALE);
	cr_assert_eq(found(link.id).used_ms, NOW + 1);
	cr_assert_str_eq(found(link.id).password, "", "a used link holds no password");
}

Test(links, none_after_its_time)
{
	struct link link = added(LINK_RESET, 7, "");

	cr_assert(is_open(&link, NOW + TTL - 1));
	cr_assert_not(is_open(&link, NOW + TTL));
	cr_assert_eq(links_use(db, link.id, NOW + TTL), ERR_STALE);
	cr_assert_eq(links_use(db, link.id, NOW + TTL - 1), 0);
}

Test(links, a_purpose_is_not_another)
{
	struct link link = added(LINK_RESET, 7, ""), row = found(link.id);

	cr_assert(links_open(&row, LINK_RESET, NOW));
	cr_assert_not(links_open(&row, LINK_VERIFY, NOW));
}

Test(links, voiding_is_for_one_user_and_purpose)
{
	struct link first = added(LINK_RESET, 7, ""), second = added(LINK_RESET, 7, ""),
		    other = added(LINK_RESET, 8, ""), nobody = added(LINK_RESET, 0, "");

	cr_assert_eq(links_void(db, 7, LINK_VERIFY, NOW), 0);
	cr_assert(is_open(&first, NOW));
	cr_assert_eq(links_void(db, 7, LINK_RESET, NOW), 0);
	cr_assert_eq(links_void(db, 0, LINK_RESET, NOW), 0);
	cr_assert_not(is_open(&first, NOW));
	cr_assert_not(is_open(&second, NOW));
	cr_assert(is_open(&other, NOW));
	cr_assert(is_open(&nobody, NOW));
}

Test(links, voiding_an_address_in_any_case_of_letters)
{
	struct link signup = added(LINK_VERIFY, 0, "Alice@Example.com"),
		    invitation = added(LINK_INVITE, 0, "alice@example.COM"),
		    reset = added(LINK_RESET, 7, "alice@example.com"), other = added(LINK_VERIFY, 0, "bob@example.com"),
		    nowhere = added(LINK_VERIFY, 0, "");

	cr_assert_eq(links_void_address(db, "", NOW), 0);
	cr_assert_eq(links_void_address(db, "alice@example.com", NOW), 0);
	cr_assert_not(is_open(&signup, NOW));
	cr_assert_not(is_open(&invitation, NOW));
	cr_assert_str_eq(found(signup.id).password, "");
	cr_assert(is_open(&reset, NOW));
	cr_assert(is_open(&other, NOW));
	cr_assert(is_open(&nowhere, NOW));
}

Test(links, what_an_event_says_of_it)
{
	struct link link;
	json_t *said;
	char *text;

	links_init(&link, LINK_INVITE, 678, INT64_C(1767323045000));
	link.id = 42;
	said = links_event(&link);
	text = json_dumps(said, JSON_COMPACT | JSON_SORT_KEYS);
	cr_assert_str_eq(
		text, "{\"link\":{\"expires\":\"2026-01-02T03:04:05.678Z\",\"id\":42,\"purpose\":\"invite\"}}");
	free(text);
	json_decref(said);
}

Test(links, a_token_names_its_row_for_its_purpose_and_key_alone)
{
	char token[LINK_TOKEN_SIZE], bad[LINK_TOKEN_SIZE + 2];
	unsigned char other[LINK_KEY_SIZE];
	int64_t id = 0;

	link_token_make(key, LINK_RESET, INT64_C(1) << 52, token);
	cr_assert_eq(link_token_read(key, LINK_RESET, token, &id), 0);
	cr_assert_eq(id, INT64_C(1) << 52);
	cr_assert_eq(link_token_read(key, LINK_VERIFY, token, &id), ERR_DENIED);
	randombytes_buf(other, sizeof(other));
	cr_assert_eq(link_token_read(other, LINK_RESET, token, &id), ERR_DENIED);
	for (size_t i = 0; token[i]; i++) {
		(void)snprintf(bad, sizeof(bad), "%s", token);
		bad[i] = token[i] == 'x' ? 'y' : 'x';
		cr_assert_eq(link_token_read(key, LINK_RESET, bad, &id), ERR_DENIED, "letter %zu", i);
	}
	(void)snprintf(bad, sizeof(bad), "%sA", token);
	cr_assert_eq(link_token_read(key, LINK_RESET, bad, &id), ERR_DENIED);
	cr_assert_eq(link_token_read(key, LINK_RESET, "", &id), ERR_DENIED);
	cr_assert_eq(link_token_read(key, LINK_RESET, "not base64!", &id), ERR_DENIED);
}

Test(links, types_of_event_that_have_a_link)
{
	cr_assert_str_eq(link_purpose_of("user.signup"), LINK_VERIFY);
	cr_assert_str_eq(link_purpose_of("user.invited"), LINK_INVITE);
	cr_assert_str_eq(link_purpose_of("user.password_forgot"), LINK_RESET);
	cr_assert_str_eq(link_purpose_of("user.reset_required"), LINK_RESET);
	cr_assert_null(link_purpose_of("user.login"));
	cr_assert_null(link_purpose_of("user.*"));
	cr_assert_null(link_purpose_of("order.paid"));
}
