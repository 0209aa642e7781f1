/*
 * Each file that is created is a number of its own, so that a file that is removed and made anew under the same name is
 * two; names lead to numbers, and that lead is what a synced folder keeps. SQLite syncs the folder with the first sync of
 * a log or journal that it was told to create, and with a removal that asks for it.
 *
 * Shared memory (-shm) is left to the machine's VFS: nothing of it outlives the machine.
 */
#include "tests/support/power_vfs.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/harness.h"

enum { NAME = 64, IMAGE = 64 << 20, DIRSYNC = SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL };

enum kind { WRITE, TRUNCATE, SYNC, CREATE, REMOVE, SYNC_FOLDER };

struct operation {
	enum kind kind;
	int file;
	sqlite3_int64 offset; /* of a truncation: the new size */
	size_t len;
	unsigned char *bytes;
};

struct name {
	char text[NAME];
	int file; /* -1: there is none now */
};

struct power_file {
	sqlite3_file base;
	int number; /* -1: not recorded */
	bool sync_folder;
	sqlite3_file *real; /* right behind */
};

static struct sqlite3_vfs power, *machine;
static struct {
	pthread_mutex_t lock; /* guards all */
	bool on;
	struct operation operations[POWER_OPERATIONS];
	size_t count, syncs;
	struct name names[POWER_FILES];
	size_t name_count;
	int name_of[POWER_FILES]; /* index into names, by a file's number */
	int file_count;
} tape = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock. */
static void note(enum kind kind, int file, sqlite3_int64 offset, const void *bytes, size_t len)
{
	struct operation *o = &tape.operations[tape.count];

	if (tape.count == POWER_OPERATIONS)
		harness_fail("power: more than %d operations", POWER_OPERATIONS);
	*o = (struct operation){.kind = kind, .file = file, .offset = offset, .len = len};
	if (len > 0) {
		o->bytes = malloc(len);
		if (o->bytes == NULL)
			harness_fail("out of memory");
		memcpy(o->bytes, bytes, len);
	}
	tape.count++;
	tape.syncs += kind == SYNC;
}

static void note_locked(int file, enum kind kind, sqlite3_int64 offset, const void *bytes, size_t len)
{
	if (file < 0)
		return;
	pthread_mutex_lock(&tape.lock);
	note(kind, file, offset, bytes, len);
	pthread_mutex_unlock(&tape.lock);
}

/* Under the lock; the index. */
static size_t name_find(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *text = slash == NULL ? path : slash + 1;

	for (size_t i = 0; i < tape.name_count; i++)
		if (strcmp(tape.names[i].text, text) == 0)
			return i;
	if (tape.name_count == POWER_FILES || strlen(text) >= NAME)
		harness_fail("power: no room for the name %s", text);
	struct name *name = &tape.names[tape.name_count];
	snprintf(name->text, sizeof(name->text), "%s", text);
	name->file = -1;
	return tape.name_count++;
}

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

	note_locked(f->number, WRITE, offset, bytes, (size_t)len);
	return f->real->pMethods->xWrite(f->real, bytes, len, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct power_file *f = (struct power_file *)file;

	note_locked(f->number, TRUNCATE, size, NULL, 0);
	return f->real->pMethods->xTruncate(f->real, size);
}

static int file_sync(sqlite3_file *file, int flags)
{
	struct power_file *f = (struct power_file *)file;

	(void)flags;
	if (f->number < 0)
		return SQLITE_OK;
	pthread_mutex_lock(&tape.lock);
	note(SYNC, f->number, 0, NULL, 0);
	if (f->sync_folder)
		note(SYNC_FOLDER, f->number, 0, NULL, 0);
	f->sync_folder = false;
	pthread_mutex_unlock(&tape.lock);
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

/* The number of the file that was opened; a new one if there was none of that name. */
static int opened(const char *path)
{
	int number = -1;

	pthread_mutex_lock(&tape.lock);
	if (tape.on) {
		size_t name = name_find(path);
		if (tape.names[name].file < 0) {
			if (tape.file_count == POWER_FILES)
				harness_fail("power: more than %d files", POWER_FILES);
			tape.names[name].file = tape.file_count++;
			tape.name_of[tape.names[name].file] = (int)name;
			note(CREATE, tape.names[name].file, 0, NULL, 0);
		}
		number = tape.names[name].file;
	}
	pthread_mutex_unlock(&tape.lock);
	return number;
}

static int power_open(sqlite3_vfs *vfs, sqlite3_filename path, sqlite3_file *file, int flags, int *ret_flags)
{
	struct power_file *f = (struct power_file *)file;

	(void)vfs;
	memset(f, 0, sizeof(*f));
	f->real = (sqlite3_file *)(f + 1);
	int code = machine->xOpen(machine, path, f->real, flags, ret_flags);
	if (f->real->pMethods != NULL)
		f->base.pMethods = &methods; /* to be closed, also after a failure */
	f->number = code == SQLITE_OK && path != NULL ? opened(path) : -1;
	f->sync_folder = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & DIRSYNC) != 0;
	return code;
}

static int power_delete(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
	(void)vfs;
	int code = machine->xDelete(machine, path, 0);
	if (code != SQLITE_OK)
		return code;
	pthread_mutex_lock(&tape.lock);
	if (tape.on) {
		struct name *name = &tape.names[name_find(path)];
		if (name->file >= 0) {
			note(REMOVE, name->file, 0, NULL, 0);
			if (sync_folder)
				note(SYNC_FOLDER, name->file, 0, NULL, 0);
			name->file = -1;
		}
	}
	pthread_mutex_unlock(&tape.lock);
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

void power_vfs_record(void)
{
	pthread_mutex_lock(&tape.lock);
	for (size_t i = 0; i < tape.count; i++)
		free(tape.operations[i].bytes);
	tape.count = tape.syncs = tape.name_count = 0;
	tape.file_count = 0;
	tape.on = true;
	pthread_mutex_unlock(&tape.lock);
}

void power_vfs_stop(void)
{
	pthread_mutex_lock(&tape.lock);
	tape.on = false;
	pthread_mutex_unlock(&tape.lock);
}

size_t power_vfs_now(void)
{
	pthread_mutex_lock(&tape.lock);
	size_t now = tape.count;
	pthread_mutex_unlock(&tape.lock);
	return now;
}

size_t power_vfs_syncs(void)
{
	pthread_mutex_lock(&tape.lock);
	size_t syncs = tape.syncs;
	pthread_mutex_unlock(&tape.lock);
	return syncs;
}

struct power_cut power_vfs_cut(unsigned *seed)
{
	static const int kept[] = {0, 3, 50, 97, 100};
	struct power_cut cut = {.kept = kept[(size_t)rand_r(seed) % (sizeof(kept) / sizeof(kept[0]))]};

	cut.after = ((size_t)rand_r(seed) << 15 ^ (size_t)rand_r(seed)) % (tape.count + 1);
	if (rand_r(seed) % 2 == 0)
		while (cut.after < tape.count && tape.operations[cut.after].kind != SYNC)
			cut.after++;
	cut.seed = (unsigned)rand_r(seed);
	return cut;
}

static bool kept(const struct power_cut *cut, unsigned *seed)
{
	return rand_r(seed) % 100 < cut->kept;
}

static void put(unsigned char *image, size_t *size, size_t offset, const unsigned char *bytes, size_t len)
{
	if (offset + len > IMAGE)
		harness_fail("power: a file over %d bytes", IMAGE);
	if (offset > *size)
		memset(image + *size, 0, offset - *size);
	memcpy(image + offset, bytes, len);
	if (offset + len > *size)
		*size = offset + len;
}

static void set_size(unsigned char *image, size_t *size, size_t wanted)
{
	if (wanted > *size)
		memset(image + *size, 0, wanted - *size);
	*size = wanted;
}

/* A write that no sync covers: sector by sector. */
static void put_torn(
	unsigned char *image, size_t *size, const struct operation *o, const struct power_cut *cut, unsigned *seed)
{
	size_t offset = (size_t)o->offset;
	size_t end = offset + o->len;

	while (offset < end) {
		size_t next = (offset / POWER_SECTOR + 1) * POWER_SECTOR;
		size_t len = (next < end ? next : end) - offset;
		if (kept(cut, seed))
			put(image, size, offset, o->bytes + (offset - (size_t)o->offset), len);
		offset += len;
	}
}

/* What a file holds after the cut. */
static size_t content(int file, const struct power_cut *cut, unsigned *seed, unsigned char *image)
{
	size_t synced = 0;
	size_t size = 0;

	for (size_t i = 0; i < cut->after; i++)
		if (tape.operations[i].file == file && tape.operations[i].kind == SYNC)
			synced = i;
	for (size_t i = 0; i < cut->after; i++) {
		const struct operation *o = &tape.operations[i];
		if (o->file != file)
			continue;
		if (o->kind == WRITE && i < synced)
			put(image, &size, (size_t)o->offset, o->bytes, o->len);
		else if (o->kind == WRITE)
			put_torn(image, &size, o, cut, seed);
		else if (o->kind == TRUNCATE && (i < synced || kept(cut, seed)))
			set_size(image, &size, (size_t)o->offset);
	}
	return size;
}

/* Which file a name leads to after the cut, -1: to none. What happened to it since its folder was synced may be lost from
   any point on. */
static int led_to(size_t name, const struct power_cut *cut, unsigned *seed)
{
	bool lost = false;
	size_t synced = 0;
	int file = -1;

	for (size_t i = 0; i < cut->after; i++)
		if (tape.operations[i].kind == SYNC_FOLDER)
			synced = i;
	for (size_t i = 0; i < cut->after && !lost; i++) {
		const struct operation *o = &tape.operations[i];
		if ((o->kind != CREATE && o->kind != REMOVE) || tape.name_of[o->file] != (int)name)
			continue;
		lost = i >= synced && !kept(cut, seed);
		if (!lost)
			file = o->kind == CREATE ? o->file : -1;
	}
	return file;
}

static void save(const char *folder, const char *name, const unsigned char *image, size_t size)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || (size > 0 && write(fd, image, size) != (ssize_t)size) || close(fd) != 0)
		harness_fail("%s: %m", path);
}

void power_vfs_image(const struct power_cut *cut, const char *folder)
{
	static unsigned char image[IMAGE];
	unsigned seed = cut->seed;

	if (cut->after > tape.count)
		harness_fail("power: a cut in the future");
	for (size_t i = 0; i < tape.name_count; i++) {
		int file = led_to(i, cut, &seed);
		if (file >= 0)
			save(folder, tape.names[i].text, image, content(file, cut, &seed, image));
	}
}
