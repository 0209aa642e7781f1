/*
 * What the process is told: one table of options, read into one constant struct.
 *
 * Precedence: defaults < file < environment (TOKENFIRST_PASSWORD__MEMORY_KIB) <
 * --set KEY=VALUE. Each value is checked against its row of the table: type, unit,
 * range, meaning. All errors are collected, each with its place; a config is
 * handed out only when there are none.
 *
 * After config_load nothing changes the struct: threads read it without a lock. Its
 * strings are owned by it. Secrets in it are never logged or printed.
 */
#ifndef TOKENFIRST_CONFIG_OPTIONS_H
#define TOKENFIRST_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "config/err.h"
#include "config/limits.h"

enum delivery { DELIVERY_INLINE, DELIVERY_FIRE_AND_FORGET, DELIVERY_DURABLE };
enum on_full { ON_FULL_DROP, ON_FULL_SPILL };
enum on_failure { ON_FAILURE_ANSWER, ON_FAILURE_REJECT };
enum auth_type { AUTH_NONE, AUTH_BEARER, AUTH_BASIC, AUTH_HEADER, AUTH_OAUTH2 };
enum signup_mode { SIGNUP_OPEN, SIGNUP_INVITE, SIGNUP_CLOSED };
enum password_wipe { WIPE_IDLE, WIPE_AFTER_EACH };
enum token_alg { TOKEN_EDDSA, TOKEN_ES256, TOKEN_RS256 };

struct auth_config {
	enum auth_type type;
	char *token;	/* bearer */
	char *username; /* basic; for smtp:// and smtps:// the SASL login */
	char *password;
	char *name; /* header: its name and value */
	char *value;
	char *token_url; /* oauth2, client credentials (RFC 6749 4.4): where a token is fetched */
	char *client_id, *client_secret;
	char *scope; /* NULL: none is asked for */
};

struct retry_config {
	int64_t max_attempts; /* the attempt after which an effect is dead */
	int64_t first_ms;     /* upper bound of the first delay */
	int64_t cap_ms;	      /* upper bound of every delay */
	int64_t max_age_ms;   /* from the event's creation; older effects are dead */
};

struct breaker_config {
	int64_t failures;      /* consecutive failures that open it */
	int64_t failure_share; /* percent of the attempts of a window whose failure opens it; 0: never */
	int64_t window_ms;     /* of that share */
	int64_t window_min;    /* attempts in the window below which the share says nothing */
	int64_t open_for_ms;   /* until a probe is let through, at least */
};

/* Token bucket. */
struct rate_config {
	int64_t per_second; /* 0: no limit */
	int64_t burst;	    /* attempts that may begin at once after a rest */
};

struct effect_config {
	/*
	 * One for each target. Rows, lanes, logs and commands go by `name`: "crm", or "hooks.shop" where an effect has
	 * several targets; metrics have `effect` and `target` as labels.
	 */
	char *name;
	char *effect; /* [a-z][a-z0-9_]* without "__" */
	char *target; /* the same; NULL: the effect has but one */
	char *place;  /* where it is configured: "config/full.json:12" */
	char *type;   /* email, analytics, crm, bus, webhook, chat */
	char *format; /* NULL: the type's first */
	char **on;    /* event types: exact, "*", or a prefix "user.*" */
	size_t on_count;
	enum delivery delivery;
	enum on_full on_full;
	enum on_failure on_failure;
	char *url;
	char *ca;	/* PEM file of the only authorities trusted; NULL: the system's */
	char **secrets; /* option "secret": each signs requests; none: unsigned */
	size_t secret_count;
	struct auth_config auth;
	int64_t timeout_ms;
	int64_t connect_timeout_ms;
	int64_t max_in_flight;
	int64_t max_pending;
	struct rate_config rate;
	struct retry_config retry;
	struct breaker_config breaker;
	/* email */
	char *from; /* name@host or "Name <name@host>" */
	char **to;  /* addresses, or {{path}} of the event's data; none: the user's own */
	size_t to_count;
	char *list_unsubscribe; /* template of a URL, https: or mailto:; NULL: no such header */
	char *template_dir; /* option "template": a folder with <event type>.txt and .html; default config/templates */
	bool starttls;	    /* option "starttls": refuse to go on without TLS on smtp:// */
	/* chat */
	char *text; /* template of the message; NULL: one of the kind's own */
};

/* A type of effect: what may stand in `type`, and what goes with it. */
struct effect_type {
	const char *name;
	const char *const *formats; /* NULL-terminated, the default first; NULL: it has none */
	bool mail;		    /* smtp:// and smtps:// URLs; else http:// and https:// */
};
extern const struct effect_type effect_types[];
extern const size_t effect_type_count;

/* Another program of the team that may hand over events (POST /events). */
struct service_config {
	char *name;   /* as an effect's */
	char *token;  /* its bearer token */
	char **types; /* event types that it may send: exact, "*", or a prefix "order.*" */
	size_t type_count;
	bool introspect; /* may ask POST /introspect about tokens */
};

struct crew_config {
	int64_t threads;
	int64_t queue;
	int64_t deadline_ms; /* from the request's last byte to its being begun */
};

struct config {
	char *listen;
	char *store;
	char *public_url;
	struct {
		int64_t memory_kib, passes, slots, queue, queue_timeout_ms;
		enum password_wipe wipe;
		int64_t min_length, max_length; /* of a new one, in characters after NFKC */
		char *blocklist;		/* file; NULL: none */
		char *breach_url;		/* NULL: nobody is asked */
		int64_t breach_timeout_ms;
		char **peppers; /* option "pepper": the first for new hashes; none: unpeppered */
		size_t pepper_count;
	} password;
	struct {
		enum token_alg alg;
		char *issuer, *audience;
		int64_t access_ttl_ms, refresh_ttl_ms;
		int64_t absolute_ttl_ms;  /* of a session, however often it is refreshed */
		int64_t refresh_grace_ms; /* a parent used again within it gives the same child */
		int64_t admin_ttl_ms;	  /* of an administrator's rights after a login */
		int64_t key_lead_ms;	  /* a new signing key is published so long before it signs */
		int64_t cache;		  /* verified access tokens that are kept in memory; 0: none */
	} token;
	struct {
		enum signup_mode mode;
	} signup;
	struct {
		int64_t verify_ttl_ms, reset_ttl_ms, invite_ttl_ms;
		char *verify_path, *reset_path, *invite_path; /* below public_url */
	} link;
	struct {
		char *issuer; /* never NULL after loading */
		int64_t login_ttl_ms;
	} totp;
	struct {
		bool enabled;
		char **exempt; /* CIDRs */
		size_t exempt_count;
		struct {
			int64_t free, first_ms, cap_ms, forget_ms, hard;
		} account;
		struct {
			int64_t burst, per_minute;
		} address;
		struct {
			int64_t per_hour;
		} mail;
	} throttle;
	struct {
		char **origins; /* as browsers send them: scheme://host[:port] */
		size_t origin_count;
		int64_t max_age_ms;
	} cors;
	struct {
		bool enabled;
		char *name, *same_site;
	} cookie;
	struct {
		int64_t workers, drain_ms;
		int64_t drain_delay_ms; /* between /health/ready turning 503 and the end of accepting */
	} background;
	struct {
		int64_t delivered_ms, dead_ms; /* how long settled effects are kept */
		int64_t sessions_ms;	       /* and sessions and links after their end */
	} retention;
	struct {
		char *certificate, *key; /* PEM files; both or neither */
	} tls;
	struct {
		int64_t loops, connections, header_bytes, body_bytes, header_timeout_ms, body_timeout_ms;
		char **trusted_proxies; /* CIDRs */
		size_t trusted_proxy_count;
		char *forwarded_header; /* "X-Forwarded-For" or "Forwarded": the one that they write */
	} http;
	struct {
		struct crew_config login, other;
	} requests;
	struct {
		char *listen; /* NULL: /metrics and the like share `listen` */
	} ops;
	struct {
		char *level, *format;
	} log;
	struct effect_config *effects; /* one for each target, those of one effect side by side */
	size_t effect_count;
	struct service_config *services;
	size_t service_count;
};

/* What the command line adds: a file (NULL: none) and "key=value" settings. */
struct config_source {
	const char *file;
	const char *const *settings;
	size_t setting_count;
	char **environment; /* as in environ(7); NULL: none is read */
};

struct config_error {
	char *place;   /* "config/demo.json:12", "environment TOKENFIRST_LISTEN", "--set listen" */
	char *path;    /* "effects.crm.url"; "" for the file as a whole */
	char *message; /* what is wrong and what to write instead */
};

struct config_errors {
	struct config_error items[LIMIT_CONFIG_ERRORS];
	size_t count; /* of items */
	size_t more;  /* errors beyond those */
};

/*
 * Reads and checks everything. 0 and a config to be freed by config_free, or
 * ERR_INVALID with at least one error in `ret_errors` (to be released in any case), or
 * ERR_MEMORY. Warnings (a password parameter under the OWASP floor) are put into
 * `ret_warnings`, which also has to be released.
 */
int config_load(const struct config_source *source, struct config **ret_config, struct config_errors *ret_errors,
	struct config_errors *ret_warnings) MUST_CHECK;
void config_free(struct config *config);

void config_errors_print(const struct config_errors *errors, const char *severity, FILE *out);
void config_errors_release(struct config_errors *errors);

/* `help config`: every option with type, unit, range, default and meaning. */
void options_help(FILE *out);

/* Words of lower-case letters, digits and _ with dots between, each beginning with a letter: "order.paid". */
bool event_type_valid(const char *event_type);
/* Whether a pattern (exact, "*" or a prefix "user.*") fits a type of event. */
bool event_type_fits(const char *pattern, const char *event_type);
/* Whether an effect with these patterns wants an event of this type. */
bool effect_config_wants(const struct effect_config *effect, const char *event_type);

const char *delivery_text(enum delivery delivery);

#endif
