#include <crypt.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "server/password/foreign_internal.h"

enum { BCRYPT_BYTES = 72, KEY_MAX = 64 };

/* libxcrypt's answer begins with the settings; what follows is the hash. */
int foreign_compute_crypt(const struct foreign *foreign, const char *password, char *ret_output)
{
	struct crypt_data *data = calloc(1, sizeof(*data)); /* 32 KiB, with copies of the password */
	const char *whole;
	int err = ERR_INVALID;

	if (!data)
		return ERR_CRYPTO;
	errno = 0;
	whole = crypt_rn(password, foreign->settings, data, sizeof(*data));
	if (!whole && errno == ENOMEM) {
		err = ERR_CRYPTO;
	} else if (whole && strlen(whole) == foreign->settings_len + foreign->hash_len) {
		memcpy(ret_output, whole + foreign->settings_len, foreign->hash_len + 1);
		err = 0;
	}
	sodium_memzero(data, sizeof(*data));
	free(data);
	return err;
}

int foreign_compute_bcrypt(const struct foreign *foreign, const char *password, char *ret_output)
{
	char head[BCRYPT_BYTES + 1];
	size_t len = strnlen(password, BCRYPT_BYTES);
	int err;

	memcpy(head, password, len);
	head[len] = '\0';
	err = foreign_compute_crypt(foreign, head, ret_output);
	sodium_memzero(head, sizeof(head));
	return err;
}

/* As many bytes as the hash has characters for, in its base64. */
static int encode(const struct foreign *foreign, unsigned char *key, size_t len, char *ret_output)
{
	const enum foreign_encoding encoding = foreign->kind->encoding;

	sodium_bin2base64(ret_output, FOREIGN_OUTPUT, key, len,
		encoding == ENCODING_PADDED ? sodium_base64_VARIANT_ORIGINAL
					    : sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
	for (char *c = ret_output; encoding == ENCODING_DOTTED && *c; c++) {
		if (*c == '+')
			*c = '.';
	}
	sodium_memzero(key, len);
	return strlen(ret_output) == foreign->hash_len ? 0 : ERR_INVALID;
}

int foreign_compute_scrypt(const struct foreign *foreign, const char *password, char *ret_output)
{
	unsigned char key[KEY_MAX];
	size_t len = foreign->hash_len * 3 / 4;

	/* the library's own bound, which counts some more than N and r: ours were kept when it was read */
	if (EVP_PBE_scrypt(password, strlen(password), foreign->salt, foreign->salt_len, foreign->n, foreign->r,
		    foreign->p, 2ULL * LIMIT_SCRYPT_BYTES, key, len) != 1) {
		ERR_clear_error();
		return ERR_CRYPTO;
	}
	return encode(foreign, key, len, ret_output);
}

int foreign_compute_pbkdf2(const struct foreign *foreign, const char *password, char *ret_output)
{
	const bool wide = strstr(foreign->kind->prefix, "512") != NULL;
	unsigned char key[KEY_MAX];
	int len = wide ? 64 : 32;

	if (PKCS5_PBKDF2_HMAC(password, (int)strlen(password), foreign->salt, (int)foreign->salt_len,
		    (int)foreign->rounds, wide ? EVP_sha512() : EVP_sha256(), len, key) != 1) {
		ERR_clear_error();
		return ERR_CRYPTO;
	}
	return encode(foreign, key, (size_t)len, ret_output);
}
