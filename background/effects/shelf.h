/*
 * A shelf: the mail templates of one effect, kept in memory.
 *
 * A mail needs two files, of which one may not exist: that would be eight system calls and two checks for UTF-8, each
 * time. So a file that was read is kept, and so is that there was none, and at most once in LIMIT_SHELF_MS it is asked
 * with one system call whether it has changed: a corrected template is in use after that time, without a restart, and
 * for the effects that wait, too. A file that has changed within that time is read each time: it may still be being
 * written.
 *
 * Used by one thread at a time: the worker that its target belongs to.
 */
#ifndef TOKENFIRST_BACKGROUND_EFFECTS_SHELF_H
#define TOKENFIRST_BACKGROUND_EFFECTS_SHELF_H

#include <stddef.h>
#include <stdint.h>

#include "config/err.h"
#include "config/limits.h"

struct shelved; /* one file */

struct shelf {
	struct shelved *files[LIMIT_SHELF];
	size_t count;
	size_t next; /* to be replaced when it is full */
};

void shelf_init(struct shelf *shelf);
void shelf_release(struct shelf *shelf);

/*
 * The text of <folder>/<event type><suffix>, borrowed until the next call; a shelf is for one folder. `now_ms` is wall
 * time, which files have, too: where that clock has been set back, a file changed later than it now says is read each
 * time until it has caught up. Errors as template_read (template.h).
 */
int shelf_get(struct shelf *shelf, const char *folder, const char *event_type, const char *suffix, int64_t now_ms,
	const char **ret_text) MUST_CHECK;
/* It is read anew when it is next asked for: what could not be used as it was is not to stay so for a while. */
void shelf_forget(struct shelf *shelf, const char *event_type, const char *suffix);

#endif
