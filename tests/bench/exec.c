/*
 * What does it cost to have a program as a worker, until it is there? Three
 * looks at it, each beside vfork(2) and execve(2) of the same program, by the
 * kernel's own times of fork and exec:
 *
 *	from the fork to the exec: what the child does to become a worker (its
 *	group, signals, descriptors, confinement) before it is the program;
 *	from the signal to the exec: that, and all the master does before it;
 *	one of many that are started at once: that, and what follows a start
 *	(log, table, mirror), as the next one waits for it.
 */
#include "server.h"
#include "forks.h"

#define MANY	100

struct rows {
	struct figure	 child, signal, many;
};

static int		 forks = -1;
static const char *const quiet[] = { "worker.ready=alive:10ms",
	"pool.min_uptime=0", "worker.capture_output=no", NULL };
static const char *const heard[] = { "worker.ready=alive:10ms",
	"pool.min_uptime=0", "worker.capture_output=yes", NULL };

/* All n that were asked for have become the program. */
static int
await_births(pid_t master, struct birth *births, int room, int want)
{
	double t0 = now_ms();
	int i, n = 0, done;

	do {
		n = forks_all(forks, master, births, room, n);
		for (i = done = 0; i < n; i++)
			done += births[i].executed > 0;
		if (now_ms() - t0 > 10000)
			fail("%d of %d programs were started", done, want);
		sleep_ms(0.2);
	} while (done < want);
	return n;
}

/* One more of them, by a signal. */
static void
one_more(struct rows *r, struct server *s, bool count)
{
	static struct birth births[64];
	bool ours = s->side == MUSTER;
	double t0;

	forks_all(forks, s->pid, births, 64, 0);
	sleep_ms(1);
	t0 = now_ms();
	kill(s->pid, SIGTTIN);
	await_births(s->pid, births, 64, 1);
	sleep_ms(3);
	server_listen(s);
	if (!count)
		return;
	series_add(ours ? &r->child.muster : &r->child.bare,
	    (births[0].executed - births[0].forked) * 1e3);
	series_add(ours ? &r->signal.muster : &r->signal.bare,
	    (births[0].executed - t0) * 1e3);
}

static void
many(struct rows *r, enum side side, const char *const *extra)
{
	static struct birth births[1024];
	static struct server s;
	bool ours = side == MUSTER;
	int n;

	forks_all(forks, 0, births, 0, 0);
	server_start(&s, side, MANY, "shared", extra);
	n = await_births(s.pid, births, 1024, MANY);
	series_add(ours ? &r->many.muster : &r->many.bare,
	    (births[n - 1].executed - births[n - MANY].forked) * 1e3 / MANY);
	server_ready(&s, 0.5);
	server_stop(&s);
}

static struct figure
row(const char *id, const char *what, double limit)
{
	return (struct figure){ .id = id, .what = what, .unit = "us",
	    .target = limit > 0 ? TARGET_RATIO_MAX : TARGET_NONE,
	    .limit = limit };
}

static void
measure(struct rows *r, const char *const *extra, int rounds)
{
	static struct server s[2];
	int i, side;

	for (side = MUSTER; side <= BARE; side++) {
		server_start(&s[side], side, 2, "shared", extra);
		server_ready(&s[side], 0.5);
	}
	for (i = -3; i < rounds; i++)
		for (side = MUSTER; side <= BARE; side++)
			one_more(r, &s[side], i >= 0);
	for (side = MUSTER; side <= BARE; side++)
		server_stop(&s[side]);
	for (i = 0; i < (quick() ? 1 : 5); i++)
		for (side = MUSTER; side <= BARE; side++)
			many(r, side, extra);
}

static void
print(struct rows *r)
{
	figure_print(&r->child);
	figure_print(&r->signal);
	figure_print(&r->many);
}

int
main(int argc, char **argv)
{
	static struct rows r;
	int rounds = quick() ? 21 : 101;

	bench_begin(argc, argv, 60);
	if ((forks = forks_open()) == -1) {
		puts("note: programs' starts are measured by root only");
		return 0;
	}
	snprintf(program, sizeof(program), "%s/bench/rest", build_dir);
	figure_head("a program as a worker, until it is there", "the kernel's "
	    "times of fork and exec; the twin: vfork and execve of the same");
	r.child = row("exec_child", "fork to exec", 1.3);
	r.signal = row("exec_signal", "TTIN to exec", 2);
	r.many = row("exec_many", "one of 100 started at once", 1.3);
	measure(&r, quiet, rounds);
	print(&r);
	r.child = row("exec_child_heard", "fork to exec, output captured", 0);
	r.signal = row("exec_signal_heard", "TTIN to exec, captured", 0);
	r.many = row("exec_many_heard", "one of 100, captured", 0);
	measure(&r, heard, rounds);
	print(&r);
	return 0;
}
