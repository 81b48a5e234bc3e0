/*
 * From a signal, or a worker's death, to a new worker that serves.
 *
 * All workers that exist are stopped (SIGSTOP), and a client's connection
 * with a line in it waits in the queue. Then the signal is sent: the one who
 * answers the line must be the new worker, and when the answer is here, it
 * accepts, for muster and for the twin by the same proof.
 */
#include "server.h"
#include "forks.h"

struct taken {
	double	 exists, serves;	/* ms since the signal */
	pid_t	 pid;
};

struct rig {
	struct server	 srv[2];
	struct figure	 die_exists, die_serves, ttin_exists, ttin_serves;
};

static int		 forks = -1;
static const char *const quiet[] = { "worker.watchdog=0",
	"pool.min_uptime=0", NULL };

static pid_t
newest_child(pid_t parent)
{
	static struct pids kids;

	children_of(parent, &kids);
	return kids.n > 0 ? kids.pid[kids.n - 1] : 0;
}

static bool
has(const struct pids *p, pid_t pid)
{
	int i;

	for (i = 0; i < p->n; i++)
		if (p->pid[i] == pid)
			return true;
	return false;
}

/* Without the connector: look until the newest child is none of old. */
static void
poll_fork(pid_t parent, const struct pids *old, struct taken *t)
{
	double t0 = now_ms();

	do
		t->pid = newest_child(parent);
	while ((t->pid == 0 || has(old, t->pid)) && now_ms() - t0 < 5000);
	t->exists = now_ms();
}

static void
await_answer(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[8];

	if (poll(&p, 1, 10000) != 1 || read(fd, buf, sizeof(buf)) != 5)
		fail("the new worker did not answer");
}

/* Send sig to pid; see the new worker of master come and serve. */
static struct taken
sample(struct server *s, pid_t pid, int sig)
{
	static struct pids old;
	struct taken t = { 0 };
	double t0;
	int fd = server_connect(s);

	if (write(fd, "ping\n", 5) != 5)
		fail("write: %s", strerror(errno));
	sleep_ms(3);
	children_of(s->pid, &old);
	if (forks != -1)
		forks_read(forks, s->pid, &t.pid, &t0);
	t0 = now_ms();
	kill(pid, sig);
	if (forks == -1)
		poll_fork(s->pid, &old, &t);
	await_answer(fd);
	t.serves = now_ms() - t0;
	if (forks != -1 && !forks_read(forks, s->pid, &t.pid, &t.exists))
		fail("nobody was forked");
	t.exists -= t0;
	/* What it still has to tell its master comes before it is stopped. */
	sleep_ms(3);
	kill(t.pid, SIGSTOP);
	close(fd);
	server_listen(s);
	return t;
}

static void
stop_workers(struct server *s)
{
	static struct pids kids;
	int i;

	children_of(s->pid, &kids);
	for (i = 0; i < kids.n; i++)
		kill(kids.pid[i], SIGSTOP);
}

static void
note(struct figure *exists, struct figure *serves, enum side side,
    struct taken t)
{
	series_add(side == MUSTER ? &exists->muster : &exists->bare, t.exists);
	series_add(side == MUSTER ? &serves->muster : &serves->bare, t.serves);
}

/* Deaths first, as they leave N as it is. A B A B; the first is a trial. */
static void
measure(struct rig *r, int rounds)
{
	struct taken t;
	pid_t last[2];
	int i, side;

	for (side = MUSTER; side <= BARE; side++)
		last[side] = newest_child(r->srv[side].pid);
	for (i = -1; i < rounds; i++) {
		for (side = MUSTER; side <= BARE; side++) {
			t = sample(&r->srv[side], last[side], SIGKILL);
			last[side] = t.pid;
			if (i >= 0)
				note(&r->die_exists, &r->die_serves, side, t);
		}
	}
	for (i = -1; i < rounds; i++) {
		for (side = MUSTER; side <= BARE; side++) {
			t = sample(&r->srv[side], r->srv[side].pid, SIGTTIN);
			if (i >= 0)
				note(&r->ttin_exists, &r->ttin_serves, side, t);
		}
	}
}

static struct figure
row(const char *id, const char *what, int n)
{
	return (struct figure){ .id = id, .what = what, .n = n, .unit = "ms",
		.target = TARGET_RATIO_MAX, .limit = 2 };
}

static void
rig_names(struct rig *r, int n, bool one_cpu)
{
	if (one_cpu) {
		r->ttin_exists = row("ttin_exists_1cpu",
		    "TTIN to existing, on one CPU", n);
		r->ttin_serves = row("ttin_serves_1cpu",
		    "TTIN to accepting, on one CPU", n);
		r->die_exists = row("respawn_exists_1cpu",
		    "kill -9 to existing, on one CPU", n);
		r->die_serves = row("respawn_serves_1cpu",
		    "kill -9 to accepting, on one CPU", n);
		return;
	}
	r->ttin_exists = row("ttin_exists", "TTIN to worker existing", n);
	r->ttin_serves = row("ttin_serves", "TTIN to worker accepting", n);
	r->die_exists = row("respawn_exists",
	    "kill -9 to successor existing", n);
	r->die_serves = row("respawn_serves",
	    "kill -9 to successor accepting", n);
}

static void
rig_run(struct rig *r, int n, int rounds, bool one_cpu)
{
	int side;

	rig_names(r, n, one_cpu);
	if (one_cpu)
		cpu_one();
	for (side = MUSTER; side <= BARE; side++) {
		server_start(&r->srv[side], side, n, "exclusive", quiet);
		server_ready(&r->srv[side], 0.5);
	}
	sleep_ms(200);
	for (side = MUSTER; side <= BARE; side++)
		stop_workers(&r->srv[side]);
	sleep_ms(50);
	measure(r, rounds);
	for (side = MUSTER; side <= BARE; side++)
		server_stop(&r->srv[side]);
	cpu_all();
	figure_print(&r->ttin_exists);
	figure_print(&r->ttin_serves);
	figure_print(&r->die_exists);
	figure_print(&r->die_serves);
}

/*
 * How much longer it takes in the big pool than in the small one. The kernel
 * has its own part in that (wait(2) walks the list of all children), so the
 * twin's growth is what muster is held to.
 */
static void
growth(const char *id, const char *what, const struct figure *small,
    const struct figure *big)
{
	struct figure f = { .id = id, .what = what, .unit = "times",
		.target = TARGET_RATIO_MAX, .limit = 1.25 };

	series_add(&f.muster, series_median(&big->muster) /
	    series_median(&small->muster));
	series_add(&f.bare, series_median(&big->bare) /
	    series_median(&small->bare));
	figure_print(&f);
}

int
main(int argc, char **argv)
{
	static struct rig small, middle, big, alone;
	int rounds = quick() ? 9 : 61;

	bench_begin(argc, argv, 90);
	forks = forks_open();
	figure_head("one worker more, one worker anew", forks != -1 ?
	    "old workers stopped, a line waits in the queue; existing: the "
	    "kernel's time of the fork; accepting: the line's answer is here" :
	    "old workers stopped, a line waits in the queue; existing: polled "
	    "(no root: coarse); accepting: the line's answer is here");
	rig_run(&small, 2, rounds, false);
	rig_run(&middle, 100, rounds, false);
	rig_run(&big, workers_allowed(1000), rounds, false);
	rig_run(&alone, 2, rounds, true);
	growth("ttin_growth", "TTIN to accepting, N=1000 : N=2",
	    &small.ttin_serves, &big.ttin_serves);
	growth("respawn_growth", "kill -9 to accepting, N=1000 : N=2",
	    &small.die_serves, &big.die_serves);
	return 0;
}
