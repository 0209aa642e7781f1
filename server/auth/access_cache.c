#include "server/auth/access_cache.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "config/limits.h"

struct answer {
	char *text; /* heap; NULL: none */
	size_t len;
};

struct entry {
	uint64_t used; /* when, as its set counts; 0: the place is free */
	struct access access;
	struct answer answers[ACCESS_ANSWERS];
};

struct set {
	uint64_t uses;
	struct entry ways[LIMIT_ACCESS_WAYS];
};

struct access_cache {
	const struct changes *changes;
	size_t set_count; /* 0: it is off */
	struct set *sets;
	pthread_mutex_t locks[LIMIT_ACCESS_LOCKS]; /* each guards every LIMIT_ACCESS_LOCKS-th set */
	struct counter *found[ACCESS_FINDS], *evicted;
	struct gauge *entries;
	unsigned char key[crypto_generichash_KEYBYTES];
};

static_assert((LIMIT_ACCESS_LOCKS & (LIMIT_ACCESS_LOCKS - 1)) == 0, "a lock is found by some bits of a set's number");
static_assert((int)ACCESS_NAME == (int)crypto_generichash_BYTES, "a name is a keyed hash");

static void register_metrics(struct access_cache *cache, struct metrics *metrics)
{
	static const char *const labels[ACCESS_FINDS] = {"result=\"hit\"", "result=\"stale\"", "result=\"miss\""};

	for (size_t i = 0; i < ACCESS_FINDS; i++)
		cache->found[i] = metrics_counter(metrics, "tokenfirst_token_cache_total",
			"Access tokens by what memory had of use: all, a good signature only, nothing.", labels[i]);
	cache->evicted = metrics_counter(metrics, "tokenfirst_token_cache_evictions_total",
		"Good access tokens that made way for others in memory.", NULL);
	cache->entries = metrics_gauge(metrics, "tokenfirst_token_cache_entries", "Access tokens in memory.", 1, NULL);
}

int access_cache_new(
	int64_t entries, const struct changes *changes, struct metrics *metrics, struct access_cache **ret_cache)
{
	struct access_cache *cache = calloc(1, sizeof(*cache));
	const size_t sets = (size_t)entries / LIMIT_ACCESS_WAYS;

	if (!cache)
		return ERR_MEMORY;
	cache->changes = changes;
	cache->set_count = sets;
	cache->sets = sets ? calloc(sets, sizeof(*cache->sets)) : NULL;
	if (sets && !cache->sets) {
		free(cache);
		return ERR_MEMORY;
	}
	for (size_t i = 0; i < LIMIT_ACCESS_LOCKS; i++)
		(void)pthread_mutex_init(&cache->locks[i], NULL); /* without attributes it can't fail */
	randombytes_buf(cache->key, sizeof(cache->key));
	register_metrics(cache, metrics);
	*ret_cache = cache;
	return 0;
}

static void drop_answers(struct answer answers[ACCESS_ANSWERS])
{
	for (size_t i = 0; i < ACCESS_ANSWERS; i++)
		free(answers[i].text);
}

void access_cache_free(struct access_cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < cache->set_count; i++) {
		for (size_t j = 0; j < LIMIT_ACCESS_WAYS; j++)
			drop_answers(cache->sets[i].ways[j].answers);
	}
	for (size_t i = 0; i < LIMIT_ACCESS_LOCKS; i++)
		pthread_mutex_destroy(&cache->locks[i]);
	sodium_memzero(cache->key, sizeof(cache->key));
	free(cache->sets);
	free(cache);
}

uint64_t access_cache_mark(const struct access_cache *cache)
{
	return changes_mark(cache->changes);
}

static void name_token(const struct access_cache *cache, const char *token, unsigned char ret_name[ACCESS_NAME])
{
	(void)crypto_generichash(
		ret_name, ACCESS_NAME, (const unsigned char *)token, strlen(token), cache->key, sizeof(cache->key));
}

static size_t set_number(const struct access_cache *cache, const unsigned char name[ACCESS_NAME])
{
	uint64_t bits;

	memcpy(&bits, name, sizeof(bits));
	return (size_t)(bits % cache->set_count);
}

static pthread_mutex_t *lock_of(struct access_cache *cache, size_t set)
{
	return &cache->locks[set & (LIMIT_ACCESS_LOCKS - 1)];
}

/* With the set's lock held, as all until access_cache_keep. */
static struct entry *find(struct set *set, const unsigned char name[ACCESS_NAME])
{
	for (size_t i = 0; i < LIMIT_ACCESS_WAYS; i++) {
		struct entry *entry = &set->ways[i];

		if (entry->used && sodium_memcmp(entry->access.name, name, ACCESS_NAME) == 0) {
			entry->used = ++set->uses;
			return entry;
		}
	}
	return NULL;
}

static bool expired(const struct entry *entry, int64_t wall_s)
{
	return entry->access.claims.expires_s <= wall_s;
}

/* The place for another token: a free one, that of one which has expired, or the longest unused. */
static struct entry *choose(struct set *set, int64_t wall_s)
{
	struct entry *oldest = &set->ways[0];

	for (size_t i = 0; i < LIMIT_ACCESS_WAYS; i++) {
		struct entry *entry = &set->ways[i];

		if (!entry->used || expired(entry, wall_s))
			return entry;
		if (entry->used < oldest->used)
			oldest = entry;
	}
	return oldest;
}

/* The place that `access` has or gets; NULL: what is kept of it was read later. `old` is what has to be freed. */
static struct entry *place(struct access_cache *cache, struct set *set, const struct access *access, int64_t wall_s,
	struct answer old[ACCESS_ANSWERS])
{
	struct entry *entry = find(set, access->name);

	if (entry && entry->access.mark > access->mark)
		return NULL;
	if (entry && entry->access.mark == access->mark && entry->access.key == access->key)
		return entry;
	if (!entry) {
		entry = choose(set, wall_s);
		if (entry->used && !expired(entry, wall_s))
			counter_add(cache->evicted, 1);
		gauge_add(cache->entries, entry->used == 0);
		entry->used = ++set->uses;
	}
	memcpy(old, entry->answers, sizeof(entry->answers));
	memset(entry->answers, 0, sizeof(entry->answers));
	entry->access = *access;
	return entry;
}

void access_cache_keep(struct access_cache *cache, const struct access *access, int64_t wall_s,
	enum access_answer which, const char *text)
{
	struct answer fresh = {.len = text ? strlen(text) : 0}, old[ACCESS_ANSWERS] = {{NULL, 0}};
	struct entry *entry;
	size_t number;

	if (!cache->set_count)
		return;
	if (text && fresh.len < LIMIT_ACCESS_ANSWER)
		fresh.text = malloc(fresh.len + 1);
	if (fresh.text)
		memcpy(fresh.text, text, fresh.len + 1);
	number = set_number(cache, access->name);
	pthread_mutex_lock(lock_of(cache, number));
	entry = place(cache, &cache->sets[number], access, wall_s, old);
	if (entry && fresh.text && !entry->answers[which].text) {
		entry->answers[which] = fresh;
		fresh.text = NULL;
	}
	pthread_mutex_unlock(lock_of(cache, number));
	free(fresh.text);
	drop_answers(old);
}

static enum access_find judge(
	const struct access_cache *cache, const struct access *access, const struct access_moment *moment)
{
	const struct session_owner *owner = &access->owner;

	if (token_times(&access->claims, moment->wall_s) ||
		!keys_holds(moment->keys, access->key, moment->wall_s * 1000))
		return ACCESS_MISS;
	if (owner->expires_ms <= moment->now_ms ||
		changes_since(cache->changes, access->mark, CHANGES_SESSIONS, owner->session_id) ||
		changes_since(cache->changes, access->mark, CHANGES_USERS, owner->user_id) ||
		changes_since(cache->changes, access->mark, CHANGES_TOTP, owner->user_id))
		return ACCESS_STALE;
	return ACCESS_HIT;
}

/* `best`: what a find is worth at most. */
static enum access_find look(struct access_cache *cache, const struct access_moment *moment, const char *token,
	enum access_find best, struct access *ret_access)
{
	enum access_find result = ACCESS_MISS;
	struct entry *entry;
	size_t number;

	if (!cache->set_count)
		return ACCESS_MISS;
	name_token(cache, token, ret_access->name);
	number = set_number(cache, ret_access->name);
	pthread_mutex_lock(lock_of(cache, number));
	entry = find(&cache->sets[number], ret_access->name);
	if (entry)
		*ret_access = entry->access;
	pthread_mutex_unlock(lock_of(cache, number));
	if (entry)
		result = judge(cache, ret_access, moment);
	if (result == ACCESS_HIT)
		result = best;
	counter_add(cache->found[result], 1);
	return result;
}

enum access_find access_cache_find(
	struct access_cache *cache, const struct access_moment *moment, const char *token, struct access *ret_access)
{
	return look(cache, moment, token, ACCESS_HIT, ret_access);
}

enum access_find access_cache_find_claims(
	struct access_cache *cache, const struct access_moment *moment, const char *token, struct access *ret_access)
{
	return look(cache, moment, token, ACCESS_STALE, ret_access);
}

size_t access_cache_answer(struct access_cache *cache, const struct access_moment *moment, const char *token,
	enum access_answer which, char ret_text[LIMIT_ACCESS_ANSWER])
{
	unsigned char name[ACCESS_NAME];
	size_t number, len = 0;
	struct entry *entry;

	if (!cache->set_count)
		return 0;
	name_token(cache, token, name);
	number = set_number(cache, name);
	pthread_mutex_lock(lock_of(cache, number));
	entry = find(&cache->sets[number], name);
	if (entry && entry->answers[which].text && judge(cache, &entry->access, moment) == ACCESS_HIT) {
		len = entry->answers[which].len;
		memcpy(ret_text, entry->answers[which].text, len + 1);
	}
	pthread_mutex_unlock(lock_of(cache, number));
	if (len)
		counter_add(cache->found[ACCESS_HIT], 1);
	return len;
}
