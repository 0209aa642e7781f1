/*
 * The order that tests give to fail_alloc.so (fail_alloc.c), a library to be preloaded: which allocation of a running program fails.
 * It lies in the file named by $FAIL_ALLOC, which both have mapped.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_FAIL_ALLOC_H
#define TOKENFIRST_TESTS_SUPPORT_FAIL_ALLOC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { FAIL_ALLOC_TEXT = 64 };

/* The threads whose allocations count. */
enum fail_alloc_side {
	FAIL_ALLOC_REQUESTS,   /* all but those below: what takes requests, hashes and commits */
	FAIL_ALLOC_BACKGROUND, /* workers and couriers, by their names */
};

struct fail_alloc {
	_Atomic int64_t
		fail_at; /* from 1, set last: so manieth allocation from now fails; 0: none does, and none is counted */
	_Atomic int64_t count; /* allocations since then */
	_Atomic int side;
	/* about the one that failed; `failed` is set last */
	char thread[FAIL_ALLOC_TEXT], caller[FAIL_ALLOC_TEXT];
	_Atomic bool failed;
};

#endif
