/* Which effects an operator means: the words that commands and /admin share. */
#include <criterion/criterion.h>
#include <string.h>

#include "server/ops/selection.h"

#define EVENT "01M7YKH936AQPDDQGDY2GCSVZG"

enum { NOW = 1767323045000 }; /* 2026-01-02T03:04:05Z */

static json_t *json;
static struct selection selection;
static char why[SELECTION_WHY];

static int parse(const char *text, const char *fallback)
{
	json_error_t error;

	json_decref(json);
	json = json_loads(text, 0, &error);
	cr_assert_not_null(json, "%s", error.text);
	why[0] = '\0';
	return selection_read(json, fallback, (int64_t)NOW, &selection, why);
}

static void clear(void)
{
	json_decref(json);
}

TestSuite(selection, .fini = clear);

Test(selection, nothing_said_is_everything_in_the_usual_state)
{
	const struct outbox_filter *filter;

	cr_assert_eq(parse("{}", "dead"), 0);
	cr_assert_not(selection_narrow(&selection));
	filter = selection_next(&selection);
	cr_assert_not_null(filter);
	cr_assert_eq(filter->state, EFFECT_DEAD);
	cr_assert_not(filter->any_state);
	cr_assert_eq(filter->part, -1);
	cr_assert_null(filter->event_id);
	cr_assert_null(filter->effect);
	cr_assert_null(selection_next(&selection));

	cr_assert_eq(parse("{}", "all"), 0);
	cr_assert(selection_next(&selection)->any_state);
}

Test(selection, each_member_narrows)
{
	const struct outbox_filter *filter;

	cr_assert_eq(parse("{\"effect\":\"hooks.shop\",\"state\":\"pending\",\"cause\":\"age\",\"since\":\"2h\","
			   "\"until\":\"2026-01-02T02:04:05Z\"}",
			     "dead"),
		0, "%s", why);
	cr_assert(selection_narrow(&selection));
	filter = selection_next(&selection);
	cr_assert_str_eq(filter->effect, "hooks.shop");
	cr_assert_eq(filter->state, EFFECT_PENDING);
	cr_assert_str_eq(filter->cause, CAUSE_AGE);
	cr_assert_eq(filter->since_ms, (int64_t)NOW - 2 * 3600 * 1000);
	cr_assert_eq(filter->until_ms, (int64_t)NOW - 3600 * 1000);
}

Test(selection, ids_come_one_after_another)
{
	const struct outbox_filter *filter;

	cr_assert_eq(parse("{\"ids\":[\"" EVENT "-crm\",\"" EVENT "\",\"" EVENT "-email-2\"]}", "dead"), 0, "%s", why);
	cr_assert(selection_narrow(&selection));
	filter = selection_next(&selection);
	cr_assert_str_eq(filter->event_id, EVENT);
	cr_assert_str_eq(filter->effect, "crm");
	cr_assert_eq(filter->part, 0);
	filter = selection_next(&selection);
	cr_assert_str_eq(filter->event_id, EVENT);
	cr_assert_null(filter->effect, "an event's id stands for all of its effects");
	cr_assert_eq(filter->part, -1);
	filter = selection_next(&selection);
	cr_assert_str_eq(filter->effect, "email");
	cr_assert_eq(filter->part, 2);
	cr_assert_null(selection_next(&selection));
}

Test(selection, what_is_wrong_is_said)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"{\"effects\":\"crm\"}", "\"effects\" is unknown"},
		{"{\"state\":\"gone\"}", "\"state\" must be"},
		{"{\"state\":2}", "\"state\" must be"},
		{"{\"cause\":\"bad luck\"}", "\"cause\" must be"},
		{"{\"since\":\"yesterday\"}", "\"since\" must be"},
		{"{\"until\":\"2026-13-01\"}", "\"until\" must be"},
		{"{\"effect\":\"\"}", "\"effect\" must be"},
		{"{\"ids\":[]}", "\"ids\" must be"},
		{"{\"ids\":[\"crm\"]}", "\"ids\" must be"},
		{"{\"ids\":[\"" EVENT "-\"]}", "\"ids\" must be"},
		{"{\"ids\":[\"" EVENT "-crm-0\"]}", "\"ids\" must be"},
		{"{\"ids\":[\"" EVENT "-crm\"],\"effect\":\"crm\"}", "exclude each other"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_assert_eq(parse(cases[i].text, "dead"), ERR_INVALID, "%s", cases[i].text);
		cr_assert_not_null(strstr(why, cases[i].says), "%s: %s", cases[i].text, why);
	}
}

Test(selection, a_time_is_a_date_an_instant_or_a_while_ago)
{
	int64_t ms = 0;

	cr_assert_eq(selection_time("2026-01-02", NOW, &ms), 0);
	cr_assert_eq(ms, (int64_t)1767312000000);
	cr_assert_eq(selection_time("2026-01-02T04:04:05.250+01:00", NOW, &ms), 0);
	cr_assert_eq(ms, (int64_t)NOW + 250);
	cr_assert_eq(selection_time("90s", NOW, &ms), 0);
	cr_assert_eq(ms, (int64_t)NOW - 90000);
	cr_assert_eq(selection_time("2026-01-02T03:04", NOW, &ms), ERR_INVALID);
	cr_assert_eq(selection_time("2026-01-02T03:04:05", NOW, &ms), ERR_INVALID, "of which zone?");
	cr_assert_eq(selection_time("99999999d", NOW, &ms), ERR_INVALID, "before time began");
}
