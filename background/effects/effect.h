/*
 * What an effect is: a pure pair of functions, event → request and reply → verdict.
 *
 * No clock, no state, and no I/O but the reading of mail templates: everything comes in by argument, so that
 * tests can enumerate it. A new kind is one new file with a `struct effect_kind`, and one row in
 * the table of effect.c.
 */
#ifndef TOKENFIRST_BACKGROUND_EFFECTS_EFFECT_H
#define TOKENFIRST_BACKGROUND_EFFECTS_EFFECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "background/effects/event.h"
#include "background/effects/link.h"
#include "background/effects/shelf.h"
#include "config/buf.h"
#include "config/options.h"

/*
 * <event id>-<effect_config.name>, and "-<part>" for a part other than 0: the same for every attempt and every replay.
 * It is the idempotency key and in the Message-ID, and what people and commands call the effect by.
 */
enum { EFFECT_ID_SIZE = ID_SIZE + 1 + LIMIT_TARGET_KEY + 5 };
void effect_id(char ret_id[EFFECT_ID_SIZE], const char *event_id, const char *name, int part);
/* The way back; false: it is none. `ret_name` is "" and the part -1 for an event's id alone. */
bool effect_id_parse(const char *id, char ret_event_id[ID_SIZE], char ret_name[LIMIT_TARGET_KEY + 1], int *ret_part);

/*
 * How many rows an event makes for this target: one, or one for each of several recipients of a mail, so that partial
 * failure can't hide. Their parts are 0, or 1 to n where there are several.
 */
int effect_parts(const struct effect_config *config);
/* Whom a part is for, as it is to be kept with its row, "" for the configured default: borrowed from the config. */
const char *effect_recipient(const struct effect_config *config, int part);

/* One effect as it is to be sent. */
struct effect_input {
	const struct event *event;
	const char *id;			/* effect_id */
	const char *recipient;		/* effect_recipient, as the row has it; NULL or "": the configured default */
	const char *token;		/* oauth2: the access token; NULL for all else */
	const struct link_maker *links; /* for mails with a link: NULL makes those unbuildable */
	struct shelf *shelf;		/* for mails: the effect's templates; NULL: they are read for this one */
	int64_t now_ms; /* wall time of the attempt, for signatures and the age of what is on the shelf */
};

enum { REQUEST_HEADERS = 16 };

/* What is to be sent. HTTP when `recipient` is NULL, else one mail to one recipient. */
struct request {
	const char *method;		/* static text; HTTP only */
	char *url;			/* NULL: the configured one */
	char *headers[REQUEST_HEADERS]; /* "Name: value", checked: no CR, LF or NUL */
	size_t header_count;
	struct buf body; /* HTTP */
	char *sender;	 /* mail: envelope addresses, checked, without angle brackets */
	char *recipient;
	struct buf text; /* mail: UTF-8 alternatives with lines ended by CR LF; transfer makes the MIME of them */
	struct buf html; /* empty: no HTML part */
	char link_token[LINK_TOKEN_SIZE]; /* mail: what its link lets its reader do; "": it has none */
};

void request_init(struct request *request);
void request_release(struct request *request);
/*
 * ERR_INVALID for a value with a CR, LF or another control byte, an empty value (curl would leave the header out),
 * or a name that is no token (RFC 9110 5.6.2); ERR_LIMIT when full.
 */
int request_add_header(struct request *request, const char *name, const char *value) MUST_CHECK;
/* Authorization: Basic with the finished "user:password" (RFC 7617), and its error if it has one. */
int request_add_basic(struct request *request, const struct buf *pair) MUST_CHECK;

/* How the transfer ended, without regard to what was said. */
enum transport {
	TRANSPORT_REPLY, /* a complete final reply was read: `status` holds */
	TRANSPORT_TIMEOUT,
	TRANSPORT_CONNECT, /* no connection, or it broke before a complete reply */
	TRANSPORT_TLS,	   /* the handshake broke */
	TRANSPORT_DNS,
	TRANSPORT_TOO_LARGE, /* reply beyond LIMIT_REPLY */
	TRANSPORT_MALFORMED, /* what came is no HTTP or SMTP */
	/*
	 * TLS came to an answer, and it was no: the certificate is not trusted (CURLE_PEER_FAILED_VERIFICATION), a
	 * configured file is unusable (CURLE_SSL_CACERT_BADFILE), STARTTLS is required and not offered
	 * (CURLE_USE_SSL_FAILED). Time does not mend that by itself, so it condemns the target.
	 */
	TRANSPORT_CERTIFICATE,
};

struct reply {
	enum transport transport;
	int status;		/* HTTP status or SMTP reply code; 0: none */
	int64_t retry_after_ms; /* from now; -1: none */
	const char *body;	/* HTTP body, or the SMTP reply's last line; NUL-terminated, never NULL */
	size_t body_len;
	bool smtp_after_recipient; /* SMTP: the code answered RCPT TO or DATA, not the greeting, HELO, AUTH or MAIL */
};

enum verdict_kind {
	VERDICT_OK,	/* delivered */
	VERDICT_RETRY,	/* nothing is condemned: try again */
	VERDICT_DEAD,	/* the effect is condemned: dead letter */
	VERDICT_TARGET, /* the target is condemned: its breaker opens, effects wait */
	VERDICT_GONE,	/* the target is gone for good (410): paused until an operator resumes it */
};

/* Metric label `outcome`. Permanent is what condemns the effect; what is the target's fault is tried again. */
enum outcome {
	OUTCOME_OK,
	OUTCOME_RETRYABLE,
	OUTCOME_PERMANENT,
	OUTCOME_TIMEOUT,
	OUTCOME_CONNECT,
	OUTCOME_TLS,
	OUTCOME_DNS,
	OUTCOME_COUNT
};
const char *outcome_text(enum outcome outcome);

struct verdict {
	enum verdict_kind kind;
	enum outcome outcome;
	int64_t retry_after_ms;	   /* a floor for the next attempt; -1: none */
	bool pauses_target;	   /* retry_after_ms holds for the whole target: 429 and 503 with a Retry-After */
	char reason[LIMIT_REASON]; /* for people: "HTTP 503", "SMTP 550 no such user", "connect time-out" */
};

struct effect_kind {
	const char *type;	    /* "crm" */
	const char *const *formats; /* NULL-terminated, the default first; NULL: the kind has none */
	bool mail;		    /* smtp:// and smtps:// URLs; else http:// and https:// */
	/*
	 * Builds one request. 0; ERR_NOT_FOUND: nobody to send to (outcome `skipped`);
	 * ERR_INVALID: the event can't be expressed (dead at once, `ret_why` says why, static text);
	 * ERR_LIMIT: beyond LIMIT_REQUEST_BODY, or LIMIT_TEMPLATE for a mail: dead as well; ERR_MEMORY, ERR_SYSTEM
	 * (a template can't be read just now): try again.
	 */
	int (*build)(const struct effect_config *config, const struct effect_input *input, struct request *request,
		const char **ret_why);
	/* NULL: verdict_standard. */
	void (*judge)(const struct effect_config *config, const struct reply *reply, struct verdict *ret_verdict);
	/* Whether it makes use of config->auth itself, so that no header is made of it. NULL: never. */
	bool (*own_auth)(const struct effect_config *config);
	/* What of its own effect_verify asks: a missing template. NULL: nothing. */
	int (*check)(const struct effect_config *config, struct buf *why);
};

/* By type; NULL: none such. */
const struct effect_kind *effect_kind_find(const char *type);
/* All kinds, for help and checks: kinds[0 … count-1]. */
const struct effect_kind *const *effect_kinds(size_t *ret_count);

/*
 * At start: what can be known to fail later, of any effect (no such type or format, a secret or an authorization that
 * can't be used) and of this kind. 0, or ERR_INVALID with a message appended to `why`.
 */
int effect_verify(const struct effect_config *config, struct buf *why) MUST_CHECK;

/* Whether the effect speaks this format: named in its configuration, or the default of its kind. */
bool effect_speaks(const struct effect_config *config, const struct effect_kind *kind, const char *format);

/*
 * Builds the whole request into a fresh `request` (request_init): the kind's part, then what every HTTP request
 * carries (Idempotency-Key, User-Agent, traceparent, authorization, signature). Errors as effect_kind.build,
 * and ERR_NOT_FOUND for an event about nobody (event.h);
 * `*ret_why` is set on ERR_INVALID only.
 */
int effect_build(const struct effect_config *config, const struct effect_input *input, struct request *request,
	const char **ret_why) MUST_CHECK;
void effect_judge(const struct effect_config *config, const struct reply *reply, struct verdict *ret_verdict);

/*
 * Stars in a reply for what the request authorized itself with, and for the token of a mail's link, parts of it too:
 * receivers that say what they got send it back, and replies are kept with dead letters. `text` may be cut anywhere.
 */
void effect_hide_credentials(const struct effect_config *config, const struct request *request, char *text);

/* The table for HTTP, SMTP and transport failures: see verdict.c. */
void verdict_standard(const struct reply *reply, bool mail, struct verdict *ret_verdict);
/* For a kind's own judge: a verdict in its own words (cut to LIMIT_REASON, control bytes made spaces). */
void verdict_own(enum verdict_kind kind, const char *reason, struct verdict *ret_verdict);

/*
 * Retry-After of RFC 9110 10.2.3: seconds or an HTTP date, as milliseconds from now, capped at
 * LIMIT_RETRY_AFTER_S; -1 for anything else. A date in the past is 0.
 */
int64_t retry_after_parse(const char *value, int64_t now_ms);

#endif
