/*
 * What may be chosen as a password (NIST SP 800-63B-4 3.1.1.2, ASVS 5.0 6.2): its length in characters after NFKC, no
 * rules of composition, not one of a list of common ones, not the account's own name or address, and not one that is
 * known from a breach, where a range API is configured (k-anonymity: it learns 5 digits of a SHA-1; no answer in time
 * lets the password pass, and is counted).
 *
 * Any thread.
 */
#ifndef TOKENFIRST_SERVER_PASSWORD_POLICY_H
#define TOKENFIRST_SERVER_PASSWORD_POLICY_H

#include "background/telemetry/metrics.h"
#include "config/options.h"

struct policy;

enum { POLICY_WHY = 256 };

/*
 * Reads the blocklist: ERR_SYSTEM, ERR_LIMIT, ERR_INVALID (a line that is no UTF-8), with the reason in words.
 * `metrics` NULL: for commands.
 */
int policy_new(const struct config *config, struct metrics *metrics, struct policy **ret_policy,
	char ret_why[POLICY_WHY]) MUST_CHECK;
void policy_free(struct policy *policy); /* NULL is fine */

/*
 * 0, or ERR_INVALID and a sentence for the user, or ERR_MEMORY. `username` and `email` may be NULL or "". May block for
 * password.breach_timeout.
 */
int policy_check(struct policy *policy, const char *password, const char *username, const char *email,
	char ret_why[POLICY_WHY]) MUST_CHECK;

#endif
