/*
 * Every signal in every state of the master: THE table says what is allowed.
 * A state lasts as long as the test wants, by a file, the gate: programs are
 * not ready, a new binary's trial is not over and a stop does not end as long
 * as it is there.
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/parameterized.h>

#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"

TestSuite(signal_states, .init = rig_setup, .fini = rig_cleanup,
    .timeout = 60);

static struct rig r;

/* ---- the table */

enum state { STARTING, RUNNING, DRAINED, RELOADING, UPGRADING, STOPPING,
	STATES };

static const char *const state_names[STATES] = { "starting", "running",
	"drained", "reloading", "upgrading", "stopping" };

/*
 * What a signal leads to, from two workers. Where it is not the end, the pool
 * has so many workers once the state is over.
 */
struct outcome {
	const char	*says;		/* a line of the log */
	int		 workers;
	int		 reloads;	/* more than the state has itself */
	int		 upgrades;
	bool		 end;		/* with 0 */
};

#define ENDS(mode)	{ "pool.stop mode=" mode, 0, 0, 0, true }
#define SCALES(from, to) { "pool.scale from=" #from " to=" #to, to, 0, 0,  \
			    false }
#define RELOADS		{ "reload.start", 2, 1, 0, false }
#define REOPENS(n)	{ "log.reopened", n, 0, 0, false }
#define UPGRADES(n)	{ "upgrade.trial", n, 0, 1, false }
#define DRAINS		{ "pool.drain", 0, 0, 0, false }
#define NOTHING(n)	{ NULL, n, 0, 0, false }
#define NOT(says, n)	{ says, n, 0, 0, false }
#define IN_A_STOP(says)	{ says, 0, 0, 0, true }

static const struct row {
	int		 signo;
	int		 value;		/* with sigqueue(3), unless 0 */
	struct outcome	 in[STATES];
} rows[] = {
	{ SIGINT, 0, {
		[STARTING] = ENDS("graceful"), [RUNNING] = ENDS("graceful"),
		[DRAINED] = ENDS("graceful"), [RELOADING] = ENDS("graceful"),
		[UPGRADING] = ENDS("graceful"), [STOPPING] = ENDS("fast") } },
	{ SIGTERM, 0, {
		[STARTING] = ENDS("graceful"), [RUNNING] = ENDS("graceful"),
		[DRAINED] = ENDS("graceful"), [RELOADING] = ENDS("graceful"),
		[UPGRADING] = ENDS("graceful"), [STOPPING] = ENDS("fast") } },
	{ SIGQUIT, 0, {
		[STARTING] = ENDS("fast"), [RUNNING] = ENDS("fast"),
		[DRAINED] = ENDS("fast"), [RELOADING] = ENDS("fast"),
		[UPGRADING] = ENDS("fast"), [STOPPING] = ENDS("fast") } },
	{ SIGHUP, 0, {
		[STARTING] = RELOADS, [RUNNING] = RELOADS,
		[DRAINED] = RELOADS, [RELOADING] = RELOADS,
		[UPGRADING] = RELOADS,
		[STOPPING] = IN_A_STOP("reload.failed") } },
	{ SIGUSR1, 0, {
		[STARTING] = REOPENS(2), [RUNNING] = REOPENS(2),
		[DRAINED] = REOPENS(0), [RELOADING] = REOPENS(2),
		[UPGRADING] = REOPENS(2),
		[STOPPING] = IN_A_STOP("log.reopened") } },
	{ SIGUSR2, 0, {
		[STARTING] = UPGRADES(2), [RUNNING] = UPGRADES(2),
		[DRAINED] = UPGRADES(0), [RELOADING] = UPGRADES(2),
		[UPGRADING] = NOT("upgrade.failed", 2),
		[STOPPING] = IN_A_STOP("upgrade.failed") } },
	{ SIGTTIN, 0, {
		[STARTING] = SCALES(2, 3), [RUNNING] = SCALES(2, 3),
		[DRAINED] = SCALES(0, 3), [RELOADING] = SCALES(2, 3),
		[UPGRADING] = SCALES(2, 3),
		[STOPPING] = IN_A_STOP("pool.scale") } },
	{ SIGTTOU, 0, {
		[STARTING] = SCALES(2, 1), [RUNNING] = SCALES(2, 1),
		[DRAINED] = SCALES(0, 0), [RELOADING] = SCALES(2, 1),
		[UPGRADING] = SCALES(2, 1),
		[STOPPING] = IN_A_STOP("pool.scale") } },
	{ SIGWINCH, 0, {
		[STARTING] = DRAINS, [RUNNING] = DRAINS,
		[DRAINED] = NOTHING(0), [RELOADING] = DRAINS,
		[UPGRADING] = DRAINS, [STOPPING] = IN_A_STOP(NULL) } },
	{ SIGCHLD, 0, {
		[STARTING] = NOTHING(2), [RUNNING] = NOTHING(2),
		[DRAINED] = NOTHING(0), [RELOADING] = NOTHING(2),
		[UPGRADING] = NOTHING(2), [STOPPING] = IN_A_STOP(NULL) } },
	{ -1, 2, {		/* SIGRTMIN + 1 is no constant */
		[STARTING] = SCALES(2, 4), [RUNNING] = SCALES(2, 4),
		[DRAINED] = SCALES(0, 4), [RELOADING] = SCALES(2, 4),
		[UPGRADING] = SCALES(2, 4),
		[STOPPING] = IN_A_STOP("pool.scale") } },
	/* Without a value it is ignored, whatever the state. */
	{ -1, 0, {
		[STARTING] = NOT("signal.ignored", 2),
		[RUNNING] = NOT("signal.ignored", 2),
		[DRAINED] = NOT("signal.ignored", 0),
		[RELOADING] = NOT("signal.ignored", 2),
		[UPGRADING] = NOT("signal.ignored", 2),
		[STOPPING] = IN_A_STOP("signal.ignored") } },
};
#define ROWS	(sizeof(rows) / sizeof(*rows))

/* ---- states */

static void
close_gate(void)
{
	rig_file("gate", "");
}

static void
open_gate(void)
{
	cr_assert_eq(unlink(rig_path("gate")), 0);
}

/*
 * A copy of our own, that a script can take the place of: one that lets a
 * trial wait at the gate, and is the same binary otherwise.
 */
static void
copy_binary(void)
{
	char line[1024];
	const char *path = getenv("MUSTER");

	snprintf(line, sizeof(line), "cp '%s' '%s'",
	    path != NULL ? path : "build/muster", rig_path("real"));
	cr_assert_eq(system(line), 0);
	cr_assert_eq(link(rig_path("real"), rig_path("muster")), 0);
	setenv("MUSTER", rig_path("muster"), 1);
}

static void
replace_binary(void)
{
	exec_script("muster", "#!/bin/sh\n"
	    "case \"$MUSTER_STATE\" in *:trial:*)\n"
	    "while test -e %s; do sleep 0.01; done;; esac\n"
	    "exec %s \"$@\"\n", rig_path("gate"), rig_path("real"));
}

/* The first two are waiting at the gate. */
static void
enter_starting(void)
{
	close_gate();
	rig_launch(&r, "-w", "2", NOTIFY, "--", exec_mis(), "gate",
	    rig_path("gate"), NULL);
	rig_await_log(&r, "worker.start slot=1");
}

static void
enter_running(void)
{
	rig_start(&r, "-w", "2", NOTIFY, "--", exec_mis(), "gate",
	    rig_path("gate"), NULL);
	rig_await_workers(&r, 2);
}

static void
enter_drained(void)
{
	enter_running();
	rig_signal(&r, SIGWINCH);
	rig_await_log(&r, "pool.drain");
	cr_assert(eventually(rig_count(&r) == 0));
}

/* A successor is waiting at the gate. */
static void
enter_reloading(void)
{
	enter_running();
	close_gate();
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "worker.start gen=2");
}

static void
enter_upgrading(void)
{
	copy_binary();
	enter_running();
	close_gate();
	replace_binary();
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.trial");
}

/* Both were told, and wait at the gate. */
static void
enter_stopping(void)
{
	enter_running();
	close_gate();
	rig_signal(&r, SIGTERM);
	rig_await_log(&r, "worker.stop slot=0");
	rig_await_log(&r, "worker.stop slot=1");
}

static const struct {
	void	(*enter)(void);
	bool	  gated;
	int	  reloads, upgrades;	/* that are under way in it */
} states[STATES] = {
	[STARTING] = { enter_starting, true, 0, 0 },
	[RUNNING] = { enter_running, false, 0, 0 },
	[DRAINED] = { enter_drained, false, 0, 0 },
	[RELOADING] = { enter_reloading, true, 1, 0 },
	[UPGRADING] = { enter_upgrading, true, 0, 1 },
	[STOPPING] = { enter_stopping, true, 0, 0 },
};

/* ---- what is looked at */

static void
send(const struct row *row)
{
	if (row->value != 0)
		rig_queue(&r, row->value);
	else
		rig_signal(&r, row->signo != -1 ? row->signo : SIGRTMIN + 1);
}

static int
said(const char *words)
{
	return words == NULL ? 0 : rig_log_count(&r, words);
}

static void
await_reload(int generation)
{
	char words[64];

	snprintf(words, sizeof(words), "reload.done gen=%d", generation);
	rig_await_log(&r, words);
}

static void
await_count(const char *words, int count)
{
	if (!eventually(rig_log_count(&r, words) >= count))
		rig_fail(&r, "not %d times %s", count, words);
}

/* As each of them does in a pool that runs undisturbed. */
static void
all_signals_work(int workers, int generation)
{
	int upgrades = rig_log_count(&r, "upgrade.done");
	int drains = rig_log_count(&r, "pool.drain");
	int reopens = rig_log_count(&r, "log.reopened");

	rig_signal(&r, SIGHUP);
	await_reload(++generation);
	if (workers == 0)
		workers = 2;		/* and is no longer drained */
	rig_await_workers(&r, workers);
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, workers + 1);
	rig_signal(&r, SIGTTOU);
	rig_await_workers(&r, workers);
	rig_queue(&r, 1);
	rig_await_workers(&r, workers + 1);
	rig_signal(&r, SIGUSR1);
	await_count("log.reopened", reopens + 1);
	rig_signal(&r, SIGUSR2);
	await_count("upgrade.done", upgrades + 1);
	rig_signal(&r, SIGWINCH);
	await_count("pool.drain", drains + 1);
	cr_assert(eventually(rig_count(&r) == 0));
	rig_signal(&r, SIGHUP);
	await_reload(++generation);
	rig_await_workers(&r, workers + 1);
	cr_expect_str_eq(rig_ask(&r, "all is well\n"), "all is well\n");
	cr_expect_eq(rig_stop(&r), 0);
}

/* The state ends as it would have, and has the outcome as well. */
static void
settles(enum state state, const struct outcome *outcome)
{
	int generation = 1 + states[state].reloads + outcome->reloads;
	int upgrades = states[state].upgrades + outcome->upgrades;

	if (upgrades > 0)
		await_count("upgrade.done", upgrades);
	if (outcome->workers > 0) {
		if (generation > 1)
			await_reload(generation);
		rig_await_workers(&r, outcome->workers);
	} else {
		cr_assert(eventually(rig_count(&r) == 0));
	}
	rig_learn_address(&r);
	all_signals_work(outcome->workers, generation);
}

static void
expect_cell(const struct row *row, enum state state)
{
	const struct outcome *outcome = &row->in[state];
	int before;

	states[state].enter();
	before = said(outcome->says);
	send(row);
	if (outcome->says != NULL)
		await_count(outcome->says, before + 1);
	else
		cr_expect(always_ms(!rig_ended(&r), 50));
	if (states[state].gated)
		open_gate();
	if (!outcome->end) {
		settles(state, outcome);
		return;
	}
	cr_expect_eq(rig_exit_code(&r), 0);
	cr_expect(eventually(exec_all_gone()), "something is left");
}

/* ---- one test a cell */

ParameterizedTestParameters(signal_states, each)
{
	static int cells[ROWS * STATES];

	for (size_t i = 0; i < ROWS * STATES; i++)
		cells[i] = (int)i;
	return cr_make_param_array(int, cells, ROWS * STATES);
}

/* A suite's .init does not reach tests with parameters. */
ParameterizedTest(int *cell, signal_states, each, .init = rig_setup,
    .fini = rig_cleanup)
{
	const struct row *row = &rows[(size_t)*cell / STATES];
	enum state state = (enum state)((size_t)*cell % STATES);

	fprintf(stderr, "%s %s%s\n", state_names[state],
	    row->signo == -1 ? "RTMIN+1" : sigabbrev_np(row->signo),
	    row->value != 0 ? " with a value" : "");
	expect_cell(row, state);
}
