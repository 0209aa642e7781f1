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
