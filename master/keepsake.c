#include "master/keepsake.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/board.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/mem.h"
#include "master/acks.h"
#include "master/capture.h"
#include "master/generation.h"
#include "master/inbox.h"
#include "master/keep.h"
#include "master/listener.h"
#include "master/mailbox.h"
#include "master/mirror.h"
#include "master/policy.h"
#include "master/pool_save.h"
#include "master/reload.h"
#include "master/roster.h"
#include "master/saved.h"
#include "master/spawn.h"
#include "master/supervise_priv.h"
#include "master/turnout.h"

/* ---- workers and the pool, each turn */

/*
 * To the pool a worker is told to stop when it says so; until it really is,
 * another image has to do it: once more from the beginning.
 */
static void
note_untold(const struct supervise *s, struct child_saved *row)
{
	if (row->state == CHILD_DRAINING && row->due == DO_NOTHING &&
	    turnout_owes(s->turnout, row->pid))
		row->due = DO_STOP;
}

void
keepsake_child(struct supervise *s, const struct child *child)
{
	const struct entry	*entry = roster_at(s->roster,
				    child_info(child)->cell);
	struct child_row	 row = {
		.born_us = entry->born_us,
		.mail_fd = -1, .ack_fd = -1, .out_fd = -1,
		.pid_fd = entry->pidfd, .uid = entry->uid,
		.program = entry->program, .foreign = entry->pidfd != -1,
		.watched = entry->alive_ms != 0,
	};

	if (entry->mail != NULL)
		row.mail_fd = mailbox_fd(entry->mail);
	if (entry->ack != NULL)
		row.ack_fd = ack_fd(entry->ack);
	if (entry->output != NULL)
		row.out_fd = capture_fd(entry->output);
	pool_save_child(child, &row.pool);
	note_untold(s, &row.pool);
	mirror_child(s->p.mirror, &row);
}

/* A worker that shuts the channel of all of them makes us open another. */
static bool
inbox_is_new(const struct supervise *s)
{
	const struct setup_master	*figures = s->p.figures;

	return memcmp(figures->inbox_fds, inbox_fds(s->inbox),
	    sizeof(figures->inbox_fds)) != 0;
}

/* What a crash would cut off, without any trace but this. */
static uint32_t
reload_begun(const struct supervise *s)
{
	const char	*why = reload_preparing(s->reload);

	if (why == NULL)
		return SETUP_NO_RELOAD;
	return strcmp(why, "upgrade") == 0 ? SETUP_BY_UPGRADE :
	    SETUP_BY_SIGNAL;
}

/*
 * The pool comes last: it ends the turn. Only then a cell may be used again,
 * so that no row is of two workers in one turn.
 */
void
keepsake_turn(struct supervise *s)
{
	struct pool_saved	 pool;
	struct slot_saved	 row;
	struct child		*child;
	int			 slot;

	if (s->setup_due || inbox_is_new(s) ||
	    s->p.figures->reload_begun != reload_begun(s))
		keepsake_setup(s);
	while ((child = pool_next_changed(s->pool)) != NULL)
		keepsake_child(s, child);
	while ((slot = pool_next_changed_slot(s->pool)) != -1)
		if (pool_save_slot(s->pool, slot, &row))
			mirror_slot(s->p.mirror, &row);
	pool_save(s->pool, &pool);
	mirror_pool(s->p.mirror, &pool);
	while (s->nleft > 0)
		board_release(s->board, s->left[--s->nleft]);
}

void
keepsake_cell_left(struct supervise *s, int cell)
{
	if (s->nleft == s->left_room) {
		s->left_room = s->left_room * 2 + 16;
		s->left = xreallocarray(s->left, s->left_room,
		    sizeof(*s->left));
	}
	s->left[s->nleft++] = cell;
}

/* ---- generations and listeners, when they change */

static void
add_fd(void *arg, int fd, enum listener_fd kind)
{
	struct setup_listener	*out = arg;

	if (kind != LISTENER_SOCKET)
		return;
	out->fds = xreallocarray(out->fds, out->nfds + 1, sizeof(*out->fds));
	out->fds[out->nfds++] = fd;
}

static void
write_listeners(struct setup_saved *setup)
{
	struct setup_listener	*out;
	struct listener		*listener = NULL;

	while ((listener = listener_next(listener)) != NULL) {
		setup->listeners = xreallocarray(setup->listeners,
		    setup->nlisteners + 1, sizeof(*setup->listeners));
		out = &setup->listeners[setup->nlisteners++];
		*out = (struct setup_listener){ .nfds = 0 };
		listener_save(listener, &out->saved);
		listener_fds(listener, add_fd, out);
	}
}

static void
write_generation(struct setup_generation *out,
    const struct generation *generation)
{
	const struct listener_set	*set = generation->sockets;
	const char			*name;
	size_t				 i;

	*out = (struct setup_generation){ .nr = generation->nr,
	    .nmembers = listeners_count(set) };
	out->conf = conf_print(generation->conf, &out->conf_len);
	out->members = xcalloc(out->nmembers + 1, sizeof(*out->members));
	for (i = 0; i < out->nmembers; i++) {
		out->members[i].id = listener_id(listener_set_nth(set, i,
		    &name));
		strncpy(out->members[i].name, name,
		    sizeof(out->members[i].name) - 1);
	}
}

static void
write_generations(const struct supervise *s, struct setup_saved *setup)
{
	const struct generation	*generation;

	generation = generations_first(s->p.generations);
	for (; generation != NULL; generation = generation->next) {
		setup->generations = xreallocarray(setup->generations,
		    setup->ngenerations + 1, sizeof(*setup->generations));
		write_generation(&setup->generations[setup->ngenerations++],
		    generation);
	}
}

/* Why a renewal was begun: written down by their places. */
static const char *const	 causes[] = { "signal", "upgrade", "adopt" };
#define CAUSES	(sizeof(causes) / sizeof(causes[0]))

static uint32_t
number_of(const char *cause)
{
	uint32_t	 i;

	for (i = 0; cause != NULL && i < CAUSES; i++)
		if (strcmp(causes[i], cause) == 0)
			return i;
	return 0;
}

void
keepsake_setup(struct supervise *s)
{
	struct setup_saved	*setup = xcalloc(1, sizeof(*setup));
	const int		*life = spawner_life(s->spawner);
	const int		*inbox = inbox_fds(s->inbox);
	struct setup_master	*figures = s->p.figures;

	s->setup_due = false;
	memcpy(figures->life_fds, life, sizeof(figures->life_fds));
	memcpy(figures->inbox_fds, inbox, sizeof(figures->inbox_fds));
	figures->board_fd = board_fd(s->board);
	figures->renewal = number_of(reload_why(s->reload));
	figures->reload_begun = reload_begun(s);
	figures->generation = generations_now(s->p.generations)->nr;
	setup->master = *figures;
	setup->name = xstrdup(generations_now(s->p.generations)->
	    conf->master.name);
	setup->path = xstrdup(s->p.path);
	if (s->p.source->folder != NULL)
		setup->folder = xstrdup(s->p.source->folder);
	write_listeners(setup);
	write_generations(s, setup);
	mirror_setup(s->p.mirror, setup);
	setup_free(setup);
}

void
keepsake_all(struct supervise *s)
{
	const struct entry	*entry;
	struct slot_saved	 row;
	struct child		*child;
	int			 nr;

	mirror_forgive(s->p.mirror);
	for (nr = 0; nr < roster_cells(s->roster); nr++) {
		entry = roster_at(s->roster, nr);
		child = entry->pid > 0 ? pool_find(s->pool, entry->pid) : NULL;
		if (child != NULL)
			keepsake_child(s, child);
		else
			mirror_child_gone(s->p.mirror, nr);
	}
	for (nr = 0; pool_save_slot(s->pool, nr, &row); nr++)
		mirror_slot(s->p.mirror, &row);
	keepsake_setup(s);
	keepsake_turn(s);
}

/* ---- taking up again */

int
keepsake_board(struct supervise *s, struct err *err)
{
	const struct saved	*saved = s->p.saved;
	int			*cells;
	size_t			 i, n = 0;

	if (saved == NULL) {
		s->board = board_new(err);
		if (s->board == NULL)
			return -1;
		keep_add(board_fd(s->board), KEEP_BOARD);
		return 0;
	}
	cells = xcalloc(saved->nchildren + saved->nbirths + 1,
	    sizeof(*cells));
	for (i = 0; i < saved->nchildren; i++)
		cells[n++] = saved->children[i].pool.cell;
	for (i = 0; i < saved->nbirths; i++)
		cells[n++] = saved->births[i].cell;
	s->board = board_restore(saved->setup->master.board_fd, cells, n,
	    err);
	free(cells);
	if (s->board == NULL)
		return -1;
	keep_add(board_fd(s->board), KEEP_BOARD);
	return 0;
}

/* A number alone says nothing: a turn that was cut off may have closed it. */
static const int *
pair(const int *fds, enum keep_kind kind)
{
	return keep_has(fds[0], kind) && keep_has(fds[1], kind) ? fds : NULL;
}

const int *
keepsake_inbox(const struct supervise *s)
{
	return s->p.saved == NULL ? NULL :
	    pair(s->p.saved->setup->master.inbox_fds, KEEP_INBOX);
}

const int *
keepsake_life(const struct supervise *s)
{
	return s->p.saved == NULL ? NULL :
	    pair(s->p.saved->setup->master.life_fds, KEEP_LIFE);
}

struct pool *
keepsake_pool(struct supervise *s, uint64_t seed, pool_tell_fn *tell,
    struct err *err)
{
	const struct saved	*saved = s->p.saved;
	const struct generation	*now = generations_now(s->p.generations);
	struct pool_policy	 policy = policy_of(now->conf, now->sockets);
	struct pool_rows	 rows = { &saved->pool, saved->slots,
				    saved->nslots, saved->pool_children,
				    saved->nchildren };

	return pool_restore(&policy, &rows, s->p.again, seed, tell, s,
	    clock_now_ms(), err);
}

/*
 * What a program is heard by. What cannot be had any more is gone without; it
 * may have been closed, and its number be another's, if the program is gone.
 */
static void
restore_ears(struct supervise *s, struct entry *entry,
    const struct child_row *row)
{
	struct err	 err;

	if (keep_has(row->mail_fd, KEEP_MAIL))
		entry->mail = mailbox_restore(s->mailroom, row->mail_fd,
		    entry->pid, row->uid, &err);
	if (keep_has(row->ack_fd, KEEP_ACK))
		entry->ack = ack_restore(s->acks, row->ack_fd, entry->pid,
		    row->uid, &err);
	if (keep_has(row->out_fd, KEEP_CAPTURE))
		entry->output = capture_restore(s->captures, row->out_fd,
		    entry->slot, entry->pid, entry->generation, &err);
}

void
keepsake_renewal(struct supervise *s)
{
	uint32_t	 cause = s->p.saved->setup->master.renewal;

	reload_resume(s->reload, causes[cause < CAUSES ? cause : 0]);
}

void
keepsake_workers(struct supervise *s)
{
	const struct child_row	*row;
	struct entry		 entry;
	size_t			 i;

	for (i = 0; i < s->p.saved->nchildren; i++) {
		row = &s->p.saved->children[i];
		entry = (struct entry){ .pid = row->pool.pid,
		    .slot = row->pool.slot, .generation = row->pool.generation,
		    .program = row->program,
		    .pidfd = keep_has(row->pid_fd, KEEP_PIDFD) ?
		    row->pid_fd : -1,
		    .uid = row->uid, .born_us = row->born_us,
		    .alive_ms = row->watched ? clock_now_ms() : 0 };
		restore_ears(s, &entry, row);
		roster_enter(s->roster, row->pool.cell, &entry);
		generations_born(s->p.generations, entry.generation);
		if (row->pool.ready_ms != -1)
			generations_proved(s->p.generations,
			    entry.generation);
		if (entry.pidfd != -1)
			reap_watch(s, row->pool.cell);
	}
}
