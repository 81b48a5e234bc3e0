#include <criterion/criterion.h>

#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "master/turnout.h"
#include "tests/unit/pool_rig.h"
#include "tests/unit/sockets.h"

/*
 * Who gets new connections while a reload changes what is listened on: a pool
 * without processes, real sockets, and one real process to be told to stop.
 */

#define SLOTS		3
#define GENERATIONS	4

static struct event_base	*base;
static struct turnout		*turnout;
static struct rig		 rig;
static struct listener_set	*sets[GENERATIONS];
static int			 runs;

static const struct listener_set *
set_of(void *arg, int generation)
{
	cr_expect_eq(arg, &rig);
	return generation < 0 || generation >= GENERATIONS ? NULL :
	    sets[generation];
}

static void
run(void *arg)
{
	cr_expect_eq(arg, &rig);
	runs++;
}

static void
setup(void)
{
	sockets_setup();
	base = event_base_new();
	cr_assert_not_null(base);
	turnout = NULL;
}

static void
teardown(void)
{
	turnout_free(turnout);
	rig_end(&rig);
	for (int i = 0; i < GENERATIONS; i++)
		listener_set_drop(sets[i]);
	cr_expect_null(listener_next(NULL), "a listener is left");
	event_base_free(base);
	sockets_teardown();
}

TestSuite(turnout, .init = setup, .fini = teardown, .timeout = 30);

/* Workers of generation 1, all ready, on these addresses. */
static void
begin(struct conf *conf, enum conf_accept accept, int workers)
{
	struct pool_policy	 policy = rig_policy();

	conf->listen.accept = accept;
	sets[1] = open_ok(conf);
	rig_ready(&rig, &policy, workers);
	cr_assert_eq(pool_generation(rig.pool), 1);
	turnout = turnout_new(base, 0, rig.pool, set_of, run, &rig);
}

/* Generation 2 has these; nobody of it is there yet. */
static void
reload(struct conf *conf, enum conf_accept accept)
{
	struct err	 err = { "" };

	conf->listen.accept = accept;
	sets[2] = plan_for(sets[1], conf, &err);
	cr_assert_not_null(sets[2], "%s", err.text);
	listeners_apply(sets[2], conf);
	pool_renew(rig.pool, rig.now_ms);
}

static struct listener *
at(int generation, size_t nr)
{
	const char	*name;

	return listener_set_nth(sets[generation], nr, &name);
}

/* As each worker of the generation is forked: its slot gets its sockets. */
static void
open_slots(int generation)
{
	struct inherited	 in[4];
	struct err		 err;

	for (int i = 0; i < SLOTS; i++)
		cr_assert_gt(listeners_for_slot(sets[generation], i, in, 4,
		    &err), 0);
}

/* Which slots' sockets get new connections? As a string of 0 and 1. */
static const char *
spread(const struct listener *l)
{
	static char	 got[SLOTS + 1];
	int		 fds[40];

	memset(got, '0', SLOTS);
	for (int i = 0; i < 40; i++) {
		fds[i] = connect_to(listener_text(l), 1000);
		cr_assert_neq(fds[i], -1);
	}
	for (int slot = 0; slot < SLOTS; slot++)
		while (accept(listener_fd(l, slot), NULL, NULL) != -1)
			got[slot] = '1';
	for (int i = 0; i < 40; i++)
		close(fds[i]);
	return got;
}

/* The slot that has a worker of the generation in that state; -1: none. */
static int
slot_of(int generation, enum child_state state)
{
	struct child	*child = NULL;

	while ((child = pool_next_child(rig.pool, child)) != NULL)
		if (child_info(child)->generation == generation &&
		    child_info(child)->state == state)
			return child_info(child)->slot;
	return -1;
}

static const char *
alone(int slot)
{
	static char	 text[SLOTS + 1];

	memset(text, '0', SLOTS);
	text[slot] = '1';
	return text;
}

static const char *
all_but(int slot)
{
	static char	 text[SLOTS + 1];

	memset(text, '1', SLOTS);
	text[slot] = '0';
	return text;
}

static void
step(void)
{
	rig_turn(&rig);
	turnout_run(turnout, clock_now_ms());
}

Test(turnout, gives_an_added_listener_to_new_workers_alone)
{
	int	 slot;

	begin(with_bind("127.0.0.1:0", NULL), ACCEPT_REUSEPORT, SLOTS);
	open_slots(1);
	step();
	cr_expect_str_eq(spread(at(1, 0)), "111");

	reload(with_bind("127.0.0.1:0", "127.0.20.1:0", NULL),
	    ACCEPT_REUSEPORT);
	rig_turn(&rig);
	slot = slot_of(2, CHILD_STARTING);
	cr_assert_geq(slot, 0);
	open_slots(2);
	step();
	/* Nobody serves it yet: who comes waits where the first will be. */
	cr_expect_str_eq(spread(at(2, 1)), alone(slot));
	cr_expect_str_eq(spread(at(2, 0)), "111");

	rig_all_ready(&rig);
	turnout_run(turnout, clock_now_ms());
	cr_expect_eq(slot_of(2, CHILD_READY), slot);
	cr_expect_str_eq(spread(at(2, 1)), alone(slot));
	cr_expect_str_eq(spread(at(2, 0)), "111");
	for (int i = 0; i < SLOTS; i++) {
		step();
		rig_all_ready(&rig);
		rig_all_gone(&rig);
	}
	step();
	cr_expect_str_eq(spread(at(2, 1)), "111");
}

Test(turnout, leaves_a_removed_listener_to_old_workers_alone)
{
	int	 slot;

	begin(with_bind("127.0.0.1:0", "127.0.21.1:0", NULL),
	    ACCEPT_REUSEPORT, SLOTS);
	open_slots(1);
	step();
	reload(with_bind("127.0.0.1:0", NULL), ACCEPT_REUSEPORT);
	rig_turn(&rig);
	rig_all_ready(&rig);
	turnout_run(turnout, clock_now_ms());
	slot = slot_of(2, CHILD_READY);
	cr_assert_geq(slot, 0);
	cr_expect_str_eq(spread(at(1, 0)), "111");
	cr_expect_str_eq(spread(at(1, 1)), all_but(slot));
}

Test(turnout, lets_go_of_a_listener_that_nobody_has)
{
	begin(with_bind("127.0.0.1:0", "127.0.22.1:0", NULL),
	    ACCEPT_REUSEPORT, 1);
	turnout_run(turnout, clock_now_ms());
	reload(with_bind("127.0.0.1:0", NULL), ACCEPT_REUSEPORT);
	listener_set_drop(sets[1]);
	sets[1] = NULL;
	cr_expect_not_null(listener_next(listener_next(NULL)));
	turnout_run(turnout, clock_now_ms());
	cr_expect_null(listener_next(listener_next(NULL)));
}

/* ---- stragglers */

Test(turnout, asks_for_a_caretaker_where_a_slot_is_empty)
{
	struct slot_info info;
	bool		 closed[SLOTS] = { false };
	int		 fd, before, slot = 0;

	begin(with_bind("127.0.0.1:0", "127.0.23.1:0", NULL),
	    ACCEPT_REUSEPORT, SLOTS);
	open_slots(1);
	step();
	pool_scale(rig.pool, -1, rig.now_ms);
	rig_turn(&rig);
	rig_all_gone(&rig);
	step();
	while (pool_slot(rig.pool, slot, &info) && info.open)
		slot++;
	cr_assert_lt(slot, SLOTS);
	cr_expect_str_eq(spread(at(1, 1)), all_but(slot));
	closed[slot] = true;
	before = rig.nspawns;
	/* As if its handshake had begun before the slot was closed. */
	listener_steer(at(1, 1), closed, SLOTS);
	fd = connect_to(listener_text(at(1, 1)), 1000);
	cr_assert_neq(fd, -1);
	event_base_loop(base, EVLOOP_ONCE);
	cr_expect_eq(runs, 1);
	rig_turn(&rig);
	cr_assert_eq(rig.nspawns, before + 1);
	cr_expect(rig.spawns[before].caretaker);
	cr_expect_eq(rig.spawns[before].slot, slot);

	/* It serves all of the slot's sockets: they are watched no more. */
	turnout_run(turnout, clock_now_ms());
	event_base_loop(base, EVLOOP_NONBLOCK);
	cr_expect_eq(runs, 1);
	close(fd);
}

/* ---- those who are to be told to stop */

static pid_t
somebody(void)
{
	pid_t	 pid = fork();

	if (pid == 0) {
		alarm(20);
		signal(SIGUSR1, SIG_DFL);
		for (;;)
			pause();
	}
	return pid;
}

/* Was it told by now? Then it is gone. */
static bool
was_told(pid_t pid)
{
	struct timespec	 pause = { .tv_nsec = 1000000 };
	int		 status;

	for (int i = 0; i < 20; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFSIGNALED(status) &&
			    WTERMSIG(status) == SIGUSR1;
		nanosleep(&pause, NULL);
	}
	return false;
}

static void
be_rid_of(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

Test(turnout, tells_at_once_who_has_successors_for_all_it_holds)
{
	pid_t	 pid = somebody();

	begin(with_bind("127.0.0.1:0", "unix:@muster-t1", NULL),
	    ACCEPT_REUSEPORT, 1);
	step();
	turnout_stop(turnout, pid, 0, 1, SIGUSR1);
	cr_expect_eq(turnout_due_ms(turnout), -1);
	cr_expect(was_told(pid));
}

Test(turnout, waits_with_a_slot_that_it_leaves_empty)
{
	pid_t	 pid = somebody();
	int64_t	 now_ms = clock_now_ms(), due_ms;

	begin(with_bind("127.0.0.1:0", NULL), ACCEPT_REUSEPORT, 1);
	step();
	turnout_stop(turnout, pid, 2, 1, SIGUSR1);
	due_ms = turnout_due_ms(turnout);
	cr_expect_geq(due_ms, now_ms + 20);
	turnout_run(turnout, due_ms - 1);
	cr_expect_eq(waitpid(pid, NULL, WNOHANG), 0);
	turnout_run(turnout, due_ms);
	cr_expect(was_told(pid));
	cr_expect_eq(turnout_due_ms(turnout), -1);
}

Test(turnout, waits_until_a_removed_listener_is_quiet)
{
	pid_t	 pid = somebody();
	int64_t	 due_ms;
	int	 fd;

	begin(with_bind("127.0.0.1:0", NULL), ACCEPT_SHARED, 1);
	fd = connect_to(listener_text(at(1, 0)), 1000);
	reload(with_bind("127.0.24.1:0", NULL), ACCEPT_SHARED);
	listeners_retire(sets[1], sets[2]);
	turnout_stop(turnout, pid, 0, 1, SIGUSR1);
	due_ms = turnout_due_ms(turnout);
	cr_expect_neq(due_ms, -1);
	turnout_run(turnout, due_ms);
	cr_expect_eq(waitpid(pid, NULL, WNOHANG), 0);
	cr_expect_eq(turnout_due_ms(turnout), due_ms + 5);
	cr_expect(accepts(listener_fd(at(1, 0), 0)));
	turnout_run(turnout, due_ms + 5);
	cr_expect(was_told(pid));
	close(fd);
}

Test(turnout, waits_for_no_client_longer_than_it_may)
{
	pid_t	 pid = somebody();
	int64_t	 begin_ms;
	int	 fd;

	begin(with_bind("127.0.0.1:0", NULL), ACCEPT_SHARED, 1);
	fd = connect_to(listener_text(at(1, 0)), 1000);
	reload(with_bind("none", NULL), ACCEPT_SHARED);
	listeners_retire(sets[1], sets[2]);
	begin_ms = clock_now_ms();
	turnout_stop(turnout, pid, 0, 1, SIGUSR1);
	for (int64_t ms = 0; ms < 100; ms += 5)
		turnout_run(turnout, begin_ms + ms);
	cr_expect_eq(waitpid(pid, NULL, WNOHANG), 0);
	turnout_run(turnout, begin_ms + 200);
	cr_expect(was_told(pid));
	close(fd);
}

Test(turnout, lets_the_last_one_shut_a_removed_abstract_socket)
{
	static const char	 text[] = "unix:@muster-t2";
	pid_t			 one = somebody(), two = somebody();

	begin(with_bind(text, NULL), ACCEPT_SHARED, 1);
	reload(with_bind("none", NULL), ACCEPT_SHARED);
	listeners_retire(sets[1], sets[2]);
	/* The pool's own worker still has it. */
	turnout_stop(turnout, one, 1, 1, SIGUSR1);
	turnout_run(turnout, clock_now_ms() + 200);
	cr_expect(was_told(one));
	cr_expect_neq(connect_to(text, 100), -1);
	cr_expect(accepts(listener_fd(at(1, 0), 0)));
	/* Now it is told, too: who comes later is refused. */
	rig_all_ready(&rig);
	pool_scale(rig.pool, 0, rig.now_ms);
	for (int i = 0; i < 3 && slot_of(1, CHILD_READY) != -1; i++) {
		rig_turn(&rig);
		rig_all_ready(&rig);
	}
	cr_assert_eq(slot_of(1, CHILD_READY), -1);
	turnout_stop(turnout, two, 0, 1, SIGUSR1);
	turnout_run(turnout, clock_now_ms() + 200);
	cr_expect(was_told(two));
	cr_expect_eq(connect_to(text, 100), -1);
	cr_expect_eq(errno, ECONNREFUSED);
}

Test(turnout, waits_for_nobody_at_the_last_stop)
{
	pid_t	 pid = somebody();

	begin(with_bind("127.0.0.1:0", NULL), ACCEPT_REUSEPORT, 1);
	step();
	turnout_stop(turnout, pid, 2, 1, SIGUSR1);
	pool_stop(rig.pool, false, rig.now_ms);
	turnout_run(turnout, clock_now_ms());
	cr_expect(was_told(pid));
}

Test(turnout, forgets_whom_it_need_not_tell)
{
	pid_t	 pid = somebody();

	begin(with_bind("127.0.0.1:0", NULL), ACCEPT_REUSEPORT, 1);
	step();
	turnout_stop(turnout, pid, 2, 1, SIGUSR1);
	turnout_forget(turnout, pid);
	cr_expect_eq(turnout_due_ms(turnout), -1);
	turnout_run(turnout, clock_now_ms() + 200);
	cr_expect_eq(waitpid(pid, NULL, WNOHANG), 0);
	be_rid_of(pid);
}

/* A generation that is not known any more has nothing to wait for. */
Test(turnout, tells_at_once_who_holds_nothing_known)
{
	pid_t	 pid = somebody();

	begin(with_bind("127.0.0.1:0", NULL), ACCEPT_REUSEPORT, 1);
	turnout_stop(turnout, pid, 2, 3, SIGUSR1);
	cr_expect(was_told(pid));
}
