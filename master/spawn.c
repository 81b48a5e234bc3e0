#include "master/spawn.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "master/birth.h"
#include "master/keep.h"
#include "master/mirror.h"
#include "master/pool.h"
#include "master/proc.h"
#include "master/report.h"

#define BIRTHS_MAX	64	/* at a time */

struct spawner {
	struct birth_place	 place;
	struct birth		 births[BIRTHS_MAX];
	int			 count;
};

static int
open_life(struct spawner *s, struct err *err)
{
	int	*life = s->place.life;

	if (s->place.p.life != NULL)
		memcpy(life, s->place.p.life, sizeof(s->place.life));
	else if (pipe2(life, O_CLOEXEC) == -1)
		return err_sys(err, "cannot make the life pipe");
	keep_add(life[0], KEEP_LIFE);
	keep_add(life[1], KEEP_LIFE);
	return 0;
}

struct spawner *
spawner_new(const struct spawn_parts *parts, struct err *err)
{
	struct spawner	*s = xcalloc(1, sizeof(*s));

	s->place = (struct birth_place){ .p = *parts, .life = { -1, -1 },
	    .null_fd = open("/dev/null", O_RDWR | O_CLOEXEC) };
	if (s->place.null_fd == -1)
		err_sys(err, "cannot open /dev/null");
	else if (open_life(s, err) == 0)
		return s;
	spawner_free(s);
	return NULL;
}

void
spawner_free(struct spawner *s)
{
	int	 i, fds[3];

	if (s == NULL)
		return;
	fds[0] = s->place.null_fd;
	fds[1] = s->place.life[0];
	fds[2] = s->place.life[1];
	for (i = 0; i < 3; i++) {
		keep_drop(fds[i]);
		if (fds[i] != -1)
			close(fds[i]);
	}
	for (i = 0; i < BIRTHS_MAX; i++)
		free(s->births[i].sockets);
	free(s);
}

const int *
spawner_life(const struct spawner *s)
{
	return s->place.life;
}

static void
failed(struct spawner *s, const struct act *act, const struct err *err)
{
	report_spawn_failed(s->place.p.report, err);
	pool_spawn_failed(s->place.p.pool, act, clock_now_ms());
}

void
spawner_add(struct spawner *s, const struct act *act)
{
	struct err	 err;

	if (birth_prepare(&s->place, &s->births[s->count], act, &err) == 0) {
		if (++s->count == BIRTHS_MAX)
			spawner_flush(s);	/* before more are asked for */
		return;
	}
	/* Those before it first: a pool that gives up must know them. */
	spawner_flush(s);
	failed(s, act, &err);
}

/* The process exists, but never became its program. */
static void
not_a_program(struct spawner *s, struct birth *birth)
{
	struct report	*report = s->place.p.report;
	bool		 hopeless = program_hopeless(&birth->failure);
	struct err	 err;

	program_failure_text(&birth->failure, birth->program, err.text,
	    sizeof(err.text));
	confine_report(birth->act.slot, &birth->failure.confine);
	birth_undo(&s->place, birth);
	if (!hopeless) {
		failed(s, &birth->act, &err);
		return;
	}
	report_hopeless(report, birth->act.slot, &err);
	pool_hopeless(s->place.p.pool, &birth->act, clock_now_ms());
	report_forget(report);
}

static void
fork_one(struct spawner *s, struct birth *birth)
{
	struct mirror	*mirror = s->place.p.mirror;
	const struct act *act = &birth->act;

	mirror_birth(mirror, birth->cell, act->slot, act->generation, 0);
	birth->pid = birth->program == NULL ? proc_spawn(&birth->boot) :
	    proc_exec(birth->program, &birth->failure);
	if (birth->pid != -1)
		mirror_birth(mirror, birth->cell, act->slot, act->generation,
		    birth->pid);
}

/* Back to back, until the kernel refuses one: it would all that follow. */
static void
fork_all(struct spawner *s, struct err *err)
{
	int	 i;

	proc_hold_signals();
	for (i = 0; i < s->count; i++) {
		if (i > 0 && s->births[i - 1].pid == -1)
			continue;
		fork_one(s, &s->births[i]);
		if (s->births[i].pid == -1)
			err_sys(err, "cannot fork a worker");
	}
	proc_release_signals();
}

bool
spawner_flush(struct spawner *s)
{
	struct err	 err = { "cannot fork a worker" };
	struct birth	*birth;
	int		 i, count = s->count;

	if (count == 0)
		return false;
	fork_all(s, &err);
	for (i = 0; i < count; i++) {
		birth = &s->births[i];
		if (birth->pid == -1) {
			birth_undo(&s->place, birth);
			failed(s, &birth->act, &err);
		} else if (birth->failure.step != NULL) {
			not_a_program(s, birth);
		} else {
			birth_announce(&s->place, birth);
		}
	}
	s->count = 0;
	return true;
}
