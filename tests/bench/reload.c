/*
 * HUP: all workers are replaced, one after the other, each only once its
 * successor is ready. The twin forks, waits for the new one's byte and kills
 * the old one, whatever that has under way. Three runs: for the time, for the
 * memory (to look at a thousand processes takes its own time), and with the
 * exact client under way.
 */
#include "load.h"

#define RELOAD_MS	60000.0

struct rows {
	struct figure	 time, extra, loaded, lost, answered;
};

static const char *const quiet[] = { "worker.watchdog=0", NULL };

/* Until the last of the old ones is gone. */
static void
await_gone(struct server *s, int n)
{
	static struct pids kids;
	double t0 = now_ms();

	do {
		server_listen(s);
		sleep_ms(1);
		children_of(s->pid, &kids);
	} while (kids.n > n && now_ms() - t0 < RELOAD_MS);
}

static double
reload(struct server *s, int n)
{
	double t0;

	server_expect(s, "reload.done");
	t0 = now_ms();
	kill(s->pid, SIGHUP);
	if (!server_await(s, RELOAD_MS))
		fail("%s did not reload:\n%.2000s", s->side == MUSTER ?
		    "muster" : "bare", s->text);
	t0 = now_ms() - t0;
	await_gone(s, n);
	return t0;
}

static double
weigh(struct server *s)
{
	static struct pids kids;
	double sum = (double)pss_kib(s->pid);
	int i;
	long one;

	children_of(s->pid, &kids);
	for (i = 0; i < kids.n; i++)
		if ((one = pss_kib(kids.pid[i])) > 0)
			sum += (double)one;
	return sum / 1024;
}

/* How much more the whole pool has, at most, than before. */
static double
extra(struct server *s, int n)
{
	double before = weigh(s), most = before, now;

	server_expect(s, "reload.done");
	kill(s->pid, SIGHUP);
	while (!s->said) {
		now = weigh(s);
		most = now > most ? now : most;
		if (!server_listen(s))
			fail("the server is gone:\n%.2000s", s->text);
	}
	await_gone(s, n);
	return most - before;
}

static void
one_run(struct rows *r, enum side side, int n, int rounds)
{
	static struct server s;
	bool ours = side == MUSTER;
	struct load load;
	int i;

	server_start(&s, side, n, "exclusive", quiet);
	server_ready(&s, 0.5);
	sleep_ms(50);
	reload(&s, n);		/* what is done once only is done now */
	for (i = 0; i < rounds; i++)
		series_add(ours ? &r->time.muster : &r->time.bare,
		    reload(&s, n));
	series_add(ours ? &r->extra.muster : &r->extra.bare, extra(&s, n));
	if (ours) {
		load_start(&load, &s);
		sleep_ms(50);
		for (i = 0; i < rounds; i++)
			series_add(&r->loaded.muster, reload(&s, n));
		load_stop(&load, &r->lost.muster, &r->answered.muster);
	}
	server_stop(&s);
}

static void
measure(int n, int rounds)
{
	static struct rows r;

	r = (struct rows){
		.time = { .id = "reload", .unit = "ms",
		    .what = "rolling reload" },
		.extra = { .id = "reload_extra", .unit = "MiB",
		    .what = "  peak extra memory" },
		.loaded = { .id = "reload_loaded", .unit = "ms",
		    .what = "rolling reload under load" },
		.lost = { .id = "reload_lost", .unit = "requests",
		    .what = "  lost meanwhile",
		    .target = TARGET_WORST_MAX, .limit = 0 },
		.answered = { .id = "reload_answered", .unit = "requests",
		    .what = "  answered meanwhile" },
	};
	r.time.n = r.extra.n = r.loaded.n = r.lost.n = r.answered.n = n;
	one_run(&r, MUSTER, n, rounds);
	one_run(&r, BARE, n, rounds);
	figure_print(&r.time);
	figure_print(&r.extra);
	figure_print(&r.loaded);
	figure_print(&r.lost);
	figure_print(&r.answered);
}

int
main(int argc, char **argv)
{
	bench_begin(argc, argv, 90);
	figure_head("a rolling reload", "from HUP to reload.done; memory: PSS "
	    "of master and workers; load: the exact client, 4 connections kept "
	    "and 4 new ones at a time");
	measure(100, quick() ? 1 : 5);
	measure(workers_allowed(1000), quick() ? 1 : 3);
	return 0;
}
