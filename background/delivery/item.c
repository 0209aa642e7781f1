#include "background/delivery/item.h"

#include <jansson.h>
#include <stdlib.h>

#include "config/buf.h"
#include "config/clock.h"
#include "config/json_text.h"
#include "config/limits.h"

struct item *item_new(struct event *event, int64_t due_ms)
{
	struct item *item = calloc(1, sizeof(*item));
	if (item == NULL)
		return NULL;
	item->event = event_ref(event);
	item->due_ms = due_ms;
	item->since_ms = event->created_ms;
	return item;
}

void item_free(struct item *item)
{
	if (item == NULL)
		return;
	event_unref(item->event);
	free(item->recipient);
	free(item->log);
	free(item);
}

/*
 * One attempt as JSON text. Almost every effect has one attempt and ends with it, so this is written straight and not
 * by way of a tree; all but the reason are numbers and words of our own.
 */
static int write_attempt(struct buf *out, const struct attempt *attempt)
{
	const int64_t duration_us = attempt->duration_us > 0 ? attempt->duration_us : 0;
	const char thousandths[] = {'.', (char)('0' + duration_us / 100 % 10), (char)('0' + duration_us / 10 % 10),
		(char)('0' + duration_us % 10)};
	char start[RFC3339_SIZE];
	int err = 0;

	clock_rfc3339(start, attempt->start_ms);
	buf_append_text(out, "{\"attempt\":");
	buf_append_int(out, attempt->number);
	buf_append_text(out, ",\"start\":\"");
	buf_append_text(out, start);
	buf_append_text(out, "\",\"duration_ms\":");
	buf_append_int(out, duration_us / 1000);
	buf_append(out, thousandths, sizeof(thousandths));
	buf_append_text(out, ",\"outcome\":\"");
	buf_append_text(out, outcome_text(attempt->outcome));
	buf_append_text(out, "\"");
	if (attempt->status != 0) {
		buf_append_text(out, ",\"status\":");
		buf_append_int(out, attempt->status);
	}
	if (attempt->reason != NULL && attempt->reason[0] != '\0') {
		const size_t before = out->len;
		buf_append_text(out, ",\"reason\":");
		err = json_text_append(out, attempt->reason);
		/* a reason quotes what a stranger sent: text that is no UTF-8 is left out, not passed on */
		if (err == ERR_INVALID) {
			out->len = before;
			err = 0;
		}
	}
	buf_append_text(out, "}");
	return err != 0 ? err : buf_error(out);
}

/* An attempt behind others. NULL without memory, or if `entry` can't be read. */
static char *append_entry(json_t *list, const char *entry)
{
	char *text = NULL;
	if (json_array_size(list) >= LIMIT_ATTEMPT_LOG)
		(void)json_array_remove(list, 1);
	if (json_array_append_new(list, json_loads(entry, 0, NULL)) == 0)
		text = json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(9));
	return text;
}

char *attempt_log_append(const char *log, const struct attempt *attempt)
{
	json_t *list = log != NULL ? json_loads(log, 0, NULL) : NULL;
	const bool more = json_array_size(list) > 0;
	char *text = NULL;
	struct buf out;

	buf_init(&out, LIMIT_ATTEMPT_TEXT);
	if (!more)
		buf_append_text(&out, "[");
	int err = write_attempt(&out, attempt);
	if (err == 0 && more)
		text = append_entry(list, out.data);
	if (err == 0 && !more) {
		buf_append_text(&out, "]");
		text = buf_steal(&out);
	}
	buf_release(&out);
	json_decref(list);
	return text;
}
