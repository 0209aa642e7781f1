/*
 * Slack: memory that the allocator holds and nobody uses.
 *
 * glibc keeps what is freed below something that is still used. After 10,000 clients at once that is some 60 MiB, for as
 * long as the process lives. What is given back here costs page faults when it is needed again, and an arena is locked
 * while it is gone through; so it happens only when there is much, and seldom.
 */
#ifndef TOKENFIRST_SERVER_CLI_SLACK_H
#define TOKENFIRST_SERVER_CLI_SLACK_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes, the least since the start or since something was given back; INT64_MAX: they could not be known yet. */
struct slack {
	int64_t resident; /* of the process */
	int64_t unused;	  /* of the allocator; what has been given back counts as unused until it is used again */
};

void slack_init(struct slack *slack);

/*
 * Whether there is enough to give back, `now` being what is so now: much is unused, and either of the two has grown. A
 * crowd that came and went between two looks shows in the first alone; one that is still leaving, in the second.
 */
bool slack_is_due(struct slack *slack, const struct slack *now);

/* Looks, and gives back. For one thread; may take some ten milliseconds. */
void slack_give_back(struct slack *slack);

#endif
