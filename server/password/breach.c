#include "server/password/breach.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/buf.h"
#include "config/limits.h"

enum { SHA1_BYTES = 20, SHA1_HEX = 2 * SHA1_BYTES, PREFIX = 5, SUFFIX = SHA1_HEX - PREFIX };

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct buf *reply = arg;

	buf_append(reply, bytes, size * count);
	return buf_error(reply) ? 0 : size * count;
}

/* Each can only fail for lack of memory. */
static bool set(CURL *easy, const char *url, struct curl_slist *headers, int64_t timeout_ms, struct buf *reply)
{
	int failed = 0;

	failed += curl_easy_setopt(easy, CURLOPT_URL, url) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_USERAGENT, "tokenfirst/" TOKENFIRST_VERSION) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_PROXY, "") != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
	/* a resolver that never answers must not be waited for when the question is given up */
	failed += curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_WRITEDATA, reply) != CURLE_OK;
	return failed == 0;
}

static bool fetch(const char *url, int64_t timeout_ms, struct buf *reply)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Add-Padding: true");
	CURL *easy = curl_easy_init();
	long status = 0;
	bool fetched = easy && headers && set(easy, url, headers, timeout_ms, reply) &&
		       curl_easy_perform(easy) == CURLE_OK &&
		       curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status == 200;

	curl_easy_cleanup(easy);
	curl_slist_free_all(headers);
	return fetched;
}

/* The end of "SUFFIX:COUNT"; NULL: it is no such line. */
static const char *line_end(const char *line, bool *ret_counts)
{
	const char *at = line + strspn(line, "0123456789abcdefABCDEF");
	size_t digits;

	if (at - line != SUFFIX || *at != ':')
		return NULL;
	digits = strspn(++at, "0123456789");
	*ret_counts = strspn(at, "0") < digits;
	at += digits;
	at += *at == '\r';
	return digits > 0 && (*at == '\n' || *at == '\0') ? at + (*at == '\n') : NULL;
}

static enum breach_answer judge(const char *reply, const char *suffix)
{
	enum breach_answer answer = BREACH_CLEAN;

	for (const char *line = reply, *next; *line; line = next) {
		bool counts = false;

		next = line_end(line, &counts);
		if (!next)
			return BREACH_FAILED;
		if (counts && strncasecmp(line, suffix, SUFFIX) == 0)
			answer = BREACH_KNOWN;
	}
	return answer;
}

enum breach_answer breach_ask(const char *url, int64_t timeout_ms, const char *normal)
{
	enum breach_answer answer = BREACH_FAILED;
	unsigned char digest[SHA1_BYTES];
	char hex[SHA1_HEX + 1], whole[LIMIT_CONFIG_TEXT + PREFIX + 2];
	size_t len = strlen(url);
	struct buf reply;

	buf_init_secret(&reply, LIMIT_BREACH_REPLY);
	if (EVP_Digest(normal, strlen(normal), digest, NULL, EVP_sha1(), NULL) == 1) {
		sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
		for (char *c = hex; *c; c++)
			*c = (char)(*c >= 'a' ? *c - 'a' + 'A' : *c);
		while (len > 0 && url[len - 1] == '/')
			len--;
		(void)snprintf(whole, sizeof(whole), "%.*s/%.*s", (int)len, url, PREFIX, hex);
		if (fetch(whole, timeout_ms, &reply) && buf_error(&reply) == 0)
			answer = judge(reply.data, hex + PREFIX);
	}
	sodium_memzero(digest, sizeof(digest));
	sodium_memzero(hex, sizeof(hex));
	buf_release(&reply);
	return answer;
}
