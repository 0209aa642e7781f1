/*
 * Every write, truncation, sync, creation and removal of a store's files, in their order, so that what a power cut
 * would have left of them can be made up afterwards, as often as one likes.
 *
 * The rules are those that a file system promises, and no more: what a file held at its last sync is there, a name is
 * there or gone once its folder was synced; of all that came later, any 512 bytes may be there or not, whatever the
 * order. (Bytes beside those that are written stay as they were: SQLite takes that for granted too, "powersafe
 * overwrite" in https://www.sqlite.org/psow.html.)
 *
 * A sync may also be made to fail. What it should have covered is then as if it were written, and yet no later sync
 * covers it: so do real systems (https://www.usenix.org/conference/atc20/presentation/rebello, "Can applications
 * recover from fsync failures?").
 *
 * Files are known by the last part of their names: one store at a time. Any thread; what fails ends the process.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_POWER_TAPE_H
#define TOKENFIRST_TESTS_SUPPORT_POWER_TAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	POWER_SECTOR = 512,
	POWER_OPERATIONS = 400000, /* that are remembered; more end the process */
	POWER_FILES = 256,	   /* created in one recording */
};

/* Forgets everything and remembers from now on; no file may be open. */
void power_tape_record(void);
/* Files that are opened from now on are not recorded. */
void power_tape_stop(void);

/* For the VFS: the number of a file that was opened, a new one if there was none of that name; -1: not recorded. */
int power_tape_open(const char *path);
void power_tape_remove(const char *path, bool sync_folder);
enum power_kind {
	POWER_WRITE,
	POWER_TRUNCATE,
	POWER_SYNC,
	POWER_SYNC_FAILED,
	POWER_CREATE,
	POWER_REMOVE,
	POWER_SYNC_FOLDER
};
/* `offset` of a truncation: the new size. The bytes are copied. Nothing for file -1. */
void power_tape_note(enum power_kind kind, int file, int64_t offset, const void *bytes, size_t len);

/* Of 100 syncs, those that fail from now on. */
void power_tape_fail_syncs(int percent);
/* For the VFS: notes a sync; false: it fails. */
bool power_tape_sync(int file, bool sync_folder);

/* How many operations there were so far: a place in time. */
size_t power_tape_now(void);
/* How many of them were syncs. */
size_t power_tape_syncs(void);

struct power_cut {
	size_t after;  /* this many operations had been begun */
	int kept;      /* of 100 pieces that no sync covers, those that the disk kept */
	unsigned seed; /* which ones */
};
/* Writes the files that this cut leaves into an existing folder. Removes nothing there. */
void power_tape_image(const struct power_cut *cut, const char *folder);
/* A cut after a random operation, every other time right before a sync. */
struct power_cut power_tape_cut(unsigned *seed);

#endif
