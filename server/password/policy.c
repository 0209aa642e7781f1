#include "server/password/policy.h"

#include <stdlib.h>

struct policy {
	const struct config *config;
};

int policy_new(
	const struct config *config, struct metrics *metrics, struct policy **ret_policy, char ret_why[POLICY_WHY])
{
	struct policy *policy = calloc(1, sizeof(*policy));

	(void)metrics;
	(void)ret_why;
	if (!policy)
		return ERR_MEMORY;
	policy->config = config;
	*ret_policy = policy;
	return 0;
}

void policy_free(struct policy *policy)
{
	free(policy);
}

int policy_check(
	struct policy *policy, const char *password, const char *username, const char *email, char ret_why[POLICY_WHY])
{
	(void)policy;
	(void)password;
	(void)username;
	(void)email;
	(void)ret_why;
	return 0;
}
