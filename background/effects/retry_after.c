/*
 * Retry-After. curl_getdate reads far more than HTTP dates ("2026", "12:30 noon"), so the form is checked
 * first, and what it then reads is one of the three that RFC 9110 5.6.7 allows.
 */
#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/effect.h"

/* In a form, `a` stands for a letter, `9` for a digit, `_` for a digit or a space; all else for itself. */
static bool has_form(const char *text, const char *form)
{
	for (; *form; form++, text++) {
		const unsigned char c = (unsigned char)*text;
		bool fits;

		switch (*form) {
		case 'a':
			fits = isalpha(c) != 0;
			break;
		case '9':
			fits = isdigit(c) != 0;
			break;
		case '_':
			fits = isdigit(c) != 0 || c == ' ';
			break;
		default:
			fits = *text == *form;
			break;
		}
		if (!fits)
			return false;
	}
	return *text == '\0';
}

static bool http_date(const char *value)
{
	const char *comma = strchr(value, ',');

	if (has_form(value, "aaa, 99 aaa 9999 99:99:99 GMT") || has_form(value, "aaa aaa _9 99:99:99 9999"))
		return true;
	/* RFC 850, where the day's name is written out */
	return comma && comma - value >= 6 && isalpha((unsigned char)*value) &&
	       has_form(comma, ", 99-aaa-99 99:99:99 GMT");
}

int64_t retry_after_parse(const char *value, int64_t now_ms)
{
	const int64_t most_ms = (int64_t)LIMIT_RETRY_AFTER_S * 1000;
	const size_t digits = strspn(value, "0123456789");
	int64_t wait_ms;
	time_t date;

	if (digits > 0 && value[digits] == '\0') {
		/* strtoll stops at its own maximum */
		const long long seconds = strtoll(value, NULL, 10);

		return seconds > most_ms / 1000 ? most_ms : (int64_t)seconds * 1000;
	}
	if (!http_date(value))
		return -1;
	date = curl_getdate(value, NULL);
	if (date == -1)
		return -1;
	wait_ms = (int64_t)date * 1000 - now_ms;
	if (wait_ms < 0)
		return 0;
	return wait_ms > most_ms ? most_ms : wait_ms;
}
