#include "server/password/argon.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/base64.h"
#include "config/limits.h"
#include "server/password/password.h"

static_assert((int)PASSWORD_HASH_SIZE >= (int)crypto_pwhash_STRBYTES, "a hash fits its place");

struct argon_cost argon_cost_of(const struct config *config)
{
	return (struct argon_cost){
		.memory_bytes = (size_t)config->password.memory_kib * 1024,
		.passes = (unsigned long long)config->password.passes,
	};
}

/* Reads "NAME=NUMBER" and moves *text behind it; -1: not there, or not within 1 … most. */
static long parameter(const char **text, const char *name, long most)
{
	size_t len = strlen(name);
	char *end = NULL;
	long value;

	if (strncmp(*text, name, len) != 0 || (*text)[len] < '1' || (*text)[len] > '9')
		return -1;
	errno = 0;
	value = strtol(*text + len, &end, 10);
	if (errno || value > most)
		return -1;
	*text = end;
	return value;
}

/* libsodium checks the form in full; this only looks at what the form would cost. */
static bool affordable(const struct argon_cost *cost, const char *stored)
{
	static const char *const prefixes[] = {"$argon2id$v=19$", "$argon2i$v=19$"};
	long memory_kib = (long)(cost->memory_bytes / 1024);
	long passes = (long)cost->passes;

	if (memory_kib < LIMIT_HASH_MEMORY_KIB)
		memory_kib = LIMIT_HASH_MEMORY_KIB;
	if (passes < LIMIT_HASH_PASSES)
		passes = LIMIT_HASH_PASSES;
	if (strlen(stored) >= crypto_pwhash_STRBYTES)
		return false;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		const char *at = stored;

		if (strncmp(at, prefixes[i], strlen(prefixes[i])) != 0)
			continue;
		at += strlen(prefixes[i]);
		return parameter(&at, "m=", memory_kib) > 0 && parameter(&at, ",t=", passes) > 0;
	}
	return false;
}

int argon_acceptable(const char *stored, const char **ret_why)
{
	static const struct argon_cost none = {.memory_bytes = 0};

	/* libsodium's reader, whatever it says of the parameters */
	if (strlen(stored) >= crypto_pwhash_STRBYTES ||
		crypto_pwhash_str_needs_rehash(stored, crypto_pwhash_OPSLIMIT_MIN, crypto_pwhash_MEMLIMIT_MIN) < 0) {
		*ret_why = "the password hash breaks the form of its kind";
		return ERR_INVALID;
	}
	if (!affordable(&none, stored)) {
		*ret_why = "the password hash costs too much to be checked";
		return ERR_LIMIT;
	}
	return 0;
}

int argon_hash(const struct argon_cost *cost, const char *password, char *ret_hash)
{
	char hash[crypto_pwhash_STRBYTES];

	if (crypto_pwhash_str(hash, password, strlen(password), cost->passes, cost->memory_bytes))
		return ERR_CRYPTO;
	memcpy(ret_hash, hash, sizeof(hash));
	return 0;
}

/* What a stored form of crypto_pwhash_str says; others, of other programs, may have another salt or more lanes. */
struct form {
	unsigned long long passes;
	size_t memory_bytes;
	unsigned char salt[crypto_pwhash_SALTBYTES], hash[32];
};

static bool from_base64(const char *text, size_t len, unsigned char *ret_bytes, size_t size)
{
	size_t got = 0;

	return base64_read(text, len, sodium_base64_VARIANT_ORIGINAL_NO_PADDING, ret_bytes, size, &got) && got == size;
}

static bool read_form(const char *stored, struct form *ret_form)
{
	static const char prefix[] = "$argon2id$v=19$", lanes[] = ",p=1$";
	const char *at = stored + strlen(prefix), *end;
	long memory_kib, passes;

	if (strncmp(stored, prefix, strlen(prefix)) != 0 || (memory_kib = parameter(&at, "m=", LONG_MAX / 1024)) < 0 ||
		(passes = parameter(&at, ",t=", LONG_MAX)) < 0 || strncmp(at, lanes, strlen(lanes)) != 0)
		return false;
	ret_form->memory_bytes = (size_t)memory_kib * 1024;
	ret_form->passes = (unsigned long long)passes;
	at += strlen(lanes);
	end = strchr(at, '$');
	return end && ret_form->memory_bytes >= crypto_pwhash_MEMLIMIT_MIN &&
	       from_base64(at, (size_t)(end - at), ret_form->salt, sizeof(ret_form->salt)) &&
	       from_base64(end + 1, strlen(end + 1), ret_form->hash, sizeof(ret_form->hash));
}

/*
 * libsodium's own comparison (1.0.18, argon2_verify) says of every failure that the password is wrong, want of memory too, which would then
 * count as a guess. So its hash is computed as any other, and compared here.
 */
static int verify_form(const struct form *form, const char *password, bool *ret_matches)
{
	unsigned char hash[sizeof(form->hash)];
	int failed = crypto_pwhash(hash, sizeof(hash), password, strlen(password), form->salt, form->passes,
		form->memory_bytes, crypto_pwhash_ALG_ARGON2ID13);

	if (!failed)
		*ret_matches = sodium_memcmp(hash, form->hash, sizeof(hash)) == 0;
	sodium_memzero(hash, sizeof(hash));
	return failed ? ERR_CRYPTO : 0;
}

int argon_verify(const struct argon_cost *cost, const char *stored, const char *password, bool *ret_matches)
{
	struct form form;

	if (!affordable(cost, stored))
		return ERR_INVALID;
	if (read_form(stored, &form))
		return verify_form(&form, password, ret_matches);
	/* -1 stands for a wrong password (EINVAL), for no memory (ENOMEM, or EINVAL) and for a broken hash (errno untouched) */
	errno = 0;
	if (crypto_pwhash_str_verify(stored, password, strlen(password)) == 0)
		*ret_matches = true;
	else if (errno == EINVAL)
		*ret_matches = false;
	else
		return errno == ENOMEM ? ERR_CRYPTO : ERR_INVALID;
	return 0;
}

bool argon_owed(const struct argon_cost *cost, const char *stored, struct argon_cost *ret_owed)
{
	const char *at = strstr(stored, "$m=");
	long memory_kib, passes;
	size_t spent, whole = cost->memory_bytes * (size_t)cost->passes;

	if (!at++ || (memory_kib = parameter(&at, "m=", LONG_MAX / 1024)) < 0 ||
		(passes = parameter(&at, ",t=", LONG_MAX)) < 0)
		return false;
	if (__builtin_mul_overflow((size_t)memory_kib * 1024, (size_t)passes, &spent) || spent >= whole)
		return false;
	*ret_owed = (struct argon_cost){
		.memory_bytes = (whole - spent) / (size_t)cost->passes,
		.passes = cost->passes,
	};
	return ret_owed->memory_bytes >= crypto_pwhash_MEMLIMIT_MIN;
}

int argon_spend(const struct argon_cost *cost, const char *password)
{
	static const unsigned char salt[crypto_pwhash_SALTBYTES] = {0};
	unsigned char key[32];
	int failed = crypto_pwhash(key, sizeof(key), password, strlen(password), salt, cost->passes, cost->memory_bytes,
		crypto_pwhash_ALG_ARGON2ID13);

	/* it is of use to nobody but a guesser of the password */
	sodium_memzero(key, sizeof(key));
	return failed ? ERR_CRYPTO : 0;
}

bool argon_needs_rehash(const struct argon_cost *cost, const char *stored)
{
	return strncmp(stored, crypto_pwhash_STRPREFIX, strlen(crypto_pwhash_STRPREFIX)) != 0 ||
	       crypto_pwhash_str_needs_rehash(stored, cost->passes, cost->memory_bytes) != 0;
}

/* The form of crypto_pwhash_str: https://doc.libsodium.org/password_hashing/default_phf, base64 without padding. */
static_assert((int)ARGON_SEED == crypto_pwhash_SALTBYTES + 32, "a salt and a hash");

void argon_nobody(const struct argon_cost *cost, const unsigned char seed[ARGON_SEED], char *ret_hash)
{
	char salt[sodium_base64_ENCODED_LEN(crypto_pwhash_SALTBYTES, sodium_base64_VARIANT_ORIGINAL_NO_PADDING)];
	char hash[sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_ORIGINAL_NO_PADDING)];

	sodium_bin2base64(salt, sizeof(salt), seed, crypto_pwhash_SALTBYTES, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	sodium_bin2base64(
		hash, sizeof(hash), seed + crypto_pwhash_SALTBYTES, 32, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	(void)snprintf(ret_hash, PASSWORD_HASH_SIZE, "$argon2id$v=19$m=%zu,t=%llu,p=1$%s$%s", cost->memory_bytes / 1024,
		cost->passes, salt, hash);
}
