/*
 * What a connection costs a pool of N, and who gets it. With accept = shared
 * the kernel wakes every idle worker for each connection; exclusive wakes one,
 * and going to the queue's tail after each batch gives everyone his turn.
 */
#include "server.h"

#define LONG_ONES	256

static const char *const quiet[] = { "worker.watchdog=0", NULL };

struct rows {
	struct figure	 cost, spread;
};

static long
pool_switches(pid_t master, const struct pids *kids)
{
	long sum = all_switches(master);
	int i;

	for (i = 0; i < kids->n; i++)
		sum += all_switches(kids->pid[i]);
	return sum;
}

/* Context switches of the whole pool for one short connection. */
static double
short_ones(const struct server *s, const struct pids *kids, int n)
{
	long before = pool_switches(s->pid, kids);
	int i, fd;

	for (i = 0; i < n; i++) {
		fd = server_connect(s);
		if (line_exchange(fd) == -1)
			fail("no echo from connection %d", i);
		close(fd);
	}
	sleep_ms(20);
	return (double)(pool_switches(s->pid, kids) - before) / n;
}

/* How many of the connections that stay each worker holds. */
static void
long_ones(const struct server *s, const struct pids *kids, struct series *out)
{
	static int fd[LONG_ONES], had[PIDS_MAX];
	int i;

	for (i = 0; i < kids->n; i++)
		had[i] = sockets_of(kids->pid[i]);
	for (i = 0; i < LONG_ONES; i++) {
		fd[i] = server_connect(s);
		if (line_exchange(fd[i]) == -1)
			fail("no echo from connection %d", i);
	}
	out->n = 0;	/* the last round is what is shown */
	for (i = 0; i < kids->n; i++)
		series_add(out, sockets_of(kids->pid[i]) - had[i]);
	for (i = 0; i < LONG_ONES; i++)
		close(fd[i]);
}

static void
one_run(struct rows *r, enum side side, int n, const char *mode)
{
	static struct server s;
	static struct pids kids;
	bool ours = side == MUSTER;

	server_start(&s, side, n, mode, quiet);
	server_ready(&s, 0.5);
	sleep_ms(100);
	children_of(s.pid, &kids);
	series_add(ours ? &r->cost.muster : &r->cost.bare,
	    short_ones(&s, &kids, quick() ? 200 : 1000));
	long_ones(&s, &kids, ours ? &r->spread.muster : &r->spread.bare);
	server_stop(&s);
}

static void
accept_mode(int n, const char *mode)
{
	bool shared = strcmp(mode, "shared") == 0;
	static struct rows r;
	int i;

	r = (struct rows){
		.cost = { .id = shared ? "accept_cost_shared" :
		    "accept_cost_exclusive", .n = n, .unit = "switches",
		    .what = shared ? "shared: a connection" :
		    "exclusive: a connection" },
		.spread = { .id = shared ? "accept_spread_shared" :
		    "accept_spread_exclusive", .n = n, .unit = "held",
		    .what = "  of 256 a worker" },
	};
	for (i = 0; i < (quick() ? 1 : 3); i++) {
		one_run(&r, MUSTER, n, mode);
		one_run(&r, BARE, n, mode);
	}
	figure_print(&r.cost);
	figure_print(&r.spread);
}

int
main(int argc, char **argv)
{
	static const int sizes[] = { 2, 32, 128 };
	int i;

	bench_begin(argc, argv, 90);
	figure_head("accepting", "context switches of the whole pool for a "
	    "short connection, one after the other (connect, a line, close); "
	    "sockets in /proc/PID/fd");
	for (i = 0; i < 3; i++) {
		accept_mode(sizes[i], "exclusive");
		accept_mode(sizes[i], "shared");
	}
	return 0;
}
