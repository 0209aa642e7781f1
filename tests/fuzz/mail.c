/*
 * Mails: senders and subjects on their way into headers, and templates with the data of events. Nothing gets a line of its own.
 */
#include "background/effects/mail.h"

#include "background/effects/template.h"
#include "config/json_text.h"
#include "config/utf8.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	json_text_setup();
	return 0;
}

static void require_headers(const struct request *request)
{
	for (size_t i = 0; i < request->header_count; i++) {
		/* folded lines begin with a blank (RFC 5322 2.2.3): curl is given them in one */
		fuzz_require(!fuzz_has_control(request->headers[i]), "a header is one line");
		fuzz_require(strchr(request->headers[i], ':') != NULL, "it has a name");
	}
}

static void try_headers(struct fuzz_input *input)
{
	struct mailbox from;
	struct request request;
	char *sender = fuzz_text(input, '\n', NULL), *subject = fuzz_text(input, '\0', NULL);

	request_init(&request);
	if (mail_address_valid(sender)) {
		fuzz_require(!fuzz_has_control(sender) && strpbrk(sender, " <>,") == NULL, "an address is plain");
		fuzz_require(strchr(sender, '@') + 1 == mail_address_domain(sender), "its domain follows the @");
	}
	if (mail_mailbox_parse(sender, &from)) {
		fuzz_require(mail_address_valid(from.address) && !fuzz_has_control(from.name), "a mailbox is sound");
		if (mail_add_from(&request, &from) == 0)
			fuzz_require(request.header_count == 1 && strstr(request.headers[0], from.address) != NULL,
				"From has the address");
	}
	(void)!mail_add_subject(&request, subject);
	require_headers(&request);
	request_release(&request);
	free(subject);
	free(sender);
}

/* What a value stands for in a text of each form; `inserted` is never markup, nor a line in a header. */
static void try_template(struct fuzz_input *input)
{
	static const char *const types[] = {"user.login", "order.paid"};
	enum template_form form = (enum template_form)(fuzz_byte(input) % (TEMPLATE_URL + 1));
	const char *type = types[fuzz_byte(input) % 2], *why = NULL;
	char *text = fuzz_text(input, '\0', NULL), *given = fuzz_text(input, '\0', NULL);
	json_t *data = NULL;
	struct buf checked, out;

	buf_init(&checked, 4096);
	buf_init(&out, LIMIT_TEMPLATE);
	if (json_text_read(given, strlen(given), &data, NULL) == 0 && json_is_object(data)) {
		struct event *event = event_new(
			"01J00000000000000000000001", type, "01J00000000000000000000002", given, 1, "", 1700000000000);
		int sound = template_check(text, type, false, &checked);
		int err = template_expand(text, event, data, form, &out, &why);

		fuzz_require(sound == 0 || checked.len > 0, "a refusal says why");
		fuzz_require(err != ERR_INVALID || why != NULL, "a refusal says why");
		if (err == 0 && form == TEMPLATE_URL && utf8_valid(text) && !fuzz_has_control(text))
			fuzz_require(!fuzz_has_control(out.data), "a value in a URL is escaped");
		if (err == 0 && form == TEMPLATE_HTML && strchr(text, '<') == NULL)
			fuzz_require(strchr(out.data, '<') == NULL, "a value is no markup");
		if (err == 0 && form == TEMPLATE_CHAT && strpbrk(text, "<>") == NULL)
			fuzz_require(strpbrk(out.data, "<>") == NULL, "a value is no markup");
		event_unref(event);
	}
	json_decref(data);
	buf_release(&out);
	buf_release(&checked);
	free(given);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};

	if (fuzz_byte(&input) == 'H')
		try_headers(&input);
	else
		try_template(&input);
	return 0;
}
