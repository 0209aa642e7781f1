#include "background/delivery/reply_head.h"

#include <string.h>
#include <strings.h>

#include "background/effects/effect.h"

void reply_head_reset(struct reply_head *head)
{
	head->open = false;
	head->retry_after_count = 0;
}

static void keep_retry_after(struct reply_head *head, const char *line, size_t len)
{
	static const char name[] = "retry-after:";
	size_t skip = sizeof(name) - 1;
	if (len <= skip || strncasecmp(line, name, skip) != 0)
		return;
	while (skip < len && (line[skip] == ' ' || line[skip] == '\t'))
		skip++;
	while (len > skip && strchr("\r\n\t ", line[len - 1]) != NULL)
		len--;
	size_t value = len - skip;
	if (value >= RETRY_AFTER_SIZE || head->retry_after_count == RETRY_AFTERS)
		return;
	char *kept = head->retry_after[head->retry_after_count++];
	memcpy(kept, line + skip, value);
	kept[value] = '\0';
}

void reply_head_line(struct reply_head *head, const char *line, size_t len)
{
	if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
		head->retry_after_count = 0; /* an interim 1xx before it has no say */
		head->open = true;
	} else if (line[0] == '\r' || line[0] == '\n') {
		head->open = false;
	}
	keep_retry_after(head, line, len);
}

int64_t reply_head_retry_after(const struct reply_head *head, int64_t now_ms)
{
	int64_t longest_ms = -1; /* none of them may be undercut */
	for (size_t i = 0; i < head->retry_after_count; i++) {
		int64_t ms = retry_after_parse(head->retry_after[i], now_ms);
		longest_ms = ms > longest_ms ? ms : longest_ms;
	}
	return longest_ms;
}
