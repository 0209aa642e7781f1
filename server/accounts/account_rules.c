/*
 * What may be the name, the address or the password of an account. Names and addresses end up in headers of mails and
 * in commands to mail servers, so their rules list what is allowed; anything else, control bytes above all, is refused.
 * A password may be any text.
 */
#include <string.h>

#include "config/utf8.h"
#include "server/accounts/users.h"
#include "server/password/password.h"

enum { LOCAL_PART_MAX = 64, LABEL_MAX = 63 }; /* RFC 5321 4.5.3.1.1, RFC 1035 2.3.4 */

static const char letters_digits[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

static size_t span(const char *text, const char *also)
{
	size_t len = 0, more;

	do {
		more = strspn(text + len, letters_digits);
		more += strspn(text + len + more, also);
		len += more;
	} while (more);
	return len;
}

int username_acceptable(const char *username, const char **ret_why)
{
	size_t len = strnlen(username, LIMIT_USERNAME + 1);

	if (len == 0)
		*ret_why = "the username is empty";
	else if (len > LIMIT_USERNAME)
		*ret_why = "the username is longer than 64 characters";
	else if (span(username, "._-+@") != len)
		*ret_why = "the username has characters other than ASCII letters, digits and . _ - + @";
	else
		return 0;
	return ERR_INVALID;
}

/* Dot-string of RFC 5321 4.1.2; quoted local parts are legal and never meant. */
static bool local_part_valid(const char *text, size_t len)
{
	if (len == 0 || len > LOCAL_PART_MAX || text[0] == '.' || text[len - 1] == '.')
		return false;
	return span(text, "!#$%&'*+-/=?^_`{|}~.") == len && !memmem(text, len, "..", 2);
}

/* Labels of letters, digits and inner hyphens; no address literal. */
static bool domain_valid(const char *text)
{
	for (;;) {
		size_t len = span(text, "-");

		if (len == 0 || len > LABEL_MAX || text[0] == '-' || text[len - 1] == '-')
			return false;
		text += len;
		if (*text == '\0')
			return true;
		if (*text++ != '.')
			return false;
	}
}

int email_acceptable(const char *email, const char **ret_why)
{
	size_t len = strnlen(email, LIMIT_EMAIL + 1);
	const char *at = memchr(email, '@', len);

	if (len == 0)
		*ret_why = "the address is empty";
	else if (len > LIMIT_EMAIL)
		*ret_why = "the address is longer than 254 characters";
	else if (!at)
		*ret_why = "the address has no @";
	else if (!local_part_valid(email, (size_t)(at - email)))
		*ret_why = "the address has a part before its @ that is not understood";
	else if (!domain_valid(at + 1))
		*ret_why = "the address has no valid domain after its @";
	else
		return 0;
	return ERR_INVALID;
}

int password_acceptable(const char *password, const char **ret_why)
{
	size_t len = strnlen(password, LIMIT_PASSWORD + 1);

	if (len == 0)
		*ret_why = "the password is empty";
	else if (len <= LIMIT_PASSWORD && !utf8_valid(password))
		*ret_why = "the password is not valid UTF-8";
	else if (len > LIMIT_PASSWORD || utf8_count(password) > LIMIT_PASSWORD_CHARACTERS)
		*ret_why = "the password is longer than 1024 characters";
	else
		return 0;
	return ERR_INVALID;
}
