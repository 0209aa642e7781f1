#include "server/password/blocklist.h"

#include <errno.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/limits.h"
#include "server/password/normal.h"

struct blocklist {
	unsigned char key[crypto_shorthash_KEYBYTES]; /* random, so that nobody can make texts that collide */
	uint64_t *hashes;
	size_t count, room;
};

static uint64_t hash_of(const struct blocklist *blocklist, const char *folded)
{
	unsigned char bytes[crypto_shorthash_BYTES];
	uint64_t hash;

	(void)crypto_shorthash(bytes, (const unsigned char *)folded, strlen(folded), blocklist->key);
	memcpy(&hash, bytes, sizeof(hash));
	return hash;
}

static int compare(const void *left, const void *right)
{
	uint64_t a, b;

	memcpy(&a, left, sizeof(a));
	memcpy(&b, right, sizeof(b));
	return a < b ? -1 : a > b;
}

static int add(struct blocklist *blocklist, const char *folded)
{
	if (blocklist->count == blocklist->room) {
		size_t room = blocklist->room ? 2 * blocklist->room : 1024;
		uint64_t *longer = realloc(blocklist->hashes, room * sizeof(*longer));

		if (!longer)
			return ERR_MEMORY;
		blocklist->hashes = longer;
		blocklist->room = room;
	}
	blocklist->hashes[blocklist->count++] = hash_of(blocklist, folded);
	return 0;
}

/* `line` without its end. */
static int take_line(struct blocklist *blocklist, const char *line, size_t len)
{
	struct normal normal;
	int err;

	if (len == 0 || line[0] == '#' || len > LIMIT_PASSWORD)
		return 0;
	if (memchr(line, '\0', len))
		return ERR_INVALID;
	err = normal_make(line, NORMAL_CASE_FOLDED, &normal);
	if (err)
		return err;
	err = add(blocklist, normal.text);
	normal_release(&normal);
	return err;
}

static int take_file(struct blocklist *blocklist, FILE *file, size_t *ret_line)
{
	char *line = NULL;
	size_t size = 0, bytes = 0, number = 0;
	ssize_t got;
	int err = 0;

	while (!err && (errno = 0, got = getline(&line, &size, file)) >= 0) {
		size_t len = (size_t)got;

		number++;
		bytes += len;
		if (len > 0 && line[len - 1] == '\n')
			line[--len] = '\0';
		if (len > 0 && line[len - 1] == '\r')
			line[--len] = '\0';
		err = bytes > LIMIT_BLOCKLIST ? ERR_LIMIT : take_line(blocklist, line, len);
	}
	if (!err && !feof(file))
		err = errno == ENOMEM ? ERR_MEMORY : ERR_SYSTEM;
	if (err == ERR_INVALID)
		*ret_line = number;
	free(line);
	return err;
}

int blocklist_load(const char *path, struct blocklist **ret_blocklist, size_t *ret_line)
{
	struct blocklist *blocklist = calloc(1, sizeof(*blocklist));
	FILE *file = NULL;
	int err = 0, keep;

	if (!blocklist)
		return ERR_MEMORY;
	crypto_shorthash_keygen(blocklist->key);
	file = fopen(path, "re");
	if (!file)
		err = ERR_SYSTEM;
	else
		err = take_file(blocklist, file, ret_line);
	keep = errno;
	if (file)
		(void)fclose(file);
	if (err) {
		blocklist_free(blocklist);
		errno = keep;
		return err;
	}
	if (blocklist->count > 0)
		qsort(blocklist->hashes, blocklist->count, sizeof(*blocklist->hashes), compare);
	*ret_blocklist = blocklist;
	return 0;
}

void blocklist_free(struct blocklist *blocklist)
{
	if (!blocklist)
		return;
	free(blocklist->hashes);
	free(blocklist);
}

bool blocklist_has(const struct blocklist *blocklist, const char *folded)
{
	uint64_t hash = hash_of(blocklist, folded);

	return blocklist->count > 0 &&
	       bsearch(&hash, blocklist->hashes, blocklist->count, sizeof(hash), compare) != NULL;
}
