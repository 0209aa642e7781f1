/*
 * One table of kinds. A reader is strict: what is not exactly the form that a program writes is refused, because a
 * settings text goes to a library whose parser takes more than was thought of here, and could cost more.
 */
#include "server/password/foreign.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/base64.h"
#include "server/password/foreign_internal.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define CRYPT64 "./0123456789" LETTERS /* in the order of its values: crypt(5) */

static const char crypt_letters[] = CRYPT64;
static const char *const letters[] = {
	[ENCODING_CRYPT] = CRYPT64,
	[ENCODING_PLAIN] = "+/0123456789" LETTERS,
	[ENCODING_DOTTED] = CRYPT64,
	[ENCODING_PADDED] = "+/=0123456789" LETTERS,
};

enum { SHA_CRYPT_SALT = 16, SHA_CRYPT_ROUNDS = 5000, SHA_CRYPT_ROUNDS_MIN = 1000, BCRYPT_SALT = 22, CRYPT_SALT = 86 };

/* Digits without a leading zero, and what ends them; 0: not there, or beyond `most` by far. */
static uint64_t number(const char **text, char end)
{
	uint64_t value = 0;
	const char *c = *text;

	if (*c < '1' || *c > '9')
		return 0;
	for (; *c >= '0' && *c <= '9'; c++) {
		if (value > UINT32_MAX)
			return 0;
		value = value * 10 + (uint64_t)(*c - '0');
	}
	if (*c != end)
		return 0;
	*text = c + 1;
	return value;
}

static int crypt_value(char c)
{
	const char *at = c ? strchr(crypt_letters, c) : NULL;

	return at ? (int)(at - crypt_letters) : -1;
}

/* A salt of crypt's letters, of up to `most` characters, and the $ that ends it; `least` as well. */
static int crypt_salt(const char *text, size_t least, size_t most)
{
	size_t len = strspn(text, crypt_letters);

	return len >= least && len <= most && strcmp(text + len, "$") == 0 ? 0 : ERR_INVALID;
}

static int read_bcrypt(struct foreign *foreign, const char *rest)
{
	int cost;

	if (rest[0] < '0' || rest[0] > '3' || rest[1] < '0' || rest[1] > '9' || rest[2] != '$' ||
		strspn(rest + 3, crypt_letters) != BCRYPT_SALT || rest[3 + BCRYPT_SALT] != '\0')
		return ERR_INVALID;
	cost = (rest[0] - '0') * 10 + rest[1] - '0';
	if (cost < 4 || cost > 31)
		return ERR_INVALID;
	foreign->rounds = (uint64_t)cost;
	return cost > LIMIT_BCRYPT_COST ? ERR_LIMIT : 0;
}

static int read_sha_crypt(struct foreign *foreign, const char *rest)
{
	static const char named[] = "rounds=";

	foreign->rounds = SHA_CRYPT_ROUNDS;
	if (strncmp(rest, named, sizeof(named) - 1) == 0) {
		rest += sizeof(named) - 1;
		foreign->rounds = number(&rest, '$');
		if (foreign->rounds < SHA_CRYPT_ROUNDS_MIN)
			return ERR_INVALID;
	}
	if (crypt_salt(rest, 0, SHA_CRYPT_SALT))
		return ERR_INVALID;
	return foreign->rounds > LIMIT_SHA_CRYPT_ROUNDS ? ERR_LIMIT : 0;
}

/* 128 N r p, which is also what it takes of memory but for p. */
static int check_scrypt_cost(const struct foreign *foreign)
{
	uint64_t bytes;

	if (foreign->r == 0 || foreign->p == 0)
		return ERR_INVALID;
	if (__builtin_mul_overflow(foreign->n, (uint64_t)foreign->r * foreign->p, &bytes) ||
		bytes > LIMIT_SCRYPT_BYTES / 128)
		return ERR_LIMIT;
	return 0;
}

/*
 * "j9T$salt$": flavour, log2 N - 1 and r - 1, each one character as long as its value is below 48, and salt. Longer
 * numbers stand for costs beyond our bounds, further characters for the optional parameters.
 */
static int read_yescrypt(struct foreign *foreign, const char *rest)
{
	int n, r;

	if (rest[0] != 'j' || (n = crypt_value(rest[1])) < 0 || (r = crypt_value(rest[2])) < 0 || rest[3] != '$')
		return ERR_INVALID;
	if (n > 47 || r > 47)
		return ERR_LIMIT;
	foreign->n = 1ULL << (n + 1);
	foreign->r = (uint32_t)r + 1;
	foreign->p = 1;
	return crypt_salt(rest + 4, 0, CRYPT_SALT) ? ERR_INVALID : check_scrypt_cost(foreign);
}

/* Five characters, six bits each, the lowest first. */
static int64_t crypt_number(const char *text)
{
	int64_t value = 0;

	for (int i = 0; i < 5; i++) {
		int bits = crypt_value(text[i]);

		if (bits < 0)
			return -1;
		value |= (int64_t)bits << (6 * i);
	}
	return value;
}

static int read_crypt_scrypt(struct foreign *foreign, const char *rest)
{
	int n = crypt_value(rest[0]);
	int64_t r, p;

	if (n < 1 || (r = crypt_number(rest + 1)) < 1 || (p = crypt_number(rest + 6)) < 1)
		return ERR_INVALID;
	foreign->n = 1ULL << n;
	foreign->r = (uint32_t)r;
	foreign->p = (uint32_t)p;
	return crypt_salt(rest + 11, 1, CRYPT_SALT) ? ERR_INVALID : check_scrypt_cost(foreign);
}

/* A salt in base64, and the $ that ends it. */
static int decode_salt(struct foreign *foreign, const char *text)
{
	const bool dotted = foreign->kind->encoding == ENCODING_DOTTED;
	char copy[2 * FOREIGN_SALT];
	const char *end = strchr(text, '$');
	size_t len = end ? (size_t)(end - text) : 0;

	if (!end || end[1] != '\0' || len >= sizeof(copy))
		return ERR_INVALID;
	memcpy(copy, text, len);
	for (size_t i = 0; i < len && dotted; i++) {
		if (copy[i] == '+')
			return ERR_INVALID;
		if (copy[i] == '.')
			copy[i] = '+';
	}
	return base64_read(copy, len, sodium_base64_VARIANT_ORIGINAL_NO_PADDING, foreign->salt, sizeof(foreign->salt),
		       &foreign->salt_len)
		       ? 0
		       : ERR_INVALID;
}

/* "NAME=NUMBER" and what ends it; 0: not there. */
static uint64_t parameter(const char **text, const char *name, char end)
{
	size_t len = strlen(name);

	if (strncmp(*text, name, len) != 0)
		return 0;
	*text += len;
	return number(text, end);
}

static int read_phc_scrypt(struct foreign *foreign, const char *rest)
{
	uint64_t n = parameter(&rest, "ln=", ','), r = n ? parameter(&rest, "r=", ',') : 0;
	uint64_t p = r ? parameter(&rest, "p=", '$') : 0;

	if (p == 0 || decode_salt(foreign, rest))
		return ERR_INVALID;
	if (n > 63 || r > UINT32_MAX || p > UINT32_MAX)
		return ERR_LIMIT;
	foreign->n = 1ULL << n;
	foreign->r = (uint32_t)r;
	foreign->p = (uint32_t)p;
	return check_scrypt_cost(foreign);
}

static int check_pbkdf2_cost(const struct foreign *foreign)
{
	if (foreign->rounds == 0)
		return ERR_INVALID;
	return foreign->rounds > LIMIT_PBKDF2_ROUNDS ? ERR_LIMIT : 0;
}

static int read_pbkdf2(struct foreign *foreign, const char *rest)
{
	foreign->rounds = number(&rest, '$');
	return foreign->rounds == 0 || decode_salt(foreign, rest) ? ERR_INVALID : check_pbkdf2_cost(foreign);
}

/* The salt's characters are its bytes. */
static int read_django(struct foreign *foreign, const char *rest)
{
	size_t len;

	foreign->rounds = number(&rest, '$');
	len = strcspn(rest, "$");
	if (foreign->rounds == 0 || len == 0 || len > FOREIGN_SALT || strcmp(rest + len, "$") != 0)
		return ERR_INVALID;
	memcpy(foreign->salt, rest, len);
	foreign->salt_len = len;
	return check_pbkdf2_cost(foreign);
}

#define CRYPT(name, prefix, read, hash_len)                                                                            \
	{                                                                                                              \
		name, prefix, ENCODING_CRYPT, read, foreign_compute_crypt, hash_len, 0, 0                              \
	}
#define BCRYPT(prefix)                                                                                                 \
	{                                                                                                              \
		"bcrypt", prefix, ENCODING_CRYPT, read_bcrypt, foreign_compute_bcrypt, 31, 0, 29                       \
	}

static const struct foreign_kind kinds[] = {
	BCRYPT("$2a$"),
	BCRYPT("$2b$"),
	BCRYPT("$2y$"),
	CRYPT("sha512-crypt", "$6$", read_sha_crypt, 86),
	CRYPT("sha256-crypt", "$5$", read_sha_crypt, 43),
	CRYPT("yescrypt", "$y$", read_yescrypt, 43),
	CRYPT("scrypt", "$7$", read_crypt_scrypt, 43),
	{"scrypt", "$scrypt$", ENCODING_PLAIN, read_phc_scrypt, foreign_compute_scrypt, 43, 86, 0},
	{"pbkdf2-sha256", "$pbkdf2-sha256$", ENCODING_DOTTED, read_pbkdf2, foreign_compute_pbkdf2, 43, 0, 0},
	{"pbkdf2-sha512", "$pbkdf2-sha512$", ENCODING_DOTTED, read_pbkdf2, foreign_compute_pbkdf2, 86, 0, 0},
	{"pbkdf2-sha256", "pbkdf2_sha256$", ENCODING_PADDED, read_django, foreign_compute_pbkdf2, 44, 0, 0},
};

static const struct foreign_kind *find_kind(const char *text)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strncmp(text, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return &kinds[i];
	}
	return NULL;
}

static int explain(int err, const char **ret_why)
{
	if (err == ERR_NOT_FOUND)
		*ret_why = "the password hash is of no kind that is known here";
	else if (err == ERR_LIMIT)
		*ret_why = "the password hash costs too much to be checked";
	else if (err)
		*ret_why = "the password hash breaks the form of its kind";
	return err;
}

/* A colon parts the settings from what follows in a wrapped form; quotes and the like have no business in any. */
static bool plain(const char *settings)
{
	for (; *settings; settings++) {
		if (*settings <= ' ' || *settings > '~' || strchr(":*\"\\", *settings))
			return false;
	}
	return true;
}

int foreign_read_settings(
	const char *settings, size_t len, size_t hash_len, struct foreign *ret_foreign, const char **ret_why)
{
	struct foreign foreign = {.settings_len = len, .hash_len = hash_len};
	int err;

	if (len > LIMIT_FOREIGN_HASH || memchr(settings, '\0', len))
		return explain(ERR_INVALID, ret_why);
	memcpy(foreign.settings, settings, len);
	foreign.kind = find_kind(foreign.settings);
	if (!foreign.kind)
		return explain(ERR_NOT_FOUND, ret_why);
	if (hash_len == 0 || (hash_len != foreign.kind->hash_len && hash_len != foreign.kind->hash_len_2) ||
		!plain(foreign.settings))
		return explain(ERR_INVALID, ret_why);
	err = foreign.kind->read(&foreign, foreign.settings + strlen(foreign.kind->prefix));
	if (!err)
		*ret_foreign = foreign;
	return explain(err, ret_why);
}

int foreign_read(const char *stored, struct foreign *ret_foreign, const char **ret_hash, const char **ret_why)
{
	const struct foreign_kind *kind = find_kind(stored);
	size_t len = strnlen(stored, LIMIT_FOREIGN_HASH + 1);
	const char *hash;
	int err;

	if (!kind)
		return explain(ERR_NOT_FOUND, ret_why);
	if (len > LIMIT_FOREIGN_HASH || len <= kind->settings_len)
		return explain(ERR_INVALID, ret_why);
	hash = kind->settings_len ? stored + kind->settings_len : strrchr(stored, '$') + 1;
	if (hash[strspn(hash, letters[kind->encoding])] != '\0')
		return explain(ERR_INVALID, ret_why);
	err = foreign_read_settings(stored, (size_t)(hash - stored), strlen(hash), ret_foreign, ret_why);
	if (!err)
		*ret_hash = hash;
	return err;
}

const char *foreign_name(const struct foreign *foreign)
{
	return foreign->kind->name;
}

void foreign_cost(const struct foreign *foreign, char *ret_text, size_t size)
{
	(void)snprintf(ret_text, size, "%s %llu %llu %lu %lu", foreign->kind->name, (unsigned long long)foreign->rounds,
		(unsigned long long)foreign->n, (unsigned long)foreign->r, (unsigned long)foreign->p);
}

int foreign_compute(const struct foreign *foreign, const char *password, char ret_output[FOREIGN_OUTPUT])
{
	char output[FOREIGN_OUTPUT];
	int err = foreign->kind->compute(foreign, password, output);

	if (!err)
		memcpy(ret_output, output, foreign->hash_len + 1);
	sodium_memzero(output, sizeof(output));
	return err;
}
