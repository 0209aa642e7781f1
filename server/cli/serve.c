/*
 * `tokenfirst serve`: puts the services together in the order in which they lean on each other,
 * waits for a signal, and takes them down in reverse. Nothing here is on the path of a request.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "background/delivery/operate.h"
#include "background/store/janitor.h"
#include "config/clock.h"
#include "config/limits.h"
#include "config/log.h"
#include "server/accounts/sessions.h"
#include "server/accounts/sweep.h"
#include "server/app.h"
#include "server/auth/failure.h"
#include "server/cli/cli.h"
#include "server/cli/slack.h"
#include "server/http/http.h"
#include "server/ops/control.h"
#include "server/ops/openapi.h"

/*
 * Rounds in the time for which rows are kept, within bounds: an hour is cleaned each minute, a second once it is over.
 */
enum { JANITOR_ROUNDS = 10, JANITOR_LEAST_MS = 1000, JANITOR_MOST_MS = 60 * 1000 };

/* Between the end of the waits for inline effects and that of the connections; at most a quarter of the drain. */
enum { ANSWER_MARGIN_US = 1000 * 1000 };

/* Descriptors: a reader's database and log; a mail's connection and its thread's wake-up pair; all that is but once. */
enum { FDS_READER = 2, FDS_MAIL = 3, FDS_OTHER = 128 };

struct service {
	struct app app;
	struct http *http;
	struct control *control;
	struct janitor *janitor;
	struct sweep sweep; /* the janitor's, as is the next */
	struct slack slack;
	int64_t owed; /* as the server started */
};

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, set, NULL); /* inherited by every thread from here on */
}

static void end_at_once(int signal_number)
{
	(void)signal_number;
	_exit(CLI_FAILED); /* durable work is on disk already */
}

/* A second signal ends the process where it stands. */
static void arm_second_signal(void)
{
	struct sigaction action = {.sa_handler = end_at_once};
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static int failed(const char *what, const char *why)
{
	log_write(LOG_ERROR, what, LOG_STR("reason", why));
	return CLI_FAILED;
}

/* For services that leave errno as the failed call set it. */
static const char *why_of(int err, char text[ERR_SYSTEM_TEXT_SIZE])
{
	return err == ERR_SYSTEM ? err_system_text(errno, text) : err_text(err);
}

/*
 * A shell's limit of 1,024 descriptors is less than http.connections alone. Where they run out, attempts to deliver
 * fail as if their targets were dead: breakers open, attempts are used up. So the limit is raised as far as is needed
 * and allowed.
 */
static void raise_descriptor_limit(const struct config *config)
{
	struct rlimit limit;
	int64_t readers = config->requests.login.threads + config->requests.other.threads + config->background.workers;
	int64_t needed = FDS_OTHER + config->http.connections + FDS_READER * readers;
	for (size_t i = 0; i < config->effect_count; i++)
		needed += config->effects[i].max_in_flight *
			  (effect_kind_find(config->effects[i].type)->mail ? FDS_MAIL : 1);

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= (rlim_t)needed)
		return;
	limit.rlim_cur = limit.rlim_max < (rlim_t)needed ? limit.rlim_max : (rlim_t)needed;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < (rlim_t)needed)
		log_write(LOG_WARN,
			"fewer descriptors than the configuration may use: under load clients are sent away and "
			"deliveries fail",
			LOG_INT("limit", limit.rlim_cur), LOG_INT("needed", needed));
}

static int open_reader(struct app *app, struct db **ret_db)
{
	return store_reader(app->store, ret_db);
}

static int start_store(struct app *app)
{
	char why[256] = "";
	int64_t last_session = 0;
	int err = store_open(app->config->store, &app->store, why);
	if (err == ERR_LOCKED) {
		log_write(LOG_ERROR, "the store belongs to another running tokenfirst",
			LOG_STR("store", app->config->store));
		return CLI_FAILED;
	}
	if (err != 0)
		return failed("the store can't be opened", why[0] != '\0' ? why : err_text(err));
	err = keys_load(store_writer(app->store), app->config->token.alg, clock_now_ms(), &app->keys);
	if (err == 0)
		err = sessions_last_id(store_writer(app->store), &last_session);
	if (err != 0)
		return failed("the store can't be read", err_text(err));
	atomic_store(&app->session_id, last_session);
	err = committer_start(app->store, app->metrics, &app->committer);
	return err == 0 ? CLI_DONE : failed("the committer can't be started", err_text(err));
}

static void removed(void *arg, const struct outbox_tally *tally)
{
	pool_removed(arg, tally);
}

/* Each round of the janitor ends with what it has freed, and others since the last one. */
static int look(void *arg, struct db *reader)
{
	struct service *service = arg;
	int found = sweep_look(&service->sweep, reader);

	if (found == JANITOR_DONE)
		slack_give_back(&service->slack);
	return found;
}

static int write_swept(struct db *writer, void *arg)
{
	struct service *service = arg;

	return sweep_write(writer, &service->sweep);
}

static int64_t shorter(int64_t a_ms, int64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

static int start_janitor(struct service *service)
{
	const struct config *config = service->app.config;
	int64_t interval_ms = shorter(shorter(config->retention.delivered_ms, config->retention.dead_ms),
				      config->retention.sessions_ms) /
			      JANITOR_ROUNDS;
	const struct janitor_options options = {
		.store = service->app.store,
		.committer = service->app.committer,
		.metrics = service->app.metrics,
		.delivered_ms = config->retention.delivered_ms,
		.dead_ms = config->retention.dead_ms,
		.interval_ms = interval_ms < JANITOR_LEAST_MS  ? JANITOR_LEAST_MS
			       : interval_ms > JANITOR_MOST_MS ? JANITOR_MOST_MS
							       : interval_ms,
		.removed = removed,
		.arg = service->app.pool,
		.sweep = {.look = look, .write = write_swept, .arg = service},
	};
	sweep_init(&service->sweep, service->app.metrics, config->retention.sessions_ms);
	slack_init(&service->slack);
	return janitor_start(&options, &service->janitor);
}

/* What an earlier run, or a crash, has left to be delivered. */
static int64_t owed(struct pool *pool)
{
	struct target_view view;
	int64_t sum = 0;
	for (size_t i = 0; pool_view(pool, i, &view) == 0; i++)
		sum += view.pending;
	return sum;
}

static int start(struct service *service)
{
	struct app *app = &service->app;
	char why[256] = "", text[ERR_SYSTEM_TEXT_SIZE];

	raise_descriptor_limit(app->config);
	app->metrics = metrics_new();
	if (app->metrics == NULL || pages_init(&app->pages) != 0)
		return failed("can't start", err_text(ERR_MEMORY));
	metrics_register_process(app->metrics);
	login_metrics_register(&app->login_metrics, app->metrics);
	failure_register(app->metrics);
	if (start_store(app) != CLI_DONE)
		return CLI_FAILED;

	int err = pool_prepare(app->config, app->store, app->committer, app->metrics, &app->pool);
	if (err != 0)
		return failed("the delivery pool can't be started", err_text(err));
	app->links.config = app->config;
	memcpy(app->links.key, keys_secret(app->keys, SECRET_LINK), sizeof(app->links.key));
	pool_set_links(app->pool, &app->links);
	err = policy_new(app->config, app->metrics, &app->policy, why);
	if (err != 0)
		return failed("the rules for passwords can't be set up", why[0] != '\0' ? why : err_text(err));
	err = token_issuer_init(&app->issuer, app->config);
	if (err != 0)
		return failed("tokens can't be made", err_text(err));
	err = openapi_render(app->config, &app->openapi);
	if (err != 0)
		return failed("the API's description can't be made", err_text(err));
	err = access_cache_new(app->config->token.cache, store_changes(app->store), app->metrics, &app->access_cache);
	if (err != 0)
		return failed("the cache of tokens can't be set up", err_text(err));
	err = throttle_new(app->config, app->metrics, &app->throttle);
	if (err != 0)
		return failed("the throttle can't be set up", err_text(err));
	err = passwords_start(app->config, app->metrics, &app->passwords);
	if (err != 0)
		return failed("the hash threads can't be started", err_text(err));
	err = control_start(app, &service->control);
	if (err != 0)
		return failed("the command socket can't be opened",
			err == ERR_LIMIT ? "the store's path is too long for a socket beside it" : why_of(err, text));

	if (start_janitor(service) != 0)
		return failed("the janitor can't be started", err_text(ERR_SYSTEM));

	const struct http_options options = {
		.config = app->config,
		.metrics = app->metrics,
		.routes = app_routes,
		.route_count = app_route_count,
		.app = app,
		.environment = environ,
		.open_reader = open_reader,
	};
	err = http_start(&options, &service->http, why);
	if (err != 0)
		return failed("can't listen", why[0] != '\0' ? why : err_text(err));
	if (metrics_error(app->metrics) != 0)
		return failed("can't start", err_text(ERR_MEMORY));
	service->owed = owed(app->pool);
	pool_begin(app->pool);
	return CLI_DONE;
}

static void announce(const struct service *service)
{
	const char *ops = http_ops_address(service->http);
	log_write(LOG_INFO, "listening", LOG_STR("address", http_address(service->http)),
		LOG_STR("ops_address", ops[0] != '\0' ? ops : NULL), LOG_STR("version", TOKENFIRST_VERSION),
		LOG_INT("effects", service->app.config->effect_count), LOG_INT("owed", service->owed));
}

/* Returns when the server is to stop. */
static void wait_for_signal(const sigset_t *set, int64_t at_most_ms)
{
	for (;;) {
		int number = 0;
		if (sigwait(set, &number) != 0)
			continue;
		if (number != SIGHUP) {
			log_write(LOG_INFO, "draining", LOG_STR("signal", number == SIGINT ? "SIGINT" : "SIGTERM"),
				LOG_INT("at_most_ms", at_most_ms));
			return;
		}
		log_write(LOG_WARN, "SIGHUP: certificates and secrets are read at start only; restart to change them");
	}
}

/*
 * The time of a drain, by clock_mono_us, from its end backwards: whatever hangs, what must be written has its time,
 * requests that wait for an inline effect can be answered, and the whole stop ends within the time that the operator
 * gave it.
 */
struct drain_times {
	int64_t waits_us;   /* nobody waits for an inline effect any more */
	int64_t clients_us; /* connections are cut */
	int64_t deliver_us; /* what is under way is broken off, earlier by what is then in memory */
};

static int64_t a_quarter_or(int64_t drain_us, int64_t most_us)
{
	return drain_us / 4 < most_us ? drain_us / 4 : most_us;
}

static struct drain_times plan_drain(const struct app *app)
{
	const int64_t drain_us = app->config->background.drain_ms * 1000;
	struct drain_times times;

	times.deliver_us = clock_mono_us() + drain_us - a_quarter_or(drain_us, (int64_t)LIMIT_DRAIN_MARGIN_MS * 1000);
	times.clients_us = times.deliver_us - pool_spill_us(app->pool);
	times.waits_us = times.clients_us - a_quarter_or(drain_us, ANSWER_MARGIN_US);
	return times;
}

static int64_t ms_until(int64_t at_us)
{
	int64_t left_us = at_us - clock_mono_us();
	return left_us > 0 ? left_us / 1000 : 0;
}

/*
 * Balancers are told that this server is on its way out, and are served as before until they have had time to notice.
 * A second signal ends the process in here as well.
 */
static void wait_for_balancers(struct service *service)
{
	const int64_t delay_us = service->app.config->background.drain_delay_ms * 1000;
	const int64_t until_us = clock_mono_us() + delay_us;

	if (service->http == NULL || delay_us == 0)
		return;
	http_announce_end(service->http);
	for (int64_t left_us = delay_us; left_us > 0; left_us = until_us - clock_mono_us())
		(void)poll(NULL, 0, (int)((left_us + 999) / 1000));
}

/* First the edge, so that nothing new comes in; then the workers; then the writer; then the count. */
static void stop(struct service *service)
{
	struct app *app = &service->app;
	struct pool_totals totals = {0};

	atomic_store(&app->draining, true);
	wait_for_balancers(service);
	const struct drain_times times = plan_drain(app);
	pool_end_waits(app->pool, times.waits_us);
	http_stop(service->http, ms_until(times.clients_us));
	control_stop(service->control);
	janitor_stop(service->janitor);
	passwords_stop(app->passwords);
	if (app->pool != NULL)
		pool_drain(app->pool, times.deliver_us);
	committer_stop(app->committer);
	if (app->pool != NULL) {
		pool_stop(app->pool, &totals);
		log_write(LOG_INFO, "stopped", LOG_INT("delivered", totals.delivered), LOG_INT("kept", totals.kept),
			LOG_INT("dropped", totals.dropped));
	}
	free(app->openapi);
	throttle_free(app->throttle);
	access_cache_free(app->access_cache);
	policy_free(app->policy);
	pages_release(&app->pages);
	token_issuer_release(&app->issuer);
	keys_free(app->keys);
	store_close(app->store);
	metrics_free(app->metrics);
}

int cli_serve(const struct config *config)
{
	struct service service = {.app = {.config = config, .started_us = clock_mono_us()}};
	sigset_t signals;

	if (cli_check_effects(config) != CLI_DONE)
		return CLI_USAGE;
	block_signals(&signals);
	int code = start(&service);
	if (code == CLI_DONE) {
		announce(&service);
		wait_for_signal(&signals, config->background.drain_delay_ms + config->background.drain_ms);
	}
	arm_second_signal();
	stop(&service);
	return code;
}
