#include "server/accounts/totp.h"

#include <assert.h>
#include <endian.h>
#include <liboath/oath.h>
#include <sodium.h>
#include <string.h>

enum {
	NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	SUBKEY = 1
};

static_assert((int)TOTP_SEALED == (int)NONCE + (int)TOTP_SECRET + (int)TAG, "what is stored");

/* The row as it is looked at. */
struct stored {
	unsigned char sealed[TOTP_SEALED];
	int64_t last_step;
	bool confirmed;
};

static void derive(const unsigned char key[32], unsigned char ret_key[crypto_aead_xchacha20poly1305_ietf_KEYBYTES])
{
	crypto_kdf_derive_from_key(ret_key, crypto_aead_xchacha20poly1305_ietf_KEYBYTES, SUBKEY, "totpseal", key);
}

static void seal(const unsigned char key[32], int64_t user_id, const unsigned char secret[TOTP_SECRET],
	unsigned char ret_sealed[TOTP_SEALED])
{
	unsigned char subkey[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
	const uint64_t owner = htobe64((uint64_t)user_id);

	derive(key, subkey);
	randombytes_buf(ret_sealed, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(ret_sealed + NONCE, NULL, secret, TOTP_SECRET,
		(const unsigned char *)&owner, sizeof(owner), NULL, ret_sealed, subkey);
	sodium_memzero(subkey, sizeof(subkey));
}

static int unseal(const unsigned char key[32], int64_t user_id, const unsigned char sealed[TOTP_SEALED],
	unsigned char ret_secret[TOTP_SECRET])
{
	unsigned char subkey[crypto_aead_xchacha20poly1305_ietf_KEYBYTES];
	const uint64_t owner = htobe64((uint64_t)user_id);
	int err;

	derive(key, subkey);
	err = crypto_aead_xchacha20poly1305_ietf_decrypt(ret_secret, NULL, NULL, sealed + NONCE, TOTP_SECRET + TAG,
		(const unsigned char *)&owner, sizeof(owner), sealed, subkey);
	sodium_memzero(subkey, sizeof(subkey));
	return err ? ERR_CRYPTO : 0;
}

/* The digits of what was typed; false: they are not six, or there is something else. */
static bool digits_of(const char *code, char ret_digits[TOTP_DIGITS + 1])
{
	size_t count = 0;

	for (; *code; code++) {
		if (*code == ' ' || *code == '-')
			continue;
		if (count == TOTP_DIGITS || *code < '0' || *code > '9')
			return false;
		ret_digits[count++] = *code;
	}
	ret_digits[count] = '\0';
	return count == TOTP_DIGITS;
}

/*
 * liboath's own validation ends at the first match and compares by strcmp: here no time tells which step, or how much,
 * was right.
 */
int totp_match(const unsigned char secret[TOTP_SECRET], const char *code, int64_t wall_ms, int64_t last_step,
	int64_t *ret_step)
{
	const int64_t now = wall_ms / 1000 / TOTP_STEP_S;
	char given[TOTP_DIGITS + 1] = "", right[TOTP_DIGITS + 1];
	bool formed = digits_of(code, given);
	int64_t found = -1;

	for (int64_t step = now - TOTP_WINDOW; step <= now + TOTP_WINDOW; step++) {
		if (step < 0 || oath_totp_generate((const char *)secret, TOTP_SECRET, (time_t)(step * TOTP_STEP_S),
					TOTP_STEP_S, 0, TOTP_DIGITS, right) != OATH_OK)
			continue;
		/* of two steps with one code the later: the other is then used up with it */
		if (sodium_memcmp(given, right, TOTP_DIGITS) == 0)
			found = step;
	}
	sodium_memzero(right, sizeof(right));
	if (!formed || found <= last_step)
		return ERR_DENIED;
	*ret_step = found;
	return 0;
}

/* ERR_NOT_FOUND: no row. */
static int look_up(struct db *db, int64_t user_id, struct stored *ret_stored)
{
	static const char sql[] = "SELECT secret, last_step, confirmed_ms FROM totp WHERE user_id = $1";
	struct db_statement *s = NULL;
	const void *sealed;
	size_t len = 0;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, user_id);
	err = db_step(s);
	if (err == 1) {
		sealed = db_blob(s, 0, &len);
		err = len == TOTP_SEALED ? 0 : ERR_STORE; /* no row of ours */
		if (!err) {
			memcpy(ret_stored->sealed, sealed, TOTP_SEALED);
			ret_stored->last_step = db_int(s, 1);
			ret_stored->confirmed = db_int(s, 2) != 0;
		}
	} else if (err == 0) {
		err = ERR_NOT_FOUND;
	}
	db_finish(s);
	return err;
}

int totp_state(struct db *db, int64_t user_id, enum totp_state *ret_state)
{
	static const char sql[] = "SELECT confirmed_ms FROM totp WHERE user_id = $1";
	int64_t confirmed_ms = 0;
	int found = db_read_int(db, sql, &user_id, 1, &confirmed_ms);

	if (found < 0)
		return found;
	*ret_state = !found ? TOTP_NONE : confirmed_ms ? TOTP_ACTIVE : TOTP_PENDING;
	return 0;
}

static int check_recovery(
	struct db *db, const unsigned char key[32], int64_t user_id, const char *code, struct totp_proof *proof)
{
	int err = recovery_code_digest(key, user_id, code, proof->digest);

	if (err)
		return ERR_DENIED;
	err = recovery_codes_find(db, user_id, proof->digest);
	if (!err)
		err = recovery_codes_left(db, user_id, &proof->left);
	proof->left--;
	proof->recovery = true;
	return err;
}

int totp_check(struct db *db, const unsigned char key[32], int64_t user_id, enum totp_state state, const char *code,
	int64_t wall_ms, struct totp_proof *ret_proof)
{
	unsigned char secret[TOTP_SECRET];
	struct stored stored = {.last_step = 0};
	struct totp_proof proof = {.step = 0};
	int err = look_up(db, user_id, &stored);
	bool there = !err && state != TOTP_NONE && stored.confirmed == (state == TOTP_ACTIVE);

	if (err && err != ERR_NOT_FOUND)
		return err;
	if (!there) /* the time of a check is spent on a secret that nobody has */
		seal(key, user_id, (const unsigned char[TOTP_SECRET]){0}, stored.sealed);
	err = unseal(key, user_id, stored.sealed, secret);
	if (err)
		return err;
	err = totp_match(secret, code, wall_ms, stored.last_step, &proof.step);
	sodium_memzero(secret, sizeof(secret));
	memcpy(proof.sealed, stored.sealed, sizeof(proof.sealed));
	if (err == ERR_DENIED && state == TOTP_ACTIVE)
		err = check_recovery(db, key, user_id, code, &proof);
	if (!err && !there)
		err = ERR_DENIED;
	if (!err)
		*ret_proof = proof;
	return err;
}

int totp_enrol(struct db *writer, const unsigned char key[32], int64_t user_id, const unsigned char secret[TOTP_SECRET],
	int64_t now_ms)
{
	static const char sql[] = "INSERT INTO totp (user_id, secret, last_step, created_ms) VALUES ($1, $2, 0, $3) "
				  "ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, last_step = 0, "
				  "created_ms = excluded.created_ms WHERE totp.confirmed_ms = 0";
	unsigned char sealed[TOTP_SEALED];
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	seal(key, user_id, secret, sealed);
	db_bind_int(s, 1, user_id);
	db_bind_blob(s, 2, sealed, sizeof(sealed));
	db_bind_int(s, 3, now_ms);
	err = db_run(s);
	return !err && db_changes(writer) == 0 ? ERR_EXISTS : err;
}

int totp_confirm(struct db *writer, int64_t user_id, const struct totp_proof *proof,
	const unsigned char digests[LIMIT_RECOVERY_CODES][RECOVERY_DIGEST], int64_t now_ms)
{
	static const char sql[] = "UPDATE totp SET confirmed_ms = $1, last_step = $2 "
				  "WHERE user_id = $3 AND secret = $4 AND confirmed_ms = 0 AND last_step < $2";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, now_ms);
	db_bind_int(s, 2, proof->step);
	db_bind_int(s, 3, user_id);
	db_bind_blob(s, 4, proof->sealed, sizeof(proof->sealed));
	err = db_run(s);
	if (!err && db_changes(writer) == 0)
		err = ERR_DENIED;
	return err ? err : recovery_codes_replace(writer, user_id, digests);
}

static int use_step(struct db *writer, int64_t user_id, const struct totp_proof *proof)
{
	static const char sql[] = "UPDATE totp SET last_step = $1 "
				  "WHERE user_id = $2 AND secret = $3 AND confirmed_ms <> 0 AND last_step < $1";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, proof->step);
	db_bind_int(s, 2, user_id);
	db_bind_blob(s, 3, proof->sealed, sizeof(proof->sealed));
	err = db_run(s);
	return !err && db_changes(writer) == 0 ? ERR_DENIED : err;
}

int totp_use(struct db *writer, int64_t user_id, const struct totp_proof *proof, int64_t now_ms)
{
	return proof->recovery ? recovery_codes_use(writer, user_id, proof->digest, now_ms)
			       : use_step(writer, user_id, proof);
}

int totp_remove(struct db *writer, int64_t user_id)
{
	static const char sql[] = "DELETE FROM totp WHERE user_id = $1";
	int err = recovery_codes_remove(writer, user_id);

	return err ? err : db_run_ints(writer, sql, &user_id, 1);
}
