/*
 * A RabbitMQ broker of the test's own, from the package rabbitmq-server: its folder, its ports of 127.0.0.1, its port
 * mapper (epmd), and nothing of the machine's. It takes some 10 s to start; what was started dies with the thread that
 * started it.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_BROKER_H
#define TOKENFIRST_TESTS_SUPPORT_BROKER_H

#include <stdbool.h>

#include "tests/support/http_client.h"

enum { BROKER_URL = 256, BROKER_START_MS = 45000, BROKER_STOP_MS = 20000 };

struct broker;

/* Whether the package is installed. */
bool broker_possible(void);

/* Never NULL; returns when its management API answers. */
struct broker *broker_start(void);
/* Stops it and removes its folder. NULL is fine. */
void broker_stop(struct broker *broker);

/* "http://127.0.0.1:PORT" and `path`; gives `url` back. Its user is guest with the password guest. */
const char *broker_url(const struct broker *broker, const char *path, char url[BROKER_URL]);
/* A call of the management API by guest; http_reply_release is due in any case. */
void broker_call(const struct broker *broker, const char *method, const char *path, const char *body,
	struct http_reply *ret_reply);

#endif
