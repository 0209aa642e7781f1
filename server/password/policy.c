#include "server/password/policy.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/utf8.h"
#include "server/password/blocklist.h"
#include "server/password/breach.h"
#include "server/password/normal.h"

struct policy {
	const struct config *config;
	struct blocklist *blocklist;		       /* NULL: none */
	char *host;				       /* of public_url, folded; NULL: none */
	struct counter *breach_checks[BREACH_ANSWERS]; /* NULL: for a command */
};

/* The host of the URL that users know this server by; NULL: there is none, or no memory. */
static char *public_host(const char *public_url)
{
	CURLU *url = public_url ? curl_url() : NULL;
	char *part = NULL, *host = NULL;

	if (url && curl_url_set(url, CURLUPART_URL, public_url, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_HOST, &part, 0) == CURLUE_OK)
		host = strdup(part);
	curl_free(part);
	curl_url_cleanup(url);
	return host;
}

static void register_metrics(struct policy *policy, struct metrics *metrics)
{
	static const char *const outcomes[BREACH_ANSWERS] = {[BREACH_CLEAN] = "outcome=\"clean\"",
		[BREACH_KNOWN] = "outcome=\"breached\"",
		[BREACH_FAILED] = "outcome=\"failed\""};

	for (size_t i = 0; metrics && i < BREACH_ANSWERS; i++)
		policy->breach_checks[i] = metrics_counter(metrics, "tokenfirst_password_breach_checks_total",
			"Questions whether a new password is known from a breach; a failed one lets it pass.",
			outcomes[i]);
}

static int load_blocklist(struct policy *policy, char ret_why[POLICY_WHY])
{
	const char *path = policy->config->password.blocklist;
	char text[ERR_SYSTEM_TEXT_SIZE];
	size_t line = 0;
	int err = path ? blocklist_load(path, &policy->blocklist, &line) : 0;

	if (err == ERR_SYSTEM)
		(void)snprintf(
			ret_why, POLICY_WHY, "the blocklist %s can't be read: %s", path, err_system_text(errno, text));
	else if (err == ERR_LIMIT)
		(void)snprintf(
			ret_why, POLICY_WHY, "the blocklist %s is larger than %d MiB", path, LIMIT_BLOCKLIST >> 20);
	else if (err == ERR_INVALID)
		(void)snprintf(ret_why, POLICY_WHY, "line %zu of the blocklist %s is not UTF-8", line, path);
	else if (err)
		(void)snprintf(ret_why, POLICY_WHY, "the blocklist %s can't be kept: %s", path, err_text(err));
	return err;
}

int policy_new(
	const struct config *config, struct metrics *metrics, struct policy **ret_policy, char ret_why[POLICY_WHY])
{
	struct policy *policy = calloc(1, sizeof(*policy));
	int err;

	if (!policy)
		return ERR_MEMORY;
	policy->config = config;
	register_metrics(policy, metrics);
	err = load_blocklist(policy, ret_why);
	if (err) {
		policy_free(policy);
		return err;
	}
	policy->host = public_host(config->public_url);
	*ret_policy = policy;
	return 0;
}

void policy_free(struct policy *policy)
{
	if (!policy)
		return;
	blocklist_free(policy->blocklist);
	free(policy->host);
	free(policy);
}

/*
 * Whether `folded` is `text`, or its first `len` bytes: without regard to case. Names, addresses and hosts are ASCII.
 */
static bool is(const char *folded, const char *text, size_t len)
{
	return text && len > 0 && strlen(folded) == len && strncasecmp(folded, text, len) == 0;
}

static bool is_own(const struct policy *policy, const char *folded, const char *username, const char *email)
{
	return (username && is(folded, username, strlen(username))) ||
	       (email && (is(folded, email, strlen(email)) || is(folded, email, strcspn(email, "@")))) ||
	       (policy->host && is(folded, policy->host, strlen(policy->host)));
}

static int check_length(const struct policy *policy, const char *normal, char ret_why[POLICY_WHY])
{
	const int64_t least = policy->config->password.min_length, most = policy->config->password.max_length;
	const int64_t length = (int64_t)utf8_count(normal);

	if (length < least)
		(void)snprintf(ret_why, POLICY_WHY,
			"The password is too short: it needs %lld characters or more. Several words do well.",
			(long long)least);
	else if (length > most)
		(void)snprintf(ret_why, POLICY_WHY, "The password is longer than %lld characters.", (long long)most);
	else
		return 0;
	return ERR_INVALID;
}

static int check_lists(const struct policy *policy, const char *password, const char *username, const char *email,
	char ret_why[POLICY_WHY])
{
	struct normal folded;
	int err = normal_make(password, NORMAL_CASE_FOLDED, &folded);

	if (err)
		return err;
	if (is_own(policy, folded.text, username, email)) {
		(void)snprintf(ret_why, POLICY_WHY,
			"The password must not be the name or the address of the account, or the name of this site.");
		err = ERR_INVALID;
	} else if (policy->blocklist && blocklist_has(policy->blocklist, folded.text)) {
		(void)snprintf(
			ret_why, POLICY_WHY, "This password is one of those that are tried first: choose another.");
		err = ERR_INVALID;
	}
	normal_release(&folded);
	return err;
}

static int check_breaches(const struct policy *policy, const char *normal, char ret_why[POLICY_WHY])
{
	enum breach_answer answer;

	if (!policy->config->password.breach_url)
		return 0;
	answer = breach_ask(policy->config->password.breach_url, policy->config->password.breach_timeout_ms, normal);
	if (policy->breach_checks[answer])
		counter_add(policy->breach_checks[answer], 1);
	if (answer != BREACH_KNOWN)
		return 0;
	(void)snprintf(ret_why, POLICY_WHY, "This password is known from a data breach: choose another.");
	return ERR_INVALID;
}

int policy_check(
	struct policy *policy, const char *password, const char *username, const char *email, char ret_why[POLICY_WHY])
{
	struct normal normal;
	int err = normal_make(password, NORMAL_CASE_KEPT, &normal);

	if (err == ERR_INVALID)
		(void)snprintf(ret_why, POLICY_WHY, "The password is not UTF-8, or far too long.");
	if (err)
		return err;
	err = check_length(policy, normal.text, ret_why);
	if (!err)
		err = check_lists(policy, password, username, email, ret_why);
	if (!err)
		err = check_breaches(policy, normal.text, ret_why);
	normal_release(&normal);
	return err;
}
