/*
 * Proportional set size: each page shared by k processes counts as 1/k of a
 * page in each. The kernel's own share (page tables, stacks, task structs) is
 * in none of it, for neither side.
 */
#include "server.h"

struct pair {
	struct figure	 master, worker;
};

static void
weigh(struct pair *p, enum side side, int n)
{
	static const char *const quiet[] = { "worker.watchdog=0", NULL };
	static struct server s;
	static struct pids kids;
	double sum = 0;
	int i;

	server_start(&s, side, n, "exclusive", quiet);
	server_ready(&s, 0.5);
	sleep_ms(100);
	children_of(s.pid, &kids);
	for (i = 0; i < kids.n; i++)
		sum += (double)pss_kib(kids.pid[i]);
	if (kids.n != n)
		fail("%d workers, not %d", kids.n, n);
	series_add(side == MUSTER ? &p->worker.muster : &p->worker.bare,
	    sum / n);
	series_add(side == MUSTER ? &p->master.muster : &p->master.bare,
	    (double)pss_kib(s.pid));
	server_stop(&s);
}

static void
memory(int n, int rounds)
{
	struct pair p = {
		.master = { .id = "pss_master", .n = n, .unit = "KiB",
		    .what = "PSS of the master", .target = TARGET_VALUE_MAX,
		    .limit = 2048 },
		.worker = { .id = "pss_worker", .n = n, .unit = "KiB",
		    .what = "PSS of a worker", .target = TARGET_VALUE_MAX,
		    .limit = 300 },
	};
	int i;

	for (i = 0; i < rounds; i++) {
		weigh(&p, MUSTER, n);
		weigh(&p, BARE, n);
	}
	figure_print(&p.master);
	figure_print(&p.worker);
}

int
main(int argc, char **argv)
{
	bench_begin(argc, argv, 60);
	figure_head("memory of an idle pool",
	    "/proc/PID/smaps_rollup; of the workers their mean");
	memory(2, quick() ? 1 : 3);
	memory(100, quick() ? 1 : 3);
	memory(workers_allowed(1000), 1);
	return 0;
}
