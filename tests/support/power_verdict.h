/*
 * A disk after a power cut, opened by the real store: is it sound, whole, and does it hold what was promised?
 * Each check does nothing once one has found something.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_POWER_VERDICT_H
#define TOKENFIRST_TESTS_SUPPORT_POWER_VERDICT_H

#include <stdbool.h>

#include "tests/support/power_work.h"

/* What is wrong with an image; "" nothing. */
struct power_verdict {
	char text[256];
	bool lost;    /* something acknowledged is missing */
	bool half;    /* something is there in part */
	bool corrupt; /* it does not open, or not sound */
};

bool power_verdict_said(const struct power_verdict *v);

/* Integrity and foreign keys. */
void power_check_sound(struct db *db, struct power_verdict *v);
/* The counters are what counting the rows gives. */
void power_check_counters(struct db *db, struct power_verdict *v);
/*
 * Each promise made before the place `cut`, nothing in part, no hole in the order of commits; adds how many promises.
 */
void power_check_promises(
	struct db *db, const struct power_work *work, size_t cut, struct power_verdict *v, size_t *ret_acknowledged);
/* It takes a login. */
void power_check_use(struct db *db, struct power_verdict *v);

#endif
