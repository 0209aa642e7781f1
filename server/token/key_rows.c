#include "server/token/key_rows.h"

#include <string.h>

#include "config/log.h"

const char *key_state_text(enum key_state state)
{
	static const char *const texts[] = {
		[KEY_SIGNS] = "signs",
		[KEY_NEXT] = "next",
		[KEY_VERIFIES] = "verifies",
		[KEY_RETIRING] = "retiring",
		[KEY_RETIRED] = "retired",
	};

	return texts[state];
}

bool key_row_live(const struct key_row *row, int64_t now_ms)
{
	return row->retired_ms == 0 || row->retired_ms > now_ms;
}

bool key_row_precedes(const struct key_row *row, const struct key_row *best, enum token_alg alg, int64_t now_ms)
{
	const bool active = row->active_ms <= now_ms;

	if (row->alg != alg || !key_row_live(row, now_ms))
		return false;
	if (!best)
		return true;
	if (active != (best->active_ms <= now_ms))
		return active;
	if (row->active_ms != best->active_ms)
		return active ? row->active_ms > best->active_ms : row->active_ms < best->active_ms;
	if (row->created_ms != best->created_ms)
		return row->created_ms > best->created_ms;
	return strcmp(row->kid, best->kid) < 0;
}

enum key_state key_row_state(const struct key_row *row, bool signs, int64_t now_ms)
{
	if (!key_row_live(row, now_ms))
		return KEY_RETIRED;
	if (signs)
		return KEY_SIGNS;
	if (row->active_ms > now_ms)
		return KEY_NEXT;
	return row->retired_ms ? KEY_RETIRING : KEY_VERIFIES;
}

/* The columns kid, alg, created_ms, active_ms, retired_ms, from the first on. */
static int read_row(struct db_statement *s, struct key_row *ret_row)
{
	const char *kid = db_text(s, 0), *alg = db_text(s, 1);
	struct key_row row = {.created_ms = db_int(s, 2), .active_ms = db_int(s, 3), .retired_ms = db_int(s, 4)};
	int err;

	if (!kid || !alg)
		return ERR_MEMORY;
	err = token_alg_parse(alg, &row.alg);
	if (!err && strlen(kid) != sizeof(row.kid) - 1)
		err = ERR_CRYPTO;
	if (err) {
		log_write(LOG_ERROR, "a signing key in the store can't be used", LOG_STR("kid", kid),
			LOG_STR("alg", alg), LOG_STR("error", err_text(err)));
		return err;
	}
	memcpy(row.kid, kid, sizeof(row.kid));
	*ret_row = row;
	return 0;
}

int key_rows_list(struct db *db, int (*row)(void *arg, const struct key_row *row), void *arg)
{
	static const char sql[] = "SELECT kid, alg, created_ms, active_ms, retired_ms FROM signing_keys "
				  "ORDER BY created_ms DESC, active_ms DESC, kid";
	struct db_statement *s = NULL;
	struct key_row one;
	int err = db_prepare(db, sql, &s);

	if (err)
		return err;
	while ((err = db_step(s)) == 1) {
		err = read_row(s, &one);
		if (!err)
			err = row(arg, &one);
		if (err)
			break;
	}
	db_finish(s);
	return err;
}

static int parse(struct db_statement *s, const struct key_row *row, struct signing_key **ret_key)
{
	size_t len = 0;
	const void *bytes = db_blob(s, 5, &len);
	struct signing_key *key = NULL;
	int err = bytes ? signing_key_parse(row->alg, bytes, len, &key) : ERR_MEMORY;

	if (!err && strcmp(row->kid, signing_key_id(key)) != 0) {
		/* tokens name the stored id: a key under another one verifies nothing */
		signing_key_free(key);
		err = ERR_CRYPTO;
	}
	if (err)
		log_write(LOG_ERROR, "a signing key in the store can't be used", LOG_STR("kid", row->kid),
			LOG_STR("alg", token_alg_text(row->alg)), LOG_STR("error", err_text(err)));
	else
		*ret_key = key;
	return err;
}

static struct signing_key *find_known(const struct key_set *known, const char *kid)
{
	for (size_t i = 0; known && i < known->count; i++) {
		if (strcmp(known->entries[i].row.kid, kid) == 0)
			return known->entries[i].key;
	}
	return NULL;
}

static int load_row(struct db_statement *s, const struct key_set *known, struct key_set *set)
{
	struct key_entry entry = {.made = false};
	int err = read_row(s, &entry.row);

	if (!err && set->count == LIMIT_SIGNING_KEYS - 1)
		err = ERR_LIMIT;
	if (err)
		return err;
	entry.key = find_known(known, entry.row.kid);
	if (!entry.key) {
		err = parse(s, &entry.row, &entry.key);
		entry.made = true;
	}
	if (!err)
		set->entries[set->count++] = entry;
	return err;
}

int key_rows_load(struct db *db, int64_t now_ms, const struct key_set *known, struct key_set *ret_set)
{
	/* one that has lost its private half is retired, whatever a clock that was set back says */
	static const char sql[] = "SELECT kid, alg, created_ms, active_ms, retired_ms, private FROM signing_keys "
				  "WHERE (retired_ms = 0 OR retired_ms > $1) AND private <> '' "
				  "ORDER BY active_ms DESC, created_ms DESC, kid";
	struct db_statement *s = NULL;
	int err = db_prepare(db, sql, &s);

	ret_set->count = 0;
	if (err)
		return err;
	db_bind_int(s, 1, now_ms);
	while ((err = db_step(s)) == 1) {
		err = load_row(s, known, ret_set);
		if (err)
			break;
	}
	db_finish(s);
	if (err)
		key_set_release(ret_set);
	return err;
}

void key_set_release(struct key_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (set->entries[i].made)
			signing_key_free(set->entries[i].key);
	}
	set->count = 0;
}

int key_rows_add(struct db *writer, const struct signing_key *key, const struct key_row *row)
{
	static const char sql[] = "INSERT INTO signing_keys (kid, alg, private, created_ms, active_ms, retired_ms) "
				  "VALUES ($1, $2, $3, $4, $5, 0)";
	struct db_statement *s = NULL;
	struct buf private;
	int err;

	buf_init_secret(&private, PRIVATE_KEY_MAX);
	err = signing_key_store(key, &private);
	if (!err)
		err = db_prepare(writer, sql, &s);
	if (!err) {
		db_bind_text(s, 1, signing_key_id(key));
		db_bind_text(s, 2, token_alg_text(signing_key_alg(key)));
		db_bind_blob(s, 3, private.data, private.len);
		db_bind_int(s, 4, row->created_ms);
		db_bind_int(s, 5, row->active_ms);
		err = db_run(s);
	}
	buf_release(&private);
	return err;
}
