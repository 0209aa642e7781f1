/*
 * Couriers: threads for transfers that block.
 *
 * libcurl reads the reply to a mail's end, and to QUIT, without giving its multi handle a turn (smtp_done and
 * smtp_disconnect in its lib/smtp.c; https://github.com/curl/curl/issues/8555). In a worker's multi, one mail server
 * that takes 300 ms for each mail would hold every lane of that worker for as long, and mails would go out one by one.
 * So a mail's transfer is run by curl_easy_perform on a thread of its own, and its end comes back to the worker as a
 * message; everything else about it stays with the worker.
 *
 * Threads are made when all are busy, up to LIMIT_COURIERS; further errands wait for one. Each lane of mails has its
 * own, so that one server at which they all hang takes none from another's mails. They belong to the lane's worker.
 */
#ifndef TOKENFIRST_BACKGROUND_DELIVERY_COURIER_H
#define TOKENFIRST_BACKGROUND_DELIVERY_COURIER_H

#include "background/delivery/inbox.h"
#include "background/delivery/transfer.h"
#include "config/err.h"

struct couriers;

struct errand {
	struct errand *next;
	struct transfer *transfer;
	CURLcode result;
	struct message message; /* put into the worker's inbox when it has ended */
};

/* `ended` is called on a courier's thread with each errand that has ended. Takes SIGURG for the process.
   NULL without memory. */
struct couriers *couriers_new(void (*ended)(void *arg, struct errand *errand), void *arg);

/*
 * The errand and its transfer stay where they are until it has ended. One thread sends; not after couriers_halt.
 * ERR_SYSTEM: there is no thread to take it.
 */
int couriers_send(struct couriers *couriers, struct errand *errand) MUST_CHECK;

/*
 * Tells all threads to end, and waits for that; what is under way is broken off at once (its waits are interrupted by
 * SIGURG), and ends, like what has not begun, with CURLE_ABORTED_BY_CALLBACK. Two steps, so that many can end at the
 * same time. NULL is fine.
 */
void couriers_halt(struct couriers *couriers);
void couriers_join(struct couriers *couriers);
/* After couriers_join. NULL is fine. */
void couriers_free(struct couriers *couriers);

#endif
