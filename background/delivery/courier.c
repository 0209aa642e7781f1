#include "background/delivery/courier.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "config/clock.h"
#include "config/limits.h"

enum { INTERRUPT_MS = 10 }; /* between two interruptions of what is broken off */

struct couriers {
	void (*ended)(void *arg, struct errand *errand);
	void *arg;
	atomic_bool stopping; /* also asked by transfers under way */

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work;
	struct errand *first, **last; /* not begun */
	pthread_cond_t end;	      /* a thread has ended */
	size_t waiting, idle, thread_count, ended_count;
	pthread_t threads[LIMIT_COURIERS];
};

static void interrupted(int signal_number)
{
	(void)signal_number; /* its coming is all: a wait in poll() ends, whatever it was for */
}

/* Without SA_RESTART, and of a signal that is otherwise ignored: a stray one does no harm. */
static int arm_interruption(void)
{
	struct sigaction action = {.sa_handler = interrupted};
	sigemptyset(&action.sa_mask);
	return sigaction(SIGURG, &action, NULL) == 0 ? 0 : ERR_SYSTEM;
}

struct couriers *couriers_new(void (*ended)(void *arg, struct errand *errand), void *arg)
{
	struct couriers *couriers = calloc(1, sizeof(*couriers));
	if (couriers == NULL)
		return NULL;
	couriers->ended = ended;
	couriers->arg = arg;
	couriers->last = &couriers->first;
	pthread_mutex_init(&couriers->lock, NULL);
	pthread_cond_init(&couriers->work, NULL);
	if (arm_interruption() != 0 || clock_condition_init(&couriers->end) != 0) {
		pthread_cond_destroy(&couriers->work);
		pthread_mutex_destroy(&couriers->lock);
		free(couriers);
		return NULL;
	}
	return couriers;
}

/* The next errand; NULL: no more will come. */
static struct errand *take(struct couriers *couriers)
{
	pthread_mutex_lock(&couriers->lock);
	couriers->idle++;
	while (couriers->first == NULL && !atomic_load(&couriers->stopping))
		pthread_cond_wait(&couriers->work, &couriers->lock);
	couriers->idle--;
	struct errand *errand = couriers->first;
	if (errand != NULL) {
		couriers->first = errand->next;
		couriers->waiting--;
		if (couriers->first == NULL)
			couriers->last = &couriers->first;
	}
	pthread_mutex_unlock(&couriers->lock);
	return errand;
}

static void *courier_main(void *arg)
{
	struct couriers *couriers = arg;
	(void)pthread_setname_np(pthread_self(), "courier");
	for (struct errand *errand = take(couriers); errand != NULL; errand = take(couriers)) {
		errand->result = transfer_perform(errand->transfer, &couriers->stopping);
		couriers->ended(couriers->arg, errand);
	}
	pthread_mutex_lock(&couriers->lock);
	couriers->ended_count++;
	pthread_cond_signal(&couriers->end);
	pthread_mutex_unlock(&couriers->lock);
	return NULL;
}

int couriers_send(struct couriers *couriers, struct errand *errand)
{
	int err = 0;
	pthread_mutex_lock(&couriers->lock);
	if (couriers->waiting >= couriers->idle && couriers->thread_count < LIMIT_COURIERS &&
		pthread_create(&couriers->threads[couriers->thread_count], NULL, courier_main, couriers) == 0)
		couriers->thread_count++;
	if (couriers->thread_count == 0) {
		err = ERR_SYSTEM;
	} else {
		errand->next = NULL;
		*couriers->last = errand;
		couriers->last = &errand->next;
		couriers->waiting++;
		pthread_cond_signal(&couriers->work);
	}
	pthread_mutex_unlock(&couriers->lock);
	return err;
}

/*
 * curl asks whether to stop whenever one of its waits ends, which may take a second, be it for a name, a connection or
 * the reply to a mail. A signal ends the wait; again and again, as it may come between the question and the wait.
 */
static void interrupt_all(struct couriers *couriers)
{
	for (size_t i = 0; i < couriers->thread_count; i++)
		(void)pthread_kill(couriers->threads[i], SIGURG); /* not joined yet, so they exist */
}

void couriers_halt(struct couriers *couriers)
{
	if (couriers == NULL)
		return;
	pthread_mutex_lock(&couriers->lock);
	atomic_store(&couriers->stopping, true);
	pthread_cond_broadcast(&couriers->work);
	pthread_mutex_unlock(&couriers->lock);
}

void couriers_join(struct couriers *couriers)
{
	if (couriers == NULL)
		return;
	pthread_mutex_lock(&couriers->lock);
	while (couriers->ended_count < couriers->thread_count) {
		struct timespec until = clock_deadline(clock_mono_us() + (int64_t)INTERRUPT_MS * 1000);
		interrupt_all(couriers);
		(void)pthread_cond_timedwait(&couriers->end, &couriers->lock, &until);
	}
	pthread_mutex_unlock(&couriers->lock);
	/* only the caller sends, so no thread is added any more */
	for (size_t i = 0; i < couriers->thread_count; i++)
		pthread_join(couriers->threads[i], NULL);
	couriers->thread_count = couriers->ended_count = 0;
}

void couriers_free(struct couriers *couriers)
{
	if (couriers == NULL)
		return;
	pthread_cond_destroy(&couriers->end);
	pthread_cond_destroy(&couriers->work);
	pthread_mutex_destroy(&couriers->lock);
	free(couriers);
}
