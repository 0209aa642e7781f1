/* Retry-After in all odd shapes, through a real reply: when the next attempt is due. RFC 9110 10.2.3 and 5.6.7. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/support/harness.h"
#include "tests/support/hostile.h"
#include "tests/support/hostile_peer.h"

enum {
	SLACK_MS = 1000 + HOSTILE_MARGIN_MS, /* a date counts in whole seconds */
	HOUR_S = 3600,
	MOST_S = LIMIT_RETRY_AFTER_S,
};

TestSuite(retry_after, .timeout = 60);

enum form { NO_DATE, IMF, RFC850, ASCTIME, ISO, OTHER_ZONE, TIME_ALONE };

struct row {
	const char *name;
	const char *lines; /* of the header, each with its CR LF; unused with a date */
	enum form date;
	int64_t from_now_s;
	int64_t wait_s; /* due then, give or take */
};

#define LINE(v) "Retry-After: " v "\r\n"

static const struct row rows[] = {
	{"seconds", LINE("3600"), NO_DATE, 0, 3600},
	{"without a blank", "Retry-After:3600\r\n", NO_DATE, 0, 3600},
	{"in other letters", "rEtRy-AfTeR: 3600\r\n", NO_DATE, 0, 3600},
	{"blanks around it", "Retry-After: \t 3600 \t \r\n", NO_DATE, 0, 3600},
	{"0", LINE("0"), NO_DATE, 0, 0},
	{"leading zeros", LINE("0003600"), NO_DATE, 0, 3600},
	{"a negative number", LINE("-3600"), NO_DATE, 0, 0},
	{"a plus", LINE("+3600"), NO_DATE, 0, 0},
	{"a fraction", LINE("3600.5"), NO_DATE, 0, 0},
	{"an exponent", LINE("1e9"), NO_DATE, 0, 0},
	{"hexadecimal", LINE("0xe10"), NO_DATE, 0, 0},
	{"1,000,000,000", LINE("1000000000"), NO_DATE, 0, MOST_S},
	{"beyond 64 bits", LINE("99999999999999999999"), NO_DATE, 0, MOST_S},
	{"soon", LINE("soon"), NO_DATE, 0, 0},
	{"with a unit", LINE("3600s"), NO_DATE, 0, 0},
	{"a list", LINE("3600, 7200"), NO_DATE, 0, 0},
	{"empty", "Retry-After:\r\n", NO_DATE, 0, 0},
	{"only blanks", "Retry-After:   \r\n", NO_DATE, 0, 0},
	{"two of them", LINE("3600") LINE("7200"), NO_DATE, 0, 7200},
	{"two, and the second is none", LINE("3600") LINE("soon"), NO_DATE, 0, 3600},
	{"two, and the second is less", LINE("7200") LINE("60"), NO_DATE, 0, 7200},
	{"longer than any number or date",
		LINE("00000000000000000000000000000000000000000000000000000000000000000000000000003600"), NO_DATE, 0,
		0},
	{"a date", "", IMF, HOUR_S, HOUR_S},
	{"a date in the past", "", IMF, -HOUR_S, 0},
	{"a date far ahead", "", IMF, INT64_C(3650) * 24 * HOUR_S, MOST_S},
	{"a date as in RFC 850", "", RFC850, HOUR_S, HOUR_S},
	{"a date as of asctime", "", ASCTIME, HOUR_S, HOUR_S},
	{"a date in ISO 8601", "", ISO, HOUR_S, 0},
	{"a date in another zone", "", OTHER_ZONE, HOUR_S, 0},
	{"a time without a date", "", TIME_ALONE, HOUR_S, 0},
	{"a day that is none", LINE("Xxx, 99 Xxx 9999 99:99:99 GMT"), NO_DATE, 0, 0},
	{"the epoch", LINE("Thu, 01 Jan 1970 00:00:00 GMT"), NO_DATE, 0, 0},
	{"the last second of the year 9999", LINE("Fri, 31 Dec 9999 23:59:59 GMT"), NO_DATE, 0, MOST_S},
	{"with bytes that are no text", LINE("\xff\xfe\x01"), NO_DATE, 0, 0},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

ParameterizedTestParameters(retry_after, an_odd_shape)
{
	static size_t indexes[ROWS];

	for (size_t i = 0; i < ROWS; i++)
		indexes[i] = i;
	return cr_make_param_array(size_t, indexes, ROWS, NULL);
}

static void date_format(enum form form, int64_t from_now_s, char date[80])
{
	time_t then = time(NULL) + from_now_s;
	size_t len = 0;
	struct tm utc;
	char *century;

	cr_assert_not_null(gmtime_r(&then, &utc));
	switch (form) {
	case NO_DATE:
		break;
	case IMF:
		len = strftime(date, 80, "%a, %d %b %Y %H:%M:%S GMT", &utc);
		break;
	case RFC850:
		len = strftime(date, 80, "%A, %d-%b-%Y %H:%M:%S GMT", &utc);
		century = strrchr(date, '-') + 1; /* of this year it wants two digits */
		memmove(century, century + 2, strlen(century + 2) + 1);
		break;
	case ASCTIME:
		len = strftime(date, 80, "%a %b %e %H:%M:%S %Y", &utc);
		break;
	case ISO:
		len = strftime(date, 80, "%Y-%m-%dT%H:%M:%SZ", &utc);
		break;
	case OTHER_ZONE:
		len = strftime(date, 80, "%a, %d %b %Y %H:%M:%S +0000", &utc);
		break;
	case TIME_ALONE:
		len = strftime(date, 80, "%H:%M:%S", &utc);
		break;
	}
	cr_assert_gt(len, 0);
}

/* The reply of a row, with a date if it has one: that is a second or less before the attempt. */
static int reply_make(const struct row *row, const char *interim, char reply[PEER_TEXT])
{
	char date[80], lines[PEER_TEXT / 2];

	snprintf(lines, sizeof(lines), "%s", row->lines);
	if (row->date != NO_DATE) {
		date_format(row->date, row->from_now_s, date);
		snprintf(lines, sizeof(lines), "Retry-After: %s\r\n", date);
	}
	return snprintf(reply, PEER_TEXT, "%sHTTP/1.1 503 No\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n",
		interim, lines);
}

static void run_row(const struct row *row, const char *interim)
{
	char reply[PEER_TEXT], url[PEER_TEXT], name[120];
	int len = reply_make(row, interim, reply);
	struct hostile_script script = {.start = {reply, (size_t)len}, .end = HOSTILE_CLOSE};
	struct hostile_peer *peer = hostile_peer_start(&script);
	struct hostile_run run;
	int64_t wait_ms;

	snprintf(name, sizeof(name), "Retry-After, %s", row->name);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", hostile_peer_port(peer));
	/* after its one attempt it waits for the breaker, so that its due time can be read */
	hostile_begin(&run, &(struct hostile_case){.name = name,
				    .url = url,
				    .more = "{'retry':{'first':'1ms','cap':'1ms','max_age':'30d'},"
					    "'breaker':{'failures':1,'open_for':'1h'}}",
				    .outcome = "retryable",
				    .reason = "HTTP 503",
				    .verdict = HOSTILE_WAITS});
	wait_ms = run.row.due_ms - run.ended_ms;
	cr_assert_geq(wait_ms, row->wait_s * 1000 - SLACK_MS, "%s: due in %lld ms", row->name, (long long)wait_ms);
	cr_assert_leq(wait_ms, row->wait_s * 1000 + SLACK_MS, "%s: due in %lld ms", row->name, (long long)wait_ms);
	cr_assert_eq(hostile_attempts(&run), 1);
	hostile_end(&run);
	hostile_peer_stop(peer);
}

ParameterizedTest(const size_t *index, retry_after, an_odd_shape)
{
	run_row(&rows[*index], "");
}

Test(retry_after, of_an_interim_reply)
{
	run_row(&(struct row){"of an interim reply alone", "", NO_DATE, 0, 0},
		"HTTP/1.1 103 Early Hints\r\nRetry-After: 3600\r\n\r\n");
}
