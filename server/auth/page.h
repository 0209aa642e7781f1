/*
 * The pages that links in mails lead to, for teams that have none of their own (link.…_path): static, each with one
 * form, whose script reads the token from the URL's fragment and posts it as JSON. No GET uses a token up: mail
 * scanners follow links.
 *
 * Their texts are in server/auth/pages/, built in. Nothing is loaded from elsewhere; the policy of the pages
 * (https://www.w3.org/TR/CSP3/) names the one style and the one script by digests that are computed from those very
 * texts.
 */
#ifndef TOKENFIRST_SERVER_AUTH_PAGE_H
#define TOKENFIRST_SERVER_AUTH_PAGE_H

#include "server/http/route.h"

enum { PAGE_POLICY = 384 };

/* Made once at start, constant from then on. */
struct pages {
	char policy[PAGE_POLICY];
	char *verify, *reset, *invite; /* heap */
};

/* ERR_MEMORY; release it in any case. */
int pages_init(struct pages *pages) MUST_CHECK;
void pages_release(struct pages *pages);

void page_verify(struct exchange *x, struct request_thread *thread);
void page_reset(struct exchange *x, struct request_thread *thread);
void page_invite(struct exchange *x, struct request_thread *thread);

#endif
