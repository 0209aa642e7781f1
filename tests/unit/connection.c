#include "server/http/connection.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>

static struct connection *made(const char *text)
{
	union address address = {.any.sa_family = AF_INET6};
	struct connection *c = NULL;

	if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1)
		address.any.sa_family = AF_INET;
	else
		cr_assert_eq(inet_pton(AF_INET6, text, &address.v6.sin6_addr), 1);
	cr_assert_eq(connection_new(7, &address, sizeof(address), true, &c), 0);
	return c;
}

Test(connection, names_its_client)
{
	struct connection *four = made("192.0.2.1"), *six = made("2001:db8::1"), *mapped = made("::ffff:192.0.2.2");

	cr_expect_str_eq(four->client, "192.0.2.1");
	cr_expect_str_eq(six->client, "2001:db8::1");
	cr_expect_str_eq(mapped->client, "192.0.2.2");
	cr_expect(four->ops && four->fd == 7);
	connection_free(four);
	connection_free(six);
	connection_free(mapped);
	connection_free(NULL);
}

struct fixture {
	struct deadlines deadlines;
	struct connection *a, *b;
};

static void setup(struct fixture *f)
{
	f->a = made("192.0.2.1");
	f->b = made("192.0.2.2");
	deadlines_init(&f->deadlines, 10, 20, 30);
}

static void release(struct fixture *f)
{
	connection_free(f->a);
	connection_free(f->b);
}

Test(deadlines, nearest_of_all_kinds)
{
	struct fixture f;

	setup(&f);
	cr_expect_eq(deadlines_nearest_us(&f.deadlines), INT64_MAX);
	deadlines_arm(&f.deadlines, f.a, DEADLINE_REPLY, 1000);
	cr_expect_eq(deadlines_nearest_us(&f.deadlines), 31000);
	cr_expect_eq(deadlines_armed_us(&f.deadlines, f.a), 1000);
	deadlines_arm(&f.deadlines, f.b, DEADLINE_HEADER, 5000);
	cr_expect_eq(deadlines_nearest_us(&f.deadlines), 15000);
	deadlines_arm(&f.deadlines, f.b, DEADLINE_BODY, 5000);
	cr_expect_eq(deadlines_nearest_us(&f.deadlines), 25000);
	deadlines_arm(&f.deadlines, f.b, DEADLINE_NONE, 0);
	deadlines_arm(&f.deadlines, f.b, DEADLINE_NONE, 0);
	cr_expect_eq(deadlines_nearest_us(&f.deadlines), 31000);
	release(&f);
}

Test(deadlines, expire_once_in_their_order)
{
	struct fixture f;
	enum deadline which = DEADLINE_NONE;

	setup(&f);
	deadlines_arm(&f.deadlines, f.a, DEADLINE_HEADER, 0);
	deadlines_arm(&f.deadlines, f.b, DEADLINE_HEADER, 1000);
	cr_expect_null(deadlines_expire(&f.deadlines, 9999, &which));
	cr_expect_eq(deadlines_expire(&f.deadlines, 10000, &which), f.a);
	cr_expect_eq(which, DEADLINE_HEADER);
	cr_expect_null(deadlines_expire(&f.deadlines, 10999, &which));
	cr_expect_eq(deadlines_expire(&f.deadlines, 50000, &which), f.b);
	cr_expect_null(deadlines_expire(&f.deadlines, 50000, &which));
	cr_expect_eq(deadlines_nearest_us(&f.deadlines), INT64_MAX);
	release(&f);
}

Test(deadlines, arming_again_goes_to_the_end)
{
	struct fixture f;
	enum deadline which = DEADLINE_NONE;

	setup(&f);
	deadlines_arm(&f.deadlines, f.a, DEADLINE_BODY, 0);
	deadlines_arm(&f.deadlines, f.b, DEADLINE_BODY, 1000);
	deadlines_arm(&f.deadlines, f.a, DEADLINE_BODY, 2000);
	cr_expect_eq(deadlines_expire(&f.deadlines, 30000, &which), f.b);
	cr_expect_eq(deadlines_expire(&f.deadlines, 30000, &which), f.a);
	cr_expect_eq(which, DEADLINE_BODY);
	release(&f);
}

Test(deadlines, have_names)
{
	cr_assert_str_eq(deadline_text(DEADLINE_HEADER), "header_deadline");
	cr_assert_str_eq(deadline_text(DEADLINE_BODY), "body_deadline");
	cr_assert_str_eq(deadline_text(DEADLINE_REPLY), "reply_deadline");
}
