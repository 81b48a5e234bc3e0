/*
 * From the fork of the master, before its exec, to the word that every worker
 * is ready. muster's log is read as a user's collector would, but not at
 * every line: both sides pay the same for being watched.
 */
#include "server.h"

static double
one_start(enum side side, int n)
{
	static struct server s;
	double ms;

	server_start(&s, side, n, "exclusive", NULL);
	ms = server_ready(&s, n <= 100 ? 0.05 : 0.5);
	server_stop(&s);
	/* The kernel frees what was left of N processes in its own time. */
	sleep_ms(n <= 100 ? 20 : 200);
	return ms;
}

static void
starts(int n, int rounds)
{
	struct figure f = { .id = "start", .n = n, .unit = "ms",
		.what = "start to all workers ready" };
	int i;

	if (n == 1000) {
		f.target = TARGET_RATIO_MAX;
		f.limit = 1.5;
	}
	one_start(MUSTER, n < 10 ? n : 10);	/* the first is a trial */
	for (i = 0; i < rounds; i++) {
		series_add(&f.muster, one_start(MUSTER, n));
		series_add(&f.bare, one_start(BARE, n));
	}
	figure_print(&f);
}

int
main(int argc, char **argv)
{
	int n;

	bench_begin(argc, argv, 120);
	figure_head("start of the pool",
	    "from before the master's fork and exec to its line pool.ready");
	starts(10, quick() ? 5 : 15);
	starts(100, quick() ? 3 : 9);
	starts(1000, quick() ? 1 : 5);
	if (!quick() && (n = workers_allowed(5000)) > 1000)
		starts(n, 2);
	return 0;
}
