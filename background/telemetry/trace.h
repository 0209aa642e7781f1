/*
 * W3C Trace Context, level 1 (https://www.w3.org/TR/trace-context/): the header
 * `traceparent` is taken over from a request and passed on, with a new parent id, to
 * everything that the request causes.
 */
#ifndef TOKENFIRST_BACKGROUND_TELEMETRY_TRACE_H
#define TOKENFIRST_BACKGROUND_TELEMETRY_TRACE_H

#include <stdbool.h>

#include "background/effects/event.h"

/* Whether the header can be taken over: version not ff, ids not all zero, lower-case hex. */
bool trace_valid(const char *traceparent);

/* The header for a child of `parent`: same trace, new random span. "" gives a new trace. */
void trace_child(char ret_child[TRACEPARENT_SIZE], const char *parent);

#endif
