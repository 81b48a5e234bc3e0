#include <criterion/criterion.h>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/fd.h"
#include "master/turnout.h"
#include "tests/unit/pool_rig.h"
#include "tests/unit/sockets.h"

/*
 * The story: a reload removes an address that clients hammer on. Whoever got
 * a connection gets an answer, from a worker that is about to go; whoever
 * comes later gets none.
 */

#define SLOTS	3
#define CLIENTS	6

static struct event_base	*base;
static struct turnout		*turnout;
static struct rig		 rig;
static struct listener_set	*sets[3];
static pid_t			 workers[SLOTS];

TestSuite(turnout_live, .init = sockets_setup, .fini = sockets_teardown,
    .timeout = 20);

static const struct listener_set *
set_of(void *arg, int generation)
{
	(void)arg;
	return generation < 1 || generation > 2 ? NULL : sets[generation];
}

static void
run(void *arg)
{
	(void)arg;
}

static void
rest(long ms)
{
	struct timespec	 pause = { .tv_nsec = ms * 1000000 };

	nanosleep(&pause, NULL);
}

/* ---- a worker: one byte for each, and a drain at its end */

static volatile sig_atomic_t	 told;

static void
on_told(int signo)
{
	(void)signo;
	told = 1;
}

/* Somebody was served, on any of them. */
static bool
serve_all(const struct inherited *in, int count)
{
	bool	 any = false;
	int	 i, fd;

	for (i = 0; i < count; i++)
		while ((fd = accept(in[i].fd, NULL, NULL)) != -1) {
			any = true;
			if (write(fd, "x", 1) != 1)
				_exit(8);
			close(fd);
		}
	return any;
}

static void
be_worker(const struct inherited *in, int count)
{
	struct sigaction	 action = { .sa_handler = on_told };
	struct pollfd		 watch[4];
	int			 keep[4], i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < count; i++)
		keep[i] = in[i].fd;
	fd_close_except(keep, (size_t)count);
	sigaction(SIGUSR1, &action, NULL);
	for (i = 0; i < count; i++)
		watch[i] = (struct pollfd){ in[i].fd, POLLIN, 0 };
	while (!told) {
		poll(watch, (nfds_t)count, 5);
		serve_all(in, count);
	}
	while (serve_all(in, count))
		continue;
	_exit(0);
}

static void
start(int generation, int slot)
{
	struct inherited	 in[4];
	struct err		 err;
	int			 count;

	count = listeners_for_slot(sets[generation], slot, in, 4, &err);
	cr_assert_gt(count, 0);
	workers[slot] = fork();
	if (workers[slot] == 0)
		be_worker(in, count);
}

/* ---- clients: how many of them got a connection and no answer? */

static int
hammer(const char *text, int stop)
{
	struct pollfd	 until = { stop, POLLIN, 0 }, answer = { 0 };
	int		 lost = 0, served = 0;
	char		 byte;

	while (poll(&until, 1, 0) == 0) {
		answer = (struct pollfd){ connect_to(text, 50), POLLIN, 0 };
		if (answer.fd == -1)
			continue;
		if (poll(&answer, 1, 5000) == 1 &&
		    read(answer.fd, &byte, 1) == 1)
			served++;
		else
			lost++;
		close(answer.fd);
	}
	return lost > 0 ? 1 : served > 0 ? 0 : 2;
}

static void
replace_all(void)
{
	pid_t	 old;
	int	 done = 0, slot, status;

	for (slot = 0; done < SLOTS; done++, slot = 0) {
		rig_turn(&rig);
		while (slot < SLOTS && rig_successor(&rig, slot) == NULL)
			slot++;
		cr_assert_lt(slot, SLOTS);
		old = workers[slot];
		start(2, slot);
		rig_all_ready(&rig);
		if (done == 0)
			listeners_retire(sets[1], sets[2]);
		turnout_stop(turnout, old, slot, 1, SIGUSR1);
		do {
			turnout_run(turnout, clock_now_ms());
			rest(1);
		} while (turnout_due_ms(turnout) != -1);
		cr_expect_eq(waitpid(old, &status, 0), old);
		cr_expect_eq(status, 0);
		rig_all_gone(&rig);
	}
}

static void
check(enum conf_accept accept)
{
	struct pool_policy	 policy = rig_policy();
	struct conf		*conf = with_bind("127.0.0.1:0",
				    "127.0.30.1:0", NULL);
	struct err		 err = { "" };
	pid_t			 clients[CLIENTS];
	int			 ends[2], status, i;
	const char		*name;

	conf->listen.accept = accept;
	sets[1] = open_ok(conf);
	rig_ready(&rig, &policy, SLOTS);
	base = event_base_new();
	turnout = turnout_new(base, 0, rig.pool, set_of, run, NULL);
	for (i = 0; i < SLOTS; i++)
		start(1, i);
	turnout_run(turnout, clock_now_ms());
	cr_assert_eq(pipe(ends), 0);
	for (i = 0; i < CLIENTS; i++) {
		clients[i] = fork();
		if (clients[i] != 0)
			continue;
		close(ends[1]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(hammer(listener_text(listener_set_nth(sets[1], 1,
		    &name)), ends[0]));
	}
	rest(100);

	conf = with_bind("127.0.0.1:0", NULL);
	conf->listen.accept = accept;
	sets[2] = plan_for(sets[1], conf, &err);
	cr_assert_not_null(sets[2], "%s", err.text);
	listeners_apply(sets[2], conf);
	pool_renew(rig.pool, rig.now_ms);
	replace_all();
	listener_set_drop(sets[1]);
	sets[1] = NULL;
	turnout_run(turnout, clock_now_ms());
	cr_expect_null(listener_next(listener_next(NULL)));
	rest(20);

	close(ends[1]);
	for (i = 0; i < CLIENTS; i++) {
		waitpid(clients[i], &status, 0);
		cr_expect_eq(status, 0, "a client %s", WEXITSTATUS(status) ==
		    1 ? "was lost" : "was never served");
	}
	for (i = 0; i < SLOTS; i++) {
		kill(workers[i], SIGKILL);
		waitpid(workers[i], &status, 0);
	}
	turnout_free(turnout);
	listener_set_drop(sets[2]);
	rig_end(&rig);
	event_base_free(base);
}

Test(turnout_live, loses_nobody_of_a_shared_listener)
{
	check(ACCEPT_SHARED);
}

Test(turnout_live, loses_nobody_of_a_steered_listener)
{
	check(ACCEPT_REUSEPORT);
}

Test(turnout_live, loses_nobody_without_privileges)
{
	if (geteuid() != 0)
		cr_skip_test("needs privileges to give up");
	cr_assert_eq(seteuid(65534), 0);
	check(ACCEPT_SHARED);
	check(ACCEPT_REUSEPORT);
	cr_assert_eq(seteuid(0), 0);
}
