/*
 * Every header of every request passes through request_add_header, which is the one place where
 * header injection is stopped: curl writes a line as it is given (PITFALLS 11 for envelope addresses).
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/effect.h"

void request_init(struct request *request)
{
	memset(request, 0, sizeof *request);
	buf_init(&request->body, LIMIT_REQUEST_BODY);
	buf_init_secret(&request->text, LIMIT_TEMPLATE); /* a mail may hold a link */
	buf_init_secret(&request->html, LIMIT_TEMPLATE);
}

/* A header may hold a credential. */
static void free_wiped(char *text)
{
	if (text)
		sodium_memzero(text, strlen(text));
	free(text);
}

void request_release(struct request *request)
{
	for (size_t i = 0; i < request->header_count; i++)
		free_wiped(request->headers[i]);
	free(request->url);
	free(request->sender);
	free(request->recipient);
	buf_release(&request->body);
	buf_release(&request->text);
	buf_release(&request->html);
	sodium_memzero(request->link_token, sizeof request->link_token);
	request_init(request);
}

/* RFC 9110 5.6.2 */
static bool token_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool token(const char *name)
{
	const char *c = name;

	while (token_character(*c))
		c++;
	return c > name && *c == '\0';
}

/* RFC 9110 5.5: no control byte but the tab. */
static bool header_value(const char *value)
{
	for (const char *c = value; *c; c++) {
		const unsigned char byte = (unsigned char)*c;

		if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
			return false;
	}
	return *value != '\0';
}

int request_add_header(struct request *request, const char *name, const char *value)
{
	static const char between[] = {':', ' '};
	const size_t name_len = strlen(name), value_len = strlen(value);
	char *line;

	if (!token(name) || !header_value(value))
		return ERR_INVALID;
	if (request->header_count == REQUEST_HEADERS || name_len + value_len > LIMIT_REQUEST_BODY)
		return ERR_LIMIT;
	/* at once as long as it gets: it may hold a credential, and what grows leaves copies behind */
	line = malloc(name_len + sizeof(between) + value_len + 1);
	if (!line)
		return ERR_MEMORY;
	memcpy(line, name, name_len);
	memcpy(line + name_len, between, sizeof(between));
	memcpy(line + name_len + sizeof(between), value, value_len + 1);
	request->headers[request->header_count++] = line;
	return 0;
}

int request_add_basic(struct request *request, const struct buf *pair)
{
	struct buf value;
	char *text = NULL;
	size_t size;
	int err = buf_error(pair);

	if (err)
		return err;
	buf_init_secret(&value, LIMIT_REQUEST_BODY);
	size = sodium_base64_encoded_len(pair->len, sodium_base64_VARIANT_ORIGINAL);
	text = malloc(size);
	if (!text) {
		err = ERR_MEMORY;
		goto done;
	}
	sodium_bin2base64(text, size, (const unsigned char *)pair->data, pair->len, sodium_base64_VARIANT_ORIGINAL);
	buf_printf(&value, "Basic %s", text);
	sodium_memzero(text, size);
	err = buf_error(&value);
	if (!err)
		err = request_add_header(request, "Authorization", value.data);
done:
	free(text);
	buf_release(&value);
	return err;
}
