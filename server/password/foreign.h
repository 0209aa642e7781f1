/*
 * Password hashes that other programs made: how they read, what they cost, and how they are computed. By libxcrypt and
 * libcrypto.
 *
 *   bcrypt            $2a$, $2b$, $2y$; of a password only the first 72 bytes count. $2x$, whose makers had a bug, is refused
 *   sha512-crypt      $6$            sha256-crypt  $5$              crypt(5)
 *   yescrypt          $y$j…          with its standard flavour and no optional parameters, as crypt_gensalt(3) makes it
 *   scrypt            $7$            crypt(5)
 *                     $scrypt$ln=…,r=…,p=…$salt$hash                PHC's form, base64 without padding
 *   PBKDF2            $pbkdf2-sha256$ and $pbkdf2-sha512$rounds$salt$hash   passlib's; its base64 has . for +
 *                     pbkdf2_sha256$rounds$salt$hash                Django's; the salt is a text
 *
 * Formats: crypt(5); https://passlib.readthedocs.io/en/stable/lib/passlib.hash.html;
 * https://docs.djangoproject.com/en/stable/topics/auth/passwords/; https://github.com/P-H-C/phc-string-format. A hash
 * is parted into its settings and the text behind them, which is what is computed and compared. crypt(3) takes
 * passwords of at most 511 bytes: a longer one matches none of its hashes but bcrypt's.
 *
 * Any thread; a computation takes the caller's. The bounds of a cost are in limits.h: LIMIT_BCRYPT_COST and below.
 */
#ifndef TOKENFIRST_SERVER_PASSWORD_FOREIGN_H
#define TOKENFIRST_SERVER_PASSWORD_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/err.h"
#include "config/limits.h"

enum { FOREIGN_OUTPUT = 128, FOREIGN_SALT = 128 }; /* bytes of the text computed and its NUL; of a salt */

struct foreign_kind;

struct foreign {
	const struct foreign_kind *kind;
	char settings[LIMIT_FOREIGN_HASH + 1];
	size_t settings_len;
	size_t hash_len; /* characters of what is computed */
	/* of those that libcrypto computes */
	unsigned char salt[FOREIGN_SALT];
	size_t salt_len;
	uint64_t rounds, n;
	uint32_t r, p;
};

/*
 * A whole hash: `ret_hash` is the part behind its settings. ERR_NOT_FOUND: it begins like none of these; ERR_INVALID:
 * it breaks its form; ERR_LIMIT: it costs too much. `ret_why` says so (static text).
 */
int foreign_read(
	const char *stored, struct foreign *ret_foreign, const char **ret_hash, const char **ret_why) MUST_CHECK;
/* The settings alone, of a hash of so many characters. */
int foreign_read_settings(const char *settings, size_t len, size_t hash_len, struct foreign *ret_foreign,
	const char **ret_why) MUST_CHECK;

/* "bcrypt", "scrypt" … */
const char *foreign_name(const struct foreign *foreign);
/* What tells how long it takes, in few bytes: equal for hashes of equal cost. */
void foreign_cost(const struct foreign *foreign, char *ret_text, size_t size);

/* hash_len characters; wipe them. ERR_INVALID: not for this password (a length, a NUL); ERR_CRYPTO: no memory. */
int foreign_compute(const struct foreign *foreign, const char *password, char ret_output[FOREIGN_OUTPUT]) MUST_CHECK;

#endif
