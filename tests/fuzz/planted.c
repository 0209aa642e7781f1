/* Two bugs that a run must find, or it proves nothing: a byte beyond the end, and a property that does not hold. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	size_t len = 0;
	char *text = fuzz_text(&input, '\n', &len);
	volatile char beyond = 0;

	if (len == 3 && memcmp(text, "end", 3) == 0)
		beyond = text[len + 1];
	fuzz_require(len != 4 || memcmp(text, "hold", 4) != 0, "no text is \"hold\"");
	free(text);
	return beyond != 0 ? 0 : 0;
}
