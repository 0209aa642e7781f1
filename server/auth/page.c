#include "server/auth/page.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/app.h"
#include "server/embed.h"

EMBED(page_style, "server/auth/pages/page.css");
EMBED(page_script, "server/auth/pages/page.js");
EMBED(page_text_verify, "server/auth/pages/verify.html");
EMBED(page_text_reset, "server/auth/pages/reset.html");
EMBED(page_text_invite, "server/auth/pages/invite.html");

enum { DIGEST_TEXT = sodium_base64_ENCODED_LEN(crypto_hash_sha256_BYTES, sodium_base64_VARIANT_ORIGINAL) };

static void digest(const char *text, char ret_text[DIGEST_TEXT])
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256(hash, (const unsigned char *)text, strlen(text));
	sodium_bin2base64(ret_text, DIGEST_TEXT, hash, sizeof(hash), sodium_base64_VARIANT_ORIGINAL);
}

static char *render(const char *title, const char *text)
{
	struct buf page;

	buf_init(&page, LIMIT_PAGE);
	buf_printf(&page,
		"<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" "
		"content=\"width=device-width\">\n<title>%s</title>\n<style>%s</style>\n</head>\n"
		"<body>\n<main>\n%s<p id=\"said\" role=\"status\"></p>\n"
		"<noscript><p>This page needs "
		"JavaScript.</p></noscript>\n</main>\n<script>%s</script>\n</body>\n</html>\n",
		title, page_style, text, page_script);
	return buf_steal(&page);
}

int pages_init(struct pages *pages)
{
	char style[DIGEST_TEXT], script[DIGEST_TEXT];

	digest(page_style, style);
	digest(page_script, script);
	(void)snprintf(pages->policy, sizeof(pages->policy),
		"default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; connect-src 'self'; base-uri "
		"'none'; "
		"form-action 'none'; frame-ancestors 'none'",
		style, script);
	pages->verify = render("Confirm your address", page_text_verify);
	pages->reset = render("Choose a new password", page_text_reset);
	pages->invite = render("Make your account", page_text_invite);
	return pages->verify && pages->reset && pages->invite ? 0 : ERR_MEMORY;
}

void pages_release(struct pages *pages)
{
	free(pages->verify);
	free(pages->reset);
	free(pages->invite);
}

static void show(struct exchange *x, const struct pages *pages, const char *page)
{
	exchange_policy(x, pages->policy);
	exchange_answer_lasting(x, 200, "text/html; charset=utf-8", page, strlen(page));
}

void page_verify(struct exchange *x, struct request_thread *thread)
{
	show(x, &thread->app->pages, thread->app->pages.verify);
}

void page_reset(struct exchange *x, struct request_thread *thread)
{
	show(x, &thread->app->pages, thread->app->pages.reset);
}

void page_invite(struct exchange *x, struct request_thread *thread)
{
	show(x, &thread->app->pages, thread->app->pages.invite);
}
