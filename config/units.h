/*
 * Durations and sizes as people write them: a whole number and a unit, no blank, no
 * sign, no fraction. "250ms" "5s" "15m" "12h" "30d"; "512B" "16KiB" "4MiB" "1GiB".
 */
#ifndef TOKENFIRST_CONFIG_UNITS_H
#define TOKENFIRST_CONFIG_UNITS_H

#include <stdint.h>

#include "config/err.h"

/* ERR_INVALID: not of that form, an unknown unit, or beyond 63 bits. */
int units_parse_duration(const char *text, int64_t *ret_ms) MUST_CHECK;
int units_parse_size(const char *text, int64_t *ret_bytes) MUST_CHECK;

enum { UNITS_TEXT_SIZE = 32 };

/* In the largest unit that says it exactly: 60000 is "1m", 90000 is "90s". */
void units_format_duration(char ret_text[UNITS_TEXT_SIZE], int64_t ms);
void units_format_size(char ret_text[UNITS_TEXT_SIZE], int64_t bytes);

#endif
