/*
 * Error codes: one negative number per cause, for every function that can fail.
 *
 * Functions return 0 (or a count) on success and one of these on failure; a
 * `ret_` parameter is untouched on failure. Leaves return codes and log nothing;
 * the place that decides what to do about it logs it, once.
 */
#ifndef TOKENFIRST_CONFIG_ERR_H
#define TOKENFIRST_CONFIG_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))

enum err {
	ERR_NONE = 0,
	ERR_MEMORY = -1,    /* an allocation failed */
	ERR_SYSTEM = -2,    /* a system call failed; errno says why */
	ERR_INVALID = -3,   /* input that breaks its grammar or range */
	ERR_LIMIT = -4,	    /* a named limit is reached (queue full, buffer full, too many) */
	ERR_NOT_FOUND = -5, /* no such thing */
	ERR_EXISTS = -6,    /* a unique name is taken already */
	ERR_STORE = -7,	    /* the store could not read or write (I/O error, disk full, corrupt) */
	ERR_LOCKED = -8,    /* another process owns the store */
	ERR_TIMEOUT = -9,   /* a deadline passed before the work was begun or ended */
	ERR_CLOSED = -10,   /* shutting down, or the peer has left */
	ERR_CRYPTO = -11,   /* a cryptographic library refused (no entropy, bad key, out of memory) */
	ERR_STALE = -12,    /* a newer state exists; this write came too late and changed nothing */
	ERR_DENIED = -13,   /* credentials, signature or permission do not suffice */
};

/* A short lower-case text for a code ("store could not read or write"), never NULL. */
const char *err_text(int err);

/* What an errno means ("No such file or directory"): strerror for any thread. `text` is room that it may use. */
enum { ERR_SYSTEM_TEXT_SIZE = 128 };
const char *err_system_text(int error, char text[ERR_SYSTEM_TEXT_SIZE]);

#endif
