/* Second factors as rows: which codes count, and when; each once; and that what is stored is of use to nobody. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/store/store.h"
#include "config/clock.h"
#include "server/accounts/totp.h"
#include "server/accounts/users.h"
#include "server/token/mfa_token.h"
#include "tests/support/scratch.h"

/* RFC 6238 appendix B: the secret of its SHA-1 rows. */
static const unsigned char rfc[TOTP_SECRET] = "12345678901234567890";
static const unsigned char key[32] = "a key of the server, of 32 bytes";

enum { ALICE = 7, BOB = 8, NOW_S = 1111111109 };
#define NOW_MS	 ((int64_t)NOW_S * 1000)
#define NOW_STEP ((int64_t)NOW_S / TOTP_STEP_S)
#define NOW_CODE "081804"

static struct scratch scratch;
static struct store *store;
static struct db *db;

static void setup(void)
{
	cr_assert(sodium_init() >= 0);
	clock_start();
	scratch_make(&scratch);
	cr_assert_eq(store_open(scratch.url, &store, NULL), 0);
	db = store_writer(store);
}

static void teardown(void)
{
	store_close(store);
	scratch_remove(&scratch);
}

TestSuite(totp, .init = setup, .fini = teardown, .timeout = 20);

/* The table has 8 digits: of 6, the last 6 are the code, since either is a remainder of one number (RFC 4226 5.3). */
Test(totp, the_vectors_of_rfc_6238)
{
	static const struct {
		int64_t s, step;
		const char *code;
	} vectors[] = {{59, 0x1, "287082"}, {1111111109, 0x23523EC, "081804"}, {1111111111, 0x23523ED, "050471"},
		{1234567890, 0x273EF07, "005924"}, {2000000000, 0x3F940AA, "279037"},
		{20000000000, 0x27BC86AA, "353130"}};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		int64_t step = 0;

		cr_expect_eq(totp_match(rfc, vectors[i].code, vectors[i].s * 1000, 0, &step), 0, "%s", vectors[i].code);
		cr_expect_eq(step, vectors[i].step, "%s", vectors[i].code);
	}
}

Test(totp, a_code_counts_in_its_step_and_one_step_around_it)
{
	const int64_t begin_ms = NOW_STEP * TOTP_STEP_S * 1000, length_ms = TOTP_STEP_S * 1000;
	int64_t step = -1;

	cr_expect_eq(totp_match(rfc, NOW_CODE, begin_ms - length_ms - 1, 0, &step), ERR_DENIED);
	cr_expect_eq(totp_match(rfc, NOW_CODE, begin_ms + 2 * length_ms, 0, &step), ERR_DENIED);
	cr_assert_eq(step, -1);
	cr_expect_eq(totp_match(rfc, NOW_CODE, begin_ms - length_ms, 0, &step), 0);
	cr_expect_eq(step, NOW_STEP);
	cr_expect_eq(totp_match(rfc, NOW_CODE, begin_ms + 2 * length_ms - 1, 0, &step), 0);
	cr_expect_eq(step, NOW_STEP);
}

Test(totp, a_step_that_is_past_never_counts)
{
	int64_t step = -1;

	cr_expect_eq(totp_match(rfc, NOW_CODE, NOW_MS, NOW_STEP, &step), ERR_DENIED, "used");
	cr_expect_eq(totp_match(rfc, NOW_CODE, NOW_MS, NOW_STEP + 1, &step), ERR_DENIED, "a later one was");
	cr_expect_eq(totp_match(rfc, NOW_CODE, NOW_MS, NOW_STEP - 1, &step), 0);
}

Test(totp, only_six_digits_are_a_code)
{
	static const char *const wrong[] = {"", "08180", "0818044", "08180x", "08180\xc2\xb9", "+81804", "081804\n",
		"000000", "081805", "0818040818040818040818040818040818040818040818040818"};
	int64_t step = -1;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_expect_eq(totp_match(rfc, wrong[i], NOW_MS, 0, &step), ERR_DENIED, "%s", wrong[i]);
	cr_expect_eq(step, -1);
	cr_expect_eq(totp_match(rfc, "081 804", NOW_MS, 0, &step), 0, "as authenticators show it");
}

static enum totp_state state_of(int64_t user_id)
{
	enum totp_state state = TOTP_NONE;

	cr_assert_eq(totp_state(db, user_id, &state), 0);
	return state;
}

static int check(int64_t user_id, enum totp_state state, const char *code, int64_t at_ms, struct totp_proof *ret_proof)
{
	return totp_check(db, key, user_id, state, code, at_ms, ret_proof);
}

/* In force, by the code of NOW; recovery codes in `codes`. */
static void put_in_force(int64_t user_id, char codes[LIMIT_RECOVERY_CODES][RECOVERY_CODE_SIZE])
{
	unsigned char digests[LIMIT_RECOVERY_CODES][RECOVERY_DIGEST];
	struct totp_proof proof;

	cr_assert_eq(totp_enrol(db, key, user_id, rfc, NOW_MS), 0);
	cr_assert_eq(check(user_id, TOTP_PENDING, NOW_CODE, NOW_MS, &proof), 0);
	for (size_t i = 0; i < LIMIT_RECOVERY_CODES; i++) {
		cr_assert_eq(recovery_code_make(codes[i]), 0);
		cr_assert_eq(recovery_code_digest(key, user_id, codes[i], digests[i]), 0);
	}
	cr_assert_eq(totp_confirm(db, user_id, &proof, (const unsigned char(*)[RECOVERY_DIGEST])digests, NOW_MS), 0);
}

Test(totp, is_pending_until_it_is_confirmed)
{
	char codes[LIMIT_RECOVERY_CODES][RECOVERY_CODE_SIZE];
	struct totp_proof proof;

	cr_assert_eq(state_of(ALICE), TOTP_NONE);
	cr_assert_eq(check(ALICE, TOTP_PENDING, NOW_CODE, NOW_MS, &proof), ERR_DENIED);
	cr_assert_eq(totp_enrol(db, key, ALICE, rfc, NOW_MS), 0);
	cr_assert_eq(state_of(ALICE), TOTP_PENDING);
	cr_assert_eq(check(ALICE, TOTP_ACTIVE, NOW_CODE, NOW_MS, &proof), ERR_DENIED, "nothing is in force");
	cr_assert_eq(check(ALICE, TOTP_PENDING, NOW_CODE, NOW_MS, &proof), 0);
	cr_assert_eq(totp_use(db, ALICE, &proof, NOW_MS), ERR_DENIED, "a pending one lets nobody in");
	put_in_force(ALICE, codes);
	cr_assert_eq(state_of(ALICE), TOTP_ACTIVE);
	cr_assert_eq(state_of(BOB), TOTP_NONE);
	cr_assert_eq(totp_enrol(db, key, ALICE, rfc, NOW_MS), ERR_EXISTS, "one in force is not replaced");
}

Test(totp, a_newer_pending_secret_takes_the_place_of_an_older)
{
	const unsigned char digests[LIMIT_RECOVERY_CODES][RECOVERY_DIGEST] = {{0}};
	unsigned char other[TOTP_SECRET] = "another one, as long";
	struct totp_proof proof, void_proof;

	cr_assert_eq(totp_enrol(db, key, ALICE, rfc, NOW_MS), 0);
	cr_assert_eq(check(ALICE, TOTP_PENDING, NOW_CODE, NOW_MS, &void_proof), 0);
	cr_assert_eq(totp_enrol(db, key, ALICE, other, NOW_MS), 0);
	cr_assert_eq(check(ALICE, TOTP_PENDING, NOW_CODE, NOW_MS, &proof), ERR_DENIED);
	cr_assert_eq(totp_confirm(db, ALICE, &void_proof, digests, NOW_MS), ERR_DENIED, "it was of the older");
	cr_assert_eq(state_of(ALICE), TOTP_PENDING);
}

Test(totp, a_code_is_used_once)
{
	char codes[LIMIT_RECOVERY_CODES][RECOVERY_CODE_SIZE];
	struct totp_proof first, second;

	put_in_force(ALICE, codes);
	cr_assert_eq(check(ALICE, TOTP_ACTIVE, NOW_CODE, NOW_MS, &first), ERR_DENIED, "it has confirmed the secret");
	/* 1111111111 s is one step later */
	cr_assert_eq(check(ALICE, TOTP_ACTIVE, "050471", NOW_MS, &first), 0);
	cr_assert_not(first.recovery);
	cr_assert_eq(check(ALICE, TOTP_ACTIVE, "050471", NOW_MS, &second), 0, "not used yet");
	cr_assert_eq(totp_use(db, ALICE, &first, NOW_MS), 0);
	cr_assert_eq(totp_use(db, ALICE, &second, NOW_MS), ERR_DENIED, "of two at once, one is too late");
	cr_assert_eq(check(ALICE, TOTP_ACTIVE, "050471", NOW_MS, &second), ERR_DENIED);
}

Test(totp, a_proof_is_void_once_its_secret_is_gone)
{
	char codes[LIMIT_RECOVERY_CODES][RECOVERY_CODE_SIZE];
	struct totp_proof by_code, by_recovery;

	put_in_force(ALICE, codes);
	cr_assert_eq(check(ALICE, TOTP_ACTIVE, "050471", NOW_MS, &by_code), 0);
	cr_assert_eq(check(ALICE, TOTP_ACTIVE, codes[0], NOW_MS, &by_recovery), 0);
	cr_assert_eq(totp_remove(db, ALICE), 0);
	cr_assert_eq(state_of(ALICE), TOTP_NONE);
	put_in_force(ALICE, codes);
	cr_assert_eq(totp_use(db, ALICE, &by_code, NOW_MS), ERR_DENIED);
	cr_assert_eq(totp_use(db, ALICE, &by_recovery, NOW_MS), ERR_DENIED);
	cr_assert_eq(totp_remove(db, BOB), 0, "there need not be one");
}

Test(totp, recovery_codes_work_once_each_however_they_are_typed)
{
	char codes[LIMIT_RECOVERY_CODES][RECOVERY_CODE_SIZE], typed[RECOVERY_CODE_SIZE * 2];
	struct totp_proof proof, late;
	size_t len = 0;

	put_in_force(ALICE, codes);
	for (const char *c = codes[0]; *c; c++) {
		if (*c != '-')
			typed[len++] = (char)(*c >= 'a' ? *c - 'a' + 'A' : *c);
		else
			typed[len++] = ' ';
	}
	typed[len] = '\0';
	cr_assert_eq(check(ALICE, TOTP_ACTIVE, typed, NOW_MS, &proof), 0, "%s for %s", typed, codes[0]);
	cr_assert(proof.recovery);
	cr_assert_eq(proof.left, LIMIT_RECOVERY_CODES - 1);
	cr_assert_eq(check(ALICE, TOTP_ACTIVE, codes[0], NOW_MS, &late), 0, "not used yet");
	cr_assert_eq(totp_use(db, ALICE, &proof, NOW_MS), 0);
	cr_assert_eq(totp_use(db, ALICE, &late, NOW_MS), ERR_DENIED);
	cr_assert_eq(check(ALICE, TOTP_ACTIVE, codes[0], NOW_MS, &late), ERR_DENIED);
	for (size_t i = 1; i < LIMIT_RECOVERY_CODES; i++) {
		cr_assert_eq(check(ALICE, TOTP_ACTIVE, codes[i], NOW_MS, &proof), 0);
		cr_assert_eq(proof.left, LIMIT_RECOVERY_CODES - 1 - (int64_t)i);
		cr_assert_eq(totp_use(db, ALICE, &proof, NOW_MS), 0);
	}
}

Test(totp, recovery_codes_have_their_form_and_differ)
{
	char codes[2][RECOVERY_CODE_SIZE], broken[RECOVERY_CODE_SIZE + 2];
	unsigned char digest[RECOVERY_DIGEST];

	cr_assert_eq(recovery_code_make(codes[0]), 0);
	cr_assert_eq(recovery_code_make(codes[1]), 0);
	cr_assert_str_neq(codes[0], codes[1]);
	cr_expect_geq(RECOVERY_CODE_BYTES * 8, 112, "ASVS 5.0 6.5.2, with a digest that is fast");
	cr_expect_eq(strlen(codes[0]), RECOVERY_CODE_SIZE - 1);
	for (size_t i = 0; i < RECOVERY_CODE_SIZE - 1; i++) {
		cr_expect((codes[0][i] == '-') == (i % 7 == 6), "%s", codes[0]);
		cr_expect_not_null(strchr("abcdefghijklmnopqrstuvwxyz234567-", codes[0][i]), "%s", codes[0]);
	}
	cr_expect_eq(recovery_code_digest(key, ALICE, codes[0], digest), 0);
	(void)snprintf(broken, sizeof(broken), "%sa", codes[0]);
	cr_expect_eq(recovery_code_digest(key, ALICE, broken, digest), ERR_INVALID, "one more");
	broken[RECOVERY_CODE_SIZE - 2] = '\0';
	cr_expect_eq(recovery_code_digest(key, ALICE, broken, digest), ERR_INVALID, "one less");
	broken[0] = '1';
	cr_expect_eq(recovery_code_digest(key, ALICE, broken, digest), ERR_INVALID, "no letter of base32");
	cr_expect_eq(recovery_code_digest(key, ALICE, "", digest), ERR_INVALID);
}

static void move_rows_to_bob(void)
{
	cr_assert_eq(db_execute(db, "UPDATE totp SET user_id = 8; UPDATE recovery_codes SET user_id = 8"), 0);
}

Test(totp, what_is_stored_is_of_use_to_nobody_else)
{
	char codes[LIMIT_RECOVERY_CODES][RECOVERY_CODE_SIZE];
	unsigned char other[32] = {0};
	struct totp_proof proof;
	struct db_statement *s = NULL;
	const void *sealed;
	size_t len = 0;

	put_in_force(ALICE, codes);
	cr_assert_eq(db_prepare(db, "SELECT secret FROM totp", &s), 0);
	cr_assert_eq(db_step(s), 1);
	sealed = db_blob(s, 0, &len);
	cr_expect_eq(len, TOTP_SEALED);
	cr_expect_null(memmem(sealed, len, rfc, 8), "the secret is there to be read");
	db_finish(s);
	cr_expect_eq(totp_check(db, other, ALICE, TOTP_ACTIVE, "050471", NOW_MS, &proof), ERR_CRYPTO, "another key");
	move_rows_to_bob();
	cr_expect_eq(check(BOB, TOTP_ACTIVE, "050471", NOW_MS, &proof), ERR_CRYPTO);
	cr_assert_eq(totp_enrol(db, key, ALICE, rfc, NOW_MS), 0);
	cr_assert_eq(db_execute(db, "DELETE FROM totp WHERE user_id = 8; UPDATE totp SET confirmed_ms = 1"), 0);
	cr_expect_eq(check(ALICE, TOTP_ACTIVE, codes[0], NOW_MS, &proof), ERR_DENIED, "the codes went to another");
	cr_assert_eq(db_execute(db, "UPDATE recovery_codes SET user_id = 9"), 0);
	cr_expect_eq(recovery_code_digest(key, 9, codes[0], proof.digest), 0);
	cr_expect_eq(recovery_codes_find(db, 9, proof.digest), ERR_DENIED, "a digest is of one account");
}

static const unsigned char login_secret[32] = "between the steps of one login.";

Test(totp, a_login_token_says_what_was_put_into_it_until_its_end)
{
	const struct mfa_claims claims = {.user_id = 1LL << 40, .expires_ms = 5000, .credentials = 3};
	struct mfa_claims read = {.user_id = 0};
	char token[MFA_TOKEN_SIZE];

	mfa_token_make(login_secret, &claims, token);
	cr_assert_eq(strlen(token), MFA_TOKEN_SIZE - 1);
	cr_assert_eq(mfa_token_read(login_secret, token, 5000, &read), ERR_DENIED, "it is over");
	cr_assert_eq(read.user_id, 0);
	cr_assert_eq(mfa_token_read(login_secret, token, 4999, &read), 0);
	cr_expect_eq(read.user_id, claims.user_id);
	cr_expect_eq(read.expires_ms, claims.expires_ms);
	cr_expect_eq(read.credentials, claims.credentials);
	cr_expect_eq(mfa_token_read(key, token, 4999, &read), ERR_DENIED, "under another key");
	token[MFA_TOKEN_SIZE - 2] = '\0';
	cr_expect_eq(mfa_token_read(login_secret, token, 4999, &read), ERR_DENIED, "cut");
	cr_expect_eq(mfa_token_read(login_secret, "", 4999, &read), ERR_DENIED);
}

Test(totp, any_changed_character_of_a_login_token_is_refused)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= .\n";
	const struct mfa_claims claims = {.user_id = 1, .expires_ms = 5000};
	struct mfa_claims read;
	char token[MFA_TOKEN_SIZE];

	mfa_token_make(login_secret, &claims, token);
	for (size_t i = 0; token[i]; i++) {
		const char was = token[i];

		for (const char *c = alphabet; *c; c++) {
			token[i] = *c;
			if (*c != was)
				cr_expect_eq(
					mfa_token_read(login_secret, token, 0, &read), ERR_DENIED, "%zu %c", i, *c);
		}
		token[i] = was;
	}
	cr_expect_eq(mfa_token_read(login_secret, token, 0, &read), 0);
}

/* A login whose password was checked before the second factor came into force must not end in a session. */
Test(totp, raised_credentials_void_what_was_found_before)
{
	struct user user = {.username = "alice", .password = "hash"};

	cr_assert_eq(users_add(db, &user, NOW_MS), 0);
	cr_assert_eq(users_confirm(db, &user), 0);
	cr_assert_eq(users_raise_credentials(db, user.id, NOW_MS), 0);
	cr_assert_eq(users_confirm(db, &user), ERR_STALE);
	cr_assert_eq(users_raise_credentials(db, user.id + 1, NOW_MS), ERR_NOT_FOUND);
}
