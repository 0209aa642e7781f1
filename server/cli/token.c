/*
 * `tokenfirst token verify`: what any verifier could find out of a token, without asking the server. Whether its
 * session still lives is not among it: POST /introspect says that.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/buf.h"
#include "config/clock.h"
#include "config/file.h"
#include "config/limits.h"
#include "server/cli/cli.h"
#include "server/token/token.h"

/* As much as a token, a scheme before it and some white space around may have; what is longer is no token. */
enum { INPUT_MAX = LIMIT_TOKEN + 256 };

static const char white[] = " \t\r\n";

static int read_stdin(char text[INPUT_MAX + 1])
{
	size_t len = fread(text, 1, INPUT_MAX, stdin);

	if (ferror(stdin))
		return cli_fail(CLI_FAILED, "the token can't be read");
	if (len == INPUT_MAX || memchr(text, '\0', len))
		return cli_fail(CLI_FAILED, "refused: that is no token");
	text[len] = '\0';
	return CLI_DONE;
}

/* The token alone, without what is around it in a header or a file. */
static char *trim(char *text)
{
	static const char scheme[] = "Bearer ";
	size_t len;

	text += strspn(text, white);
	if (strncasecmp(text, scheme, sizeof(scheme) - 1) == 0)
		text += sizeof(scheme) - 1;
	text += strspn(text, white);
	for (len = strlen(text); len > 0 && strchr(white, text[len - 1]); len--)
		text[len - 1] = '\0';
	return text;
}

static int read_token(const struct cli *cli, char text[INPUT_MAX + 1])
{
	const char *operand = cli->operand_count > 0 ? cli->operands[0] : "-";

	if (strcmp(operand, "-") == 0)
		return read_stdin(text);
	if (strlen(operand) > INPUT_MAX)
		return cli_fail(CLI_FAILED, "refused: that is no token");
	memcpy(text, operand, strlen(operand) + 1);
	return CLI_DONE;
}

static int keys_of_file(const char *path, struct keys **ret_keys)
{
	const char *why = NULL;
	struct buf text;
	int err, code = CLI_DONE;

	buf_init(&text, LIMIT_JWKS);
	err = file_read(path, &text);
	if (err == ERR_SYSTEM) {
		code = cli_fail(CLI_FAILED, "%s: can't be read", path);
	} else {
		if (!err)
			err = keys_from_jwks(text.data, text.len, ret_keys, &why);
		if (err)
			code = cli_fail(CLI_FAILED, "%s: %s", path, err == ERR_INVALID ? why : err_text(err));
	}
	buf_release(&text);
	return code;
}

static int keys_of_store(const struct config *config, struct keys **ret_keys)
{
	struct db *db = NULL;
	char why[DB_MESSAGE_SIZE] = "";
	int err = db_open_why(config->store, DB_READER, &db, why);

	if (!err) {
		err = keys_read(db, config->token.alg, clock_now_ms(), ret_keys);
		if (err == ERR_STORE)
			(void)snprintf(why, sizeof(why), "%s", db_message(db));
	}
	db_close(db);
	return err ? cli_fail(CLI_FAILED, "%s: %s", config->store, why[0] ? why : err_text(err)) : CLI_DONE;
}

static void print(const struct token_claims *claims)
{
	char issued[RFC3339_SIZE], expires[RFC3339_SIZE];

	clock_rfc3339(issued, claims->issued_s * 1000);
	clock_rfc3339(expires, claims->expires_s * 1000);
	(void)printf("subject %s\nsession %lld\ntoken   %s\nissued  %s\nexpires %s\n", claims->subject,
		(long long)claims->session_id, claims->token_id, issued, expires);
	if (claims->admin)
		(void)puts("scope   admin");
}

int cli_token_verify(const struct cli *cli, const struct config *config)
{
	char text[INPUT_MAX + 1];
	struct token_claims claims;
	struct keys *keys = NULL;
	const char *why = NULL;
	int code = cli->jwks ? keys_of_file(cli->jwks, &keys) : keys_of_store(config, &keys);

	if (code == CLI_DONE)
		code = read_token(cli, text);
	if (code == CLI_DONE) {
		if (token_verify(config, keys, trim(text), clock_wall_ms() / 1000, &claims, &why) == 0)
			print(&claims);
		else
			code = cli_fail(CLI_FAILED, "refused: %s", why);
	}
	keys_free(keys);
	if (code == CLI_DONE && fflush(stdout))
		code = cli_fail(CLI_FAILED, "the answer can't be written");
	return code;
}
