#include "background/delivery/mail_sockets.h"

#include <sys/socket.h>
#include <unistd.h>

void mail_sockets_shut(const struct mail_sockets *sockets, int how)
{
	for (size_t i = 0; i < sockets->count; i++)
		(void)shutdown(sockets->open[i], how);
}

static int on_open(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	struct mail_sockets *sockets = arg;
	(void)purpose;
	if (sockets->count == MAIL_SOCKETS)
		return CURL_SOCKOPT_ERROR;
	sockets->open[sockets->count++] = fd;
	return CURL_SOCKOPT_OK;
}

static int on_close(void *arg, curl_socket_t fd)
{
	struct mail_sockets *sockets = arg;
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->open[i] == fd)
			sockets->open[i] = sockets->open[--sockets->count];
	return close(fd);
}

int mail_sockets_watch(struct mail_sockets *sockets, CURL *easy)
{
	int failed = 0;
	failed += curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_open) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, sockets) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close) != CURLE_OK;
	failed += curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, sockets) != CURLE_OK;
	return failed > 0 ? ERR_MEMORY : 0;
}
