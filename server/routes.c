/*
 * The table of routes: what the server answers, and where each answer is made. Columns: method, path (also the metric label), the crew that runs it,
 * the body that it takes, whether it belongs to ops.listen, the handler.
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
	{"POST", "/login", CREW_LOGIN, BODY_JSON, false, login},
	{"POST", "/login/totp", CREW_LOGIN, BODY_JSON, false, login_totp},
	{"POST", "/signup", CREW_LOGIN, BODY_JSON, false, signup},
	{"GET", "/signup", CREW_LOOP, BODY_NONE, false, page_invite},
	{"POST", "/email/verify", CREW_LOGIN, BODY_JSON, false, email_verify},
	{"GET", "/email/verify", CREW_LOOP, BODY_NONE, false, page_verify},
	{"POST", "/password/forgot", CREW_OTHER, BODY_JSON, false, password_forgot},
	{"POST", "/password/reset", CREW_LOGIN, BODY_JSON, false, password_reset},
	{"GET", "/password/reset", CREW_LOOP, BODY_NONE, false, page_reset},
	{"POST", "/password/change", CREW_LOGIN, BODY_JSON, false, password_change},
	{"POST", "/token/refresh", CREW_OTHER, BODY_JSON_OPTIONAL, false, token_refresh},
	{"POST", "/introspect", CREW_OTHER, BODY_FORM, false, introspect},
	{"POST", "/logout", CREW_OTHER, BODY_JSON_OPTIONAL, false, logout},
	{"GET", "/me", CREW_OTHER, BODY_NONE, false, me},
	{"GET", "/me/sessions", CREW_OTHER, BODY_NONE, false, me_sessions_list},
	{"DELETE", "/me/sessions/{id}", CREW_OTHER, BODY_NONE, false, me_sessions_revoke},
	{"POST", "/me/totp", CREW_LOGIN, BODY_JSON, false, me_totp_begin},
	{"POST", "/me/totp/confirm", CREW_OTHER, BODY_JSON, false, me_totp_confirm},
	{"DELETE", "/me/totp", CREW_LOGIN, BODY_JSON, false, me_totp_remove},
	{"POST", "/events", CREW_OTHER, BODY_JSON, false, events_accept},
	{"GET", "/events/{event_id}", CREW_OTHER, BODY_NONE, false, events_show},
	{"GET", "/.well-known/jwks.json", CREW_LOOP, BODY_NONE, false, jwks_show},
	{"GET", "/openapi.json", CREW_LOOP, BODY_NONE, false, openapi_show},
	{"GET", "/health/live", CREW_LOOP, BODY_NONE, false, health_live},
	{"GET", "/health/ready", CREW_LOOP, BODY_NONE, false, health_ready},
	{"GET", "/metrics", CREW_LOOP, BODY_NONE, true, metrics_show},
	{"GET", "/admin/overview", CREW_OTHER, BODY_NONE, true, admin_overview},
	{"GET", "/admin/audit", CREW_OTHER, BODY_NONE, true, admin_audit_list},
	{"GET", "/admin/users", CREW_OTHER, BODY_NONE, true, admin_users_list},
	{"POST", "/admin/users", CREW_LOGIN, BODY_JSON, true, admin_users_create},
	{"GET", "/admin/users/{id}", CREW_OTHER, BODY_NONE, true, admin_users_show},
	{"DELETE", "/admin/users/{id}", CREW_OTHER, BODY_NONE, true, admin_users_delete},
	{"POST", "/admin/users/{id}/disable", CREW_OTHER, BODY_NONE, true, admin_users_disable},
	{"POST", "/admin/users/{id}/enable", CREW_OTHER, BODY_NONE, true, admin_users_enable},
	{"POST", "/admin/users/{id}/revoke", CREW_OTHER, BODY_NONE, true, admin_users_revoke},
	{"POST", "/admin/users/{id}/require-reset", CREW_OTHER, BODY_NONE, true, admin_users_require_reset},
	{"POST", "/admin/sessions/revoke", CREW_OTHER, BODY_JSON, true, admin_sessions_revoke},
	{"POST", "/admin/invitations", CREW_OTHER, BODY_JSON, true, admin_invitations_create},
	{"GET", "/admin/effects", CREW_OTHER, BODY_NONE, true, admin_effects_list},
	{"GET", "/admin/effects/{id}", CREW_OTHER, BODY_NONE, true, admin_effects_show},
	{"POST", "/admin/effects/replay", CREW_OTHER, BODY_JSON, true, admin_effects_replay},
	{"POST", "/admin/effects/discard", CREW_OTHER, BODY_JSON, true, admin_effects_discard},
	{"GET", "/admin/targets", CREW_OTHER, BODY_NONE, true, admin_targets_list},
	{"POST", "/admin/targets/{name}/pause", CREW_OTHER, BODY_NONE, true, admin_targets_pause},
	{"POST", "/admin/targets/{name}/resume", CREW_OTHER, BODY_NONE, true, admin_targets_resume},
};
/* clang-format on */
const size_t app_route_count = sizeof(app_routes) / sizeof(app_routes[0]);
