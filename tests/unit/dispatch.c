/* How many effects one event may cause. */
#include "background/delivery/dispatch.h"

#include <criterion/criterion.h>

static size_t most(const char *const *patterns, size_t count)
{
	char type[] = "webhook", name[] = "hooks";
	struct effect_config effects[8] = {{.name = NULL}};
	const struct config config = {.effects = effects, .effect_count = count};

	for (size_t i = 0; i < count; i++)
		effects[i] = (struct effect_config){.name = name,
			.effect = name,
			.type = type,
			.on = (char **)(uintptr_t)&patterns[i],
			.on_count = 1};
	return dispatch_most(&config);
}

Test(dispatch, none)
{
	cr_assert_eq(most(NULL, 0), 0);
}

Test(dispatch, types_that_exclude_each_other_do_not_add_up)
{
	static const char *const patterns[] = {"user.login", "user.logout", "order.*"};

	cr_assert_eq(most(patterns, 3), 1);
}

Test(dispatch, patterns_that_meet_add_up)
{
	static const char *const patterns[] = {"*", "user.*", "user.login", "user.login", "user.l*", "order.*"};

	cr_assert_eq(most(patterns, 6), 5);
}

/* No type is named, but there is one that both prefixes match. */
Test(dispatch, prefixes_within_each_other)
{
	static const char *const patterns[] = {"user.*", "user.login.*"};

	cr_assert_eq(most(patterns, 2), 2);
}
