/*
 * How long is the master away when it becomes a new image of itself, by USR2
 * or by a crash? USR1 is answered with a line in the log; one is under way at
 * any time, and the longest that one had to wait is the figure: from the old
 * loop's last turn to the new one's first, with all that lies between. The
 * twin's image does nothing but execute itself and go on. Meanwhile the exact
 * client asks the workers, and counts what is not answered.
 */
#include "load.h"

#define PING_MS		10000.0
#define AROUND_MS	30.0	/* pings before, and after it is done */

struct rows {
	struct figure	 upgrade, crash, lost, answered;
};

static const char *const quiet[] = { "worker.watchdog=0", NULL };

static double
ping(struct server *s)
{
	double t0 = now_ms();

	server_expect(s, "log.reopened");
	kill(s->pid, SIGUSR1);
	if (!server_await(s, PING_MS))
		fail("%s gave no answer to USR1:\n%.2000s",
		    s->side == MUSTER ? "muster" : "bare", s->text);
	return now_ms() - t0;
}

/* The longest wait of any from now until ms after. */
static double
ping_for(struct server *s, double ms, double longest)
{
	double end = now_ms() + ms, t;

	while (now_ms() < end) {
		if ((t = ping(s)) > longest)
			longest = t;
		sleep_ms(0.1);
	}
	return longest;
}

/* A signal to the master in the middle of a ping's wait. */
static double
one_time(struct server *s, int signo)
{
	double t0, longest = 0;

	ping_for(s, AROUND_MS, 0);
	t0 = now_ms();
	kill(s->pid, signo);
	longest = ping_for(s, AROUND_MS, longest);
	/* The trial of the new image and the reload that follows. */
	while (signo == SIGUSR2 && now_ms() - t0 < 200)
		longest = ping_for(s, AROUND_MS, longest);
	return longest;
}

static void
one_run(struct rows *r, enum side side, int n)
{
	static struct server s;
	bool ours = side == MUSTER;
	struct load load;
	int i;

	server_start(&s, side, n, "exclusive", quiet);
	server_ready(&s, 0.5);
	if (ours)
		load_start(&load, &s);
	sleep_ms(50);
	for (i = 0; i < (n > 100 ? 1 : 3); i++)
		series_add(ours ? &r->upgrade.muster : &r->upgrade.bare,
		    one_time(&s, SIGUSR2));
	/* A fourth within a minute, and it would give up. */
	for (i = 0; i < (n > 100 ? 2 : 3); i++)
		series_add(ours ? &r->crash.muster : &r->crash.bare,
		    one_time(&s, SIGSEGV));
	if (ours)
		load_stop(&load, &r->lost.muster, &r->answered.muster);
	server_stop(&s);
}

static void
measure(int n, int rounds)
{
	static struct rows r;
	double limit = n <= 100 ? 20 : 0;
	int i;

	r = (struct rows){
		.upgrade = { .id = "away_upgrade", .unit = "ms",
		    .what = "upgrade in place: loop away",
		    .target = limit > 0 ? TARGET_VALUE_MAX : TARGET_NONE,
		    .limit = limit },
		.crash = { .id = "away_crash", .unit = "ms",
		    .what = "crash: loop away",
		    .target = TARGET_VALUE_MAX, .limit = 20 },
		.lost = { .id = "away_lost", .unit = "requests",
		    .what = "  lost meanwhile",
		    .target = TARGET_WORST_MAX, .limit = 0 },
		.answered = { .id = "away_answered", .unit = "requests",
		    .what = "  answered meanwhile" },
	};
	r.upgrade.n = r.crash.n = r.lost.n = r.answered.n = n;
	for (i = 0; i < rounds; i++) {
		one_run(&r, MUSTER, n);
		one_run(&r, BARE, n);
	}
	figure_print(&r.upgrade);
	figure_print(&r.crash);
	figure_print(&r.lost);
	figure_print(&r.answered);
}

int
main(int argc, char **argv)
{
	bench_begin(argc, argv, 90);
	figure_head("a new image in place", "the longest that a USR1, one "
	    "after the other, waited for its answer; the twin only executes "
	    "itself");
	measure(2, quick() ? 1 : 3);
	measure(100, quick() ? 1 : 3);
	measure(workers_allowed(1000), 1);
	return 0;
}
