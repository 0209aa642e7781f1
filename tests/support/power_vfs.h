/*
 * A disk that remembers: an SQLite VFS over the machine's own, the default one of the process once installed. It keeps
 * every write, truncation, sync, creation and removal of the files that are opened through it, in their order, so that
 * what a power cut would have left of them can be made up afterwards, as often as one likes.
 *
 * The rules are those that a file system promises, and no more: what a file held at its last sync is there, a name is there
 * or gone once its folder was synced; of all that came later, any 512 bytes may be there or not, whatever the order.
 * (Bytes beside those that are written stay as they were: SQLite takes that for granted too, "powersafe overwrite" in
 * https://www.sqlite.org/psow.html.)
 *
 * Files are known by the last part of their names: one store at a time. Syncs are noted and not carried out. What fails here
 * ends the process.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_POWER_VFS_H
#define TOKENFIRST_TESTS_SUPPORT_POWER_VFS_H

#include <stdbool.h>
#include <stddef.h>

enum {
	POWER_SECTOR = 512,
	POWER_OPERATIONS = 400000, /* that are remembered; more end the process */
	POWER_FILES = 256,	   /* created in one recording */
};

/* Before the first connection of the process is opened. */
void power_vfs_install(void);

/* Forgets everything and remembers from now on; no file may be open. */
void power_vfs_record(void);
/* Files that are opened from now on pass through. */
void power_vfs_stop(void);

/* How many operations there were so far: a place in time. Any thread. */
size_t power_vfs_now(void);
/* How many of them were syncs. */
size_t power_vfs_syncs(void);

struct power_cut {
	size_t after;  /* this many operations had been begun */
	int kept;      /* of 100 pieces that no sync covers, those that the disk kept */
	unsigned seed; /* which ones */
};
/* Writes the files that this cut leaves into an existing folder. Removes nothing there. */
void power_vfs_image(const struct power_cut *cut, const char *folder);
/* A cut after a random operation, every other time right before a sync. */
struct power_cut power_vfs_cut(unsigned *seed);

#endif
