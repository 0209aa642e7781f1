/*
 * Structured log: one JSON object a line on stderr, or readable text.
 *
 *   {"time":"2026-01-02T03:04:05.678Z","level":"info","message":"listening","address":"127.0.0.1:8080"}
 *
 * A line is written with one write(2), so lines of several threads never mix.
 * Callers pass facts as fields and never secrets: no password, token, key or
 * request body reaches this module. Text longer than LIMIT_LOG_TEXT is cut.
 */
#ifndef TOKENFIRST_CONFIG_LOG_H
#define TOKENFIRST_CONFIG_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_JSON, LOG_TEXT };

struct log_field {
	const char *name;
	const char *text; /* NULL: the number is meant (and a NULL text field is left out by LOG_STR) */
	int64_t number;
	int is_number;
};

/* For the field list of log_write: LOG_STR("effect", name), LOG_INT("attempt", 3). */
#define LOG_STR(n, v) ((struct log_field){.name = (n), .text = (v)})
#define LOG_INT(n, v) ((struct log_field){.name = (n), .number = (int64_t)(v), .is_number = 1})

/* Any time; atomic. Default: info, JSON. */
void log_configure(enum log_level least, enum log_format format);

void log_fields(enum log_level level, const char *message, const struct log_field *fields, size_t count);

/* log_write(LOG_WARN, "breaker opened", LOG_STR("effect", "crm"), LOG_INT("failures", 5)); */
#define log_write(level, message, ...)                                                                                 \
	log_fields((level), (message), (const struct log_field[]){{.name = NULL}, ##__VA_ARGS__},                      \
		sizeof((const struct log_field[]){{.name = NULL}, ##__VA_ARGS__}) / sizeof(struct log_field))

#endif
