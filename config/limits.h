/*
 * Every bound of the program that is not an option, in one place.
 *
 * A bound that an operator may want to move is an option (config/options.h); what
 * stands here follows from a protocol, a library or another bound. What happens at a
 * bound is said beside it, and is counted in a metric where it can happen at run time.
 */
#ifndef TOKENFIRST_CONFIG_LIMITS_H
#define TOKENFIRST_CONFIG_LIMITS_H

#include <assert.h>

/* configuration */
#define LIMIT_CONFIG_FILE    (1 << 20)	/* bytes of a configuration file; more is refused */
#define LIMIT_CONFIG_ERRORS  100	/* errors kept; the rest are counted only */
#define LIMIT_EFFECTS	     32		/* effects in one configuration */
#define LIMIT_TARGETS	     64		/* targets of all effects together */
#define LIMIT_TARGET_NAME    40		/* bytes of the name of one of several targets */
#define LIMIT_TARGET_KEY     81		/* bytes of "effect.target" */
#define LIMIT_RECIPIENTS     32		/* addresses in one effect's `to`: each is a row of its own */
#define LIMIT_DISPATCH	     128	/* rows that one event may cause */
#define LIMIT_SECRETS	     8		/* secrets that sign one request, for rotation */
#define LIMIT_SERVICES	     32		/* services that may hand over events */
#define LIMIT_SERVICE_TOKEN  16		/* bytes that the token of a service has at least */
#define LIMIT_EFFECT_NAME    40		/* bytes of an effect's name */
#define LIMIT_EFFECT_EVENTS  32		/* patterns in one effect's `on` */
#define LIMIT_SECRET_FILE    (64 << 10) /* bytes of a {"file": …} value */
#define LIMIT_CONFIG_PATH    256	/* bytes of an option's full path; longer ones are cut in messages */
#define LIMIT_CONFIG_TEXT    8192	/* bytes of a text option's value; an encoded bearer token fits */
#define LIMIT_CONFIG_MESSAGE 1024	/* bytes of an error's place and of its message; longer ones are cut */
#define LIMIT_NEAREST_NAME   96		/* bytes of a name that a nearest known one is looked for */

/* log */
#define LIMIT_LOG_LINE 8192  /* bytes of one line; longer fields are cut */
#define LIMIT_LOG_TEXT 1024  /* bytes of one field */
#define LIMIT_TELL_MS  10000 /* between two lines on what may happen at each login */

/* http */
#define LIMIT_HTTP_HEADERS	    100 /* header lines of a request: 431 above */
#define LIMIT_HTTP_ROOM		    (8 << 10) /* bytes beside a request's head, zeroed for each: parsed lines, the answer's head */
#define LIMIT_HTTP_PATH		    1024  /* bytes of a path: 414 above */
#define LIMIT_REQUEST_ID	    64	  /* bytes of an X-Request-Id taken over; longer ones are replaced */
#define LIMIT_HTTP_REPLY_HEADERS    16	  /* extra headers of an answer; more are ignored and logged */
#define LIMIT_HTTP_REPLY_MS	    60000 /* to send an answer: a slower reader is cut off */
#define LIMIT_HTTP_BACKLOG	    1024  /* connections that the kernel holds until they are accepted */
#define LIMIT_HTTP_ACCEPT_PAUSE_MS  100	  /* without descriptors or memory, accepting pauses for this long */
#define LIMIT_HTTP_EVENTS	    128	  /* events that a loop takes at once; the rest come in its next turn */
#define LIMIT_HTTP_FAREWELL_MS	    1000  /* at the end, a connection idle for less may have a request on its way */
#define LIMIT_HTTP_FAREWELL_TURN_MS 50	  /* at the end, a loop looks for idle connections this often */
#define LIMIT_HTTP_RETRY_MS	    1000  /* Retry-After of a request that was shed */
#define LIMIT_TLS_FILE		    (256 << 10) /* bytes of a certificate chain or key file */
#define LIMIT_LOOPS		    64		/* event loops, whatever http.loops says */

#define LIMIT_PAGE    (64 << 10) /* bytes of a page for people */
#define LIMIT_METRICS (4 << 20)	 /* bytes of /metrics; more is a 500 */

/* accounts */
#define LIMIT_USERNAME		  64	      /* bytes */
#define LIMIT_EMAIL		  254	      /* bytes, RFC 5321 4.5.3.1.3 less the angle brackets */
#define LIMIT_MAILBOX		  512	      /* bytes of a sender with its display name */
#define LIMIT_PASSWORD		  4096	      /* bytes of as many characters, UTF-8 */
#define LIMIT_PASSWORD_CHARACTERS 1024	      /* a longer one is 400 before anything is hashed */
#define LIMIT_PEPPERS		  4	      /* of which one is for new hashes */
#define LIMIT_PEPPER		  16	      /* bytes that a pepper has at least */
#define LIMIT_BLOCKLIST		  (64 << 20)  /* bytes of a blocklist; more is refused at start */
#define LIMIT_BREACH_REPLY	  (256 << 10) /* bytes of a range; the answer is then taken for none */
#define LIMIT_HASH_THREADS	  256	      /* hash threads, whatever password.slots says */
#define LIMIT_TOKEN		  4096	      /* bytes of a compact JWS that is looked at */
#define LIMIT_ACCESS_WAYS	  4    /* places of a verified token in the cache; of those, the least used goes */
#define LIMIT_ACCESS_LOCKS	  64   /* that the cache's places share */
#define LIMIT_ACCESS_ANSWER	  1024 /* bytes of an answer that is kept with a token; longer ones are made anew */
#define LIMIT_INTROSPECT_AT_ONCE  8192 /* bytes of a body that a loop's thread reads; larger ones are a crew's */
#define LIMIT_TOKEN_ANSWER	  (8 << 10) /* bytes of an answer that hands tokens over */
#define LIMIT_TOKEN_SKEW_S	  60	    /* seconds by which a token may have been issued in our future */
#define LIMIT_HASH_MEMORY_KIB                                                                                          \
	(1 << 20) /* a stored hash that asks for more, and for more than is configured, never matches */
#define LIMIT_HASH_PASSES  20
#define LIMIT_FOREIGN_HASH 300 /* bytes of a hash that another program made */
/*
 * What a check of one may cost; more is refused when users are imported, and never matches. On one core of 2.5 GHz each is about a
 * second, where a hash of today's parameters takes 12 ms.
 */
#define LIMIT_BCRYPT_COST      14
#define LIMIT_SHA_CRYPT_ROUNDS 1000000
#define LIMIT_PBKDF2_ROUNDS    4000000
#define LIMIT_SCRYPT_BYTES     (256 << 20) /* 128 N r p of scrypt and yescrypt: their memory, and their time */
#define LIMIT_SIGNING_KEYS     32 /* not retired, in one store: more end the start of a server; rotation keeps below it */
#define LIMIT_KEYS_RETIRING    24 /* of them on their way out; at a rotation the oldest ones beyond that go at once */
#define LIMIT_JWKS	       (64 << 10) /* bytes of a JWK Set, read or written */
#define LIMIT_JWKS_AGE_S       86400	  /* for which a cache may keep it at most, however long token.key_lead is */

#define LIMIT_RECOVERY_CODES	 10  /* made when a second factor is confirmed; each works once */
#define LIMIT_TOTP_ISSUER	 64  /* bytes */
#define LIMIT_USER_SESSIONS	 200 /* shown by /me/sessions: the latest */
#define LIMIT_CIDRS		 64  /* in one option */
#define LIMIT_ORIGINS		 64
#define LIMIT_THROTTLE_ACCOUNTS	 65536 /* entries of each table of the throttle: at its bound the least grave goes */
#define LIMIT_THROTTLE_ADDRESSES 65536
#define LIMIT_RETRY_SOON_MS	 1000 /* Retry-After of what should work again at once: a full queue, a busy store */
#define LIMIT_THROTTLE_LOOK_MS	 100 /* a guess that waits for others looks so often whether its client is still there */
#define LIMIT_FORWARDED_HOPS	 32  /* of a forwarding header that are looked at */
#define LIMIT_IMPORT_LINE	 4096	    /* bytes of a line of an import; longer ones are errors of it */
#define LIMIT_IMPORT_LINES	 1000000    /* of one import; more have to be several */
#define LIMIT_IMPORT_ERRORS	 100	    /* of an import that are told; the rest are counted only */
#define LIMIT_IMPORT_BATCH	 200	    /* lines that one command carries, or fewer: */
#define LIMIT_IMPORT_BYTES	 (48 << 10) /* bytes of them as JSON, so that they fit LIMIT_CONTROL_LINE */
#define LIMIT_IMPORT_FORGET	 2000	    /* rows of an earlier import that one command removes */
#define LIMIT_AUDIT_DETAIL	 1024	    /* bytes of what an audit row says beyond its columns */
#define LIMIT_AUDIT_LOOK	 20000	    /* rows that one page of the audit trail looks at, to find them */
#define LIMIT_SEARCH_LOOK	 5000	    /* accounts that one page of a search looks at */
#define LIMIT_OVERVIEW_COUNT	 100000	    /* what is counted for an overview; beyond it is "at least" */
#define LIMIT_SHOWN_SESSIONS	 10000	    /* the latest of an account, of which the live ones are counted */

/* events from elsewhere */
#define LIMIT_EVENT_TYPE      64	 /* bytes */
#define LIMIT_EVENT_SUBJECT   256	 /* bytes */
#define LIMIT_IDEMPOTENCY_KEY 255	 /* bytes */
#define LIMIT_EVENT_DATA      (96 << 10) /* bytes of an event's data: 413 above, whatever http.body_bytes says */

/* store */
#define LIMIT_COMMIT_JOBS	  256	/* jobs in one transaction; the rest wait for the next */
#define LIMIT_COMMIT_QUEUE	  16384 /* jobs waiting; more are refused with ERR_LIMIT */
#define LIMIT_DB_STATEMENTS	  128	/* prepared statements that one connection keeps */
#define LIMIT_DB_READER_KIB	  128	/* pages that a reader keeps; the kernel keeps the rest */
#define LIMIT_DB_FIRST_PAGES	  10	/* that a connection makes at once: a look-up by an index takes six to eight */
#define LIMIT_DB_BUSY_MS	  250	/* wait for a lock of another process before an operation fails as busy */
#define LIMIT_DB_WAL		  (16 << 20) /* bytes that the write-ahead log is cut back to once it has been copied */
#define LIMIT_DB_CHECKPOINT_PAGES 1000 /* pages in the write-ahead log that make a commit copy them into the database */
#define LIMIT_CHANGES_ROWS	  65536 /* numbers that rows share, to tell which have changed; 512 KiB */
#define LIMIT_CHANGES_NOTED	  8192 /* changed rows of one transaction that are told apart; beyond, all have changed */
#define LIMIT_SLACK                                                                                                    \
	(16 << 20) /* bytes by which memory has grown, and bytes unused, for a round of the janitor to give them back */
#define LIMIT_COMMIT_COMPANY_MS 20   /* a job that nobody waits for waits that long for others to share its sync */
#define LIMIT_COMMIT_PROBE_MS	1000 /* between two probes of a store that could not write */
#define LIMIT_OUTBOX_FOLD	64   /* counters that one settling folds before it writes them out */
#define LIMIT_REVOKE_BATCH	500  /* sessions that one job ends when all must end: logins wait for it */
#define LIMIT_OUTBOX_BATCH	500  /* rows that one job replays, discards or removes: logins share its transaction */
#define LIMIT_OUTBOX_LOOK	2000 /* rows that it looks at, to find them */
#define LIMIT_JANITOR_EVENTS	25   /* that the janitor removes in one job, with their rows */
#define LIMIT_JANITOR_PAUSE_MS	20   /* between two batches that the janitor removes */
#define LIMIT_JANITOR_FULL_MS	3600000	 /* between two rounds of the janitor through all events */
#define LIMIT_SWEEP_ROWS	100	 /* sessions, links and lines of imports that the janitor removes in one job */
#define LIMIT_SWEEP_MS		600000	 /* between two rounds of it through all of them */
#define LIMIT_IMPORT_MS		86400000 /* after which the lines of an import that did not end are removed */
#define LIMIT_IDEMPOTENCY_MS	86400000 /* for which an Idempotency-Key stands for its event */

/* commands to a running server */
#define LIMIT_CONTROL_LINE     (64 << 10) /* bytes of a command or a reply; more is ERR_LIMIT */
#define LIMIT_CONTROL_MS       5000	  /* for a command line to send one, and for a reply to leave */
#define LIMIT_CONTROL_READ_MS  250	  /* for a command to arrive: those behind it in the backlog wait as long */
#define LIMIT_CONTROL_REPLY_MS 15000	  /* a command line waits that long for what it has asked */
#define LIMIT_CONTROL_RETRY_MS 2000	  /* and for a server that is just starting, or stopping */
#define LIMIT_CLI_SETTINGS     100	  /* --set on one command line; more is bad usage */

/* delivery */
#define LIMIT_LANE_WINDOW    1024  /* durable effects that one lane holds in memory; the rest wait on disk */
#define LIMIT_CRASHES	     2	   /* an effect that was in flight at so many crashes is sent alone and last */
#define LIMIT_SUSPECT_MS     60000 /* by which a suspect has its turn, though others must pause for it */
#define LIMIT_LANE_MEMORY    10000 /* fire-and-forget effects that one lane holds, whatever max_pending says */
#define LIMIT_WORKERS	     64
#define LIMIT_INBOX_OFFERS   4096 /* offers that wait for one worker; further ones are read from disk */
#define LIMIT_REACTOR_EVENTS 64	  /* sockets that a worker looks at in one turn; the rest come in its next */
#define LIMIT_SETTLE_BATCH   64	  /* outcomes, and attempts begun, that a worker gives the committer as one job */
#define LIMIT_TURN_ATTEMPTS  64	  /* attempts of one lane that begin in one turn of its worker; the rest in the next */
#define LIMIT_COURIERS	     64	  /* mails that one lane sends at once; further ones wait for a thread */
#define LIMIT_LOW_SPEED_S    30	  /* a transfer that moves no byte for so long is ended, whatever its timeout */
#define LIMIT_RESOLVERS	     32	  /* look-ups of one worker that were given up and may still go on */
#define LIMIT_RESOLVER_MS                                                                                              \
	30000 /* by which the system's resolver has given up, too: 2 tries of 5 s at 3 servers (resolv.conf(5)) */
#define LIMIT_REPLY	    (64 << 10)	/* bytes of a reply's body and headers; more ends the transfer */
#define LIMIT_REPLY_KEPT    512		/* first bytes of a reply kept with a dead letter */
#define LIMIT_ATTEMPT_LOG   32		/* attempts remembered per effect: the first and the latest ones */
#define LIMIT_ATTEMPT_TEXT  (2 << 10)	/* bytes of one of them as JSON, its reason with every byte escaped */
#define LIMIT_REQUEST_BODY  (256 << 10) /* bytes of a request that an effect makes; more condemns the effect */
#define LIMIT_REASON	    200		/* bytes of a reason kept with an effect */
#define LIMIT_RECENT_EVENTS 4096	/* events whose fire-and-forget effects are remembered for /events/{id} */
#define LIMIT_RETRY_AFTER_S (7 * 86400) /* a longer Retry-After is taken for this */

/* the end of a drain */
#define LIMIT_DRAIN_MARGIN_MS 500 /* kept free at its end for what is broken off and written; at most a quarter of it */
#define LIMIT_DRAIN_SPILL_US  40  /* and so much more for each fire-and-forget effect that has to be written */

/* access tokens */
#define LIMIT_TOKEN_TTL_MS    600000 /* how long one is taken for good that does not say */
#define LIMIT_TOKEN_MARGIN_MS 60000  /* it is left so long before its end, or a tenth of its time */

/* lanes */
#define LIMIT_LANE_SUSPECTS 64			    /* held in memory beside the window; further ones wait on disk */
#define LIMIT_BREAKER_PARTS 10			    /* by which a breaker's window slides */
#define LIMIT_REFILL_ROWS   (8 * LIMIT_LANE_WINDOW) /* looked at by one refill, to find those not held */

/* templates */
#define LIMIT_MAIL_LINE 998	   /* characters of a line, RFC 5322 2.1.1 */
#define LIMIT_CHAT_TEXT 40000	   /* bytes of a chat message: Slack cuts off beyond as many characters */
#define LIMIT_TEMPLATE	(64 << 10) /* bytes of a template file, and of a mail made from it */
#define LIMIT_SHELF	64   /* files of an effect's that are kept in memory; of more, each is read anew in turn */
#define LIMIT_SHELF_MS	1000 /* after so long one that is kept is compared with its file */

static_assert(LIMIT_LANE_WINDOW >= 32, "a lane's window is parted by class, and that of retries by what is due");
static_assert(LIMIT_REFILL_ROWS > 2 * LIMIT_LANE_WINDOW, "a refill sees beyond what is held");
static_assert(LIMIT_IMPORT_BYTES + (8 << 10) < LIMIT_CONTROL_LINE, "a batch of lines and one more fit a command");
static_assert(LIMIT_REPLY_KEPT < LIMIT_REPLY, "what is kept is a part of what is read");
static_assert(2 * LIMIT_EVENT_DATA + (32 << 10) <= LIMIT_REQUEST_BODY,
	"an event's data goes into a request, also as a JSON text within JSON, which doubles it at most");
static_assert(
	6 * LIMIT_REASON + 512 <= LIMIT_ATTEMPT_TEXT, "an attempt fits its text, each byte of its reason as \\u0000");
static_assert(LIMIT_LOG_TEXT < LIMIT_LOG_LINE, "one field fits a line");

#endif
