/*
 * What peers answer: the judge of every kind of effect, for HTTP and SMTP, the head of a reply, and Retry-After.
 */
#include "background/delivery/reply_head.h"
#include "background/effects/effect.h"
#include "background/effects/oauth2.h"
#include "config/json_text.h"
#include "config/utf8.h"
#include "tests/fuzz/fuzz.h"

enum { NOW_S = 1700000000 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	json_text_setup();
	return 0;
}

static void require_verdict(const struct verdict *verdict)
{
	fuzz_require(verdict->kind >= VERDICT_OK && verdict->kind <= VERDICT_GONE, "a verdict is one of them");
	fuzz_require(verdict->outcome >= OUTCOME_OK && verdict->outcome < OUTCOME_COUNT, "an outcome is one of them");
	fuzz_require((verdict->kind == VERDICT_OK) == (verdict->outcome == OUTCOME_OK), "they agree");
	fuzz_require(memchr(verdict->reason, '\0', sizeof(verdict->reason)) != NULL, "a reason fits");
	fuzz_require(!fuzz_has_control(verdict->reason) && utf8_valid(verdict->reason), "a reason can be shown");
	fuzz_require(verdict->retry_after_ms >= -1, "a pause is one, or none");
}

static int64_t read_head(struct fuzz_input *input)
{
	struct reply_head head;
	int64_t pause_ms;

	reply_head_reset(&head);
	for (int i = 0; i < 8 && input->left > 0; i++) {
		size_t len = 0;
		char *line = fuzz_text(input, '\n', &len);

		if (len == 0) {
			free(line);
			break;
		}
		line[len] = '\n'; /* in the place of the NUL: a line has none */
		reply_head_line(&head, line, len + 1);
		free(line);
	}
	pause_ms = reply_head_retry_after(&head, (int64_t)NOW_S * 1000);
	fuzz_require(pause_ms >= -1 && pause_ms <= (int64_t)LIMIT_RETRY_AFTER_S * 1000, "a pause has its bounds");
	return pause_ms;
}

static void try_oauth2(const struct reply *reply)
{
	struct verdict verdict;
	char *token = NULL;
	int64_t ttl_ms = -1;

	if (oauth2_reply(reply, &token, &ttl_ms, &verdict)) {
		fuzz_require(token != NULL && !fuzz_has_control(token) && ttl_ms >= 0, "a token can be sent");
		free(token);
	} else {
		require_verdict(&verdict);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	size_t count = 0, len = 0;
	const struct effect_kind *const *kinds = effect_kinds(&count);
	const struct effect_kind *kind = kinds[fuzz_byte(&input) % count];
	struct effect_config config = {.type = (char *)(uintptr_t)kind->type};
	struct verdict verdict;
	struct reply reply = {.retry_after_ms = -1};
	uint8_t how = fuzz_byte(&input), format = fuzz_byte(&input);

	for (size_t i = 0; kind->formats != NULL && kind->formats[i] != NULL && i <= format; i++)
		config.format = (char *)(uintptr_t)kind->formats[i];
	reply.transport = how % 4 != 0 ? TRANSPORT_REPLY : (enum transport)(how / 4 % (TRANSPORT_CERTIFICATE + 1));
	reply.smtp_after_recipient = (how & 0x80) != 0;
	reply.status = fuzz_byte(&input) << 8;
	reply.status |= fuzz_byte(&input);
	if (reply.status > 999)
		reply.status = 100 + reply.status % 500;
	reply.retry_after_ms = read_head(&input);
	char *body = fuzz_text(&input, '\0', &len);
	reply.body = body;
	reply.body_len = len;

	effect_judge(&config, &reply, &verdict);
	require_verdict(&verdict);
	verdict_standard(&reply, kind->mail, &verdict);
	require_verdict(&verdict);
	verdict_own(VERDICT_RETRY, body, &verdict);
	require_verdict(&verdict);
	try_oauth2(&reply);
	int64_t pause_ms = retry_after_parse(body, (int64_t)NOW_S * 1000);
	fuzz_require(pause_ms >= -1 && pause_ms <= (int64_t)LIMIT_RETRY_AFTER_S * 1000, "a pause has its bounds");
	free(body);
	return 0;
}
