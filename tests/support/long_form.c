#include "tests/support/long_form.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool long_form(void)
{
	const char *text = getenv("CRASH_LONG");

	return text != NULL && strcmp(text, "1") == 0;
}

void long_form_print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "figures: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
}
