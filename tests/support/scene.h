/*
 * The usual scene of a flow test: the user alice, a server, and one effect "bus" that is sent to a scripted peer.
 *
 *   struct scene scene;
 *   scene_set(&scene, (struct peer_step[]){{.status = 500}, {.status = 200}}, 2, "{'effects':{'bus':{'timeout':'100ms'}}}");
 *   struct api_login login = scene_login(&scene);
 *   cr_assert(api_effect_wait(scene.server, &login, "bus", "delivered", SCENE_WAIT_MS));
 *   scene_clear(&scene);
 *
 * Its times are short: retries within 20 to 200 ms, a drain of 300 ms; its breaker stays closed for 1,000 failures.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_SCENE_H
#define TOKENFIRST_TESTS_SUPPORT_SCENE_H

#include <stdarg.h>

#include "tests/support/api.h"
#include "tests/support/peer.h"
#include "tests/support/server.h"

#define SCENE_PASSWORD "correct horse battery staple"
enum { SCENE_WAIT_MS = 10000 }; /* for what should happen within milliseconds, on a busy machine */

struct scene {
	struct peer *peer;
	struct server *server;
	char *config;
};

/* `more` is merged into the configuration, member by member; NULL: nothing. It is written with ' for ". */
void scene_set(struct scene *scene, const struct peer_step *steps, size_t count, const char *more);
/* Stops what runs; fails if the server does not end in good order. */
void scene_clear(struct scene *scene);

/* A server with the user alice; as server_start, the texts must outlive it. */
struct server *scene_server_with(const struct server_options *options);
struct server *scene_server(const char *config, const char *const *settings);

/* Alice logs in; anything but 200 fails. */
struct api_login scene_login(const struct scene *scene);

/* A text made like printf's, with " for each '. Free it. */
char *scene_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *scene_text_of(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
/* The configuration `base_text` (taken over) with `more` merged into it, as scene_set does. Free it. */
char *scene_config(char *base_text, const char *more);

/* "<event id>-<effect>": the key that all attempts of an effect carry. */
const char *scene_key(const struct api_login *login, const char *effect, char key[PEER_TEXT]);
/* How many of a peer's requests carry this Idempotency-Key. */
size_t scene_key_count(struct peer *peer, const char *key);
/* Waits for one that does. */
bool scene_key_wait(struct peer *peer, const char *key, int64_t deadline_ms);

/* Attempt number `index` of an effect as /events/{id} shows it (borrowed from `event`), NULL: there is none such. */
json_t *scene_attempt(const json_t *event, const char *effect, size_t index);

/* The member of an object, "" if it is no text. */
const char *scene_member(const json_t *object, const char *name);

/* The first column of the first row that a query gives, as text, from the server's store; "" if none. Free it. */
char *scene_query(const struct server *server, const char *sql);
/* Changes the store of a server that does not run. */
void scene_change(const struct server *server, const char *sql);

#endif
