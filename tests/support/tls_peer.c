/* OpenSSL reads and writes memory; what it wants to send or to hear goes over the link. */
#include "tests/support/tls_peer.h"

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "tests/support/harness.h"
#include "tests/support/links.h"

enum { BLOCK = 16 << 10 };

struct tls_peer {
	struct links *links;
	SSL_CTX *context;
	atomic_int_fast64_t heard;
};

/* What OpenSSL has to say. False: the link is broken. */
static bool flush(SSL *ssl, struct link *link)
{
	char bytes[BLOCK];
	int n;

	while ((n = BIO_read(SSL_get_wbio(ssl), bytes, sizeof(bytes))) > 0)
		if (!link_write(link, bytes, (size_t)n))
			return false;
	return true;
}

/* One more piece for OpenSSL. */
static bool feed(SSL *ssl, struct link *link)
{
	char bytes[BLOCK];
	ssize_t n = link_read(link, bytes, sizeof(bytes));

	return n > 0 && BIO_write(SSL_get_rbio(ssl), bytes, (int)n) == n;
}

/* Whether to call it again, after what it wants has been done. */
static bool again(SSL *ssl, struct link *link, int result)
{
	return flush(ssl, link) && SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ && feed(ssl, link);
}

static void serve(void *arg, struct link *link)
{
	static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
	struct tls_peer *peer = arg;
	SSL *ssl = SSL_new(peer->context);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	char bytes[BLOCK];
	int result;

	if (ssl == NULL || in == NULL || out == NULL)
		harness_fail("out of memory");
	SSL_set_bio(ssl, in, out);
	do
		result = SSL_accept(ssl);
	while (result != 1 && again(ssl, link, result));
	if (result == 1) {
		do
			result = SSL_read(ssl, bytes, sizeof(bytes));
		while (result <= 0 && again(ssl, link, result));
		if (result > 0) {
			atomic_fetch_add(&peer->heard, result);
			SSL_write(ssl, reply, sizeof(reply) - 1);
			SSL_shutdown(ssl);
			(void)flush(ssl, link);
		}
	}
	link_finish(link); /* a refusal is to be read, too */
	SSL_free(ssl);
}

struct tls_peer *tls_peer_start(const struct certificate *certificate, int version)
{
	struct tls_peer *peer = calloc(1, sizeof(*peer));

	if (peer == NULL || (peer->context = SSL_CTX_new(TLS_server_method())) == NULL)
		harness_fail("out of memory");
	/* level 0: the versions that are no longer to be spoken, too */
	if (SSL_CTX_use_certificate(peer->context, certificate->x509) != 1 ||
		SSL_CTX_use_PrivateKey(peer->context, certificate->key) != 1 ||
		SSL_CTX_set_cipher_list(peer->context, "ALL:@SECLEVEL=0") != 1 ||
		SSL_CTX_set_min_proto_version(peer->context, TLS1_VERSION) != 1 ||
		SSL_CTX_set_max_proto_version(peer->context, version) != 1)
		harness_fail("no TLS");
	peer->links = links_start(serve, peer);
	return peer;
}

void tls_peer_stop(struct tls_peer *peer)
{
	if (peer == NULL)
		return;
	links_stop(peer->links);
	SSL_CTX_free(peer->context);
	free(peer);
}

int tls_peer_port(const struct tls_peer *peer)
{
	return links_port(peer->links);
}

int64_t tls_peer_heard(struct tls_peer *peer)
{
	return atomic_load(&peer->heard);
}
