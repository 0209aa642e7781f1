/*
 * Certificates for tests, made on the spot: an authority of our own, and leaves that it signs, or that nobody has
 * reason to trust. P-256 throughout.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_CERTIFICATES_H
#define TOKENFIRST_TESTS_SUPPORT_CERTIFICATES_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

struct certificate {
	X509 *x509;
	EVP_PKEY *key;
};

/*
 * `name`: a subjectAltName, "IP:127.0.0.1" or "DNS:example.com"; NULL: an authority. `issuer` NULL: signed by itself.
 */
struct certificate certificate_make(
	const char *name, const struct certificate *issuer, int64_t from_now_s, int64_t until_now_s);
void certificate_release(struct certificate *certificate);
/* As PEM, without the key. */
void certificate_write(const struct certificate *certificate, const char *path);

#endif
