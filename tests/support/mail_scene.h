/*
 * A server whose mails go to a scripted SMTP receiver, for flows that go by mail.
 *
 *   struct mail_scene scene;
 *   mail_scene_set(&scene, NULL, "{'link':{'reset_ttl':'1s'}}");
 *   cr_assert_eq(mail_scene_post(&scene, "/password/forgot", NULL, &reply, "{'email':'%s'}", "alice@example.com"), 202);
 *   http_reply_release(&reply);
 *   cr_assert(mailbox_token(scene.smtp, "alice@example.com", "Choose a new password", token));
 *   mail_scene_clear(&scene);
 *
 * Nobody has an account at first. Mails are sent for everything that the bundled templates know but logins, tried again
 * after some 20 ms. public_url is MAIL_SCENE_PUBLIC.
 */
#ifndef TOKENFIRST_TESTS_SUPPORT_MAIL_SCENE_H
#define TOKENFIRST_TESTS_SUPPORT_MAIL_SCENE_H

#include "tests/support/mailbox.h"
#include "tests/support/scene.h"

#define MAIL_SCENE_PUBLIC "https://auth.example.com/base"

struct mail_scene {
	struct smtp_peer *smtp;
	struct server *server;
	char *config;
};

/*
 * `script`: what the receiver says, NULL: it takes all. `more` is merged into the configuration, written with ' for ";
 * NULL: nothing.
 */
void mail_scene_set(struct mail_scene *scene, const struct smtp_script *script, const char *more);
void mail_scene_clear(struct mail_scene *scene);

/* POST of a JSON text made like printf's, with " for each '. The status; ret_reply NULL: nobody wants the rest. */
int mail_scene_post(const struct mail_scene *scene, const char *path, const char *authorization,
	struct http_reply *ret_reply, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The code of a problem, or "" if the reply has none; releases the reply. */
const char *mail_scene_code(struct http_reply *reply, char code[64]);

/* Whether a text is anywhere in the store's files or the server's log, of this run and of earlier ones. */
bool mail_scene_keeps(struct mail_scene *scene, const char *text);

/* While it does not run: runs this SQL on its store. */
void mail_scene_change(const struct mail_scene *scene, const char *sql);

#endif
