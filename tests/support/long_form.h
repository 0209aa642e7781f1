/*
 * The crash tests have two forms: a short one for every run of the tests, a long one for `make crash` (CRASH_LONG=1).
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_LONG_FORM_H
#define TOKENFIRST_TESTS_SUPPORT_LONG_FORM_H

#include <stdbool.h>

bool long_form(void);

/* A line of figures on stderr, "figures: …", which scripts/crash shows. */
void long_form_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
