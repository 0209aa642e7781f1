/*
 * One mail server and what it may say at each stage of a dialogue: what becomes of the mail, and of the server's
 * standing.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/limits.h"
#include "tests/support/harness.h"
#include "tests/support/scene.h"
#include "tests/support/scratch.h"
#include "tests/support/smtp_peer.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define BREAKER	    "tokenfirst_breaker_state{effect=\"email\"}"

TestSuite(mail, .timeout = 60);

struct post_office {
	struct smtp_peer *smtp;
	struct server *server;
	char *config;
};

static void open_office(struct post_office *office, const struct smtp_script *scripts, size_t count, const char *more)
{
	char url[SMTP_PEER_URL];

	office->smtp = smtp_peer_start(scripts, count);
	office->config =
		scene_text("{'password':{'memory_kib':8,'passes':1}, 'background':{'drain':'300ms'},"
			   " 'effects':{'email':{'type':'email','on':['user.login'],'delivery':'durable','url':'%s',"
			   " 'from':'auth@example.com','timeout':'400ms','retry':{'first':'20ms','cap':'100ms'},"
			   " 'breaker':{'failures':1000,'open_for':'100ms'}%s}}}",
			smtp_peer_url(office->smtp, url), more);
	office->server = scene_server(office->config, NULL);
}

static void close_office(struct post_office *office)
{
	server_free(office->server);
	smtp_peer_stop(office->smtp);
	free(office->config);
}

static struct api_login log_in(const struct post_office *office)
{
	struct api_login login = api_login(office->server, "alice", SCENE_PASSWORD);

	cr_assert_eq(login.status, 200);
	return login;
}

/* The first mails are all the one of this login. */
static void ids_are(const struct post_office *office, const struct api_login *login, size_t count)
{
	char id[PEER_TEXT + 32];
	char key[PEER_TEXT];

	snprintf(id, sizeof(id), "Message-ID: <%s@example.com>\r\n", scene_key(login, "email", key));
	for (size_t i = 0; i < count; i++)
		cr_assert_not_null(strstr(smtp_peer_mail(office->smtp, i).message, id));
}

/* The first attempt has this outcome, and the mail arrives all the same. */
static void arrives_in_the_end(const struct smtp_script *fault, const char *more, const char *outcome)
{
	struct smtp_script scripts[] = {*fault, {.replies = {NULL}}};
	struct post_office office;
	struct api_login login;
	json_t *event;

	open_office(&office, scripts, COUNT(scripts), more);
	login = log_in(&office);
	cr_assert(api_effect_wait(office.server, &login, "email", "delivered", SCENE_WAIT_MS));
	event = api_event(office.server, &login);
	cr_assert_str_eq(scene_member(scene_attempt(event, "email", 0), "outcome"), outcome, "%s: %s",
		scene_member(scene_attempt(event, "email", 0), "outcome"),
		scene_member(scene_attempt(event, "email", 0), "reason"));
	cr_assert_geq(json_array_size(json_object_get(api_event_effect(event, "email"), "attempts")), 2);
	json_decref(event);
	close_office(&office);
}

Test(mail, busy_at_the_greeting_it_is_tried_again)
{
	arrives_in_the_end(
		&(struct smtp_script){.replies[SMTP_GREETING] = "421 4.3.2 come back later"}, "", "retryable");
}

Test(mail, greylisted_it_is_tried_again)
{
	arrives_in_the_end(&(struct smtp_script){.replies[SMTP_RCPT] = "451 4.7.1 greylisted"}, "", "retryable");
}

/* The connection is good and kept, so it goes on saying this. */
Test(mail, refused_for_now_after_its_data_it_is_tried_again)
{
	struct smtp_script full = {.replies[SMTP_END_OF_DATA] = "452 4.3.1 disk full"};
	struct post_office office;
	struct api_login login;
	json_t *event;

	open_office(&office, &full, 1, "");
	login = log_in(&office);
	cr_assert(smtp_peer_wait(office.smtp, 3, SCENE_WAIT_MS));
	ids_are(&office, &login, 3);
	event = api_event(office.server, &login);
	cr_assert_str_eq(scene_member(api_event_effect(event, "email"), "state"), "pending");
	cr_assert_str_eq(scene_member(scene_attempt(event, "email", 0), "outcome"), "retryable");
	json_decref(event);
	close_office(&office);
}

Test(mail, a_dropped_connection_is_tried_again)
{
	arrives_in_the_end(&(struct smtp_script){.replies[SMTP_RCPT] = SMTP_PEER_DROP}, "", "connect");
}

Test(mail, a_stalled_dialogue_is_a_timeout)
{
	arrives_in_the_end(&(struct smtp_script){.replies[SMTP_MAIL] = SMTP_PEER_STALL}, "", "timeout");
}

Test(mail, a_stall_before_the_greeting_is_a_timeout)
{
	arrives_in_the_end(&(struct smtp_script){.replies[SMTP_GREETING] = SMTP_PEER_STALL}, "", "timeout");
}

/* Whether the mail was taken is not known then: it goes out again, under the same Message-ID. */
Test(mail, a_drop_after_the_data_repeats_the_mail_under_its_id)
{
	struct smtp_script scripts[] = {{.replies[SMTP_END_OF_DATA] = SMTP_PEER_DROP}, {.replies = {NULL}}};
	struct post_office office;
	struct api_login login;

	open_office(&office, scripts, COUNT(scripts), "");
	login = log_in(&office);
	cr_assert(api_effect_wait(office.server, &login, "email", "delivered", SCENE_WAIT_MS));
	cr_assert_eq(smtp_peer_count(office.smtp), 2);
	ids_are(&office, &login, 2);
	close_office(&office);
}

/* A recipient that does not exist is dead at once, and nobody else's mail with it. */
Test(mail, an_unknown_recipient_condemns_the_mail_alone)
{
	struct smtp_script scripts[] = {{.replies[SMTP_RCPT] = "550 5.1.1 no such user"}};
	struct post_office office;
	struct api_login login;
	json_t *event;

	open_office(&office, scripts, COUNT(scripts), "");
	login = log_in(&office);
	cr_assert(api_effect_wait(office.server, &login, "email", "dead", SCENE_WAIT_MS));
	event = api_event(office.server, &login);
	cr_assert_str_eq(scene_member(api_event_effect(event, "email"), "cause"), "condemned");
	cr_assert_str_eq(scene_member(api_event_effect(event, "email"), "reason"), "SMTP 550 5.1.1 no such user");
	cr_assert_eq(json_array_size(json_object_get(api_event_effect(event, "email"), "attempts")), 1);
	json_decref(event);
	cr_assert_eq(metric_value(office.server, BREAKER), 0);
	cr_assert_eq(smtp_peer_commands(office.smtp, SMTP_RCPT), 1);
	cr_assert_eq(smtp_peer_count(office.smtp), 0);
	close_office(&office);
}

Test(mail, content_that_is_refused_condemns_the_mail_alone)
{
	struct smtp_script scripts[] = {{.replies[SMTP_END_OF_DATA] = "554 5.6.0 not that"}};
	struct post_office office;
	struct api_login login;

	open_office(&office, scripts, COUNT(scripts), "");
	login = log_in(&office);
	cr_assert(api_effect_wait(office.server, &login, "email", "dead", SCENE_WAIT_MS));
	cr_assert_eq(smtp_peer_count(office.smtp), 1);
	cr_assert_eq(metric_value(office.server, BREAKER), 0);
	close_office(&office);
}

/* What is wrong with the server or with us parks the mail: it waits, and is not given up. */
static void parked_until_mended(const struct smtp_script *fault)
{
	struct smtp_script good[] = {{.replies = {NULL}}};
	struct post_office office;
	struct api_login login;
	json_t *event;

	open_office(&office, fault, 1, ",'max_in_flight':1");
	login = log_in(&office);
	cr_assert(metric_wait(office.server, BREAKER, 2, SCENE_WAIT_MS));
	event = api_event(office.server, &login);
	cr_assert_str_eq(scene_member(api_event_effect(event, "email"), "state"), "pending");
	json_decref(event);
	smtp_peer_script(office.smtp, good, 1);
	cr_assert(api_effect_wait(office.server, &login, "email", "delivered", SCENE_WAIT_MS));
	cr_assert(metric_wait_below(office.server, BREAKER, 0, SCENE_WAIT_MS));
	close_office(&office);
}

Test(mail, a_refused_sender_parks_mails)
{
	parked_until_mended(&(struct smtp_script){.replies[SMTP_MAIL] = "550 5.7.1 sender not allowed"});
}

Test(mail, wanting_authentication_parks_mails)
{
	parked_until_mended(&(struct smtp_script){.replies[SMTP_MAIL] = "530 5.7.0 authentication required"});
}

Test(mail, a_refusing_greeting_parks_mails)
{
	parked_until_mended(&(struct smtp_script){.replies[SMTP_GREETING] = "554 5.7.1 you are listed"});
}

Test(mail, relaying_denied_parks_mails)
{
	parked_until_mended(&(struct smtp_script){.replies[SMTP_RCPT] = "554 5.7.1 relay access denied"});
}

Test(mail, a_connection_is_used_again)
{
	struct post_office office;

	open_office(&office, NULL, 0, "");
	for (size_t i = 0; i < 3; i++) {
		struct api_login login = log_in(&office);

		cr_assert(api_effect_wait(office.server, &login, "email", "delivered", SCENE_WAIT_MS));
	}
	cr_assert_eq(smtp_peer_count(office.smtp), 3);
	cr_assert_eq(smtp_peer_connections(office.smtp), 1);
	cr_assert_eq(metric_value(office.server, "tokenfirst_transfer_connections_total{reused=\"true\"}"), 2);
	close_office(&office);
}

/* Many at once: the peer sees no more connections than may be in flight, and all mails come over those. */
Test(mail, many_mails_share_a_few_connections)
{
	enum { MAILS = 60, IN_FLIGHT = 4 };
	struct post_office office;

	open_office(&office, NULL, 0, ",'max_in_flight':4");
	for (size_t i = 0; i < MAILS; i++)
		(void)log_in(&office);
	cr_assert(smtp_peer_wait(office.smtp, MAILS, SCENE_WAIT_MS));
	cr_assert_eq(smtp_peer_count(office.smtp), MAILS);
	cr_assert_leq(smtp_peer_connections(office.smtp), IN_FLIGHT);
	cr_assert_eq(metric_value(office.server, "tokenfirst_transfer_connections_total{reused=\"false\"}"),
		(double)smtp_peer_connections(office.smtp));
	close_office(&office);
}

/* The name is for people; the envelope has the address alone. */
Test(mail, a_sender_with_a_name)
{
	struct post_office office;
	struct smtp_mail mail;
	char url[SMTP_PEER_URL];

	office.smtp = smtp_peer_start(NULL, 0);
	office.config = scene_text("{'password':{'memory_kib':8,'passes':1}, 'effects':{'email':{'type':'email',"
				   "'on':['user.login'],'delivery':'durable','url':'%s',"
				   "'from':'Shop, Inc. <auth@example.com>','to':'staff@example.com'}}}",
		smtp_peer_url(office.smtp, url));
	office.server = scene_server(office.config, NULL);
	(void)log_in(&office);
	cr_assert(smtp_peer_wait(office.smtp, 1, SCENE_WAIT_MS));
	mail = smtp_peer_mail(office.smtp, 0);
	cr_assert_str_eq(mail.sender, "auth@example.com");
	cr_assert_str_eq(mail.recipients[0], "staff@example.com");
	cr_assert_eq(mail.recipient_count, 1);
	cr_assert_not_null(strstr(mail.message, "From: \"Shop, Inc.\" <auth@example.com>\r\n"));
	cr_assert_not_null(strstr(mail.message, "Auto-Submitted: auto-generated\r\n"));
	close_office(&office);
}

static void write_template(const struct scratch *scratch, const char *text)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof path, "%s/user.login.txt", scratch->folder);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs(text, file);
	cr_assert_eq(fclose(file), 0);
}

/* Whoever corrects a template need not restart the server: soon all mails are of the new one. */
Test(mail, a_corrected_template_is_in_use_soon)
{
	struct post_office office;
	struct scratch scratch;
	char more[256];
	size_t sent = 0;

	scratch_make(&scratch);
	write_template(&scratch, "Subject: Before\n\nHello {{user.username}}\n");
	snprintf(more, sizeof more, ",'template':'%s'", scratch.folder);
	open_office(&office, NULL, 0, more);
	(void)log_in(&office);
	cr_assert(smtp_peer_wait(office.smtp, ++sent, SCENE_WAIT_MS));
	cr_assert_not_null(strstr(smtp_peer_mail(office.smtp, 0).message, "Subject: Before\r\n"));
	write_template(&scratch, "Subject: After\n\nHello {{user.username}}\n");
	harness_sleep_ms(LIMIT_SHELF_MS + 1);
	(void)log_in(&office);
	cr_assert(smtp_peer_wait(office.smtp, ++sent, SCENE_WAIT_MS));
	cr_assert_not_null(strstr(smtp_peer_mail(office.smtp, 1).message, "Subject: After\r\n"));
	close_office(&office);
	scratch_remove(&scratch);
}
