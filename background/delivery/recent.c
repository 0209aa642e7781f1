/*
 * Slots in a circle; a ticket is the running number of the entry, so a stale ticket is told
 * from the slot's present one. Look-ups are rare and scan an array of hashes, which keeps the
 * common path (add, update) free of any index.
 */
#include "background/delivery/recent.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "background/effects/effect.h"
#include "config/limits.h"

struct entry {
	uint64_t ticket;
	char event_id[ID_SIZE];
	char effect[EFFECT_ID_SIZE - ID_SIZE];
	char reason[LIMIT_REASON];
	struct recent_state state; /* reason and log point to what the entry owns */
	char *log;
};

struct recent {
	pthread_mutex_t lock; /* guards all below */
	uint64_t next;	      /* ticket; 0 is never given out */
	uint32_t hashes[LIMIT_RECENT_EVENTS];
	struct entry entries[LIMIT_RECENT_EVENTS];
};

/* FNV-1a (http://www.isthe.com/chongo/tech/comp/fnv/): spreads, protects nothing. */
static uint32_t hash(const char *event_id, const char *effect)
{
	uint32_t h = 2166136261u;
	for (const char *c = event_id; *c != '\0'; c++)
		h = (h ^ (unsigned char)*c) * 16777619u;
	for (const char *c = effect; *c != '\0'; c++)
		h = (h ^ (unsigned char)*c) * 16777619u;
	return h;
}

struct recent *recent_new(void)
{
	struct recent *recent = calloc(1, sizeof(*recent));
	if (recent == NULL)
		return NULL;
	pthread_mutex_init(&recent->lock, NULL);
	recent->next = 1;
	return recent;
}

void recent_free(struct recent *recent)
{
	if (recent == NULL)
		return;
	for (size_t i = 0; i < LIMIT_RECENT_EVENTS; i++)
		free(recent->entries[i].log);
	pthread_mutex_destroy(&recent->lock);
	free(recent);
}

/* The caller holds the lock; `log` is taken over, the former one is handed back to be freed outside it. */
static char *entry_set(struct entry *entry, const struct recent_state *state, char *log)
{
	char *former = entry->log;
	(void)snprintf(entry->reason, sizeof(entry->reason), "%s", state->reason != NULL ? state->reason : "");
	entry->log = log;
	entry->state = *state;
	entry->state.reason = entry->reason;
	entry->state.log = log;
	return former;
}

uint64_t recent_add(struct recent *recent, const char *event_id, const char *effect, const struct recent_state *state)
{
	char *log = state->log != NULL ? strdup(state->log) : NULL;
	uint32_t h = hash(event_id, effect);

	pthread_mutex_lock(&recent->lock);
	uint64_t ticket = recent->next++;
	struct entry *entry = &recent->entries[ticket % LIMIT_RECENT_EVENTS];
	recent->hashes[ticket % LIMIT_RECENT_EVENTS] = h;
	entry->ticket = ticket;
	(void)snprintf(entry->event_id, sizeof(entry->event_id), "%s", event_id);
	(void)snprintf(entry->effect, sizeof(entry->effect), "%s", effect);
	char *former = entry_set(entry, state, log);
	pthread_mutex_unlock(&recent->lock);
	free(former);
	return ticket;
}

void recent_update(struct recent *recent, uint64_t ticket, const struct recent_state *state)
{
	char *unused = state->log != NULL ? strdup(state->log) : NULL;

	pthread_mutex_lock(&recent->lock);
	struct entry *entry = &recent->entries[ticket % LIMIT_RECENT_EVENTS];
	if (entry->ticket == ticket)
		unused = entry_set(entry, state, unused);
	pthread_mutex_unlock(&recent->lock);
	free(unused);
}

int recent_find(struct recent *recent, const char *event_id, const char *effect,
	void (*found)(void *arg, const struct recent_state *state), void *arg)
{
	uint32_t h = hash(event_id, effect);
	struct recent_state state = {0};
	char reason[LIMIT_REASON];
	char *log = NULL;
	int err = ERR_NOT_FOUND;

	pthread_mutex_lock(&recent->lock);
	for (size_t i = 0; i < LIMIT_RECENT_EVENTS && err == ERR_NOT_FOUND; i++) {
		const struct entry *entry = &recent->entries[i];
		if (recent->hashes[i] != h || entry->ticket == 0 || strcmp(entry->event_id, event_id) != 0 ||
			strcmp(entry->effect, effect) != 0)
			continue;
		state = entry->state;
		memcpy(reason, entry->reason, sizeof(reason));
		log = entry->log != NULL ? strdup(entry->log) : NULL;
		err = entry->log != NULL && log == NULL ? ERR_MEMORY : 0;
	}
	pthread_mutex_unlock(&recent->lock);

	if (err == 0) {
		state.reason = reason;
		state.log = log;
		found(arg, &state);
	}
	free(log);
	return err;
}
