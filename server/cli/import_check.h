/*
 * The first reading of an import: every line is judged by itself, against those before it, and against the store as it
 * is, and what is wrong is told on stderr by line number, up to LIMIT_IMPORT_ERRORS of them.
 */
#ifndef TOKENFIRST_SERVER_CLI_IMPORT_CHECK_H
#define TOKENFIRST_SERVER_CLI_IMPORT_CHECK_H

#include "background/store/db.h"
#include "server/cli/import_source.h"
#include "server/password/stored.h"

struct import_counts {
	int64_t lines; /* that are accounts */
	int64_t wrong;
};

/*
 * `reader` NULL: there is no store yet. 0, however many are wrong; ERR_LIMIT: more than LIMIT_IMPORT_LINES; errors of
 * store and file.
 */
int import_check(struct import_source *source, const struct stored_rules *rules, struct db *reader,
	struct import_counts *ret_counts) MUST_CHECK;

/*
 * Says on stderr how far it is, at most once a second: "12,000 of 100,000 users written"; `all` 0: "12,000 lines
 * checked".
 */
struct import_progress {
	const char *done;
	int64_t all, told_us;
	bool told;
};
void import_progress_tell(struct import_progress *progress, int64_t count);
/* Ends the line of a terminal. */
void import_progress_end(struct import_progress *progress);

enum { IMPORT_NUMBER = 32 };
/* "1,234,567" */
const char *import_number(int64_t value, char ret_text[IMPORT_NUMBER]);

#endif
