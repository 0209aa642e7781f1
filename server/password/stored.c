#include "server/password/stored.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/password/foreign.h"
#include "server/password/password.h"

static const char pepper_mark[] = "$pepper$", wrap_mark[] = "$wrap$";

static_assert(sizeof(pepper_mark) + PEPPER_ID_SIZE + sizeof(wrap_mark) + 4 + LIMIT_FOREIGN_HASH + 1 +
			      (int)crypto_pwhash_STRBYTES <=
		      (int)PASSWORD_HASH_SIZE,
	"the longest form fits its place");

/* A stored form taken apart. */
struct parts {
	char pepper_id[PEPPER_ID_SIZE]; /* "": none */
	bool foreign;
	struct foreign by;
	const char *hash;  /* what the foreign function must compute; NULL: it is wrapped */
	const char *argon; /* NULL: it is not */
};

void stored_rules_make(const struct config *config, struct stored_rules *ret_rules)
{
	ret_rules->cost = argon_cost_of(config);
	peppers_make(config, &ret_rules->peppers);
}

void stored_rules_release(struct stored_rules *rules)
{
	peppers_release(&rules->peppers);
}

/* Behind its mark: "ID$…", of which the $ stays. */
static int read_pepper(const char **text, struct parts *parts)
{
	size_t len = strspn(*text, "0123456789abcdef");

	if (len != PEPPER_ID_SIZE - 1 || (*text)[len] != '$')
		return ERR_INVALID;
	memcpy(parts->pepper_id, *text, len);
	*text += len;
	return 0;
}

/* Behind its mark: "LEN:SETTINGS:", and Argon2 follows. */
static int read_wrap(const char **text, struct parts *parts, const char **ret_why)
{
	char *at = NULL;
	const char *end;
	long hash_len;
	int err;

	if (**text < '1' || **text > '9')
		return ERR_INVALID;
	hash_len = strtol(*text, &at, 10);
	if (*at != ':' || hash_len >= FOREIGN_OUTPUT || !(end = strchr(at + 1, ':')))
		return ERR_INVALID;
	err = foreign_read_settings(at + 1, (size_t)(end - at - 1), (size_t)hash_len, &parts->by, ret_why);
	if (!err) {
		parts->foreign = true;
		*text = end + 1;
	}
	return err;
}

static int read_parts(const char *stored, struct parts *ret_parts, const char **ret_why)
{
	struct parts parts = {.foreign = false};
	const char *at = stored;
	int err = 0;

	*ret_why = "the password hash breaks the form of its kind";
	if (strnlen(stored, PASSWORD_HASH_SIZE) == PASSWORD_HASH_SIZE)
		return ERR_INVALID;
	if (strncmp(at, pepper_mark, sizeof(pepper_mark) - 1) == 0) {
		at += sizeof(pepper_mark) - 1;
		err = read_pepper(&at, &parts);
	}
	if (!err && strncmp(at, wrap_mark, sizeof(wrap_mark) - 1) == 0) {
		at += sizeof(wrap_mark) - 1;
		err = read_wrap(&at, &parts, ret_why);
	}
	if (err)
		return err;
	if (strncmp(at, "$argon2", 7) == 0) {
		parts.argon = at;
	} else if (at != stored) {
		return ERR_INVALID;
	} else {
		err = foreign_read(stored, &parts.by, &parts.hash, ret_why);
		parts.foreign = true;
	}
	if (!err)
		*ret_parts = parts;
	return err;
}

int stored_acceptable(const struct stored_rules *rules, const char *stored, const char **ret_why)
{
	struct parts parts;
	int err = read_parts(stored, &parts, ret_why);

	if (err)
		return err;
	if (rules && parts.pepper_id[0] && !peppers_find(&rules->peppers, parts.pepper_id)) {
		*ret_why = "the password hash was made with a pepper that is not configured";
		return ERR_NOT_FOUND;
	}
	return parts.argon ? argon_acceptable(parts.argon, ret_why) : 0;
}

/* What stands before Argon2's own form: the pepper, and how a foreign hash is computed; foreign NULL: it is not. */
static int compose(const struct pepper *pepper, const struct foreign *foreign, const char *argon, char *ret_hash)
{
	char hash[PASSWORD_HASH_SIZE];
	int len = 0;

	if (pepper)
		len += snprintf(hash, sizeof(hash), "%s%s", pepper_mark, pepper->id);
	if (foreign)
		len += snprintf(hash + len, sizeof(hash) - (size_t)len, "%s%zu:%s:", wrap_mark, foreign->hash_len,
			foreign->settings);
	if ((size_t)len + strlen(argon) >= sizeof(hash))
		return ERR_CRYPTO; /* can't be: the assertion above */
	memcpy(hash + len, argon, strlen(argon) + 1);
	memcpy(ret_hash, hash, (size_t)len + strlen(argon) + 1);
	return 0;
}

static int make(const struct stored_rules *rules, const struct argon_cost *cost, const struct foreign *foreign,
	const char *text, char *ret_hash)
{
	const struct pepper *pepper = peppers_current(&rules->peppers);
	char peppered[PEPPERED_SIZE], argon[PASSWORD_HASH_SIZE];
	int err;

	if (pepper)
		pepper_apply(pepper, text, peppered);
	err = argon_hash(cost, pepper ? peppered : text, argon);
	if (!err)
		err = compose(pepper, foreign, argon, ret_hash);
	sodium_memzero(peppered, sizeof(peppered));
	return err;
}

int stored_make(const struct stored_rules *rules, const char *text, char *ret_hash)
{
	return make(rules, &rules->cost, NULL, text, ret_hash);
}

int stored_wrap(const struct stored_rules *rules, const struct argon_cost *cost, const char *stored, char *ret_hash)
{
	struct foreign foreign;
	const char *hash = NULL, *why = NULL;
	int err = foreign_read(stored, &foreign, &hash, &why);

	return err ? err : make(rules, cost, &foreign, hash, ret_hash);
}

/* An Argon2 form against a password or what a foreign function has made of it. */
static int check_argon(const struct stored_rules *rules, const struct parts *parts, const struct pepper *pepper,
	const char *text, bool *ret_matches)
{
	char peppered[PEPPERED_SIZE];
	int err;

	if (pepper)
		pepper_apply(pepper, text, peppered);
	err = argon_verify(&rules->cost, parts->argon, pepper ? peppered : text, ret_matches);
	sodium_memzero(peppered, sizeof(peppered));
	return err;
}

static int check(const struct stored_rules *rules, const struct parts *parts, const struct pepper *pepper,
	const char *text, bool *ret_matches)
{
	char output[FOREIGN_OUTPUT];
	int err;

	if (!parts->foreign)
		return check_argon(rules, parts, pepper, text, ret_matches);
	err = foreign_compute(&parts->by, text, output);
	if (!err && parts->argon)
		err = check_argon(rules, parts, pepper, output, ret_matches);
	else if (!err)
		*ret_matches = sodium_memcmp(output, parts->hash, parts->by.hash_len) == 0;
	sodium_memzero(output, sizeof(output));
	return err;
}

int stored_check(const struct stored_rules *rules, const char *stored, const char *text,
	struct stored_result *ret_result, char ret_missing[PEPPER_ID_SIZE])
{
	struct parts parts;
	const struct pepper *pepper = NULL;
	const char *why = NULL;
	bool matches = false;
	int err = read_parts(stored, &parts, &why);

	if (err)
		return ERR_INVALID;
	if (parts.pepper_id[0] && !(pepper = peppers_find(&rules->peppers, parts.pepper_id))) {
		memcpy(ret_missing, parts.pepper_id, PEPPER_ID_SIZE);
		return ERR_NOT_FOUND;
	}
	err = check(rules, &parts, pepper, text, &matches);
	if (err)
		return err;
	*ret_result = (struct stored_result){
		.matches = matches,
		.foreign = parts.foreign,
		.needs_rehash = parts.foreign || pepper != peppers_current(&rules->peppers) ||
				argon_needs_rehash(&rules->cost, parts.argon),
	};
	return 0;
}
