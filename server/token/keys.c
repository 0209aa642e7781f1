/*
 * The keys of a store, as a set that never changes once it can be seen: a reader takes the pointer and needs no lock. A
 * set that was replaced is kept until keys_free, for whoever still reads it; one comes with each rotation, and is
 * small.
 */
#include "server/token/keys.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "config/limits.h"
#include "server/token/key_rows.h"
#include "server/token/secrets.h"
#include "server/token/token.h"

struct ring {
	struct key_set set;
	struct ring *older;
};

struct keys {
	enum token_alg alg;
	_Atomic(struct ring *) ring; /* the latest */
	pthread_mutex_t reload;	     /* held by the one that replaces it */
	unsigned char secrets[SECRET_COUNT][SECRET_BYTES];
	struct refresh_key refresh;
};

static struct keys *keys_new(enum token_alg alg)
{
	struct keys *keys = calloc(1, sizeof(*keys));
	struct ring *ring = calloc(1, sizeof(*ring));

	if (!keys || !ring) {
		free(keys);
		free(ring);
		return NULL;
	}
	(void)pthread_mutex_init(&keys->reload, NULL); /* without attributes it can't fail */
	keys->alg = alg;
	atomic_init(&keys->ring, ring);
	return keys;
}

static const struct key_set *set_of(const struct keys *keys)
{
	return &atomic_load(&keys->ring)->set;
}

/* Of a set that nobody else sees yet: a key of the algorithm that is not to retire, made if there is none. */
static int need_key(struct db *writer, enum token_alg alg, int64_t now_ms, struct key_set *set)
{
	struct key_entry entry = {.row = {.alg = alg, .created_ms = now_ms, .active_ms = now_ms}, .made = true};
	int err;

	for (size_t i = 0; i < set->count; i++) {
		if (set->entries[i].row.alg == alg && set->entries[i].row.retired_ms == 0)
			return 0;
	}
	err = signing_key_generate(alg, &entry.key);
	if (err)
		return err;
	memcpy(entry.row.kid, signing_key_id(entry.key), sizeof(entry.row.kid));
	set->entries[set->count++] = entry;
	return key_rows_add(writer, entry.key, &entry.row);
}

int keys_load(struct db *writer, enum token_alg alg, int64_t now_ms, struct keys **ret_keys)
{
	struct keys *keys = keys_new(alg);
	struct key_set *set;
	int err;

	if (!keys)
		return ERR_MEMORY;
	set = &atomic_load(&keys->ring)->set;
	err = db_begin(writer);
	if (!err) {
		err = key_rows_load(writer, now_ms, NULL, set);
		if (!err)
			err = need_key(writer, alg, now_ms, set);
		if (!err)
			err = secrets_load(writer, keys->secrets);
		if (!err)
			err = db_commit(writer);
		else
			db_rollback(writer);
	}
	if (err) {
		keys_free(keys);
		return err;
	}
	refresh_key_init(&keys->refresh, keys->secrets[SECRET_REFRESH]);
	*ret_keys = keys;
	return 0;
}

int keys_read(struct db *db, enum token_alg alg, int64_t now_ms, struct keys **ret_keys)
{
	struct keys *keys = keys_new(alg);
	int err = keys ? key_rows_load(db, now_ms, NULL, &atomic_load(&keys->ring)->set) : ERR_MEMORY;

	if (err)
		keys_free(keys);
	else
		*ret_keys = keys;
	return err;
}

/* 0 also for a key that is skipped. */
static int add_jwk(struct key_set *set, const json_t *jwk, const char **ret_why)
{
	struct key_entry entry = {.made = true};
	int err = signing_key_from_jwk(jwk, &entry.key, ret_why);

	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	if (set->count == LIMIT_SIGNING_KEYS) {
		signing_key_free(entry.key);
		return ERR_LIMIT;
	}
	entry.row.alg = signing_key_alg(entry.key);
	memcpy(entry.row.kid, signing_key_id(entry.key), sizeof(entry.row.kid));
	set->entries[set->count++] = entry;
	return 0;
}

int keys_from_jwks(const char *text, size_t len, struct keys **ret_keys, const char **ret_why)
{
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *list = json_object_get(json, "keys"), *jwk;
	struct keys *keys = keys_new(TOKEN_EDDSA);
	const char *why = "it is no JWK Set: a JSON object with a list of keys";
	struct key_set *set;
	int err = ERR_INVALID;
	size_t i;

	if (!keys) {
		json_decref(json);
		return ERR_MEMORY;
	}
	set = &atomic_load(&keys->ring)->set;
	if (json_is_array(list)) {
		err = 0;
		json_array_foreach(list, i, jwk)
		{
			err = add_jwk(set, jwk, &why);
			if (err)
				break;
		}
		if (!err && set->count == 0) {
			why = "no key in it is one that could verify a token";
			err = ERR_INVALID;
		}
	}
	json_decref(json);
	if (err) {
		keys_free(keys);
		*ret_why = why;
	} else {
		*ret_keys = keys;
	}
	return err;
}

int keys_reload(struct keys *keys, struct db *db, int64_t now_ms)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int err;

	if (!ring)
		return ERR_MEMORY;
	pthread_mutex_lock(&keys->reload);
	ring->older = atomic_load(&keys->ring);
	err = key_rows_load(db, now_ms, &ring->older->set, &ring->set);
	if (!err)
		atomic_store(&keys->ring, ring);
	pthread_mutex_unlock(&keys->reload);
	if (err)
		free(ring);
	return err;
}

void keys_free(struct keys *keys)
{
	struct ring *ring, *older;

	if (!keys)
		return;
	for (ring = atomic_load(&keys->ring); ring; ring = older) {
		older = ring->older;
		key_set_release(&ring->set);
		free(ring);
	}
	pthread_mutex_destroy(&keys->reload);
	sodium_memzero(keys->secrets, sizeof(keys->secrets));
	sodium_memzero(&keys->refresh, sizeof(keys->refresh));
	free(keys);
}

static const struct key_entry *choose(const struct key_set *set, enum token_alg alg, int64_t now_ms)
{
	const struct key_entry *best = NULL;

	for (size_t i = 0; i < set->count; i++) {
		const struct key_entry *entry = &set->entries[i];

		if (key_row_precedes(&entry->row, best ? &best->row : NULL, alg, now_ms))
			best = entry;
	}
	return best;
}

const struct signing_key *keys_current(const struct keys *keys)
{
	return keys_current_at(keys, clock_now_ms());
}

const struct signing_key *keys_current_at(const struct keys *keys, int64_t now_ms)
{
	const struct key_entry *entry = choose(set_of(keys), keys->alg, now_ms);

	return entry ? entry->key : NULL;
}

const struct signing_key *keys_find(const struct keys *keys, const char *kid, int64_t now_ms)
{
	const struct key_set *set = set_of(keys);

	for (size_t i = 0; i < set->count; i++) {
		const struct key_entry *entry = &set->entries[i];

		if (strcmp(entry->row.kid, kid) == 0)
			return key_row_live(&entry->row, now_ms) ? entry->key : NULL;
	}
	return NULL;
}

bool keys_holds(const struct keys *keys, const struct signing_key *key, int64_t now_ms)
{
	const struct key_set *set = set_of(keys);

	for (size_t i = 0; i < set->count; i++) {
		if (set->entries[i].key == key)
			return key_row_live(&set->entries[i].row, now_ms);
	}
	return false;
}

int keys_jwks(const struct keys *keys, int64_t now_ms, struct buf *out)
{
	const struct key_set *set = set_of(keys);
	const struct key_entry *signs = choose(set, keys->alg, now_ms);

	buf_append_text(out, "{\"keys\":[");
	if (signs)
		buf_append_text(out, signing_key_jwk(signs->key));
	for (size_t i = 0, written = signs ? 1 : 0; i < set->count; i++) {
		const struct key_entry *entry = &set->entries[i];

		if (entry == signs || !key_row_live(&entry->row, now_ms))
			continue;
		buf_append_text(out, written++ ? "," : "");
		buf_append_text(out, signing_key_jwk(entry->key));
	}
	buf_append_text(out, "]}");
	return buf_error(out);
}

const unsigned char *keys_secret(const struct keys *keys, enum server_secret secret)
{
	return keys->secrets[secret];
}

const struct refresh_key *keys_refresh(const struct keys *keys)
{
	return &keys->refresh;
}
