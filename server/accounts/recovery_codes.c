#include "server/accounts/recovery_codes.h"

#include <assert.h>
#include <endian.h>
#include <liboath/oath.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS = RECOVERY_CODE_BYTES * 8 / 5, GROUP = 6, SUBKEY = 2 };

static_assert(RECOVERY_CODE_BYTES % 5 == 0, "base32 without padding");
static_assert(LETTERS + LETTERS / GROUP == RECOVERY_CODE_SIZE, "a hyphen between groups, and the NUL");

int recovery_code_make(char ret_code[RECOVERY_CODE_SIZE])
{
	char bytes[RECOVERY_CODE_BYTES], *text = NULL;
	size_t len = 0;
	int err = ERR_MEMORY;

	randombytes_buf(bytes, sizeof(bytes));
	if (oath_base32_encode(bytes, sizeof(bytes), &text, &len) != OATH_OK || len != LETTERS)
		goto done;
	for (size_t i = 0; i < LETTERS; i++) {
		char *to = ret_code + i + i / GROUP;

		*to = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
		to[1] = '-';
	}
	ret_code[RECOVERY_CODE_SIZE - 1] = '\0';
	err = 0;
done:
	if (text)
		sodium_memzero(text, len);
	free(text);
	sodium_memzero(bytes, sizeof(bytes));
	return err;
}

/* What was typed, as it is digested: 24 letters of base32. */
static int normalise(const char *code, char ret_letters[LETTERS])
{
	size_t count = 0;

	for (; *code; code++) {
		char c = (char)(*code >= 'A' && *code <= 'Z' ? *code - 'A' + 'a' : *code);

		if (c == '-' || c == ' ')
			continue;
		if (count == LETTERS || !((c >= 'a' && c <= 'z') || (c >= '2' && c <= '7')))
			return ERR_INVALID;
		ret_letters[count++] = c;
	}
	return count == LETTERS ? 0 : ERR_INVALID;
}

int recovery_code_digest(
	const unsigned char key[32], int64_t user_id, const char *code, unsigned char ret_digest[RECOVERY_DIGEST])
{
	struct {
		uint64_t user_id; /* big-endian */
		char letters[LETTERS];
	} message = {.user_id = htobe64((uint64_t)user_id)};
	unsigned char subkey[crypto_generichash_KEYBYTES];
	int err = normalise(code, message.letters);

	static_assert(sizeof(message) == sizeof(uint64_t) + LETTERS, "no padding");
	if (!err) {
		crypto_kdf_derive_from_key(subkey, sizeof(subkey), SUBKEY, "recovery", key);
		crypto_generichash(ret_digest, RECOVERY_DIGEST, (const unsigned char *)&message, sizeof(message),
			subkey, sizeof(subkey));
		sodium_memzero(subkey, sizeof(subkey));
	}
	sodium_memzero(&message, sizeof(message));
	return err;
}

int recovery_codes_left(struct db *db, int64_t user_id, int64_t *ret_left)
{
	static const char sql[] = "SELECT count(*) FROM recovery_codes WHERE user_id = $1 AND used_ms = 0";
	int found = db_read_int(db, sql, &user_id, 1, ret_left);

	return found < 0 ? found : 0; /* a count is always there */
}

int recovery_codes_find(struct db *db, int64_t user_id, const unsigned char digest[RECOVERY_DIGEST])
{
	static const char sql[] = "SELECT 1 FROM recovery_codes WHERE user_id = $1 AND digest = $2 AND used_ms = 0";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, user_id);
	db_bind_blob(s, 2, digest, RECOVERY_DIGEST);
	err = db_step(s);
	if (err >= 0)
		err = err == 1 ? 0 : ERR_DENIED;
	db_finish(s);
	return err;
}

int recovery_codes_use(struct db *writer, int64_t user_id, const unsigned char digest[RECOVERY_DIGEST], int64_t now_ms)
{
	static const char sql[] =
		"UPDATE recovery_codes SET used_ms = $1 WHERE user_id = $2 AND digest = $3 AND used_ms = 0";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	db_bind_int(s, 1, now_ms);
	db_bind_int(s, 2, user_id);
	db_bind_blob(s, 3, digest, RECOVERY_DIGEST);
	err = db_run(s);
	return !err && db_changes(writer) == 0 ? ERR_DENIED : err;
}

int recovery_codes_replace(
	struct db *writer, int64_t user_id, const unsigned char digests[LIMIT_RECOVERY_CODES][RECOVERY_DIGEST])
{
	static const char sql[] = "INSERT INTO recovery_codes (user_id, digest) VALUES ($1, $2)";
	int err = recovery_codes_remove(writer, user_id);

	for (size_t i = 0; !err && i < LIMIT_RECOVERY_CODES; i++) {
		struct db_statement *s = NULL;

		err = db_prepare(writer, sql, &s);
		if (err)
			break;
		db_bind_int(s, 1, user_id);
		db_bind_blob(s, 2, digests[i], RECOVERY_DIGEST);
		err = db_run(s);
	}
	return err;
}

int recovery_codes_remove(struct db *writer, int64_t user_id)
{
	static const char sql[] = "DELETE FROM recovery_codes WHERE user_id = $1";

	return db_run_ints(writer, sql, &user_id, 1);
}
