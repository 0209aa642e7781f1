#include "background/delivery/courier.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "config/clock.h"
#include "config/limits.h"

enum { INTERRUPT_MS = 10 }; /* between two interruptions of what is broken off */

/* One thread. Its errand is given to it by name, so that one is woken for it and no other can take it. */
struct courier {
	struct couriers *all;
	pthread_t thread;
	pthread_cond_t wake;
	struct errand *errand; /* NULL: none was given to it */
	struct courier *next;  /* idle, too */
};

struct couriers {
	void (*ended)(void *arg, struct errand *errand);
	void *arg;
	atomic_bool stopping; /* also asked by transfers under way */

	pthread_mutex_t lock;	      /* guards all below, and all couriers */
	struct errand *first, **last; /* not begun: nobody is idle */
	struct courier *idle;	      /* the last to be so is the next to go: what it needs is still in the caches */
	pthread_cond_t end;	      /* a thread has ended */
	size_t count, ended_count;
	struct courier each[LIMIT_COURIERS];
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
	if (arm_interruption() != 0 || clock_condition_init(&couriers->end) != 0) {
		pthread_mutex_destroy(&couriers->lock);
		free(couriers);
		return NULL;
	}
	return couriers;
}

static struct errand *first_of(struct couriers *couriers)
{
	struct errand *errand = couriers->first;
	if (errand == NULL)
		return NULL;
	couriers->first = errand->next;
	if (couriers->first == NULL)
		couriers->last = &couriers->first;
	return errand;
}

/* The next errand; NULL: no more will come. */
static struct errand *take(struct courier *courier)
{
	struct couriers *couriers = courier->all;
	pthread_mutex_lock(&couriers->lock);
	struct errand *errand = first_of(couriers);
	if (errand == NULL && !atomic_load(&couriers->stopping)) {
		courier->next = couriers->idle;
		couriers->idle = courier;
		while (courier->errand == NULL && !atomic_load(&couriers->stopping))
			pthread_cond_wait(&courier->wake, &couriers->lock);
		errand = courier->errand;
		courier->errand = NULL;
	}
	pthread_mutex_unlock(&couriers->lock);
	return errand;
}

static void *courier_main(void *arg)
{
	struct courier *courier = arg;
	struct couriers *couriers = courier->all;
	(void)pthread_setname_np(pthread_self(), "courier");
	for (struct errand *errand = take(courier); errand != NULL; errand = take(courier)) {
		errand->result = transfer_perform(errand->transfer, &couriers->stopping);
		couriers->ended(couriers->arg, errand);
	}
	pthread_mutex_lock(&couriers->lock);
	couriers->ended_count++;
	pthread_cond_signal(&couriers->end);
	pthread_mutex_unlock(&couriers->lock);
	return NULL;
}

/* One more, which begins with what waits. The caller holds the lock. */
static void add_courier(struct couriers *couriers)
{
	struct courier *courier = &couriers->each[couriers->count];
	if (couriers->count == LIMIT_COURIERS)
		return;
	*courier = (struct courier){.all = couriers};
	pthread_cond_init(&courier->wake, NULL);
	if (pthread_create(&courier->thread, NULL, courier_main, courier) == 0)
		couriers->count++;
	else
		pthread_cond_destroy(&courier->wake);
}

int couriers_send(struct couriers *couriers, struct errand *errand)
{
	int err = 0;
	pthread_mutex_lock(&couriers->lock);
	assert(!atomic_load(&couriers->stopping)); /* who is idle may have ended */
	struct courier *idle = couriers->idle;
	if (idle != NULL) {
		couriers->idle = idle->next;
		idle->errand = errand;
	} else {
		add_courier(couriers);
		if (couriers->count == 0)
			err = ERR_SYSTEM;
	}
	if (idle == NULL && err == 0) {
		errand->next = NULL;
		*couriers->last = errand;
		couriers->last = &errand->next;
	}
	pthread_mutex_unlock(&couriers->lock);
	/* not before: who wakes up wants the lock. Only the caller takes couriers away */
	if (idle != NULL)
		pthread_cond_signal(&idle->wake);
	return err;
}

/*
 * curl asks whether to stop whenever one of its waits ends, which may take a second, be it for a name, a connection or
 * the reply to a mail. A signal ends the wait; again and again, as it may come between the question and the wait.
 */
static void interrupt_all(struct couriers *couriers)
{
	for (size_t i = 0; i < couriers->count; i++)
		(void)pthread_kill(couriers->each[i].thread, SIGURG); /* not joined yet, so they exist */
}

void couriers_halt(struct couriers *couriers)
{
	if (couriers == NULL)
		return;
	pthread_mutex_lock(&couriers->lock);
	atomic_store(&couriers->stopping, true);
	for (size_t i = 0; i < couriers->count; i++)
		pthread_cond_signal(&couriers->each[i].wake);
	pthread_mutex_unlock(&couriers->lock);
}

void couriers_join(struct couriers *couriers)
{
	if (couriers == NULL)
		return;
	pthread_mutex_lock(&couriers->lock);
	while (couriers->ended_count < couriers->count) {
		struct timespec until = clock_deadline(clock_mono_us() + (int64_t)INTERRUPT_MS * 1000);
		interrupt_all(couriers);
		(void)pthread_cond_timedwait(&couriers->end, &couriers->lock, &until);
	}
	pthread_mutex_unlock(&couriers->lock);
	/* only the caller sends, so no thread is added any more */
	for (size_t i = 0; i < couriers->count; i++) {
		pthread_join(couriers->each[i].thread, NULL);
		pthread_cond_destroy(&couriers->each[i].wake);
	}
	couriers->count = couriers->ended_count = 0;
}

void couriers_free(struct couriers *couriers)
{
	if (couriers == NULL)
		return;
	pthread_cond_destroy(&couriers->end);
	pthread_mutex_destroy(&couriers->lock);
	free(couriers);
}
