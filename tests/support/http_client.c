#include "tests/support/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/buf.h"
#include "tests/support/harness.h"
#include "tests/support/wire.h"

enum { MEMBER_DEPTH = 16 };

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_begin(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		harness_fail("curl_global_init");
}

static size_t body_add(char *bytes, size_t size, size_t count, void *arg)
{
	struct buf *body = arg;

	buf_append(body, bytes, size * count);
	return buf_error(body) == 0 ? size * count : 0;
}

static size_t head_add(char *bytes, size_t size, size_t count, void *arg)
{
	struct buf *head = arg;

	if (size * count > 5 && memcmp(bytes, "HTTP/", 5) == 0)
		buf_reset(head); /* an interim reply came before */
	buf_append(head, bytes, size * count);
	return buf_error(head) == 0 ? size * count : 0;
}

static struct curl_slist *headers_make(const struct http_call *call)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");
	bool typed = call->body == NULL;

	for (const char *const *h = call->headers; h != NULL && *h != NULL; h++) {
		list = curl_slist_append(list, *h);
		typed = typed || strncasecmp(*h, "Content-Type:", 13) == 0;
	}
	if (!typed)
		list = curl_slist_append(list, "Content-Type: application/json");
	return list;
}

static void set_up(CURL *easy, const struct http_call *call, struct curl_slist *headers)
{
	long timeout_ms = call->timeout_ms == 0 ? HTTP_TIMEOUT_MS : (long)call->timeout_ms;

	curl_easy_setopt(easy, CURLOPT_URL, call->url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_add);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, head_add);
	if (call->body != NULL) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(call->body));
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
	}
	if (call->method != NULL && strcmp(call->method, "HEAD") == 0)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	else if (call->method != NULL)
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

void http_do(const struct http_call *call, struct http_reply *ret_reply)
{
	struct http_reply reply = {0};
	struct curl_slist *headers = headers_make(call);
	char failure[CURL_ERROR_SIZE] = "";
	struct buf head;
	struct buf body;
	int64_t start_us;
	CURLcode code;
	long status = 0;
	CURL *easy;

	pthread_once(&curl_once, curl_begin);
	buf_init(&head, WIRE_HEAD_MAX);
	buf_init(&body, HTTP_REPLY_MAX);
	easy = curl_easy_init();
	if (easy == NULL || headers == NULL)
		harness_fail("curl: out of memory");
	set_up(easy, call, headers);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, &head);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, failure);
	start_us = harness_mono_us();
	code = curl_easy_perform(easy);
	reply.ms = (double)(harness_mono_us() - start_us) / 1000;
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK)
		reply.status = (int)status;
	else
		snprintf(reply.failure, sizeof(reply.failure), "%s",
			failure[0] == '\0' ? curl_easy_strerror(code) : failure);
	reply.body_len = body.len;
	reply.head = strdup(head.data);
	reply.body = calloc(1, body.len + 1);
	if (reply.head == NULL || reply.body == NULL)
		harness_fail("out of memory");
	memcpy(reply.body, body.data, body.len);
	reply.json = json_loadb(reply.body, reply.body_len, JSON_REJECT_DUPLICATES, NULL);
	buf_release(&head);
	buf_release(&body);
	curl_easy_cleanup(easy);
	curl_slist_free_all(headers);
	*ret_reply = reply;
}

void http_reply_release(struct http_reply *reply)
{
	free(reply->head);
	free(reply->body);
	json_decref(reply->json);
}

const char *http_reply_header(const struct http_reply *reply, const char *name, char value[HTTP_HEADER_MAX])
{
	size_t len = 0;
	const char *found = wire_header(reply->head, strlen(reply->head), name, &len);

	snprintf(value, HTTP_HEADER_MAX, "%.*s", found == NULL ? 0 : (int)len, found == NULL ? "" : found);
	return value;
}

json_t *http_reply_member(const struct http_reply *reply, const char *path)
{
	json_t *at = reply->json;

	for (int depth = 0; at != NULL && depth < MEMBER_DEPTH; depth++) {
		size_t len = strcspn(path, ".");
		char name[128];

		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		at = json_object_get(at, name);
		if (path[len] == '\0')
			return at;
		path += len + 1;
	}
	return NULL;
}

const char *http_reply_text(const struct http_reply *reply, const char *path)
{
	const char *text = json_string_value(http_reply_member(reply, path));

	return text == NULL ? "" : text;
}
