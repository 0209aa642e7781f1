/* What a thousand requests leave open: nothing. Accounts are made, lost, found again and logged into, by mail and with mistakes. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>

#include "tests/support/harness.h"
#include "tests/support/mail_scene.h"

#define PASSWORD "a long walk by the sea 7"
#define OTHER	 "nothing but rain today 8"
#define CHEAP	 "{'password':{'memory_kib':8,'passes':1}}"

/* Of WARM rounds on, all connections and caches are there that the server keeps; their number may vary by a few. */
enum { WARM = 20, ROUNDS = 170, FEW = 8 };

TestSuite(descriptors, .timeout = 110);

static size_t open_in(const struct server *server)
{
	char path[64];
	size_t count = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)server_pid(server));
	DIR *folder = opendir(path);
	cr_assert_not_null(folder, "%s", path);
	while (readdir(folder) != NULL)
		count++;
	(void)closedir(folder);
	return count;
}

/* Six requests that are answered well, and three that are refused. */
static void round_of(struct mail_scene *scene, int number)
{
	char name[32], email[64], token[MAILBOX_TOKEN];

	(void)snprintf(name, sizeof(name), "user%d", number);
	(void)snprintf(email, sizeof(email), "%s@example.com", name);
	cr_assert_eq(mail_scene_post(scene, "/signup", NULL, NULL,
			     "{'email':'%s','password':'" PASSWORD "','username':'%s'}", email, name),
		202);
	cr_assert(mailbox_token(scene->smtp, email, "Confirm your address", token));
	cr_assert_eq(mail_scene_post(scene, "/email/verify", NULL, NULL, "{'token':'%s'}", token), 201);
	cr_assert_eq(mail_scene_post(scene, "/email/verify", NULL, NULL, "{'token':'%s'}", token), 400);
	cr_assert_eq(api_login(scene->server, name, PASSWORD).status, 200);
	cr_assert_eq(api_login(scene->server, name, OTHER).status, 401);
	cr_assert_eq(mail_scene_post(scene, "/password/forgot", NULL, NULL, "{'email':'%s'}", email), 202);
	cr_assert(mailbox_token(scene->smtp, email, "Choose a new password", token));
	cr_assert_eq(
		mail_scene_post(scene, "/password/reset", NULL, NULL, "{'token':'%s','password':'password'}", token),
		400);
	cr_assert_eq(
		mail_scene_post(scene, "/password/reset", NULL, NULL, "{'token':'%s','password':'" OTHER "'}", token),
		200);
	cr_assert_eq(api_login(scene->server, name, OTHER).status, 200);
}

Test(descriptors, a_thousand_requests_leave_none_open)
{
	struct mail_scene scene;
	size_t before, after;

	mail_scene_set(&scene, NULL, CHEAP);
	for (int i = 0; i < WARM; i++)
		round_of(&scene, i);
	before = open_in(scene.server);
	for (int i = WARM; i < WARM + ROUNDS; i++)
		round_of(&scene, i);
	/* the last mails may be under way */
	int64_t deadline_us = harness_mono_us() + SCENE_WAIT_MS * 1000;
	while ((after = open_in(scene.server)) > before + FEW && harness_mono_us() < deadline_us)
		harness_sleep_ms(20);
	fprintf(stderr, "figure: %zu descriptors before, %zu after %d rounds of requests\n", before, after, ROUNDS);
	cr_expect_leq(after, before + FEW, "%zu open, %zu before", after, before);
	mail_scene_clear(&scene);
}
