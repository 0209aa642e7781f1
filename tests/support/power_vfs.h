/*
 * A disk that remembers: an SQLite VFS over the machine's own, the default one of the process once installed, that
 * notes on the tape (power_tape.h) what is done to the files that are opened through it. Syncs are noted and not
 * carried out.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_POWER_VFS_H
#define TOKENFIRST_TESTS_SUPPORT_POWER_VFS_H

/* Before the first connection of the process is opened. What fails ends the process. */
void power_vfs_install(void);

#endif
