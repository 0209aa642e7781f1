#include "background/delivery/token_cache.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "config/limits.h"

static void drop(struct token_cache *cache)
{
	if (cache->text != NULL)
		sodium_memzero(cache->text, strlen(cache->text));
	free(cache->text);
	cache->text = NULL;
}

void token_cache_release(struct token_cache *cache)
{
	drop(cache);
	*cache = (struct token_cache){.text = NULL};
}

const char *token_cache_get(const struct token_cache *cache, int64_t now_ms)
{
	return now_ms < cache->until_ms ? cache->text : NULL;
}

void token_cache_put(struct token_cache *cache, char *text, int64_t ttl_ms, int64_t now_ms)
{
	int64_t margin_ms = ttl_ms / 10 < LIMIT_TOKEN_MARGIN_MS ? ttl_ms / 10 : LIMIT_TOKEN_MARGIN_MS;

	drop(cache);
	cache->text = text;
	cache->number++;
	cache->until_ms = now_ms + ttl_ms - margin_ms;
	cache->doubted = cache->refused;
	cache->refused = false;
}

bool token_cache_refused(struct token_cache *cache, uint64_t number)
{
	if (number != cache->number)
		return true; /* an older one: there is a newer, or will be */
	cache->refused = true;
	drop(cache);
	return !cache->doubted;
}

void token_cache_accepted(struct token_cache *cache, uint64_t number)
{
	if (number == cache->number)
		cache->doubted = false;
}
