/*
 * libmicrohttpd calls back in this order, always on the loop's thread: connection started; request line read; headers
 * complete (the handler's first call); body parts; request complete (its last call); request completed; and again,
 * until connection closed. An answer queued in the first call ends the connection. The last call either queues the
 * answer or suspends; after engine_resume it comes once more and queues.
 *
 * Answers that libmicrohttpd gives by itself (a request line or Content-Length that does not parse, headers larger than
 * http.header_bytes) are plain and end the connection; they are counted by their status all the same.
 */
#include "server/http/engine.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/clock.h"
#include "server/http/cors.h"
#include "server/http/exchange_internal.h"
#include "server/http/intake.h"
#include "server/http/loop.h"

struct engine {
	struct edge *edge;
	struct loop *loop;
	struct MHD_Daemon *daemon;
	int epoll_fd;
	struct connection *adding; /* the one that engine_add is about; NULL once it has been taken over */
};

static void on_connection(
	void *arg, struct MHD_Connection *request, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct engine *engine = arg;

	(void)request;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = engine->adding;
		engine->adding = NULL;
		loop_connection_opened(engine->loop, *context);
	} else {
		loop_connection_closed(engine->loop, *context);
	}
}

static struct connection *connection_of(struct MHD_Connection *request)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(request, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info->socket_context;
}

static void *on_request_line(void *arg, const char *target, struct MHD_Connection *request)
{
	struct engine *engine = arg;
	struct connection *c = connection_of(request);
	struct exchange *x = exchange_new(engine->edge, engine->loop, c, clock_mono_us());

	if (!x)
		return NULL; /* the handler then ends the connection */
	x->request = request;
	c->exchange = x;
	c->requests++;
	intake_target(x, target ? target : "");
	return x;
}

static void on_completed(
	void *arg, struct MHD_Connection *request, void **context, enum MHD_RequestTerminationCode code)
{
	struct engine *engine = arg;
	struct exchange *x = *context;
	int status = 0;

	if (!x)
		return;
	/* inactivity: with our own deadlines shorter, only a client that does not read its answer gets here */
	if (code == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
		edge_shed(engine->edge, SHED_REPLY_DEADLINE);
	const union MHD_ConnectionInfo *own = MHD_get_connection_info(request, MHD_CONNECTION_INFO_HTTP_STATUS);
	if (x->sent)
		status = x->reply.status;
	else if (own)
		status = (int)own->http_status;
	edge_exchange_ended(x->table, x->route, status, clock_mono_us() - x->started_us);
	x->connection->exchange = NULL;
	loop_arm(engine->loop, x->connection, DEADLINE_HEADER);
	exchange_free(x);
	*context = NULL;
}

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
	return MHD_add_response_header(response, name, value) == MHD_YES;
}

/*
 * What keeps browsers from making more of an answer than it is (https://owasp.org/www-project-secure-headers/): no
 * guessed type, no script, no frame, no word of this URL to others, no use by pages of other origins but those that
 * CORS lets.
 */
static bool add_security(const struct exchange *x, struct MHD_Response *response)
{
	static const char nothing[] = "default-src 'none'; frame-ancestors 'none'";

	return add(response, "X-Content-Type-Options", "nosniff") &&
	       add(response, "Content-Security-Policy", x->reply.policy ? x->reply.policy : nothing) &&
	       add(response, "X-Frame-Options", "DENY") && add(response, "Referrer-Policy", "no-referrer") &&
	       add(response, "Cross-Origin-Resource-Policy", x->cors_origin ? "cross-origin" : "same-origin") &&
	       (!x->edge->certificate || add(response, "Strict-Transport-Security", "max-age=63072000"));
}

static bool add_cors(const struct exchange *x, struct MHD_Response *response)
{
	bool ok = x->edge->config->cors.origin_count == 0 || add(response, "Vary", "Origin");

	if (!x->cors_origin)
		return ok;
	ok = ok && add(response, "Access-Control-Allow-Origin", x->cors_origin) &&
	     add(response, "Access-Control-Expose-Headers", CORS_EXPOSED);
	if (x->edge->config->cookie.enabled)
		ok = ok && add(response, "Access-Control-Allow-Credentials", "true");
	return ok;
}

static bool add_headers(const struct exchange *x, struct MHD_Response *response)
{
	const struct reply *reply = &x->reply;
	bool ok = add(response, "X-Request-Id", x->request_id);

	ok = ok && add(response, "Cache-Control", reply->cache[0] ? reply->cache : "no-store");
	ok = ok && add_security(x, response) && add_cors(x, response);
	if (reply->content_type)
		ok = ok && add(response, "Content-Type", reply->content_type);
	if (reply->close || atomic_load(&x->edge->parting))
		ok = ok && add(response, "Connection", "close");
	for (size_t i = 0; i < reply->header_count; i++) {
		const char *name = reply->headers[i];
		ok = ok && add(response, name, name + strlen(name) + 1);
	}
	return ok;
}

/* MHD_NO ends the connection: nobody is there, or no memory for an answer. */
static enum MHD_Result send_answer(struct MHD_Connection *request, struct exchange *x)
{
	enum MHD_Result result = MHD_NO;

	if (!x->reply.status)
		return MHD_NO;
	struct MHD_Response *response = MHD_create_response_from_buffer(
		x->reply.len, x->reply.body, x->reply.lasting ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE);
	if (!response)
		return MHD_NO;
	x->reply.body = NULL; /* the response's now */
	if (add_headers(x, response))
		result = MHD_queue_response(request, (unsigned int)x->reply.status, response);
	MHD_destroy_response(response);
	if (result == MHD_YES) {
		x->sent = true;
		loop_arm(x->loop, x->connection, DEADLINE_REPLY);
	}
	return result;
}

struct lines {
	struct guard_header at[LIMIT_HTTP_HEADERS];
	size_t count; /* also those that did not fit */
};

static enum MHD_Result collect_line(
	void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value, size_t value_len)
{
	struct lines *lines = arg;

	(void)kind;
	if (lines->count < LIMIT_HTTP_HEADERS) {
		struct guard_header line = {name, name_len, value ? value : "", value_len};
		lines->at[lines->count] = line;
	}
	lines->count++;
	return MHD_YES;
}

static enum MHD_Result on_headers(
	struct MHD_Connection *request, struct exchange *x, const char *path, const char *method, const char *version)
{
	const union MHD_ConnectionInfo *head =
		MHD_get_connection_info(request, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	struct lines lines;

	if (!head)
		return MHD_NO;
	lines.count = 0;
	(void)MHD_get_connection_values_n(request, MHD_HEADER_KIND, collect_line, &lines);
	x->method = method;
	x->path = path;
	loop_arm(x->loop, x->connection, DEADLINE_BODY);
	/* the head is one run of bytes that begins with the method */
	const struct intake_head parsed = {
		lines.at, lines.count, version, method + head->header_size, head->header_size};
	if (intake_headers(x, &parsed) == INTAKE_ANSWER)
		return send_answer(request, x);
	return MHD_YES;
}

static enum MHD_Result on_complete(struct MHD_Connection *request, struct exchange *x)
{
	struct loop *loop = x->loop;
	struct connection *c = x->connection;

	loop_arm(loop, c, DEADLINE_NONE);
	if (x->answered || intake_complete(x) == INTAKE_ANSWER)
		return send_answer(request, x);
	MHD_suspend_connection(request);
	loop_suspended(loop, 1);
	return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *request, const char *path, const char *method,
	const char *version, const char *bytes, size_t *len, void **context)
{
	struct exchange *x = *context;

	(void)arg;
	if (!x)
		return MHD_NO;
	if (!x->headers_seen)
		return on_headers(request, x, path, method, version);
	if (*len == 0)
		return on_complete(request, x);
	intake_body(x, bytes, *len);
	*len = 0;
	return MHD_YES;
}

/* In whole seconds, and never earlier than our own deadlines. */
static unsigned int inactivity_s(const struct config *config)
{
	int64_t longest_ms = config->http.header_timeout_ms;

	if (config->http.body_timeout_ms > longest_ms)
		longest_ms = config->http.body_timeout_ms;
	return (unsigned int)(longest_ms / 1000 + 2);
}

int engine_start(struct edge *edge, struct loop *loop, struct engine **ret_engine)
{
	unsigned int flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
	/* GnuTLS' own rules for ciphers and curves, but no version before TLS 1.2 (RFC 8996) */
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, edge->certificate},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, edge->key},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
		{MHD_OPTION_END, 0, NULL},
	};
	struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	struct engine *engine = calloc(1, sizeof(*engine));

	if (!engine)
		return ERR_MEMORY;
	engine->edge = edge;
	engine->loop = loop;
	if (edge->certificate)
		flags |= MHD_USE_TLS;
	engine->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, engine, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, engine, MHD_OPTION_NOTIFY_COMPLETED, on_completed, engine, MHD_OPTION_URI_LOG_CALLBACK,
		on_request_line, engine, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)edge->config->http.connections,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)edge->config->http.header_bytes + LIMIT_HTTP_ROOM,
		MHD_OPTION_CONNECTION_TIMEOUT, inactivity_s(edge->config), MHD_OPTION_ARRAY,
		edge->certificate ? tls : none, MHD_OPTION_END);
	const union MHD_DaemonInfo *info =
		engine->daemon ? MHD_get_daemon_info(engine->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		engine_stop(engine);
		return ERR_INVALID;
	}
	engine->epoll_fd = info->epoll_fd;
	*ret_engine = engine;
	return 0;
}

void engine_stop(struct engine *engine)
{
	if (!engine)
		return;
	if (engine->daemon)
		MHD_stop_daemon(engine->daemon);
	free(engine);
}

int engine_fd(const struct engine *engine)
{
	return engine->epoll_fd;
}

int64_t engine_timeout_ms(const struct engine *engine)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	if (MHD_get_timeout(engine->daemon, &timeout_ms) != MHD_YES)
		return -1;
	return timeout_ms > INT32_MAX ? INT32_MAX : (int64_t)timeout_ms;
}

void engine_run(struct engine *engine)
{
	(void)MHD_run(engine->daemon);
}

void engine_add(struct engine *engine, struct connection *c)
{
	engine->adding = c;
	(void)MHD_add_connection(engine->daemon, c->fd, &c->address.any, c->address_len);
	if (!engine->adding)
		return;
	/* refused before on_connection saw it; the socket is closed already */
	engine->adding = NULL;
	edge_connection_closed(engine->edge);
	connection_free(c);
}

void engine_resume(struct exchange *x)
{
	x->answered = true;
	loop_suspended(x->loop, -1);
	MHD_resume_connection(x->request);
}

const char *engine_header(const struct exchange *x, const char *name)
{
	return MHD_lookup_connection_value(x->request, MHD_HEADER_KIND, name);
}

struct search {
	const char *name, *value;
	size_t found;
};

static enum MHD_Result compare_line(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct search *search = arg;

	(void)kind;
	if (strcasecmp(name, search->name) == 0) {
		search->value = value;
		search->found++;
	}
	return MHD_YES;
}

const char *engine_header_once(const struct exchange *x, const char *name)
{
	struct search search = {.name = name};

	(void)MHD_get_connection_values(x->request, MHD_HEADER_KIND, compare_line, &search);
	return search.found == 1 ? search.value : NULL;
}

const char *engine_query(const struct exchange *x, const char *name)
{
	return MHD_lookup_connection_value(x->request, MHD_GET_ARGUMENT_KIND, name);
}

const char *engine_version(void)
{
	return MHD_get_version();
}
