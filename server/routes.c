/* The table of routes: what the server answers, and where each answer is made. */
#include "server/app.h"
#include "server/auth/login.h"
#include "server/auth/me.h"
#include "server/ops/admin.h"
#include "server/ops/events.h"
#include "server/ops/events_accept.h"
#include "server/ops/ops.h"

const struct route app_routes[] = {
	{.method = "POST", .path = "/login", .crew = CREW_LOGIN, .body = true, .handle = login},
	{.method = "GET", .path = "/me", .crew = CREW_OTHER, .handle = me},
	{.method = "GET", .path = "/events/{event_id}", .crew = CREW_OTHER, .handle = events_show},
	{.method = "POST", .path = "/events", .crew = CREW_OTHER, .body = true, .handle = events_accept},
	{.method = "GET", .path = "/.well-known/jwks.json", .crew = CREW_LOOP, .handle = jwks_show},
	{.method = "GET", .path = "/health/live", .crew = CREW_LOOP, .handle = health_live},
	{.method = "GET", .path = "/health/ready", .crew = CREW_LOOP, .handle = health_ready},
	{.method = "GET", .path = "/metrics", .crew = CREW_LOOP, .ops = true, .handle = metrics_show},
	{.method = "GET", .path = "/admin/effects", .crew = CREW_OTHER, .ops = true, .handle = admin_effects_list},
	{.method = "GET", .path = "/admin/effects/{id}", .crew = CREW_OTHER, .ops = true, .handle = admin_effects_show},
	{.method = "POST",
		.path = "/admin/effects/replay",
		.crew = CREW_OTHER,
		.body = true,
		.ops = true,
		.handle = admin_effects_replay},
	{.method = "POST",
		.path = "/admin/effects/discard",
		.crew = CREW_OTHER,
		.body = true,
		.ops = true,
		.handle = admin_effects_discard},
	{.method = "GET", .path = "/admin/targets", .crew = CREW_OTHER, .ops = true, .handle = admin_targets_list},
	{.method = "POST",
		.path = "/admin/targets/{name}/pause",
		.crew = CREW_OTHER,
		.ops = true,
		.handle = admin_targets_pause},
	{.method = "POST",
		.path = "/admin/targets/{name}/resume",
		.crew = CREW_OTHER,
		.ops = true,
		.handle = admin_targets_resume},
};
const size_t app_route_count = sizeof(app_routes) / sizeof(app_routes[0]);
