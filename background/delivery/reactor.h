/*
 * A reactor: the transfers of one multi handle, driven by the sockets and times at which something happens, and the
 * sleep of the thread that owns it.
 *
 * A turn costs what has happened in it, however many transfers are under way: libcurl says which sockets it waits for
 * and when it wants to be called next (CURLMOPT_SOCKETFUNCTION(3), CURLMOPT_TIMERFUNCTION(3)), the kernel keeps the
 * sockets (epoll(7)), and only the transfers of a socket that is ready, or whose time has come, are looked at
 * (curl_multi_socket_action(3)). curl_multi_perform and curl_multi_poll walk all of them.
 *
 * Belongs to one thread; reactor_wake is for all others.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_REACTOR_H
#define TOKENFIRST_BACKGROUND_DELIVERY_REACTOR_H

#include <curl/curl.h>
#include <stdint.h>

#include "config/err.h"

struct reactor;

/* ERR_MEMORY, or ERR_SYSTEM where there is no descriptor left. */
int reactor_new(struct reactor **ret_reactor) MUST_CHECK;
/* After the last transfer has been removed. Closes the connections that were kept. NULL is fine. */
void reactor_free(struct reactor *reactor);

/*
 * Its handle, to which the owner adds transfers, and from which it removes them, between turns; how many connections are
 * kept (CURLMOPT_MAXCONNECTS) is the owner's to say.
 */
CURLM *reactor_multi(struct reactor *reactor);

/*
 * Sleeps until a socket is ready, a transfer's time has come, somebody has called reactor_wake or `most_ms` have passed
 * (INT64_MAX: however long that takes; 0: not at all), and lets the transfers concerned go on. What others did
 * before their reactor_wake is to be looked at after this returns.
 */
void reactor_sleep(struct reactor *reactor, int64_t most_ms);
/* Lets transfers that have just been added begin. */
void reactor_begin_added(struct reactor *reactor);
/* The next transfer that has ended, to be removed by the owner, and how; NULL: none. */
CURL *reactor_ended(struct reactor *reactor, CURLcode *ret_result);

/*
 * Ends the sleep, or the next one. Costs a system call only if the owner sleeps and nobody else has woken it. Any
 * thread, from reactor_new to reactor_free.
 */
void reactor_wake(struct reactor *reactor);

#endif
