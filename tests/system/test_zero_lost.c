/*
 * Whatever happens to the pool and to its master, nobody outside notices: not
 * one connection is refused, reset, left without an answer, answered late or
 * wrongly. The exact client asks all the time, with a connection for each
 * request and with many on one, over TCP and over a Unix socket, while the
 * same thing is done to the pool again and again, for each way to accept.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exact/exact.h"
#include "tests/system/anew.h"

#define TIMES	2	/* so often each: ten times that, and more, in a soak */
#define ANSWERS	220	/* of each kind of client, for each time */
#define CLIENTS	3	/* of each kind */
#define PATIENCE_MS 20000
#define LONG_MS	30000	/* for a machine that is busy with us */
#define FIRST	"0.2.0"	/* versions: ours, and that of ANEW_NEXT */
#define NEXT	"9.9.9"

static void
setup(void)
{
	rig_setup();
	setenv("MUSTER_HEAL", "1", 1);	/* with a sanitizer, too */
}

TestSuite(zero_lost, .init = setup, .fini = rig_cleanup, .timeout = 900);

static struct rig r;

#define SET(text)	"-s", text

/* ---- clients of every kind */

enum { KINDS = 4 };		/* bit 0: keep-alive; bit 1: a Unix socket */

struct load {
	struct exact	*kinds[KINDS];
	uint64_t	 seen[KINDS];	/* answers, when last looked at */
};

static const char *const kind_names[KINDS] = { "tcp", "tcp kept alive",
	"unix", "unix kept alive" };

static void
load_start(struct load *load, const char *path)
{
	struct exact_plan plan = { .protocol = EXACT_ECHO,
		.clients = CLIENTS, .patience_ms = PATIENCE_MS };

	memset(load, 0, sizeof(*load));
	for (int kind = 0; kind < KINDS; kind++) {
		plan.keep_alive = kind & 1;
		snprintf(plan.addr, sizeof(plan.addr), "%s",
		    kind & 2 ? path : r.addr);
		load->kinds[kind] = exact_start(&plan);
		cr_assert_not_null(load->kinds[kind]);
	}
}

/* So many answers more, for each kind, since we last looked? */
static bool
load_answered(struct load *load, uint64_t more)
{
	struct exact_counts counts;

	for (int kind = 0; kind < KINDS; kind++) {
		counts = exact_now(load->kinds[kind]);
		if (exact_lost(&counts) + counts.refused > 0)
			rig_fail(&r, "%s: %s", kind_names[kind],
			    exact_line(&counts));
		if (counts.ok < load->seen[kind] + more)
			return false;
	}
	return true;
}

static void
load_await(struct load *load, uint64_t more)
{
	if (!eventually_ms(load_answered(load, more), LONG_MS))
		rig_fail(&r, "nobody is answered any more");
	for (int kind = 0; kind < KINDS; kind++)
		load->seen[kind] = exact_now(load->kinds[kind]).ok;
}

/* One for each request has as many connections as answers, at least. */
static void
load_stop(struct load *load, const char *what)
{
	struct exact_counts counts;
	bool lost = false;

	for (int kind = 0; kind < KINDS; kind++) {
		counts = exact_stop(load->kinds[kind]);
		if (exact_lost(&counts) + counts.refused > 0 ||
		    counts.ok == 0 ||
		    (kind & 1) != (counts.connections < counts.ok) ||
		    getenv("MUSTER_SOAK") != NULL)
			fprintf(stderr, "zero_lost: %s, %s: %s\n", what,
			    kind_names[kind], exact_line(&counts));
		lost = lost || exact_lost(&counts) + counts.refused > 0;
		cr_expect((kind & 1) == (counts.connections < counts.ok));
	}
	if (lost)
		rig_fail(&r, "%s: lost", what);
}

/* ---- what is done to the pool, for the nr-th time */

static void
reload(int nr)
{
	int done = rig_log_count(&r, "reload.done");

	(void)nr;
	rig_signal(&r, SIGHUP);
	if (!eventually_ms(rig_log_count(&r, "reload.done") > done, LONG_MS))
		rig_fail(&r, "no reload");
}

/* To the same program, to another one, to that again, and back. */
static void
upgrade(int nr)
{
	bool next = nr % 4 == 1 || nr % 4 == 2;

	if (nr % 2 == 1)
		anew_install(next ? ANEW_NEXT : NULL);
	anew_upgrade(&r, next ? NEXT : FIRST);
}

static void
scale(int nr)
{
	(void)nr;
	rig_queue(&r, -7);
	rig_await_workers(&r, 1);
	rig_queue(&r, 7);
	rig_await_workers(&r, 8);
}

static void
crash(int nr)
{
	(void)nr;
	anew_crash(&r, SIGSEGV);
}

struct deed {
	const char	*name;
	void		(*act)(int nr);
	const char	*workers;
	int		 most;		/* of one master: the guard's 3 */
};

static const struct deed reloads = { "reload", reload, "4", 1000 };
static const struct deed upgrades = { "upgrade", upgrade, "4", 1000 };
static const struct deed scalings = { "scale", scale, "8", 1000 };
static const struct deed crashes = { "crash", crash, "4", 3 };

/* ---- the tests */

/* Up to `times` more by one master, of which nr were done; how many. */
static int
of_one_master(const char *accept, const struct deed *deed, int nr, int times)
{
	char set[64], path[128], what[64];
	struct load load;
	int i;

	r = (struct rig){ .as_is = true };
	snprintf(set, sizeof(set), "listen.accept=%s", accept);
	snprintf(what, sizeof(what), "%s %s", accept, deed->name);
	snprintf(path, sizeof(path), "unix:%s", rig_path("sock"));
	rig_start(&r, "-b", "127.0.0.1:0", "-b", path, "-w", deed->workers,
	    SET(set), NULL);
	load_start(&load, path);
	for (i = 0; i < times && i < deed->most; i++) {
		load_await(&load, ANSWERS / 2);
		deed->act(nr + i);
		load_await(&load, ANSWERS - ANSWERS / 2);
	}
	load_stop(&load, what);
	cr_expect_eq(rig_stop(&r), 0, "%s", what);
	return i;
}

static void
nobody_notices(const char *accept, const struct deed *deed)
{
	int done = 0, times = rig_soak(TIMES);

	anew_install(NULL);
	while (done < times)
		done += of_one_master(accept, deed, done, times - done);
}

#define EACH_WAY(deed)							\
Test(zero_lost, in_ ## deed ## _shared)					\
{									\
	nobody_notices("shared", &(deed));				\
}									\
Test(zero_lost, in_ ## deed ## _exclusive)				\
{									\
	nobody_notices("exclusive", &(deed));				\
}									\
Test(zero_lost, in_ ## deed ## _reuseport)				\
{									\
	nobody_notices("reuseport", &(deed));				\
}

EACH_WAY(reloads)
EACH_WAY(upgrades)
EACH_WAY(scalings)
EACH_WAY(crashes)
