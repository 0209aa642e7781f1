/*
 * What is wrong with a configuration: fills the lists of options.h.
 */
#ifndef TOKENFIRST_CONFIG_FINDINGS_H
#define TOKENFIRST_CONFIG_FINDINGS_H

#include <stdarg.h>

#include "config/options.h"

/*
 * Copies its texts. What has been said at this place in the same words is not said again: it is about a value that
 * several targets share. Beyond LIMIT_CONFIG_ERRORS, or without memory, the finding is counted in `more`.
 */
void findings_add(struct config_errors *findings, const char *place, const char *path, const char *format, va_list args)
	__attribute__((format(printf, 4, 0)));

#endif
