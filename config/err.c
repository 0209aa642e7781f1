#include "config/err.h"

#include <string.h>

const char *err_text(int err)
{
	switch ((enum err)err) {
	case ERR_NONE:
		return "no error";
	case ERR_MEMORY:
		return "out of memory";
	case ERR_SYSTEM:
		return "a system call failed";
	case ERR_INVALID:
		return "invalid input";
	case ERR_LIMIT:
		return "a limit is reached";
	case ERR_NOT_FOUND:
		return "not found";
	case ERR_EXISTS:
		return "exists already";
	case ERR_STORE:
		return "store could not read or write";
	case ERR_LOCKED:
		return "another process owns the store";
	case ERR_TIMEOUT:
		return "deadline passed";
	case ERR_CLOSED:
		return "closed";
	case ERR_CRYPTO:
		return "a cryptographic library refused";
	case ERR_STALE:
		return "a newer state exists";
	case ERR_DENIED:
		return "denied";
	}
	return "unknown error";
}

const char *err_system_text(int error, char text[ERR_SYSTEM_TEXT_SIZE])
{
	return strerror_r(error, text, ERR_SYSTEM_TEXT_SIZE); /* GNU's, which returns the text */
}
