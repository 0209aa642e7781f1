/*
 * Opening and closing: folder, lock, writer, schema, in this order, so that nothing of a
 * store is read or written before it is known to be ours. The lock file is never removed:
 * whoever removes it may leave two processes with a lock on two different files.
 */
#include "background/store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "background/store/changes.h"

struct store {
	char *url;
	char *socket_path;
	struct db *writer;
	struct changes *changes;
	int lock; /* held while it is open */
};

static_assert(DB_MESSAGE_SIZE == 256, "a message of the engine is handed out as the reason of store_open");

/* A folder that a power cut takes back would take the store along. */
static int sync_parent(const char *path)
{
	char *parent = NULL;
	int fd = -1;
	int err = 0;

	const char *slash = strrchr(path, '/');
	if (slash == NULL)
		parent = strdup(".");
	else
		parent = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (parent == NULL)
		return ERR_MEMORY;
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		err = ERR_SYSTEM;
	if (fd >= 0)
		close(fd);
	free(parent);
	return err;
}

/* Each folder above `path` that is missing, 0700. */
static int make_folders(const char *path)
{
	char *folder = strdup(path);
	int err = 0;

	if (folder == NULL)
		return ERR_MEMORY;
	for (char *slash = strchr(folder + 1, '/'); slash != NULL && err == 0; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(folder, 0700) == 0)
			err = sync_parent(folder);
		else if (errno != EEXIST)
			err = ERR_SYSTEM;
		*slash = '/';
	}
	free(folder);
	return err;
}

static int take_lock(const char *path, int *ret_fd)
{
	char *name = NULL;
	int fd = -1;
	int err = 0;

	if (asprintf(&name, "%s.lock", path) < 0)
		return ERR_MEMORY;
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		err = ERR_SYSTEM;
	else if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		err = errno == EWOULDBLOCK ? ERR_LOCKED : ERR_SYSTEM;
	if (err == 0) {
		*ret_fd = fd;
		fd = -1;
	}
	int keep = errno;
	if (fd >= 0)
		close(fd);
	free(name);
	errno = keep;
	return err;
}

static int claim(struct store *store, const char *path, char ret_why[DB_MESSAGE_SIZE])
{
	int err = make_folders(path);
	if (err != 0) {
		snprintf(ret_why, DB_MESSAGE_SIZE, "can't make the folder of %s: %m", path);
		return err == ERR_MEMORY ? err : ERR_STORE;
	}
	err = take_lock(path, &store->lock);
	if (err == ERR_LOCKED) {
		snprintf(ret_why, DB_MESSAGE_SIZE, "another process owns the store: it holds %s.lock", path);
	} else if (err != 0) {
		snprintf(ret_why, DB_MESSAGE_SIZE, "can't lock %s.lock: %m", path);
		return err == ERR_MEMORY ? err : ERR_STORE;
	}
	return err;
}

static int open_claimed(struct store *store, const char *url, char ret_why[DB_MESSAGE_SIZE])
{
	int err = db_open_why(url, DB_WRITER, &store->writer, ret_why);
	if (err == 0)
		err = schema_migrate(store->writer, ret_why);
	/* rows that a migration rewrites have been read by nobody */
	return err != 0 ? err : changes_new(store->writer, &store->changes);
}

int store_open(const char *url, struct store **ret_store, char ret_why[256])
{
	char why[DB_MESSAGE_SIZE] = "out of memory";
	const char *path = NULL;

	struct store *store = calloc(1, sizeof(*store));
	int err = ERR_MEMORY;
	if (store == NULL)
		goto done;
	store->lock = -1;
	err = db_path(url, &path);
	if (err != 0) {
		snprintf(why, sizeof(why), "a store is written sqlite:PATH");
		goto done;
	}
	store->url = strdup(url);
	if (store->url == NULL || asprintf(&store->socket_path, "%s.sock", path) < 0) {
		store->socket_path = NULL;
		err = ERR_MEMORY;
		goto done;
	}
	err = claim(store, path, why);
	if (err == 0)
		err = open_claimed(store, url, why);
done:
	if (err != 0) {
		if (ret_why != NULL)
			memcpy(ret_why, why, sizeof(why));
		store_close(store);
		return err;
	}
	*ret_store = store;
	return 0;
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	db_close(store->writer);
	changes_free(store->changes);
	/* last: until here the files are still being written */
	if (store->lock >= 0)
		close(store->lock);
	free(store->socket_path);
	free(store->url);
	free(store);
}

struct db *store_writer(struct store *store)
{
	return store->writer;
}

struct changes *store_changes(const struct store *store)
{
	return store->changes;
}

int store_reader(struct store *store, struct db **ret_db)
{
	return db_open(store->url, DB_READER, ret_db);
}

const char *store_socket_path(const struct store *store)
{
	return store->socket_path;
}

int store_socket_path_of(const char *url, char *ret_path, size_t size)
{
	static const char suffix[] = ".sock";
	const char *path = NULL;

	int err = db_path(url, &path);
	if (err != 0)
		return err;
	if (strlen(path) + sizeof(suffix) > size)
		return ERR_LIMIT;
	snprintf(ret_path, size, "%s%s", path, suffix);
	return 0;
}
