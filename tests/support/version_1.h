/*
 * A store of schema version 1 as a server of that version left it.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_VERSION_1_H
#define TOKENFIRST_TESTS_SUPPORT_VERSION_1_H

/* Events, each with a delivered effect "bus", a dead "crm" and an "email" that waits. */
enum { VERSION_1_EVENTS = 40 };

/* Makes it where there is none. What fails ends the process. */
void version_1_make(const char *url);

#endif
