#ifndef MUSTER_MIRROR_H
#define MUSTER_MIRROR_H

#include <sys/types.h>
#include <stdint.h>

#include "common/err.h"
#include "master/setup.h"

/*
 * A live copy of all that a new image of the master needs, in a sealed memfd
 * (memfd_create(2)) that no worker maps or inherits. It is kept up to date at
 * the end of each turn, as nothing can be saved from a crash handler. Each row
 * has two halves with number and checksum: the older is written, the newest
 * whole one is read (saved.h). What a turn writes counts once its last row is
 * there, the pool's: a crash in the middle finds all rows as they were after
 * the turn before.
 *
 * A store that fails (no memory for the file) is logged once and counted; the
 * row then stays what it was. Nothing is written that is the same already.
 */
struct mirror;

/* What the pool and the shell know of a child; by board cell. */
struct child_row {
	/* The shell's; append only, the pool's part is stored on its own. */
	int64_t	 born_us;		/* monotonic */
	int32_t	 mail_fd, ack_fd, out_fd;	/* -1: none */
	int32_t	 pid_fd;		/* a foreign one's; -1: none */
	uint32_t uid;
	uint8_t	 program;		/* exec'ed */
	uint8_t	 foreign;		/* adopted: not a child of ours */
	uint8_t	 watched;		/* has sent a heartbeat: held to it */
	uint8_t	 spare;
	uint32_t mail_nr;		/* of its address */
	int32_t	 spares[5];		/* 0 */

	struct child_saved pool;	/* pool.cell: where it is stored */
};

/* So many cells and slots are mirrored; more are counted as lost. */
#define MIRROR_CELLS	24576
#define MIRROR_SLOTS	16384

/* For the calling process's pid: after daemon(3). NULL with err. */
struct mirror	*mirror_new(struct err *err);
void		 mirror_free(struct mirror *mirror);
int		 mirror_fd(const struct mirror *mirror);

/*
 * The pool's own row; with it goes what sigq_take() has taken, so that a stop
 * counts as taken exactly when the pool that stops is written down. Call it
 * each turn, at its end: what was written before it counts from then on.
 * Slots are stored by row->nr.
 */
void		 mirror_pool(struct mirror *mirror,
		    const struct pool_saved *pool);
void		 mirror_slot(struct mirror *mirror,
		    const struct slot_saved *row);
/*
 * A fork comes, and has been; the child is gone. The cell of one that is gone
 * is not to be used again in the same turn.
 * Until the turn's end a new image finds a birth; if the pid is 0, as it is
 * before the fork, it may be whichever child of its own no row names.
 */
void		 mirror_birth(struct mirror *mirror, int cell, int slot,
		    int generation, pid_t pid);
void		 mirror_child(struct mirror *mirror,
		    const struct child_row *child);
void		 mirror_child_gone(struct mirror *mirror, int cell);
/* At the start, and when any of it has changed. */
void		 mirror_setup(struct mirror *mirror,
		    const struct setup_saved *setup);

/* Once after an exec: the crashes so far, which the guard counts. */
struct crash_saved;
void		 mirror_crashes(struct mirror *mirror,
		    const struct crash_saved *crashes, size_t count);

/* How many stores failed so far, or since all was to be stored again. */
uint64_t	 mirror_lost(const struct mirror *mirror);
void		 mirror_forgive(struct mirror *mirror);

/*
 * A copy for a trial, sealed against every change. A descriptor that the
 * caller closes, or -1 with err.
 */
int		 mirror_copy(const struct mirror *mirror, struct err *err);

/* The parts that others keep in it; they live as long as the mirror. */
struct keep_row;
struct sigq_counters;
struct sigq_counters	*mirror_signals(struct mirror *mirror);
struct keep_row		*mirror_keeps(struct mirror *mirror);
/* Where the crash handler writes its ring, in mirror_fd(). */
off_t		 mirror_crash_at(const struct mirror *mirror);
/* Make sure that the row of this descriptor can be stored. -1 with errno. */
int		 mirror_keep_room(struct mirror *mirror, int fd);

#endif
