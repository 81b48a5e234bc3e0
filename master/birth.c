#include "master/birth.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/board.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/mem.h"
#include "master/acks.h"
#include "master/capture.h"
#include "master/generation.h"
#include "master/inbox.h"
#include "master/listener.h"
#include "master/mailbox.h"
#include "master/mirror.h"
#include "master/report.h"
#include "master/roster.h"

/* The uid that a worker of this configuration will have. */
static uid_t
uid_of(const struct conf *conf)
{
	return conf->master.ids.user_set ? conf->master.ids.uid : geteuid();
}

static void
boot_app(const struct birth_place *place, struct birth *birth, size_t count)
{
	const struct act	*act = &birth->act;
	const struct conf	*conf = birth->generation->conf;

	birth->boot = (struct worker_boot){
		.conf = conf, .slot = act->slot,
		.generation = act->generation, .master_pid = getpid(),
		.board_fd = board_fd(place->p.board), .cell = birth->cell,
		.up_fd = inbox_worker_fd(place->p.inbox),
		.life_fd = place->life[0], .null_fd = place->null_fd,
		.sockets = birth->sockets, .nsockets = count,
		.exclusive = conf->listen.accept == ACCEPT_AUTO ||
		    conf->listen.accept == ACCEPT_EXCLUSIVE,
		.max_requests = act->max_requests,
		.caretaker = act->caretaker,
	};
}

/* By what a program will be heard. */
static int
open_ears(const struct birth_place *place, struct birth *birth,
    struct err *err)
{
	const struct conf	*conf = birth->generation->conf;

	birth->mail = mailbox_open(place->p.mailroom, err);
	if (birth->mail == NULL)
		return -1;
	if (conf->worker.sockets & DIALECT_EINHORN) {
		birth->ack = ack_open(place->p.acks, uid_of(conf), err);
		if (birth->ack == NULL)
			return -1;
	}
	if (conf->worker.capture_output) {
		birth->output = capture_open(place->p.captures,
		    &birth->out_fd, err);
		if (birth->output == NULL)
			return -1;
	}
	return 0;
}

static int
boot_program(const struct birth_place *place, struct birth *birth,
    size_t count, struct err *err)
{
	struct program_boot	 boot = {
		.conf = birth->generation->conf, .slot = birth->act.slot,
		.generation = birth->act.generation, .master_pid = getpid(),
		.sockets = birth->sockets, .nsockets = count,
		.null_fd = place->null_fd,
		.original = place->p.environment,
	};

	if (open_ears(place, birth, err) == -1)
		return -1;
	boot.mail = mailbox_address(birth->mail);
	boot.ack = birth->ack == NULL ? NULL : ack_path(birth->ack);
	boot.out_fd = birth->out_fd;
	birth->program = program_new(&boot, err);
	return birth->program == NULL ? -1 : 0;
}

/* Room for what this generation's workers inherit; how many, or -1. */
static int
find_sockets(struct birth *birth, struct err *err)
{
	struct listener_set	*set = birth->generation->sockets;
	size_t			 count = listeners_count(set);

	if (count + 1 > birth->room) {
		birth->room = count + 1;
		birth->sockets = xreallocarray(birth->sockets, birth->room,
		    sizeof(*birth->sockets));
	}
	return listeners_for_slot(set, birth->act.slot, birth->sockets,
	    birth->room, err);
}

int
birth_prepare(struct birth_place *place, struct birth *birth,
    const struct act *act, struct err *err)
{
	int	 count;

	*birth = (struct birth){ .act = *act, .sockets = birth->sockets,
	    .room = birth->room, .cell = -1, .pid = -1, .out_fd = -1,
	    .generation = generations_of(place->p.generations,
	    act->generation) };
	if ((count = find_sockets(birth, err)) == -1 ||
	    (birth->cell = board_take(place->p.board, err)) == -1) {
		birth_undo(place, birth);
		return -1;
	}
	if (!conf_is_program(birth->generation->conf)) {
		boot_app(place, birth, (size_t)count);
		return 0;
	}
	if (boot_program(place, birth, (size_t)count, err) == 0)
		return 0;
	birth_undo(place, birth);
	return -1;
}

/* The child has its own copy of what only it needs. */
static void
let_go(struct birth *birth)
{
	program_free(birth->program);
	birth->program = NULL;
	if (birth->out_fd != -1)
		close(birth->out_fd);
	birth->out_fd = -1;
}

void
birth_undo(struct birth_place *place, struct birth *birth)
{
	let_go(birth);
	mailbox_close(birth->mail);
	ack_close(birth->ack);
	capture_close(birth->output);
	birth->mail = NULL;
	birth->ack = NULL;
	birth->output = NULL;
	if (birth->cell != -1) {
		mirror_child_gone(place->p.mirror, birth->cell);
		board_release(place->p.board, birth->cell);
	}
	birth->cell = -1;
}

static void
own_ears(const struct birth *birth)
{
	const struct act	*act = &birth->act;

	if (birth->mail != NULL)
		mailbox_own(birth->mail, birth->pid,
		    uid_of(birth->generation->conf));
	if (birth->ack != NULL)
		ack_own(birth->ack, birth->pid);
	if (birth->output != NULL)
		capture_own(birth->output, act->slot, birth->pid,
		    act->generation);
}

void
birth_announce(struct birth_place *place, struct birth *birth)
{
	const struct act	*act = &birth->act;
	struct entry		 entry = {
		.pid = birth->pid, .slot = act->slot,
		.generation = act->generation,
		.program = birth->program != NULL, .pidfd = -1,
		.uid = uid_of(birth->generation->conf),
		.born_us = clock_now_us(), .mail = birth->mail,
		.ack = birth->ack, .output = birth->output,
	};
	struct child		*child;

	roster_enter(place->p.roster, birth->cell, &entry);
	own_ears(birth);
	if (birth->program != NULL)
		confine_report(act->slot, &birth->failure.confine);
	let_go(birth);
	generations_born(place->p.generations, act->generation);
	child = pool_spawned(place->p.pool, act, birth->pid, birth->cell,
	    clock_now_ms());
	report_start(place->p.report, child_info(child), act);
}
