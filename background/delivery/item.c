#include "background/delivery/item.h"

#include <jansson.h>
#include <stdlib.h>

#include "config/clock.h"
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

char *attempt_log_append(const char *log, const struct attempt *attempt)
{
	char *text = NULL;
	char start[RFC3339_SIZE];
	json_t *entry = NULL;
	json_t *list = log != NULL ? json_loads(log, 0, NULL) : NULL;
	if (!json_is_array(list)) {
		json_decref(list);
		list = json_array();
	}

	clock_rfc3339(start, attempt->start_ms);
	entry = json_pack("{s:i, s:s, s:f, s:s}", "attempt", attempt->number, "start", start, "duration_ms",
		(double)attempt->duration_us / 1000.0, "outcome", outcome_text(attempt->outcome));
	if (entry == NULL)
		goto done;
	if (attempt->status != 0 && json_object_set_new(entry, "status", json_integer(attempt->status)) != 0)
		goto done;
	/* a reason quotes what a stranger sent: text that is no UTF-8 is left out, not passed on */
	if (attempt->reason != NULL && attempt->reason[0] != '\0')
		(void)json_object_set_new(entry, "reason", json_string(attempt->reason));
	if (json_array_size(list) >= LIMIT_ATTEMPT_LOG)
		(void)json_array_remove(list, 1);
	if (json_array_append(list, entry) == 0)
		text = json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(9));
done:
	json_decref(entry);
	json_decref(list);
	return text;
}
