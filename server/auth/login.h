/*
 * POST /login: the critical path. One function, read top to bottom, that does what the answer needs
 * and nothing else; what is owed beyond that is written down in the same transaction and
 * delivered by background/delivery after the answer.
 */
#ifndef TOKENFIRST_SERVER_AUTH_LOGIN_H
#define TOKENFIRST_SERVER_AUTH_LOGIN_H

#include "server/http/route.h"

void login(struct exchange *x, struct request_thread *thread);

#endif
