/* The process: what must happen once, before any thread; then the command line. */
#include <curl/curl.h>
#include <liboath/oath.h>
#include <signal.h>
#include <sodium.h>

#include "config/clock.h"
#include "config/json_text.h"
#include "server/cli/cli.h"

int main(int argc, char **argv)
{
	int code;

	/* a peer that has left is an error code of a write, not the end of the process */
	(void)signal(SIGPIPE, SIG_IGN);
	/* nor is a file that may not grow: it is a store that can't write */
	(void)signal(SIGXFSZ, SIG_IGN);
	clock_start();
	json_text_setup();
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
