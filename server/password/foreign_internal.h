/* What foreign.c (forms and costs) and foreign_compute.c (the libraries) share. */
#ifndef TOKENFIRST_SERVER_PASSWORD_FOREIGN_INTERNAL_H
#define TOKENFIRST_SERVER_PASSWORD_FOREIGN_INTERNAL_H

#include "server/password/foreign.h"

/* crypt(3) writes its own; base64 without padding, the same with . for +, with padding */
enum foreign_encoding { ENCODING_CRYPT, ENCODING_PLAIN, ENCODING_DOTTED, ENCODING_PADDED };

struct foreign_kind {
	const char *name;
	const char *prefix;
	enum foreign_encoding encoding; /* of the hash */
	/* Reads what follows the prefix in `foreign->settings`: 0, ERR_INVALID or ERR_LIMIT. */
	int (*read)(struct foreign *foreign, const char *rest);
	int (*compute)(const struct foreign *foreign, const char *password, char *ret_output);
	size_t hash_len, hash_len_2; /* characters; 0: no second length */
	size_t settings_len;	     /* where the hash begins; 0: behind the last $ */
};

/* foreign_compute.c */
int foreign_compute_crypt(const struct foreign *foreign, const char *password, char *ret_output);
int foreign_compute_bcrypt(const struct foreign *foreign, const char *password, char *ret_output);
int foreign_compute_scrypt(const struct foreign *foreign, const char *password, char *ret_output);
int foreign_compute_pbkdf2(const struct foreign *foreign, const char *password, char *ret_output);

#endif
