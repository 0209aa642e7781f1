#include "server/ops/keys_command.h"

#include "background/store/store.h"
#include "config/clock.h"
#include "config/log.h"
#include "server/app.h"
#include "server/token/rotation.h"
#include "server/token/signing_key.h"

struct order {
	bool at_once, leaked;
	enum token_alg alg;
	int64_t lead_ms, ttl_ms;
};

static int read_order(const json_t *arguments, struct order *ret_order)
{
	const char *alg;
	json_int_t lead_ms, ttl_ms;
	struct order order;
	int at_once, leaked;

	if (json_unpack((json_t *)(uintptr_t)arguments, "{s:b, s:b, s:s, s:I, s:I!}", "at_once", &at_once, "leaked",
		    &leaked, "alg", &alg, "lead_ms", &lead_ms, "ttl_ms", &ttl_ms) ||
		(leaked && !at_once) || token_alg_parse(alg, &order.alg) || lead_ms < 0 || ttl_ms < 0)
		return ERR_INVALID;
	order.at_once = at_once;
	order.leaked = leaked;
	order.lead_ms = lead_ms;
	order.ttl_ms = ttl_ms;
	*ret_order = order;
	return 0;
}

static int make_reply(const struct rotation *rotation, json_t **ret_reply)
{
	char signs[RFC3339_SIZE], retires[RFC3339_SIZE];
	json_t *reply;

	clock_rfc3339(signs, rotation->signs_ms);
	clock_rfc3339(retires, rotation->retires_ms);
	reply = json_pack("{s:s, s:s, s:s, s:s}", "kid", signing_key_id(rotation->key), "alg",
		token_alg_text(signing_key_alg(rotation->key)), "signs", signs, "retires", retires);
	if (!reply)
		return ERR_MEMORY;
	*ret_reply = reply;
	return 0;
}

int keys_rotate_store(struct db *writer, const json_t *arguments, json_t **ret_reply)
{
	struct rotation rotation;
	struct order order;
	int err = read_order(arguments, &order);

	if (err)
		return err;
	err = rotation_init(&rotation, order.alg, order.lead_ms, order.ttl_ms, order.at_once, clock_now_ms());
	if (!err && order.leaked)
		rotation_leaked(&rotation);
	if (!err)
		err = rotation_write(writer, &rotation);
	if (!err)
		err = make_reply(&rotation, ret_reply);
	rotation_release(&rotation);
	return err;
}

static int write_rotation(struct db *writer, void *arg)
{
	return rotation_write(writer, arg);
}

static int take_up(struct app *app)
{
	struct db *db = NULL;
	int err = store_reader(app->store, &db);

	if (!err)
		err = keys_reload(app->keys, db, clock_now_ms());
	db_close(db);
	return err;
}

int keys_rotate_live(struct app *app, const json_t *arguments, json_t **ret_reply)
{
	const struct config *config = app->config;
	struct rotation rotation;
	struct order order;
	int err = read_order(arguments, &order), reload;

	if (err)
		return err;
	err = rotation_init(&rotation, config->token.alg, config->token.key_lead_ms, config->token.access_ttl_ms,
		order.at_once, clock_now_ms());
	if (!err && order.leaked)
		rotation_leaked(&rotation);
	if (!err)
		err = committer_run(app->committer, write_rotation, &rotation);
	/* also when one is on its way already: an earlier command may have got no further than the store */
	if (!err || err == ERR_EXISTS) {
		reload = take_up(app);
		if (reload)
			log_write(LOG_ERROR,
				"the new signing key is stored, and could not be read: rotate again, or restart",
				LOG_STR("error", err_text(reload)));
		err = reload ? reload : err;
	}
	if (!err)
		err = make_reply(&rotation, ret_reply);
	rotation_release(&rotation);
	return err;
}
