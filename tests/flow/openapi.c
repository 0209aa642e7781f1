/*
 * Every operation of the OpenAPI document is answered by a real server as the document says:
 * tests/support/openapi_journey.py goes through all of them, with a JSON Schema validator that is not ours.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/program.h"

TestSuite(openapi, .timeout = 90);

Test(openapi, answers_are_as_the_document_says)
{
	const char *program = getenv("SERVER_UNDER_TEST");
	char command[1024], line[1024], said[8192] = "";
	size_t len = 0;
	FILE *pipe;

	(void)snprintf(command, sizeof(command), "/usr/bin/python3 tests/support/openapi_journey.py '%s' 2>&1",
		program != NULL ? program : "build/tokenfirst");
	pipe = popen(command, "r");
	cr_assert_not_null(pipe);
	while (fgets(line, sizeof(line), pipe) != NULL)
		len += (size_t)snprintf(said + len, len < sizeof(said) ? sizeof(said) - len : 0, "%s", line);
	cr_assert_eq(pclose(pipe), 0, "%s", said);
}
