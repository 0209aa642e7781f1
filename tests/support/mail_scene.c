#include "tests/support/mail_scene.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"

static const char base[] =
	"{'password':{'memory_kib':8,'passes':1}, 'background':{'drain':'300ms'}, 'public_url':'" MAIL_SCENE_PUBLIC
	"/',"
	" 'effects':{'email':{'type':'email','delivery':'durable','url':'%s','from':'auth@example.com',"
	"  'on':['user.signup','user.signup_repeated','user.created','user.invited','user.password_forgot',"
	"   "
	"'user.password_reset','user.password_changed','user.refresh_reused','user.totp_enabled','user.totp_disabled',"
	"   "
	"'user.recovery_code_used','user.locked','user.disabled','user.enabled','user.deleted','user.sessions_revoked',"
	"   'user.reset_required'],"
	"  'timeout':'2s','retry':{'first':'20ms','cap':'100ms'},'breaker':{'failures':1000,'open_for':'100ms'}}}}";

void mail_scene_set(struct mail_scene *scene, const struct smtp_script *script, const char *more)
{
	char url[SMTP_PEER_URL];

	scene->smtp = smtp_peer_start(script, script == NULL ? 0 : 1);
	scene->config = scene_config(scene_text(base, smtp_peer_url(scene->smtp, url)), more);
	scene->server = server_start(&(struct server_options){.config = scene->config});
}

void mail_scene_clear(struct mail_scene *scene)
{
	server_free(scene->server);
	smtp_peer_stop(scene->smtp);
	free(scene->config);
}

int mail_scene_post(const struct mail_scene *scene, const char *path, const char *authorization,
	struct http_reply *ret_reply, const char *format, ...)
{
	struct http_reply reply;
	char *body;
	va_list args;
	int status;

	va_start(args, format);
	body = scene_text_of(format, args);
	va_end(args);
	api_post(scene->server, path, authorization, body, &reply);
	free(body);
	status = reply.status;
	if (ret_reply == NULL)
		http_reply_release(&reply);
	else
		*ret_reply = reply;
	return status;
}

const char *mail_scene_code(struct http_reply *reply, char code[64])
{
	snprintf(code, 64, "%s", http_reply_text(reply, "code"));
	http_reply_release(reply);
	return code;
}

static bool file_has(const char *path, const char *text)
{
	FILE *file = fopen(path, "rb");
	char *bytes = NULL;
	bool found = false;
	long size;

	if (file == NULL)
		return false;
	if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0)
		harness_fail("%s can't be read", path);
	bytes = malloc((size_t)size + 1);
	if (bytes == NULL || fread(bytes, 1, (size_t)size, file) != (size_t)size)
		harness_fail("%s can't be read", path);
	found = memmem(bytes, (size_t)size, text, strlen(text)) != NULL;
	free(bytes);
	fclose(file);
	return found;
}

bool mail_scene_keeps(struct mail_scene *scene, const char *text)
{
	static const char *const names[] = {"tokenfirst.db", "tokenfirst.db-wal"};
	char path[SERVER_URL];
	bool found = server_log_contains(scene->server, text);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", server_folder(scene->server), names[i]);
		found |= file_has(path, text);
	}
	return found;
}

void mail_scene_change(const struct mail_scene *scene, const char *sql)
{
	char path[SERVER_URL];
	sqlite3 *db = NULL;

	if (server_running(scene->server))
		harness_fail("the store is its server's");
	snprintf(path, sizeof(path), "%s/tokenfirst.db", server_folder(scene->server));
	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
		sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		harness_fail("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}
