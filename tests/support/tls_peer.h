/*
 * An HTTPS receiver for tests: shakes hands with the certificate that it is given, and answers every request with 200.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_TLS_PEER_H
#define TOKENFIRST_TESTS_SUPPORT_TLS_PEER_H

#include <stdint.h>

#include "tests/support/certificates.h"

struct tls_peer;

/* On 127.0.0.1, any port. `version`: the highest that it speaks, TLS1_3_VERSION and the like. Never NULL. */
struct tls_peer *tls_peer_start(const struct certificate *certificate, int version);
void tls_peer_stop(struct tls_peer *peer); /* NULL is fine; frees */
int tls_peer_port(const struct tls_peer *peer);
/* Any thread: bytes of requests that came through. */
int64_t tls_peer_heard(struct tls_peer *peer);

#endif
