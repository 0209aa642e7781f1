/*
 * One mail to one recipient, where there are several one for each, made of the folder `template`: <event type>.txt,
 * which begins with a line "Subject: …" and an empty one, and, where there is one, <event type>.html.
 *
 * Templates are on a shelf (shelf.h): read once, and again soon after they have changed, so that a corrected one is in
 * use without a restart, also for the effects that wait.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/kinds.h"
#include "background/effects/mail.h"
#include "background/effects/payload.h"
#include "background/effects/shelf.h"
#include "background/effects/template.h"

static const char text_suffix[] = ".txt";
static const char html_suffix[] = ".html";
static const char subject_field[] = "Subject: ";

/*
 * What follows "Subject: …\n\n"; NULL: the text does not begin so. *ret_subject points to what is after the field's
 * name, up to the end of the line.
 */
static const char *split_subject(const char *text, const char **ret_subject, size_t *ret_len)
{
	const size_t field_len = strlen(subject_field);
	const char *end = strchr(text, '\n');

	if (strncmp(text, subject_field, field_len) != 0 || !end || end[1] != '\n' || end == text + field_len)
		return NULL;
	*ret_subject = text + field_len;
	*ret_len = (size_t)(end - *ret_subject);
	return end + 2;
}

static int get_template(const struct effect_config *config, const struct effect_input *input, const char *suffix,
	const char **ret_text, const char **ret_why)
{
	const int err =
		shelf_get(input->shelf, config->template_dir, input->event->type, suffix, input->now_ms, ret_text);

	if (err == ERR_INVALID)
		*ret_why = "a template is not UTF-8";
	return err;
}

static int add_subject(const char *subject, size_t len, const struct event *event, const json_t *data,
	struct request *request, const char **ret_why)
{
	struct buf line;
	char *text = strndup(subject, len);
	int err;

	if (!text)
		return ERR_MEMORY;
	buf_init(&line, LIMIT_TEMPLATE);
	err = template_expand(text, event, data, TEMPLATE_LINE, &line, ret_why);
	if (!err) {
		*ret_why = "the subject would be empty or hold a control byte";
		err = mail_add_subject(request, line.data);
	}
	buf_release(&line);
	free(text);
	return err;
}

/* `bodies` is the data with the link, which a subject may not have: mail servers log subjects. */
static int add_text(const struct effect_config *config, const struct effect_input *input, const json_t *data,
	const json_t *bodies, struct request *request, const char **ret_why)
{
	const char *file, *subject, *text;
	size_t len;
	int err = get_template(config, input, text_suffix, &file, ret_why);

	if (err == ERR_NOT_FOUND) {
		*ret_why = "there is no template for this type of event";
		return ERR_INVALID;
	}
	if (err)
		return err;
	text = split_subject(file, &subject, &len);
	if (!text) {
		*ret_why = "the template does not begin with a subject and an empty line";
		return ERR_INVALID;
	}
	err = add_subject(subject, len, input->event, data, request, ret_why);
	return err ? err : template_expand(text, input->event, bodies, TEMPLATE_TEXT, &request->text, ret_why);
}

static int add_html(const struct effect_config *config, const struct effect_input *input, const json_t *data,
	struct request *request, const char **ret_why)
{
	const char *file;
	const int err = get_template(config, input, html_suffix, &file, ret_why);

	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	return template_expand(file, input->event, data, TEMPLATE_HTML, &request->html, ret_why);
}

/* For who has no shelf the files are read for this mail alone. */
static int add_bodies(const struct effect_config *config, const struct effect_input *input, const json_t *data,
	const json_t *bodies, struct request *request, const char **ret_why)
{
	struct effect_input shelved = *input;
	struct shelf own;
	int err;

	shelf_init(&own);
	if (!shelved.shelf)
		shelved.shelf = &own;
	err = add_text(config, &shelved, data, bodies, request, ret_why);
	err = err ? err : add_html(config, &shelved, bodies, request, ret_why);
	if (err) { /* a file may have been about to be replaced: at most this mail may suffer */
		shelf_forget(shelved.shelf, input->event->type, text_suffix);
		shelf_forget(shelved.shelf, input->event->type, html_suffix);
	}
	shelf_release(&own);
	return err;
}

/* RFC 2369, and RFC 8058 where one click can do it. Values are percent-encoded: an address may hold a '+' or '&'. */
static int add_unsubscribe(const struct effect_config *config, const struct event *event, const json_t *data,
	struct request *request, const char **ret_why)
{
	struct buf value;
	int err;

	if (!config->list_unsubscribe)
		return 0;
	buf_init(&value, LIMIT_MAIL_LINE - strlen("List-Unsubscribe: "));
	buf_append_text(&value, "<");
	err = template_expand(config->list_unsubscribe, event, data, TEMPLATE_URL, &value, ret_why);
	if (!err) {
		buf_append_text(&value, ">");
		err = buf_error(&value);
	}
	if (!err)
		err = request_add_header(request, "List-Unsubscribe", value.data);
	if (!err && strncmp(config->list_unsubscribe, "https://", strlen("https://")) == 0)
		err = request_add_header(request, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
	buf_release(&value);
	return err;
}

/* Auto-Submitted (RFC 3834) keeps vacation notices and mailing lists from answering. */
static int add_headers(const struct event *event, const char *id, const struct mailbox *from, struct request *request)
{
	char date[MAIL_DATE_SIZE], message_id[EFFECT_ID_SIZE + LIMIT_EMAIL + 4];
	int err;

	/* the event's own time: every attempt makes the same mail */
	mail_date(date, event->created_ms);
	snprintf(message_id, sizeof message_id, "<%s@%s>", id, mail_address_domain(from->address));
	err = mail_add_from(request, from);
	if (!err)
		err = request_add_header(request, "To", request->recipient);
	if (!err)
		err = request_add_header(request, "Date", date);
	if (!err)
		err = request_add_header(request, "Message-ID", message_id);
	if (!err)
		err = request_add_header(request, "Auto-Submitted", "auto-generated");
	return err;
}

/*
 * Whom this mail is for: what the row was written for, else what is configured, else the user. ERR_NOT_FOUND where that
 * is a name that the event has nothing for.
 */
static int find_recipient(const struct effect_config *config, const char *written, const json_t *data,
	const char **ret_recipient, const char **ret_why)
{
	const char *source = config->to_count > 0 ? config->to[0] : "{{user.email}}", *name;
	const json_t *value;
	size_t len;

	if (written && *written)
		source = written;
	*ret_recipient = source;
	if (!template_name(source, &name, &len))
		return 0;
	value = payload_find(data, name, len);
	if (value && !json_is_null(value) && !json_is_string(value)) {
		*ret_why = "the event has no text where the recipient's address should be";
		return ERR_INVALID;
	}
	*ret_recipient = json_string_value(value);
	return *ret_recipient && **ret_recipient ? 0 : ERR_NOT_FOUND;
}

static int set_envelope(const struct effect_config *config, const struct effect_input *input, const json_t *data,
	struct mailbox *ret_from, struct request *request, const char **ret_why)
{
	const char *recipient;
	int err = find_recipient(config, input->recipient, data, &recipient, ret_why);

	if (err)
		return err;
	if (!config->from || !mail_mailbox_parse(config->from, ret_from)) {
		*ret_why = "the configured sender is no address that can be used";
		return ERR_INVALID;
	}
	if (!mail_address_valid(recipient)) {
		*ret_why = "the recipient is no address that can be used";
		return ERR_INVALID;
	}
	request->sender = strdup(ret_from->address);
	request->recipient = strdup(recipient);
	return request->sender && request->recipient ? 0 : ERR_MEMORY;
}

/*
 * The data for bodies: where the event has a link, and the mail goes to the address of the user whom it is about, with
 * the link that works. A copy of such a mail for somebody else must not have it.
 */
static int add_link(const struct effect_input *input, json_t *data, struct request *request, json_t **ret_bodies,
	const char **ret_why)
{
	const char *own = payload_text(data, "user.email");
	json_t *values = NULL, *bodies;
	int err;

	if (!link_purpose_of(input->event->type) || !own || strcmp(own, request->recipient) != 0) {
		*ret_bodies = json_incref(data);
		return 0;
	}
	err = link_values(input->links, input->event->type, data, &values, request->link_token, ret_why);
	if (err)
		return err;
	bodies = json_copy(data);
	if (!bodies || json_object_set(bodies, "link", values) != 0) {
		json_decref(bodies);
		bodies = NULL;
	}
	json_decref(values);
	*ret_bodies = bodies;
	return bodies ? 0 : ERR_MEMORY;
}

static int build(const struct effect_config *config, const struct effect_input *input, struct request *request,
	const char **ret_why)
{
	const struct event *event = input->event;
	struct mailbox from;
	json_t *data, *bodies = NULL;
	int err = payload_data(event, &data, ret_why);

	if (err)
		return err;
	err = set_envelope(config, input, data, &from, request, ret_why);
	if (!err)
		err = add_headers(event, input->id, &from, request);
	if (!err)
		err = add_unsubscribe(config, event, data, request, ret_why);
	if (!err)
		err = add_link(input, data, request, &bodies, ret_why);
	if (!err)
		err = add_bodies(config, input, data, bodies, request, ret_why);
	json_decref(bodies);
	json_decref(data);
	return err;
}

/* Whether all of an effect's mails go to the address of the user whom they are about. */
static bool to_user_alone(const struct effect_config *config)
{
	const char *name;
	size_t len;

	for (size_t i = 0; i < config->to_count; i++) {
		if (!template_name(config->to[i], &name, &len) || len != strlen("user.email") ||
			strncmp(name, "user.email", len) != 0)
			return false;
	}
	return true;
}

static int check_subject(char *text, const char *type, struct buf *why)
{
	const char *subject;
	size_t len;

	if (!split_subject(text, &subject, &len)) {
		buf_append_text(why, "does not begin with a line \"Subject: …\" and an empty line");
		return ERR_INVALID;
	}
	text[(size_t)(subject - text) + len] = '\0';
	return template_check(subject, type, false, why);
}

/* One file; what is wrong with it goes to `why`, with its name. */
static int check_file(const struct effect_config *config, const char *type, const char *suffix, struct buf *why)
{
	const bool required = suffix == text_suffix;
	const char *folder = config->template_dir;
	struct buf message;
	char *text = NULL;
	int err = template_read(folder, type, suffix, &text);

	if (err == ERR_NOT_FOUND && !required)
		return 0;
	buf_init(&message, LIMIT_TEMPLATE);
	if (err == ERR_NOT_FOUND)
		buf_append_text(&message, "is missing");
	else if (err == ERR_INVALID)
		buf_append_text(&message, "is not UTF-8");
	else if (err)
		buf_append_text(&message, err_text(err));
	else
		err = template_check(text, type, to_user_alone(config), &message);
	if (!err && required)
		err = check_subject(text, type, &message);
	if (err)
		buf_printf(
			why, "%stemplate: %s/%s%s: %s", why->len > 0 ? "; " : "", folder, type, suffix, message.data);
	buf_release(&message);
	free(text);
	return err ? ERR_INVALID : 0;
}

static int check_type(const struct effect_config *config, const char *type, struct buf *why)
{
	const int text_err = check_file(config, type, text_suffix, why);
	const int html_err = check_file(config, type, html_suffix, why);

	return text_err ? text_err : html_err;
}

/* The event type that a file of the folder is for; false: it is no text template. */
static bool type_of_file(const char *file, char *ret_type, size_t size)
{
	const size_t len = strlen(file), suffix_len = strlen(text_suffix);

	if (*file == '.' || len <= suffix_len || strcmp(file + len - suffix_len, text_suffix) != 0)
		return false;
	snprintf(ret_type, size, "%.*s", (int)(len - suffix_len), file);
	return true;
}

/* For "*" and "user.*" there is no list of types to go through: all templates that the effect might use. */
static int check_folder(const struct effect_config *config, struct buf *why)
{
	const struct dirent *entry;
	char type[sizeof entry->d_name], text[ERR_SYSTEM_TEXT_SIZE];
	size_t found = 0;
	int err = 0;
	DIR *folder = opendir(config->template_dir);

	if (!folder) {
		buf_printf(why, "template: %s: %s", config->template_dir, err_system_text(errno, text));
		return ERR_INVALID;
	}
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): glibc's is safe on a folder that no other thread reads */
	while ((entry = readdir(folder)) != NULL) {
		if (!type_of_file(entry->d_name, type, sizeof type) || !effect_config_wants(config, type))
			continue;
		found++;
		if (check_type(config, type, why) != 0)
			err = ERR_INVALID;
	}
	closedir(folder);
	if (found == 0) {
		buf_printf(why, "template: %s has none for the events of this effect", config->template_dir);
		err = ERR_INVALID;
	}
	return err;
}

/* A name must be one of the event's data, for there are no addresses elsewhere. */
static int check_recipient(const struct effect_config *config, const char *recipient, struct buf *why)
{
	struct buf message;
	const char *name;
	size_t len;
	int err = 0;

	buf_init(&message, LIMIT_CONFIG_MESSAGE);
	if (!template_name(recipient, &name, &len)) {
		if (!mail_address_valid(recipient))
			err = ERR_INVALID;
	} else if (strncmp(name, "event.", strlen("event.")) == 0) {
		err = ERR_INVALID;
	}
	if (err)
		buf_printf(&message, "\"%s\" is no address that can be used, nor one {{name}} of the event's data",
			recipient);
	for (size_t i = 0; !err && i < config->on_count; i++)
		err = template_check(recipient, config->on[i], false, &message);
	if (err)
		buf_printf(why, "to: %s", message.data);
	buf_release(&message);
	return err;
}

static int check_unsubscribe(const struct effect_config *config, struct buf *why)
{
	struct buf message;
	int err = 0;

	buf_init(&message, LIMIT_CONFIG_MESSAGE);
	for (size_t i = 0; config->list_unsubscribe && !err && i < config->on_count; i++)
		err = template_check(config->list_unsubscribe, config->on[i], false, &message);
	if (err)
		buf_printf(why, "list_unsubscribe: %s", message.data);
	buf_release(&message);
	return err;
}

static int check_templates(const struct effect_config *config, struct buf *why)
{
	bool patterns = false;
	int err = 0;

	for (size_t i = 0; i < config->on_count; i++) {
		if (strchr(config->on[i], '*'))
			patterns = true;
		else if (check_type(config, config->on[i], why) != 0)
			err = ERR_INVALID;
	}
	if (patterns && check_folder(config, why) != 0)
		err = ERR_INVALID;
	return err;
}

static int check(const struct effect_config *config, struct buf *why)
{
	struct mailbox from;
	int err = 0;

	if (!config->from || !config->template_dir) {
		buf_printf(why, "%s: an email effect needs it", config->from ? "template" : "from");
		return ERR_INVALID;
	}
	if (!mail_mailbox_parse(config->from, &from)) {
		buf_printf(why, "from: \"%s\" is no address that can be used", config->from);
		return ERR_INVALID;
	}
	for (size_t i = 0; !err && i < config->to_count; i++)
		err = check_recipient(config, config->to[i], why);
	if (!err)
		err = check_unsubscribe(config, why);
	return err ? err : check_templates(config, why);
}

const struct effect_kind effect_email = {.type = "email", .mail = true, .build = build, .check = check};
