/*
 * What the fuzz targets share. A target says more than "no crash": it asserts what must hold of all that is let through,
 * with fuzz_require, which ends the process so that libFuzzer keeps the input.
 */
#ifndef TOKENFIRST_TESTS_FUZZ_FUZZ_H
#define TOKENFIRST_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static inline void fuzz_require(bool holds, const char *what)
{
	if (!holds) {
		(void)fprintf(stderr, "does not hold: %s\n", what);
		abort();
	}
}

/* An input is read from its front; what is not there any more reads as 0 and "". */
struct fuzz_input {
	const uint8_t *at;
	size_t left;
};

static inline uint8_t fuzz_byte(struct fuzz_input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->at++;
}

static inline int64_t fuzz_number(struct fuzz_input *input)
{
	uint64_t number = 0;

	for (size_t i = 0; i < sizeof(number); i++)
		number = number << 8 | fuzz_byte(input);
	return (int64_t)number;
}

/* A copy on the heap up to the next `end`, or all that is left, with a NUL behind it, where ASan sees whoever reads on. Free it. */
static inline char *fuzz_text(struct fuzz_input *input, char end, size_t *ret_len)
{
	const uint8_t *stop = input->left > 0 ? memchr(input->at, end, input->left) : NULL;
	size_t len = stop != NULL ? (size_t)(stop - input->at) : input->left;
	char *text = malloc(len + 1);

	if (text == NULL)
		abort();
	if (len > 0)
		memcpy(text, input->at, len);
	text[len] = '\0';
	input->at += len + (stop != NULL);
	input->left -= len + (stop != NULL);
	if (ret_len != NULL)
		*ret_len = len;
	return text;
}

static inline bool fuzz_has_control(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

#endif
