/*
 * Each file that is created is a number of its own, so that a file that is removed and made anew under the same name is
 * two; names lead to numbers, and that lead is what a synced folder keeps.
 */
#include "tests/support/power_tape.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/harness.h"

enum { NAME = 64, IMAGE = 64 << 20 };

struct operation {
	enum power_kind kind;
	int file;
	int64_t offset; /* of a truncation: the new size */
	size_t len;
	unsigned char *bytes;
};

struct name {
	char text[NAME];
	int file; /* -1: there is none now */
};

static struct {
	pthread_mutex_t lock; /* guards all */
	bool on;
	int failing; /* syncs of 100 */
	unsigned seed;
	struct operation operations[POWER_OPERATIONS];
	size_t count, syncs;
	struct name names[POWER_FILES];
	size_t name_count;
	int name_of[POWER_FILES]; /* index into names, by a file's number */
	int file_count;
} tape = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock. */
static void note(enum power_kind kind, int file, int64_t offset, const void *bytes, size_t len)
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
	tape.syncs += kind == POWER_SYNC;
}

void power_tape_note(enum power_kind kind, int file, int64_t offset, const void *bytes, size_t len)
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

int power_tape_open(const char *path)
{
	int number = -1;

	pthread_mutex_lock(&tape.lock);
	if (tape.on) {
		struct name *name = &tape.names[name_find(path)];
		if (name->file < 0) {
			if (tape.file_count == POWER_FILES)
				harness_fail("power: more than %d files", POWER_FILES);
			name->file = tape.file_count++;
			tape.name_of[name->file] = (int)(name - tape.names);
			note(POWER_CREATE, name->file, 0, NULL, 0);
		}
		number = name->file;
	}
	pthread_mutex_unlock(&tape.lock);
	return number;
}

void power_tape_remove(const char *path, bool sync_folder)
{
	pthread_mutex_lock(&tape.lock);
	if (tape.on) {
		struct name *name = &tape.names[name_find(path)];
		if (name->file >= 0) {
			note(POWER_REMOVE, name->file, 0, NULL, 0);
			if (sync_folder)
				note(POWER_SYNC_FOLDER, name->file, 0, NULL, 0);
			name->file = -1;
		}
	}
	pthread_mutex_unlock(&tape.lock);
}

void power_tape_fail_syncs(int percent)
{
	pthread_mutex_lock(&tape.lock);
	tape.failing = percent;
	tape.seed = (unsigned)harness_mono_us();
	pthread_mutex_unlock(&tape.lock);
}

bool power_tape_sync(int file, bool sync_folder)
{
	if (file < 0)
		return true;
	pthread_mutex_lock(&tape.lock);
	bool failed = rand_r(&tape.seed) % 100 < tape.failing;
	note(failed ? POWER_SYNC_FAILED : POWER_SYNC, file, 0, NULL, 0);
	if (!failed && sync_folder)
		note(POWER_SYNC_FOLDER, file, 0, NULL, 0);
	pthread_mutex_unlock(&tape.lock);
	return !failed;
}

void power_tape_record(void)
{
	pthread_mutex_lock(&tape.lock);
	for (size_t i = 0; i < tape.count; i++)
		free(tape.operations[i].bytes);
	tape.count = tape.syncs = tape.name_count = 0;
	tape.file_count = 0;
	tape.on = true;
	pthread_mutex_unlock(&tape.lock);
}

void power_tape_stop(void)
{
	pthread_mutex_lock(&tape.lock);
	tape.on = false;
	pthread_mutex_unlock(&tape.lock);
}

size_t power_tape_now(void)
{
	pthread_mutex_lock(&tape.lock);
	size_t now = tape.count;
	pthread_mutex_unlock(&tape.lock);
	return now;
}

size_t power_tape_syncs(void)
{
	pthread_mutex_lock(&tape.lock);
	size_t syncs = tape.syncs;
	pthread_mutex_unlock(&tape.lock);
	return syncs;
}

struct power_cut power_tape_cut(unsigned *seed)
{
	static const int kept[] = {0, 3, 50, 97, 100};
	struct power_cut cut = {.kept = kept[(size_t)rand_r(seed) % (sizeof(kept) / sizeof(kept[0]))]};

	cut.after = ((size_t)rand_r(seed) << 15 ^ (size_t)rand_r(seed)) % (tape.count + 1);
	if (rand_r(seed) % 2 == 0)
		while (cut.after < tape.count && tape.operations[cut.after].kind != POWER_SYNC)
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

/* Whether the first sync of its file after an operation is there by then, and did not fail. */
static bool covered(size_t operation, size_t after)
{
	for (size_t i = operation; i < after; i++) {
		const struct operation *o = &tape.operations[i];
		if (o->file == tape.operations[operation].file &&
			(o->kind == POWER_SYNC || o->kind == POWER_SYNC_FAILED))
			return o->kind == POWER_SYNC;
	}
	return false;
}

/* What a file holds after the cut. */
static size_t content(int file, const struct power_cut *cut, unsigned *seed, unsigned char *image)
{
	size_t size = 0;

	for (size_t i = 0; i < cut->after; i++) {
		const struct operation *o = &tape.operations[i];
		if (o->file != file || (o->kind != POWER_WRITE && o->kind != POWER_TRUNCATE))
			continue;
		bool safe = covered(i, cut->after);
		if (o->kind == POWER_WRITE && safe)
			put(image, &size, (size_t)o->offset, o->bytes, o->len);
		else if (o->kind == POWER_WRITE)
			put_torn(image, &size, o, cut, seed);
		else if (safe || kept(cut, seed))
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
		if (tape.operations[i].kind == POWER_SYNC_FOLDER)
			synced = i;
	for (size_t i = 0; i < cut->after && !lost; i++) {
		const struct operation *o = &tape.operations[i];
		if ((o->kind != POWER_CREATE && o->kind != POWER_REMOVE) || tape.name_of[o->file] != (int)name)
			continue;
		lost = i >= synced && !kept(cut, seed);
		if (!lost)
			file = o->kind == POWER_CREATE ? o->file : -1;
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

void power_tape_image(const struct power_cut *cut, const char *folder)
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
