#ifndef MUSTER_ROSTER_H
#define MUSTER_ROSTER_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

struct ack;
struct capture;
struct mailbox;
struct watch;

/*
 * What the shell keeps of each living worker, beside what the pool knows: how
 * it is heard, and what it said. By board cell, which is each worker's own.
 */
struct entry {
	pid_t		 pid;		/* 0: no worker in this cell */
	int		 slot, generation;
	bool		 program;	/* not a built-in app */
	int		 pidfd;		/* owned; not our child; or -1 */
	struct watch	*watch;		/* owned; on that; or NULL */
	uid_t		 uid;		/* that it runs as */
	int64_t		 born_us;
	/* Owned; of programs. NULL: not asked for. */
	struct mailbox	*mail;
	struct ack	*ack;
	struct capture	*output;
	/* What it said. */
	int64_t		 alive_ms;	/* its last WATCHDOG=1; 0: never */
	int64_t		 held_ms;	/* ready, but not let be so: since; 0 */
	int		 error;		/* its last ERRNO=, or 0 */
	char		*status;	/* its last STATUS=, owned; or NULL */
};

struct roster;

struct roster	*roster_new(void);
void		 roster_free(struct roster *roster);

/*
 * The entry of a cell, empty if there is no worker. Good until the next
 * roster_at() of a higher cell.
 */
struct entry	*roster_at(struct roster *roster, int cell);

/* A worker lives: its entry, whose descriptors outlive an exec of ours. */
struct entry	*roster_enter(struct roster *roster, int cell,
		    const struct entry *entry);

/* The worker of a cell is gone: closes what it was heard by. */
void		 roster_clear(struct roster *roster, int cell);

/* One above the highest cell ever asked for. */
int		 roster_cells(const struct roster *roster);

#endif
