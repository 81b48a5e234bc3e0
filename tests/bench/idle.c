/*
 * Who wakes up when nothing is to be done? All pools stand idle at the same
 * time; the kernel's count of voluntary switches says how often each process
 * went to sleep again. A ready worker shows life three times in a watchdog's
 * time, the master looks as often; without a watchdog nobody moves.
 */
#include "server.h"

#define WORKERS	10
#define POOLS	3

static const char *const dog_3s[] = { "worker.watchdog=3s", NULL };
static const char *const dog_off[] = { "worker.watchdog=0", NULL };

struct pool {
	struct server	 srv;
	struct pids	 pids;		/* the workers, and the master last */
	long		 before[WORKERS + 1];
	struct series	 worker, master;
};

static void
count_before(struct pool *p)
{
	int i;

	children_of(p->srv.pid, &p->pids);
	if (p->pids.n != WORKERS)
		fail("%d workers, not %d", p->pids.n, WORKERS);
	p->pids.pid[p->pids.n++] = p->srv.pid;
	for (i = 0; i < p->pids.n; i++)
		p->before[i] = voluntary_switches(p->pids.pid[i]);
}

static void
count_after(struct pool *p)
{
	long more;
	int i;

	for (i = 0; i < p->pids.n; i++) {
		more = voluntary_switches(p->pids.pid[i]) - p->before[i];
		series_add(i < WORKERS ? &p->worker : &p->master,
		    (double)more);
	}
}

static void
report(const char *id, const char *what, const struct series *muster,
    const struct series *bare, double limit)
{
	struct figure f = { .id = id, .n = WORKERS, .what = what,
		.unit = "wakes", .target = TARGET_WORST_MAX, .limit = limit,
		.muster = *muster, .bare = *bare };

	figure_print(&f);
}

int
main(int argc, char **argv)
{
	static struct pool p[POOLS];
	double seconds = quick() ? 3.5 : 6.5;
	char how[128];
	int i;

	bench_begin(argc, argv, 60);
	server_start(&p[0].srv, MUSTER, WORKERS, "exclusive", dog_3s);
	server_start(&p[1].srv, MUSTER, WORKERS, "exclusive", dog_off);
	server_start(&p[2].srv, BARE, WORKERS, "exclusive", NULL);
	for (i = 0; i < POOLS; i++)
		server_ready(&p[i].srv, 0.5);
	sleep_ms(1500);	/* what follows a start is over by then */
	for (i = 0; i < POOLS; i++)
		count_before(&p[i]);
	sleep_ms(seconds * 1e3);
	for (i = 0; i < POOLS; i++)
		count_after(&p[i]);
	for (i = 0; i < POOLS; i++)
		server_stop(&p[i].srv);
	snprintf(how, sizeof(how), "voluntary context switches of each "
	    "process in %.1f s; the target is for each", seconds);
	figure_head("an idle pool", how);
	/* One a third of the watchdog, here one a second; the window's edges
	 * may let one more in. */
	report("idle_worker_3s", "a worker, watchdog 3s", &p[0].worker,
	    &p[2].worker, (int)seconds + 1);
	report("idle_master_3s", "the master, watchdog 3s", &p[0].master,
	    &p[2].master, (int)seconds + 1);
	report("idle_worker_0", "a worker, watchdog 0", &p[1].worker,
	    &p[2].worker, 0);
	report("idle_master_0", "the master, watchdog 0", &p[1].master,
	    &p[2].master, 0);
	return 0;
}
