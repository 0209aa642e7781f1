/*
 * The ground that test programs and test helpers stand on: time, numbers, a listening
 * socket, and the way to give up.
 *
 * It uses nothing of the program under test, and no test framework: race tests and the sinks
 * are plain programs. A helper that can't do its part ends the process with a message; within a test that
 * counts as a crash, so it can't pass unseen.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_HARNESS_H
#define TOKENFIRST_TESTS_SUPPORT_HARNESS_H

#include <stdint.h>

/* Prints "support: …" to stderr and aborts. */
_Noreturn void harness_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For programs, where the world and no bug is to blame: the message, and exit 1. */
_Noreturn void harness_quit(const char *format, ...) __attribute__((format(printf, 1, 2)));

int64_t harness_mono_us(void);
void harness_sleep_ms(int64_t ms);

/* The value of a command line option; outside [least, most] or no number: message and exit 2. */
int64_t harness_number(const char *option, const char *text, int64_t least, int64_t most);

/* A non-blocking, close-on-exec socket that listens on 127.0.0.1; port 0 picks one. -1 and errno on failure. */
int harness_listen(int port, int *ret_port);

/* A port of 127.0.0.1 on which nobody listened a moment ago: connections to it are refused. */
int closed_port(void);

#endif
