/*
 * SQLite syncs the folder with the first sync of a log or journal that it was told to create, and with a removal that
 * asks for it. Shared memory (-shm) is left to the machine's VFS: nothing of it outlives the machine.
 */
#include "tests/support/power_vfs.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/power_tape.h"

enum { DIRSYNC = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL };

struct power_file {
	sqlite3_file base;
	int number; /* -1: not recorded */
	bool sync_folder;
	sqlite3_file *real; /* right behind */
};

static struct sqlite3_vfs power, *machine;

static int file_close(sqlite3_file *file)
{
	struct power_file *f = (struct power_file *)file;
	return f->real->pMethods->xClose(f->real);
}

static int file_read(sqlite3_file *file, void *into, int len, sqlite3_int64 offset)
{
	struct power_file *f = (struct power_file *)file;
	return f->real->pMethods->xRead(f->real, into, len, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
	struct power_file *f = (struct power_file *)file;

	power_tape_note(POWER_WRITE, f->number, offset, bytes, (size_t)len);
	return f->real->pMethods->xWrite(f->real, bytes, len, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct power_file *f = (struct power_file *)file;

	power_tape_note(POWER_TRUNCATE, f->number, size, NULL, 0);
	return f->real->pMethods->xTruncate(f->real, size);
}

static int file_sync(sqlite3_file *file, int flags)
{
	struct power_file *f = (struct power_file *)file;

	(void)flags;
	if (!power_tape_sync(f->number, f->sync_folder))
		return SQLITE_IOERR_FSYNC;
	f->sync_folder = false;
	return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	struct power_file *f = (struct power_file *)file;
	return f->real->pMethods->xFileSize(f->real, size);
}

static int file_lock(sqlite3_file *file, int level)
{
	struct power_file *f = (struct power_file *)file;
	return f->real->pMethods->xLock(f->real, level);
}

static int file_unlock(sqlite3_file *file, int level)
{
	struct power_file *f = (struct power_file *)file;
	return f->real->pMethods->xUnlock(f->real, level);
}

static int file_reserved(sqlite3_file *file, int *reserved)
{
	struct power_file *f = (struct power_file *)file;
	return f->real->pMethods->xCheckReservedLock(f->real, reserved);
}

/* A hint that would write to the file behind our back is declined. */
static int file_control(sqlite3_file *file, int what, void *arg)
{
	struct power_file *f = (struct power_file *)file;

	if (what == SQLITE_FCNTL_SIZE_HINT || what == SQLITE_FCNTL_CHUNK_SIZE)
		return SQLITE_NOTFOUND;
	return f->real->pMethods->xFileControl(f->real, what, arg);
}

static int file_sector(sqlite3_file *file)
{
	struct power_file *f = (struct power_file *)file;
	return f->real->pMethods->xSectorSize(f->real);
}

static int file_traits(sqlite3_file *file)
{
	struct power_file *f = (struct power_file *)file;
	return f->real->pMethods->xDeviceCharacteristics(f->real);
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
	struct power_file *f = (struct power_file *)file;
	return f->real->pMethods->xShmMap(f->real, page, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
	struct power_file *f = (struct power_file *)file;
	return f->real->pMethods->xShmLock(f->real, offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
	struct power_file *f = (struct power_file *)file;
	f->real->pMethods->xShmBarrier(f->real);
}

static int file_shm_unmap(sqlite3_file *file, int remove)
{
	struct power_file *f = (struct power_file *)file;
	return f->real->pMethods->xShmUnmap(f->real, remove);
}

static const sqlite3_io_methods methods = {.iVersion = 2, /* no mapped pages: those are written unseen */
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_traits,
	.xShmMap = file_shm_map,
	.xShmLock = file_shm_lock,
	.xShmBarrier = file_shm_barrier,
	.xShmUnmap = file_shm_unmap};

static int power_open(sqlite3_vfs *vfs, sqlite3_filename path, sqlite3_file *file, int flags, int *ret_flags)
{
	struct power_file *f = (struct power_file *)file;

	(void)vfs;
	memset(f, 0, sizeof(*f));
	f->real = (sqlite3_file *)(f + 1);
	int code = machine->xOpen(machine, path, f->real, flags, ret_flags);
	if (f->real->pMethods != NULL)
		f->base.pMethods = &methods; /* to be closed, also after a failure */
	f->number = code == SQLITE_OK && path != NULL ? power_tape_open(path) : -1;
	f->sync_folder = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & DIRSYNC) != 0;
	return code;
}

static int power_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
	(void)vfs;
	int code = machine->xDelete(machine, path, 0);
	if (code == SQLITE_OK)
		power_tape_remove(path, sync_folder != 0);
	return code;
}

void power_vfs_install(void)
{
	machine = sqlite3_vfs_find(NULL);
	if (machine == NULL)
		harness_fail("power: no VFS");
	power = *machine; /* all but these works on names and clocks alone */
	power.pNext = NULL;
	power.zName = "power";
	power.szOsFile = (int)sizeof(struct power_file) + machine->szOsFile;
	power.xOpen = power_open;
	power.xDelete = power_delete;
	if (sqlite3_vfs_register(&power, 1) != SQLITE_OK)
		harness_fail("power: the VFS is refused");
}
