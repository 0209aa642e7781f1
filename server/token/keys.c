/*
 * The keys of a store, loaded once. The current key is the newest of the configured algorithm; all others that are not
 * retired still verify, so that a change of algorithm, or a new key, invalidates no token that is out.
 */
#include "server/token/keys.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "config/limits.h"
#include "config/log.h"
#include "server/token/signing_key.h"

enum { SECRET_BYTES = 32 };

struct keys {
	struct signing_key *items[LIMIT_SIGNING_KEYS]; /* newest first, but the current one first of all */
	size_t count;
	char *jwks;
	unsigned char secrets[SECRET_COUNT][SECRET_BYTES];
};

static int read_key(struct db_statement *s, struct signing_key **ret_key)
{
	const char *kid = db_text(s, 0), *alg_text = db_text(s, 1);
	size_t len = 0;
	const void *bytes = db_blob(s, 2, &len);
	struct signing_key *key = NULL;
	enum token_alg alg;
	int err;

	if (!kid || !alg_text || !bytes)
		return ERR_MEMORY;
	err = token_alg_parse(alg_text, &alg);
	if (!err)
		err = signing_key_parse(alg, bytes, len, &key);
	if (!err && strcmp(kid, signing_key_id(key)) != 0) {
		/* tokens name the stored id: a key under another one verifies nothing */
		signing_key_free(key);
		err = ERR_CRYPTO;
	}
	if (err)
		log_write(LOG_ERROR, "a signing key in the store can't be used", LOG_STR("kid", kid),
			LOG_STR("alg", alg_text), LOG_STR("error", err_text(err)));
	else
		*ret_key = key;
	return err;
}

static int read_all(struct db *db, struct keys *keys)
{
	static const char sql[] = "SELECT kid, alg, private FROM signing_keys WHERE retired_ms = 0 "
				  "ORDER BY created_ms DESC, kid";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	while ((err = db_step(s)) == 1) {
		/* one place is kept for the key that may have to be made */
		err = keys->count < LIMIT_SIGNING_KEYS - 1 ? read_key(s, &keys->items[keys->count]) : ERR_LIMIT;
		if (err)
			break;
		keys->count++;
	}
	db_finish(s);
	return err;
}

/* 1: it is there; 0: not. */
static int read_secret(struct db *db, const char *name, unsigned char *secret, size_t size)
{
	static const char sql[] = "SELECT value FROM server_secrets WHERE name = $1";
	struct db_statement *s = NULL;
	const void *bytes;
	size_t len = 0;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_text(s, 1, name);
	err = db_step(s);
	if (err == 1) {
		bytes = db_blob(s, 0, &len);
		if (len != size || !bytes)
			err = ERR_CRYPTO;
		else
			memcpy(secret, bytes, size);
	}
	db_finish(s);
	return err;
}

static int make_secret(struct db *db, const char *name, unsigned char *secret, size_t size)
{
	static const char sql[] = "INSERT INTO server_secrets (name, value) VALUES ($1, $2)";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	randombytes_buf(secret, size);
	db_bind_text(s, 1, name);
	db_bind_blob(s, 2, secret, size);
	return db_run(s);
}

static int load_secret(struct db *db, const char *name, unsigned char *secret, size_t size)
{
	int found = read_secret(db, name, secret, size);

	if (found < 0)
		return found;
	return found ? 0 : make_secret(db, name, secret, size);
}

static int load_secrets(struct db *db, struct keys *keys)
{
	static const char *const names[SECRET_COUNT] = {"refresh", "link", "login", "totp"};
	int err = 0;

	for (size_t i = 0; !err && i < SECRET_COUNT; i++)
		err = load_secret(db, names[i], keys->secrets[i], SECRET_BYTES);
	return err;
}

static int save_key(struct db *db, const struct signing_key *key, int64_t now_ms)
{
	static const char sql[] = "INSERT INTO signing_keys (kid, alg, private, created_ms, retired_ms) "
				  "VALUES ($1, $2, $3, $4, 0)";
	struct db_statement *s = NULL;
	struct buf private;
	int err;

	buf_init(&private, PRIVATE_KEY_MAX);
	err = signing_key_store(key, &private);
	if (!err)
		err = db_prepare(db, sql, &s);
	if (!err) {
		db_bind_text(s, 1, signing_key_id(key));
		db_bind_text(s, 2, token_alg_text(signing_key_alg(key)));
		db_bind_blob(s, 3, private.data, private.len);
		db_bind_int(s, 4, now_ms);
		err = db_run(s);
	}
	sodium_memzero(private.data, private.len);
	buf_release(&private);
	return err;
}

/* Moves the newest key of the algorithm to the front, having made one if there is none. */
static int choose_current(struct db *db, enum token_alg alg, int64_t now_ms, struct keys *keys)
{
	struct signing_key *current = NULL;
	size_t at = 0;
	int err;

	while (at < keys->count && signing_key_alg(keys->items[at]) != alg)
		at++;
	if (at == keys->count) {
		err = signing_key_generate(alg, &keys->items[at]);
		if (err)
			return err;
		keys->count++;
		err = save_key(db, keys->items[at], now_ms);
		if (err)
			return err;
	}
	current = keys->items[at];
	memmove(keys->items + 1, keys->items, at * sizeof(keys->items[0]));
	keys->items[0] = current;
	return 0;
}

static int render_jwks(struct keys *keys)
{
	json_t *list = json_array();
	json_t *set = NULL;

	for (size_t i = 0; list && i < keys->count; i++) {
		if (json_array_append_new(list, signing_key_jwk(keys->items[i]))) {
			json_decref(list);
			list = NULL;
		}
	}
	set = json_pack("{s:o}", "keys", list);
	keys->jwks = set ? json_dumps(set, JSON_COMPACT) : NULL;
	json_decref(set);
	return keys->jwks ? 0 : ERR_MEMORY;
}

int keys_load(struct db *writer, enum token_alg alg, int64_t now_ms, struct keys **ret_keys)
{
	struct keys *keys = calloc(1, sizeof(*keys));
	int err;

	if (!keys)
		return ERR_MEMORY;
	err = db_begin(writer);
	if (!err) {
		err = read_all(writer, keys);
		if (!err)
			err = choose_current(writer, alg, now_ms, keys);
		if (!err)
			err = load_secrets(writer, keys);
		if (!err)
			err = db_commit(writer);
		else
			db_rollback(writer);
	}
	if (!err)
		err = render_jwks(keys);
	if (err)
		keys_free(keys);
	else
		*ret_keys = keys;
	return err;
}

void keys_free(struct keys *keys)
{
	if (!keys)
		return;
	for (size_t i = 0; i < keys->count; i++)
		signing_key_free(keys->items[i]);
	free(keys->jwks);
	sodium_memzero(keys->secrets, sizeof(keys->secrets));
	free(keys);
}

const struct signing_key *keys_current(const struct keys *keys)
{
	return keys->items[0];
}

const struct signing_key *keys_find(const struct keys *keys, const char *kid)
{
	for (size_t i = 0; i < keys->count; i++) {
		if (strcmp(signing_key_id(keys->items[i]), kid) == 0)
			return keys->items[i];
	}
	return NULL;
}

const char *keys_jwks(const struct keys *keys)
{
	return keys->jwks;
}

const unsigned char *keys_secret(const struct keys *keys, enum server_secret secret)
{
	return keys->secrets[secret];
}
