/*
 * What operators do to effects, as commands (command.h) and as /admin routes do it: to a running pool, or to a store
 * that no server owns.
 *
 *   effects.replay   {…selection, "dry_run"}             {"rows", "more", "by":[{"effect","cause","rows"}], "unchanged":[id …]}
 *   effects.discard  the same
 *   effects.pause    {"name", "reason"}                  {"name"}      ERR_NOT_FOUND: no such effect or target
 *   effects.resume   {"name"}                            {"name"}      ERR_NOT_FOUND: none such, or it is not paused
 *   effects.targets  {}                                  effects_json_targets; of a running server only
 *
 * "more": some were left, since their target has reached its max_pending. "unchanged" are the ids of the selection that
 * no row in the right state belongs to. A pause lasts until it is resumed, over restarts as well.
 */
#ifndef TOKENFIRST_SERVER_OPS_EFFECTS_COMMAND_H
#define TOKENFIRST_SERVER_OPS_EFFECTS_COMMAND_H

#include "background/delivery/operate.h"
#include "server/ops/selection.h"

struct app;

enum effects_change { EFFECTS_REPLAY, EFFECTS_DISCARD };

/*
 * Where a change is made: in a running pool, or, without one, by the writer of a store inside a transaction of the
 * caller's. And by whom, for its audit row (types effects.replayed, .discarded, .paused, .resumed). The writer's row is
 * of the same transaction; a pool writes by itself, so its row follows at once: one that can't be written is logged.
 */
struct effects_place {
	struct pool *pool;
	struct committer *committer; /* beside the pool */
	struct db *writer;
	const char *actor;		 /* NULL: a command */
	const char *client, *request_id; /* NULL for a command */
};
/*
 * Whether rows in the state that the selection names can be changed so: dead ones, and pending ones can be discarded.
 */
bool effects_changeable(enum effects_change change, const struct selection *selection);
/* Of a selection that is changeable. */
int effects_change(const struct effects_place *place, enum effects_change change, struct selection *selection,
	bool dry_run, json_t **ret_reply) MUST_CHECK;
/* pool_pause and pool_resume, or pause_add and pause_remove. */
int effects_pause(const struct effects_place *place, const char *name, const char *reason) MUST_CHECK;
int effects_resume(const struct effects_place *place, const char *name) MUST_CHECK;

/* Whether it may be kept as a reason to pause, and shown: one line of UTF-8 of less than LIMIT_REASON bytes. */
bool effects_reason_valid(const char *reason);

/* For the table of command.c. */
int effects_replay_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int effects_discard_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int effects_pause_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int effects_resume_store(struct db *writer, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int effects_replay_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int effects_discard_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int effects_pause_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int effects_resume_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;
int effects_targets_live(struct app *app, const json_t *arguments, json_t **ret_reply) MUST_CHECK;

#endif
