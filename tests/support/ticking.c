/*
 * A library to be preloaded (LD_PRELOAD): the program has one more thread, which wakes a hundred times a second for nothing.
 * A test that counts wake-ups has to find it.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { TICK_MS = 10 };

static void *tick(void *arg)
{
	const struct timespec pause = {.tv_nsec = TICK_MS * 1000000};

	(void)arg;
	(void)pthread_setname_np(pthread_self(), "ticking");
	for (;;)
		(void)nanosleep(&pause, NULL);
	return NULL;
}

__attribute__((constructor)) static void plant(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, tick, NULL) != 0)
		abort();
	(void)pthread_detach(thread);
}
