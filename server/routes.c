/*
 * The table of routes: what the server answers, and where each answer is made. Columns: method, path (also the metric label), the crew that runs it,
 * the body that it takes, whether it belongs to ops.listen, the handler, and what may answer
 * before a crew is asked (route.h).
 */
#include "server/app.h"
#include "server/auth/introspect.h"
#include "server/auth/login.h"
#include "server/auth/login_totp.h"
#include "server/auth/logout.h"
#include "server/auth/me.h"
#include "server/auth/me_sessions.h"
#include "server/auth/me_totp.h"
#include "server/auth/page.h"
#include "server/auth/password_change.h"
#include "server/auth/password_reset.h"
#include "server/auth/refresh.h"
#include "server/auth/signup.h"
#include "server/ops/admin.h"
#include "server/ops/admin_audit.h"
#include "server/ops/admin_overview.h"
#include "server/ops/admin_users.h"
#include "server/ops/events.h"
#include "server/ops/events_accept.h"
#include "server/ops/openapi.h"
#include "server/ops/ops.h"

/* clang-format off: a table is read by columns */
const struct route app_routes[] = {
	{"POST", "/login", CREW_LOGIN, BODY_JSON, false, login, NULL},
	{"POST", "/login/totp", CREW_LOGIN, BODY_JSON, false, login_totp, NULL},
	{"POST", "/signup", CREW_LOGIN, BODY_JSON, false, signup, NULL},
	{"GET", "/signup", CREW_LOOP, BODY_NONE, false, page_invite, NULL},
	{"POST", "/email/verify", CREW_LOGIN, BODY_JSON, false, email_verify, NULL},
	{"GET", "/email/verify", CREW_LOOP, BODY_NONE, false, page_verify, NULL},
	{"POST", "/password/forgot", CREW_OTHER, BODY_JSON, false, password_forgot, NULL},
	{"POST", "/password/reset", CREW_LOGIN, BODY_JSON, false, password_reset, NULL},
	{"GET", "/password/reset", CREW_LOOP, BODY_NONE, false, page_reset, NULL},
	{"POST", "/password/change", CREW_LOGIN, BODY_JSON, false, password_change, NULL},
	{"POST", "/token/refresh", CREW_OTHER, BODY_JSON_OPTIONAL, false, token_refresh, NULL},
	{"POST", "/introspect", CREW_OTHER, BODY_FORM, false, introspect, introspect_at_once},
	{"POST", "/logout", CREW_OTHER, BODY_JSON_OPTIONAL, false, logout, NULL},
	{"GET", "/me", CREW_OTHER, BODY_NONE, false, me, me_at_once},
	{"GET", "/me/sessions", CREW_OTHER, BODY_NONE, false, me_sessions_list, NULL},
	{"DELETE", "/me/sessions/{id}", CREW_OTHER, BODY_NONE, false, me_sessions_revoke, NULL},
	{"POST", "/me/totp", CREW_LOGIN, BODY_JSON, false, me_totp_begin, NULL},
	{"POST", "/me/totp/confirm", CREW_OTHER, BODY_JSON, false, me_totp_confirm, NULL},
	{"DELETE", "/me/totp", CREW_LOGIN, BODY_JSON, false, me_totp_remove, NULL},
	{"POST", "/events", CREW_OTHER, BODY_JSON, false, events_accept, NULL},
	{"GET", "/events/{event_id}", CREW_OTHER, BODY_NONE, false, events_show, NULL},
	{"GET", "/.well-known/jwks.json", CREW_LOOP, BODY_NONE, false, jwks_show, NULL},
	{"GET", "/openapi.json", CREW_LOOP, BODY_NONE, false, openapi_show, NULL},
	{"GET", "/health/live", CREW_LOOP, BODY_NONE, false, health_live, NULL},
	{"GET", "/health/ready", CREW_LOOP, BODY_NONE, false, health_ready, NULL},
	{"GET", "/metrics", CREW_LOOP, BODY_NONE, true, metrics_show, NULL},
	{"GET", "/admin/overview", CREW_OTHER, BODY_NONE, true, admin_overview, NULL},
	{"GET", "/admin/audit", CREW_OTHER, BODY_NONE, true, admin_audit_list, NULL},
	{"GET", "/admin/users", CREW_OTHER, BODY_NONE, true, admin_users_list, NULL},
	{"POST", "/admin/users", CREW_LOGIN, BODY_JSON, true, admin_users_create, NULL},
	{"GET", "/admin/users/{id}", CREW_OTHER, BODY_NONE, true, admin_users_show, NULL},
	{"DELETE", "/admin/users/{id}", CREW_OTHER, BODY_NONE, true, admin_users_delete, NULL},
	{"POST", "/admin/users/{id}/disable", CREW_OTHER, BODY_NONE, true, admin_users_disable, NULL},
	{"POST", "/admin/users/{id}/enable", CREW_OTHER, BODY_NONE, true, admin_users_enable, NULL},
	{"POST", "/admin/users/{id}/revoke", CREW_OTHER, BODY_NONE, true, admin_users_revoke, NULL},
	{"POST", "/admin/users/{id}/require-reset", CREW_OTHER, BODY_NONE, true, admin_users_require_reset, NULL},
	{"POST", "/admin/sessions/revoke", CREW_OTHER, BODY_JSON, true, admin_sessions_revoke, NULL},
	{"POST", "/admin/invitations", CREW_OTHER, BODY_JSON, true, admin_invitations_create, NULL},
	{"GET", "/admin/effects", CREW_OTHER, BODY_NONE, true, admin_effects_list, NULL},
	{"GET", "/admin/effects/{id}", CREW_OTHER, BODY_NONE, true, admin_effects_show, NULL},
	{"POST", "/admin/effects/replay", CREW_OTHER, BODY_JSON, true, admin_effects_replay, NULL},
	{"POST", "/admin/effects/discard", CREW_OTHER, BODY_JSON, true, admin_effects_discard, NULL},
	{"GET", "/admin/targets", CREW_OTHER, BODY_NONE, true, admin_targets_list, NULL},
	{"POST", "/admin/targets/{name}/pause", CREW_OTHER, BODY_NONE, true, admin_targets_pause, NULL},
	{"POST", "/admin/targets/{name}/resume", CREW_OTHER, BODY_NONE, true, admin_targets_resume, NULL},
};
/* clang-format on */
const size_t app_route_count = sizeof(app_routes) / sizeof(app_routes[0]);
