#include "server/token/secrets.h"

#include <sodium.h>
#include <string.h>

/* 1: it is there; 0: not. */
static int read_secret(struct db *db, const char *name, unsigned char secret[SECRET_BYTES])
{
	static const char sql[] = "SELECT value FROM server_secrets WHERE name = $1";
	struct db_statement *s = NULL;
	const void *bytes;
	size_t len = 0;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	db_bind_text(s, 1, name);
	err = db_step(s);
	if (err == 1) {
		bytes = db_blob(s, 0, &len);
		if (len != SECRET_BYTES || !bytes)
			err = ERR_CRYPTO;
		else
			memcpy(secret, bytes, SECRET_BYTES);
	}
	db_finish(s);
	return err;
}

static int make_secret(struct db *writer, const char *name, unsigned char secret[SECRET_BYTES])
{
	static const char sql[] = "INSERT INTO server_secrets (name, value) VALUES ($1, $2)";
	struct db_statement *s = NULL;
	int err = db_prepare(writer, sql, &s);

	if (err)
		return err;
	randombytes_buf(secret, SECRET_BYTES);
	db_bind_text(s, 1, name);
	db_bind_blob(s, 2, secret, SECRET_BYTES);
	return db_run(s);
}

int secrets_load(struct db *writer, unsigned char ret_secrets[SECRET_COUNT][SECRET_BYTES])
{
	static const char *const names[SECRET_COUNT] = {"refresh", "link", "login", "totp", "nobody"};

	for (size_t i = 0; i < SECRET_COUNT; i++) {
		int found = read_secret(writer, names[i], ret_secrets[i]);
		int err = found == 0 ? make_secret(writer, names[i], ret_secrets[i]) : 0;

		if (found < 0 || err)
			return found < 0 ? found : err;
	}
	return 0;
}
