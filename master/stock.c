#include <sys/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/board.h"
#include "common/clock.h"
#include "common/conf.h"
#include "master/crash.h"
#include "master/generation.h"
#include "master/keepsake.h"
#include "master/pool_save.h"
#include "master/proc.h"
#include "master/procfs.h"
#include "master/roster.h"
#include "master/saved.h"
#include "master/supervise_priv.h"

/*
 * Taking stock, after an exec: rows say what was when the last whole turn
 * ended, and the system says what is. A turn that a crash cut off may have
 * reaped workers, and heard and started others.
 */

/* ---- whom the rows have, and nobody else */

static void
find_missing(struct supervise *s)
{
	struct proc_death	 death = { .code = -1 };
	struct child		*child, *next;

	for (child = pool_next_child(s->pool, NULL); child != NULL;
	    child = next) {
		next = pool_next_child(s->pool, child);
		death.pid = child_info(child)->pid;
		if (!proc_is_there(death.pid))
			reap_gone(s, child, &death);
	}
}

/* ---- whom no row has */

struct search {
	struct supervise	*s;
	pid_t			 found;		/* 0: nobody */
};

/* The twin that dumps the crash's core is nobody's business. */
static bool
is_twin(const struct supervise *s, pid_t pid)
{
	const struct saved	*saved = s->p.saved;
	size_t			 i;

	for (i = 0; i < saved->ncrashes; i++)
		if (saved->crashes[i].twin == pid)
			return true;
	return false;
}

/* What a worker left to us is of its group, or has a session of its own. */
static bool
may_be_new(pid_t pid)
{
	pid_t	 group = getpgid(pid);

	return getsid(pid) == getsid(0) && (group == pid ||
	    group == getpgrp());
}

/* They come in the order of their birth. */
static bool
note_unknown(void *arg, int pid)
{
	struct search	*search = arg;

	if (pool_find(search->s->pool, pid) == NULL &&
	    !is_twin(search->s, pid) && may_be_new(pid))
		search->found = pid;
	return true;
}

/*
 * It takes up its place for as long as it takes to go: what it would be heard
 * by is gone, and its slot asks for another one.
 */
static bool
dismiss(struct supervise *s, const struct birth_saved *birth, pid_t pid)
{
	const struct generation	*generation;
	const struct conf	*conf;
	struct entry		 entry = { .pid = pid, .slot = birth->slot,
				    .pidfd = -1, .born_us = clock_now_us() };

	generation = generations_of(s->p.generations, birth->generation);
	conf = generation->conf;
	entry.generation = generation->nr;
	entry.program = conf_is_program(conf);
	entry.uid = conf->master.ids.user_set ? conf->master.ids.uid :
	    geteuid();
	if (pool_adopt_leaver(s->pool, pid, birth->slot, generation->nr,
	    birth->cell, clock_now_ms()) == NULL)
		return false;
	roster_enter(s->roster, birth->cell, &entry);
	generations_born(s->p.generations, generation->nr);
	return true;
}

static void
find_new(struct supervise *s)
{
	const struct birth_saved	*birth;
	struct search			 search = { s, 0 };
	pid_t				 pid;
	size_t				 i;

	for (i = 0; i < s->p.saved->nbirths; i++) {
		birth = &s->p.saved->births[i];
		pid = birth->pid;
		/* Forks come one after the other: there is one such at most. */
		if (pid == 0 && search.found == 0) {
			procfs_children(note_unknown, &search);
			pid = search.found;
		}
		if (pid <= 0 || !proc_is_there(pid) || !dismiss(s, birth, pid))
			board_release(s->board, birth->cell);
	}
}

/* ---- whom nobody waits for any more */

static bool
is_trial(pid_t pid)
{
	static const char	 name[] = "MUSTER_STATE=";
	static char		 text[65536];
	const char		*at;
	ssize_t			 len;

	len = procfs_read(pid, "environ", text, sizeof(text));
	at = len <= 0 ? NULL : memmem(text, (size_t)len, name,
	    sizeof(name) - 1);
	return at != NULL && strstr(at, ":trial:") != NULL;
}

/* A fork of ours: one that looks names up. */
static bool
is_helper(pid_t pid)
{
	struct stat	 ours, theirs;
	char		 path[64];

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return stat("/proc/self/exe", &ours) == 0 &&
	    stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
	    ours.st_ino == theirs.st_ino && may_be_new(pid);
}

static bool
end_forgotten(void *arg, int pid)
{
	struct supervise	*s = arg;

	if (pool_find(s->pool, pid) == NULL && !is_twin(s, pid) &&
	    (is_trial(pid) || is_helper(pid)))
		proc_kill(pid);
	return true;
}

/* ---- */

void
supervise_take_stock(struct supervise *s)
{
	struct child	*child = NULL;

	supervise_reap(s);
	s->look_due = true;
	if (s->p.again) {
		find_new(s);
		procfs_children(end_forgotten, s);
	}
	find_missing(s);
	while ((child = pool_next_child(s->pool, child)) != NULL)
		hear_again(s, child);
}
