/*
 * A transfer: one curl easy handle set up for one request, run by its worker's multi handle,
 * read into a reply. Knows the protocols' knobs; decides nothing.
 *
 * Bounded in every direction: total, connect and low-speed time-outs, LIMIT_REPLY bytes of
 * headers and body together, no redirects, no proxy from the environment, HTTP/1.1, TLS 1.2 at least.
 * Belongs to one worker thread.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_TRANSFER_H
#define TOKENFIRST_BACKGROUND_DELIVERY_TRANSFER_H

#include <curl/curl.h>
#include <stdatomic.h>

#include "background/effects/effect.h"
#include "config/options.h"

struct transfer;

struct transfer *transfer_new(void); /* NULL without memory; reused from effect to effect */
void transfer_free(struct transfer *transfer);

/* The request to be filled in by effect_build before transfer_begin. Empty after transfer_new and transfer_end. */
struct request *transfer_request(struct transfer *transfer);

/* Whether the request is a mail, whose transfer blocks: courier.h. Once it has been built. */
bool transfer_is_mail(const struct transfer *transfer);

/*
 * Sets the handle up and adds it to `multi`. `multi` NULL: only sets it up, for transfer_perform. `owner` comes back
 * from transfer_owner. On failure (ERR_MEMORY) nothing is under way. `config` outlives the transfer: where it is that
 * of the transfer before, and that came to a reply, the handle still has what is the same for both.
 */
int transfer_begin(struct transfer *transfer, const struct effect_config *config, CURLM *multi, void *owner) MUST_CHECK;
/* Runs it on the calling thread, to its end or until `stop` turns true (seen whenever a wait of curl's ends: within about a second,
   or when a signal comes). */
CURLcode transfer_perform(struct transfer *transfer, const atomic_bool *stop);
struct transfer *transfer_of(CURL *easy);
void *transfer_owner(const struct transfer *transfer);

/*
 * The transfer ended with `result`: takes it off the multi handle and reads the reply, whose texts live until
 * transfer_clear. `now_ms` is for a Retry-After that is a date.
 */
void transfer_end(struct transfer *transfer, CURLcode result, int64_t now_ms, struct reply *ret_reply);
/* Stops it, whatever its state. */
void transfer_abort(struct transfer *transfer);
/* Whether a connection was reused. After transfer_end. */
bool transfer_reused(const struct transfer *transfer);
/*
 * Why no reply came, in curl's own words and one line; "": it did not say. Names hosts and ports, never a URL. After
 * transfer_end, until transfer_clear.
 */
const char *transfer_error(const struct transfer *transfer);
/* A look-up that was given up goes on without it: resolvers.h. After transfer_end. */
bool transfer_left_resolver(const struct transfer *transfer);
/* Forgets request and reply, keeps the handle for the next. */
void transfer_clear(struct transfer *transfer);

#endif
