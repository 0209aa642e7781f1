/*
 * One pass from the sources to the struct: merge, defaults, values, effects, rules that
 * span several options, and last what follows from other values. Nothing stops at an
 * error; a config is handed out only if none was found.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/tables.h"

enum { MOST_LOOPS_BY_DEFAULT = 4 };

/* Cores that this process may use: its affinity, which a container may have narrowed. */
static int64_t count_cores(void)
{
	cpu_set_t set;

	if (!sched_getaffinity(0, sizeof set, &set))
		return CPU_COUNT(&set);
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 ? online : 1;
}

/*
 * What an authenticator app calls this server, unless it is told: the host of public_url. An IPv6 address has hyphens
 * for its colons, since in the label of a key a colon parts issuer and account.
 */
static void name_totp_issuer(struct sources *sources, struct config *config)
{
	const char *host;
	size_t len;

	if (config->totp.issuer || !config->public_url)
		return;
	host = strstr(config->public_url, "://");
	host = host ? host + 3 : config->public_url;
	if (*host == '[')
		len = strcspn(++host, "]");
	else
		len = strcspn(host, ":/");
	config->totp.issuer = strndup(host, len < LIMIT_TOTP_ISSUER ? len : LIMIT_TOTP_ISSUER);
	if (!config->totp.issuer) {
		sources->no_memory = true;
		return;
	}
	for (char *colon = config->totp.issuer; (colon = strchr(colon, ':'));)
		*colon = '-';
}

/* Values that follow from the machine or from others. */
static void resolve(struct sources *sources, struct config *config)
{
	int64_t cores = count_cores();

	if (!config->password.slots)
		config->password.slots = cores < LIMIT_HASH_THREADS ? cores : LIMIT_HASH_THREADS;
	if (!config->http.loops)
		config->http.loops = cores < MOST_LOOPS_BY_DEFAULT ? cores : MOST_LOOPS_BY_DEFAULT;
	if (!config->token.issuer && config->public_url) {
		config->token.issuer = strdup(config->public_url);
		if (!config->token.issuer)
			sources->no_memory = true;
	}
	name_totp_issuer(sources, config);
}

static void fill(struct sources *sources, struct config *config)
{
	struct option_scope scope = {.sources = sources, .table = &server_options, .prefix = "", .base = config};

	option_defaults(&scope);
	tables_walk(&scope, sources->root);
	effects_read(sources, config);
	services_read(sources, config);
	server_check(&scope, config);
	resolve(sources, config);
}

int config_load(const struct config_source *source, struct config **ret_config, struct config_errors *ret_errors,
	struct config_errors *ret_warnings)
{
	struct sources sources;
	int err = 0;
	struct config *config = calloc(1, sizeof *config);

	*ret_errors = *ret_warnings = (struct config_errors){.count = 0};
	if (!config)
		return ERR_MEMORY;
	sources_read(&sources, source, ret_errors, ret_warnings);
	overrides_read(&sources, source);
	if (sources.root)
		fill(&sources, config);
	if (sources.no_memory)
		err = ERR_MEMORY;
	else if (ret_errors->count || ret_errors->more)
		err = ERR_INVALID;
	sources_release(&sources);
	if (err)
		config_free(config);
	else
		*ret_config = config;
	return err;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->effect_count; i++) {
		option_release(&effect_options, &config->effects[i]);
		free(config->effects[i].name);
		free(config->effects[i].effect);
		free(config->effects[i].target);
		free(config->effects[i].place);
	}
	free(config->effects);
	for (size_t i = 0; i < config->service_count; i++) {
		option_release(&service_options, &config->services[i]);
		free(config->services[i].name);
	}
	free(config->services);
	option_release(&server_options, config);
	free(config);
}
