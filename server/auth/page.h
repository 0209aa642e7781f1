/*
 * The pages that links in mails lead to, for teams that have none of their own (link.…_path): static, each with one form, whose script
 * reads the token from the URL's fragment and posts it as JSON. No GET uses a token up: mail scanners follow links.
 */
#ifndef TOKENFIRST_SERVER_AUTH_PAGE_H
#define TOKENFIRST_SERVER_AUTH_PAGE_H

#include "server/http/route.h"

void page_verify(struct exchange *x, struct request_thread *thread);
void page_reset(struct exchange *x, struct request_thread *thread);
void page_invite(struct exchange *x, struct request_thread *thread);

#endif
