#include "config/json_text.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local bool failed;

static void *allocate(size_t size)
{
	void *memory = malloc(size);

	failed |= !memory;
	return memory;
}

/*
 * Passwords and tokens pass through jansson: a value, and copies that its lexer makes and drops. None of them may lie
 * about in free memory, where a core dump or a stray read would find it.
 */
static void free_wiped(void *memory)
{
	if (memory)
		explicit_bzero(memory, malloc_usable_size(memory));
	free(memory);
}

void json_text_setup(void)
{
	json_set_alloc_funcs(allocate, free_wiped);
	/* from here on no attacker can choose keys that collide */
	json_object_seed(0);
}

int json_text_read(const char *bytes, size_t len, json_t **ret_json, json_error_t *ret_error)
{
	json_t *json;

	failed = false;
	json = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, ret_error);
	if (failed) {
		json_decref(json);
		return ERR_MEMORY;
	}
	if (!json)
		return ERR_INVALID;
	*ret_json = json;
	return 0;
}

/* Nothing in it that JSON writes in another way: most texts are of this sort. */
static bool plain(const char *text)
{
	for (const char *c = text; *c; c++) {
		const unsigned char byte = (unsigned char)*c;

		if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\')
			return false;
	}
	return true;
}

/* By jansson, which knows what has to be escaped. */
static int append_escaped(struct buf *out, const char *text)
{
	failed = false;
	json_t *string = json_string(text);
	char *escaped = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
	int err = escaped ? 0 : string || failed ? ERR_MEMORY : ERR_INVALID;

	if (!err)
		buf_append_text(out, escaped);
	free(escaped);
	json_decref(string);
	return err ? err : buf_error(out);
}

int json_text_append(struct buf *out, const char *text)
{
	const size_t before = out->len;

	if (!plain(text))
		return append_escaped(out, text);
	buf_append(out, "\"", 1);
	buf_append_text(out, text);
	buf_append(out, "\"", 1);
	if (buf_error(out) && out->len > before) {
		out->len = before;
		out->data[before] = '\0';
	}
	return buf_error(out);
}
