/* The head of an HTTP reply, line by line. */
#include <criterion/criterion.h>
#include <string.h>

#include "background/delivery/reply_head.h"

TestSuite(reply_head, .timeout = 10);

static void feed(struct reply_head *head, const char *line)
{
	reply_head_line(head, line, strlen(line));
}

Test(reply_head, open_until_its_empty_line)
{
	struct reply_head head = {.open = true};

	reply_head_reset(&head);
	cr_assert_not(head.open);
	feed(&head, "HTTP/1.1 103 Early Hints\r\n");
	cr_assert(head.open);
	feed(&head, "\r\n");
	cr_assert_not(head.open);
	feed(&head, "HTTP/1.1 200 OK\n");
	feed(&head, "X-A: b\n");
	cr_assert(head.open);
	feed(&head, "\n");
	cr_assert_not(head.open);
}

Test(reply_head, the_longest_retry_after_holds)
{
	struct reply_head head = {.open = false};

	feed(&head, "HTTP/1.1 503 No\r\n");
	cr_assert_eq(reply_head_retry_after(&head, 0), -1);
	feed(&head, "rEtry-After:\t 60 \t\r\n");
	feed(&head, "Retry-After: soon\r\n");
	cr_assert_eq(reply_head_retry_after(&head, 0), 60000);
	feed(&head, "Retry-After: 120\r\n");
	feed(&head, "Retry-After: 90\r\n");
	feed(&head, "Retry-After: 3600\r\n"); /* one more than is looked at */
	cr_assert_eq(reply_head_retry_after(&head, 0), 120000);
	feed(&head, "HTTP/1.1 503 No\r\n");
	cr_assert_eq(reply_head_retry_after(&head, 0), -1, "that of an interim reply holds");
}

Test(reply_head, what_is_no_retry_after)
{
	struct reply_head head = {.open = false};

	feed(&head, "Retry-After\r\n");
	feed(&head, "Retry-After:\r\n");
	feed(&head, "X-Retry-After: 60\r\n");
	feed(&head, "Retry-After: 0000000000000000000000000000000000000000000000000000000000000060\r\n");
	cr_assert_eq(reply_head_retry_after(&head, 0), -1);
}
