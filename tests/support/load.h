/*
 * Open-loop load: requests that are due at fixed times, whatever the replies do.
 *
 * Request i is due at start + i / rate. One that finds no free connection waits for one, and its latency
 * counts from when it was due: a server that stalls can't hide it by making the generator wait (coordinated
 * omission). Samples are kept whole, so that percentiles are exact.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_LOAD_H
#define TOKENFIRST_TESTS_SUPPORT_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	LOAD_CONNECTIONS_MAX = 4096,
	LOAD_SAMPLES_MAX = 20000000,
	LOAD_STATUS_MAX = 600, /* by_status has one place for each below; 0 is for anything else */
};

/* A whole request, as written on the wire; must outlive the load. */
struct load_request {
	const char *text;
	size_t len;
};

struct load_options {
	struct sockaddr_in address;
	const char *request; /* the same for all, unless `each` */
	size_t request_len;
	const struct load_request *each; /* NULL, or one for each of `total`, each sent once */
	double rate;			 /* a second */
	int64_t total;			 /* requests, at most LOAD_SAMPLES_MAX */
	int64_t connections;
	int64_t grace_us; /* after the last one is due, for what is still out */
};

struct load_samples {
	double *ms;
	size_t count;
	bool sorted;
};

struct load_result {
	int64_t sent;	      /* written, at least in part */
	int64_t sent_in_time; /* before the end of the time in which they are due */
	int64_t ok;	      /* replies with status 2xx */
	int64_t errors;	      /* connections that broke with a request under way */
	int64_t unfinished;   /* due, without reply (or not even sent) after the grace */
	int64_t by_status[LOAD_STATUS_MAX];
	struct load_samples latency; /* due to reply: 2xx, and the age of each unfinished one at the end */
	struct load_samples lag; /* the generator's own lateness: due to written, where a connection was free in time */
};

/* Runs the whole load. 0, or -1 if nobody listens. In any case load_result_release. */
int load_run(const struct load_options *options, struct load_result *ret_result);
void load_result_release(struct load_result *result);

/* Nearest rank; sorts the samples when first asked. 0 without samples. */
double load_percentile(struct load_samples *samples, double percent);

#endif
