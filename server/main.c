/* The process: what must happen once, before any thread; then the command line. */
#include <curl/curl.h>
#include <jansson.h>
#include <liboath/oath.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "config/clock.h"
#include "server/cli/cli.h"

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

int main(int argc, char **argv)
{
	int code;

	/* a peer that has left is an error code of a write, not the end of the process */
	(void)signal(SIGPIPE, SIG_IGN);
	/* nor is a file that may not grow: it is a store that can't write */
	(void)signal(SIGXFSZ, SIG_IGN);
	clock_start();
	json_set_alloc_funcs(malloc, free_wiped);
	/* from here on no attacker can choose keys that collide */
	json_object_seed(0);
	if (sodium_init() < 0)
		return cli_fail(CLI_FAILED, "libsodium can't be set up: no source of random numbers");
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return cli_fail(CLI_FAILED, "libcurl can't be set up");
	if (oath_init() != OATH_OK)
		return cli_fail(CLI_FAILED, "liboath can't be set up");
	code = cli_main(argc, argv);
	(void)oath_done();
	curl_global_cleanup();
	return code;
}
