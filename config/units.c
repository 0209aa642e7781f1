#include "config/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	int64_t factor;
};

/* Ascending, ended by a row without a name. */
static const struct unit durations[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit sizes[] = {{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {NULL, 0}};

static int parse(const struct unit *units, const char *text, int64_t *ret_number)
{
	char *end = NULL;

	if (text[0] < '0' || text[0] > '9')
		return ERR_INVALID; /* strtoll would take blanks and signs */
	errno = 0;
	int64_t number = strtoll(text, &end, 10);
	if (errno)
		return ERR_INVALID;
	for (; units->name; units++) {
		if (strcmp(units->name, end) != 0)
			continue;
		if (number > INT64_MAX / units->factor)
			return ERR_INVALID;
		*ret_number = number * units->factor;
		return 0;
	}
	return ERR_INVALID;
}

static void format(char ret_text[UNITS_TEXT_SIZE], const struct unit *units, int64_t number)
{
	const struct unit *best = units;

	for (; number && units->name; units++) {
		if (number % units->factor == 0)
			best = units;
	}
	(void)snprintf(ret_text, UNITS_TEXT_SIZE, "%" PRId64 "%s", number / best->factor, best->name);
}

int units_parse_duration(const char *text, int64_t *ret_ms)
{
	return parse(durations, text, ret_ms);
}

int units_parse_size(const char *text, int64_t *ret_bytes)
{
	return parse(sizes, text, ret_bytes);
}

void units_format_duration(char ret_text[UNITS_TEXT_SIZE], int64_t ms)
{
	format(ret_text, durations, ms);
}

void units_format_size(char ret_text[UNITS_TEXT_SIZE], int64_t bytes)
{
	format(ret_text, sizes, bytes);
}
