/*
 * ASCII is its own NFKC, and most passwords are ASCII. The rest is taken apart into a buffer of ours, whose size the
 * library tells before, and put together in the same place: its one-call function would leave copies in memory that it
 * gave back.
 */
#include "server/password/normal.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "config/limits.h"

static bool ascii(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] >= 0x80)
			return false;
	}
	return true;
}

static int make_ascii(const char *text, size_t len, enum normal_case fold, struct normal *ret_normal)
{
	char *copy = malloc(len + 1);

	if (!copy)
		return ERR_MEMORY;
	for (size_t i = 0; i <= len; i++)
		copy[i] = (char)(fold == NORMAL_CASE_FOLDED && text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a'
												: text[i]);
	*ret_normal = (struct normal){.text = copy, .len = len, .room = len + 1};
	return 0;
}

static int make_other(const char *text, size_t len, enum normal_case fold, struct normal *ret_normal)
{
	const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
	const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT |
					  (fold == NORMAL_CASE_FOLDED ? UTF8PROC_CASEFOLD : 0);
	utf8proc_ssize_t count = utf8proc_decompose(bytes, (utf8proc_ssize_t)len, NULL, 0, options);
	utf8proc_int32_t *characters;
	size_t room;

	if (count < 0)
		return count == UTF8PROC_ERROR_NOMEM ? ERR_MEMORY : ERR_INVALID;
	room = ((size_t)count + 1) * sizeof(*characters);
	characters = malloc(room);
	if (!characters)
		return ERR_MEMORY;
	count = utf8proc_decompose(bytes, (utf8proc_ssize_t)len, characters, count, options);
	if (count >= 0)
		count = utf8proc_reencode(characters, count, options);
	if (count < 0) {
		sodium_memzero(characters, room);
		free(characters);
		return ERR_INVALID;
	}
	*ret_normal = (struct normal){.text = (char *)characters, .len = (size_t)count, .room = room};
	return 0;
}

int normal_make(const char *text, enum normal_case fold, struct normal *ret_normal)
{
	size_t len = strnlen(text, LIMIT_PASSWORD + 1);

	if (len > LIMIT_PASSWORD)
		return ERR_INVALID;
	return ascii(text, len) ? make_ascii(text, len, fold, ret_normal) : make_other(text, len, fold, ret_normal);
}

void normal_release(struct normal *normal)
{
	if (!normal->text)
		return;
	sodium_memzero(normal->text, normal->room);
	free(normal->text);
	*normal = (struct normal){.text = NULL};
}
