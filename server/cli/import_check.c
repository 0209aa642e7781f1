#include "server/cli/import_check.h"

#include <string.h>
#include <unistd.h>

#include "config/clock.h"
#include "server/accounts/import_line.h"
#include "server/cli/import_keys.h"

enum { TELL_US = 1000000 };

struct checking {
	struct import_keys names, addresses;
	struct db *reader;
	struct import_counts counts;
};

const char *import_number(int64_t value, char ret_text[IMPORT_NUMBER])
{
	char digits[IMPORT_NUMBER];
	int len = snprintf(digits, sizeof(digits), "%lld", (long long)value), out = 0;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			ret_text[out++] = ',';
		ret_text[out++] = digits[i];
	}
	ret_text[out] = '\0';
	return ret_text;
}

void import_progress_tell(struct import_progress *progress, int64_t count)
{
	const bool terminal = isatty(STDERR_FILENO);
	int64_t now_us = clock_mono_us();
	char done[IMPORT_NUMBER], all[IMPORT_NUMBER];

	if (progress->told_us == 0)
		progress->told_us = now_us;
	if (now_us - progress->told_us < TELL_US)
		return;
	progress->told_us = now_us;
	progress->told = true;
	(void)fprintf(stderr, "%s%s%s%s %s%s", terminal ? "\r" : "", import_number(count, done),
		progress->all ? " of " : "", progress->all ? import_number(progress->all, all) : "", progress->done,
		terminal ? "" : "\n");
	(void)fflush(stderr);
}

void import_progress_end(struct import_progress *progress)
{
	if (progress->told && isatty(STDERR_FILENO))
		(void)fputc('\n', stderr);
}

static void complain(struct checking *checking, int64_t line, const char *why)
{
	if (++checking->counts.wrong <= LIMIT_IMPORT_ERRORS)
		(void)fprintf(stderr, "line %lld: %s\n", (long long)line, why);
}

/* A name or an address that an earlier line has, too. */
static int check_twice(
	struct checking *checking, struct import_keys *keys, const char *text, const char *what, int64_t line)
{
	char why[IMPORT_WHY];
	int64_t earlier = 0;
	int err = import_keys_add(keys, text, line, &earlier);

	if (err != ERR_EXISTS)
		return err;
	(void)snprintf(why, sizeof(why), "the %s is that of line %lld", what, (long long)earlier);
	complain(checking, line, why);
	return 0;
}

static int check_store(struct checking *checking, const struct user *user, int64_t line)
{
	struct user other;
	int err = users_find_by_username(checking->reader, user->username, &other);

	if (!err)
		complain(checking, line, "the username belongs to an account");
	if (err && err != ERR_NOT_FOUND)
		return err;
	if (!user->email[0])
		return 0;
	err = users_find_by_email(checking->reader, user->email, &other);
	if (!err)
		complain(checking, line, "the email belongs to an account");
	return err == ERR_NOT_FOUND ? 0 : err;
}

static int check_line(struct checking *checking, const struct import_source *source, const struct stored_rules *rules)
{
	struct user user;
	char why[IMPORT_WHY] = "";
	int err = import_line_read(source->line, source->len, rules, &user, why);

	checking->counts.lines++;
	if (err == ERR_INVALID) {
		complain(checking, source->number, why);
		return 0;
	}
	if (!err)
		err = check_twice(checking, &checking->names, user.username, "username", source->number);
	if (!err && user.email[0])
		err = check_twice(checking, &checking->addresses, user.email, "email", source->number);
	if (!err && checking->reader)
		err = check_store(checking, &user, source->number);
	return err;
}

int import_check(struct import_source *source, const struct stored_rules *rules, struct db *reader,
	struct import_counts *ret_counts)
{
	struct checking checking = {.reader = reader};
	struct import_progress progress = {.done = "lines checked"};
	int err = 0, got;

	import_keys_init(&checking.names);
	import_keys_init(&checking.addresses);
	while (!err && (got = import_source_next(source)) != 0) {
		if (got < 0)
			err = got;
		else if (checking.counts.lines == LIMIT_IMPORT_LINES)
			err = ERR_LIMIT;
		else
			err = check_line(&checking, source, rules);
		import_progress_tell(&progress, checking.counts.lines);
	}
	import_progress_end(&progress);
	if (checking.counts.wrong > LIMIT_IMPORT_ERRORS)
		(void)fprintf(stderr, "and %lld more\n", (long long)(checking.counts.wrong - LIMIT_IMPORT_ERRORS));
	import_keys_release(&checking.names);
	import_keys_release(&checking.addresses);
	if (!err)
		*ret_counts = checking.counts;
	return err;
}
