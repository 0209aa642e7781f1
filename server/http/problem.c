#include "server/http/problem.h"

#include <jansson.h>

/* The registered phrases: https://www.iana.org/assignments/http-status-codes */
static const struct {
	int status;
	const char *phrase;
} phrases[] = {
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{408, "Request Timeout"},
	{409, "Conflict"},
	{411, "Length Required"},
	{413, "Content Too Large"},
	{414, "URI Too Long"},
	{415, "Unsupported Media Type"},
	{422, "Unprocessable Content"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
};

const char *problem_title(int status)
{
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "Error";
}

/* json_string refuses what is not UTF-8; the member is then missing, the rest still helps. */
static void set(json_t *object, const char *name, const char *text)
{
	if (text && json_object_set_new(object, name, json_string(text)) != 0)
		(void)json_object_del(object, name);
}

char *problem_render(int status, const char *code, const char *detail, const char *request_id)
{
	json_t *problem = json_object();
	char *text = NULL;

	if (!problem || json_object_set_new(problem, "status", json_integer(status)) != 0)
		goto done;
	set(problem, "type", "about:blank");
	set(problem, "title", problem_title(status));
	set(problem, "code", code);
	set(problem, "detail", detail);
	set(problem, "request_id", request_id);
	text = json_dumps(problem, JSON_COMPACT);
done:
	json_decref(problem);
	return text;
}
