/*
 * A token cache: the access token of one lane whose target wants OAuth2. Pure: no I/O, no clock; the owning worker
 * calls, and token_fetch.c fetches what is missing.
 *
 * A target may refuse a token before its time (revoked, keys changed). Then the next token is fetched, and is in doubt
 * until something else than 401 has been answered to it: refused as well, it shows that it is not the token that is
 * wrong.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_TOKEN_CACHE_H
#define TOKENFIRST_BACKGROUND_DELIVERY_TOKEN_CACHE_H

#include <stdbool.h>
#include <stdint.h>

struct token_cache {
	char *text;	  /* the latest token, owned; NULL: none was fetched yet, or it was refused */
	uint64_t number;  /* of the latest one, from 1; 0: none yet */
	int64_t until_ms; /* to be used until then: somewhat before it expires */
	bool fetching;	  /* the next one is on its way; token_fetch.c's */
	bool doubted;	  /* the latest one was fetched because that before it was refused */
	bool refused;	  /* the latest one was */
};

/* One of zeroes is empty. Wipes the token. */
void token_cache_release(struct token_cache *cache);

/* A token that may be sent now; NULL: one has to be fetched. */
const char *token_cache_get(const struct token_cache *cache, int64_t now_ms);

/*
 * A new token, taken over; good for `ttl_ms` as its server says. It is left LIMIT_TOKEN_MARGIN_MS, or a tenth of its
 * time, before that, so that none expires on its way.
 */
void token_cache_put(struct token_cache *cache, char *text, int64_t ttl_ms, int64_t now_ms);

/* What was sent with token `number` was refused with 401. True: worth another try, with the next token. */
bool token_cache_refused(struct token_cache *cache, uint64_t number);
/* It was answered, and not with 401. */
void token_cache_accepted(struct token_cache *cache, uint64_t number);

#endif
