/*
 * What tells that a file is another one is its number, its size and the time of its last change (ctime, which copying
 * with the times of the original does not set back). That time is only as fine as the kernel's clock, so that a file
 * which was changed just before it was read may change again and show the same. It may also have been read while it was
 * written, in part or empty. So until a while after its last change it is read each time that it is asked for.
 */
#include "background/effects/shelf.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "background/effects/template.h"

/* Of no file: all zero. */
struct stamp {
	dev_t device;
	ino_t number;
	off_t size;
	struct timespec changed;
};

struct shelved {
	int64_t looked_ms;
	struct stamp stamp; /* as it was before the text was read */
	bool fresh;	    /* to be read anew at once: it may be half written, or change and keep its stamp */
	char *text;	    /* NULL: there is no such file */
	char name[];	    /* <event type><suffix> */
};

static void shelved_free(struct shelved *file)
{
	if (file)
		free(file->text);
	free(file);
}

/* Its text to be read. NULL without memory. */
static struct shelved *shelved_new(const char *event_type, const char *suffix)
{
	const size_t size = strlen(event_type) + strlen(suffix) + 1;
	struct shelved *file = calloc(1, sizeof *file + size);

	if (file)
		snprintf(file->name, size, "%s%s", event_type, suffix);
	return file;
}

/* What can't be asked is told by reading it. */
static void look(const char *folder, const char *event_type, const char *suffix, struct stamp *ret_stamp)
{
	char path[TEMPLATE_PATH_SIZE];
	struct stat status;

	*ret_stamp = (struct stamp){0};
	if (template_path(folder, event_type, suffix, path) == 0 && stat(path, &status) == 0)
		*ret_stamp = (struct stamp){.device = status.st_dev,
			.number = status.st_ino,
			.size = status.st_size,
			.changed = status.st_ctim};
}

static bool same(const struct stamp *one, const struct stamp *other)
{
	return one->device == other->device && one->number == other->number && one->size == other->size &&
	       one->changed.tv_sec == other->changed.tv_sec && one->changed.tv_nsec == other->changed.tv_nsec;
}

static int64_t changed_ms(const struct stamp *stamp)
{
	return (int64_t)stamp->changed.tv_sec * 1000 + stamp->changed.tv_nsec / 1000000;
}

/* The file as it is now; on failure it has no text. */
static int read_anew(struct shelved *file, const char *folder, const char *event_type, const char *suffix,
	const struct stamp *stamp, int64_t now_ms)
{
	const bool was_there = file->text != NULL;
	int err;

	free(file->text);
	file->text = NULL;
	file->stamp = *stamp;
	file->looked_ms = now_ms;
	file->fresh = changed_ms(stamp) + LIMIT_SHELF_MS > now_ms;
	err = template_read(folder, event_type, suffix, &file->text);
	if (was_there && !file->text) /* perhaps to come back in a moment */
		file->fresh = true;
	return err == ERR_NOT_FOUND ? 0 : err;
}

static int look_again(
	struct shelved *file, const char *folder, const char *event_type, const char *suffix, int64_t now_ms)
{
	struct stamp stamp;

	/* a clock that was set back makes for one more look */
	if (!file->fresh && now_ms >= file->looked_ms && now_ms - file->looked_ms < LIMIT_SHELF_MS)
		return 0;
	look(folder, event_type, suffix, &stamp);
	if (file->fresh || !same(&stamp, &file->stamp))
		return read_anew(file, folder, event_type, suffix, &stamp, now_ms);
	file->looked_ms = now_ms;
	return 0;
}

/* Where it is kept; the count: it is not. */
static size_t place_of(const struct shelf *shelf, const char *event_type, const char *suffix)
{
	const size_t type_len = strlen(event_type);
	size_t place = 0;

	for (; place < shelf->count; place++) {
		const char *name = shelf->files[place]->name;

		if (strncmp(name, event_type, type_len) == 0 && strcmp(name + type_len, suffix) == 0)
			break;
	}
	return place;
}

/* On a full shelf in the place of another. Owns the file. */
static void put(struct shelf *shelf, struct shelved *file)
{
	if (shelf->count < LIMIT_SHELF) {
		shelf->files[shelf->count++] = file;
		return;
	}
	shelved_free(shelf->files[shelf->next]);
	shelf->files[shelf->next] = file;
	shelf->next = (shelf->next + 1) % LIMIT_SHELF;
}

static void take_off(struct shelf *shelf, size_t place)
{
	shelved_free(shelf->files[place]);
	shelf->files[place] = shelf->files[--shelf->count];
}

static int add(struct shelf *shelf, const char *folder, const char *event_type, const char *suffix, int64_t now_ms,
	struct shelved **ret_file)
{
	struct shelved *file = shelved_new(event_type, suffix);
	struct stamp stamp;
	int err;

	if (!file)
		return ERR_MEMORY;
	look(folder, event_type, suffix, &stamp);
	err = read_anew(file, folder, event_type, suffix, &stamp, now_ms);
	if (err) {
		shelved_free(file);
		return err;
	}
	put(shelf, file);
	*ret_file = file;
	return 0;
}

void shelf_init(struct shelf *shelf)
{
	*shelf = (struct shelf){0};
}

void shelf_release(struct shelf *shelf)
{
	while (shelf->count > 0)
		shelved_free(shelf->files[--shelf->count]);
}

int shelf_get(struct shelf *shelf, const char *folder, const char *event_type, const char *suffix, int64_t now_ms,
	const char **ret_text)
{
	const size_t place = place_of(shelf, event_type, suffix);
	struct shelved *file = NULL;
	int err;

	if (place == shelf->count) {
		err = add(shelf, folder, event_type, suffix, now_ms, &file);
	} else {
		file = shelf->files[place];
		err = look_again(file, folder, event_type, suffix, now_ms);
		if (err)
			take_off(shelf, place);
	}
	if (err)
		return err;
	*ret_text = file->text;
	return file->text ? 0 : ERR_NOT_FOUND;
}

void shelf_forget(struct shelf *shelf, const char *event_type, const char *suffix)
{
	const size_t place = place_of(shelf, event_type, suffix);

	if (place < shelf->count)
		take_off(shelf, place);
}
