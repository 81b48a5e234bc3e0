/*
 * Every signal in every state of the master: THE table says what is allowed.
 * A state lasts as long as the test wants, by a file, the gate: programs are
 * not ready, a new binary's trial is not over and a stop does not end as long
 * as it is there.
 */
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>	/* first: the next undoes its macros */
#include <criterion/parameterized.h>

#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"

TestSuite(signal_states, .init = rig_setup, .fini = rig_cleanup,
    .timeout = 60);

static struct rig r;

/* ---- the table */

enum state { STARTING, RUNNING, DRAINING, DRAINED, RELOADING, TRYING,
	TRIED, BECOMING, STOPPING, STATES };

static const char *const state_names[STATES] = { "starting", "running",
	"draining", "drained", "reloading", "trying a new binary",
	"having tried it", "becoming it", "stopping" };

/*
 * What a signal leads to, from two workers. Where it is not the end, the pool
 * has so many workers once the state is over.
 */
struct outcome {
	const char	*says;		/* a line of the log */
	int		 workers;
	int		 reloads;	/* more than the state has itself */
	int		 upgrades;
	bool		 end;
	int		 code;
};

#define ENDS(mode)	{ .says = "pool.stop mode=" mode, .end = true }
#define DIES(signo)	{ .end = true, .code = 128 + (signo) }
#define SCALES(from, to) SAYS("pool.scale from=" #from " to=" #to, to)
#define RELOADS		{ "reload.start", .workers = 2, .reloads = 1 }
#define UPGRADES(n)	{ "upgrade.trial", .workers = (n), .upgrades = 1 }
#define REOPENS(n)	SAYS("log.reopened", n)
#define DRAINS		SAYS("pool.drain", 0)
#define SAYS(text, n)	{ .says = (text), .workers = (n) }
#define NOTHING(n)	SAYS(NULL, n)
#define IN_A_STOP(text)	{ .says = (text), .end = true }

#define STOPS {								\
	[STARTING] = ENDS("graceful"), [RUNNING] = ENDS("graceful"),	\
	[DRAINING] = ENDS("graceful"), [DRAINED] = ENDS("graceful"),	\
	[RELOADING] = ENDS("graceful"), [TRYING] = ENDS("graceful"),	\
	[TRIED] = ENDS("graceful"),	\
	[BECOMING] = ENDS("graceful"), [STOPPING] = ENDS("fast") }
#define CHANGES_NOTHING {						\
	[STARTING] = NOTHING(2), [RUNNING] = NOTHING(2),		\
	[DRAINING] = NOTHING(0), [DRAINED] = NOTHING(0),		\
	[RELOADING] = NOTHING(2), [TRYING] = NOTHING(2),		\
	[TRIED] = NOTHING(2),			\
	[BECOMING] = NOTHING(2), [STOPPING] = IN_A_STOP(NULL) }
/* It has no meaning for us, and the system's is the end. */
#define ENDS_IT(signo) {						\
	[STARTING] = DIES(signo), [RUNNING] = DIES(signo),		\
	[DRAINING] = DIES(signo), [DRAINED] = DIES(signo),		\
	[RELOADING] = DIES(signo), [TRYING] = DIES(signo),		\
	[TRIED] = DIES(signo),			\
	[BECOMING] = DIES(signo), [STOPPING] = DIES(signo) }

static const struct row {
	int		 signo;
	int		 value;		/* with sigqueue(3), unless 0 */
	struct outcome	 in[STATES];
} rows[] = {
	{ SIGINT, 0, STOPS },
	{ SIGTERM, 0, STOPS },
	{ SIGQUIT, 0, {
		[STARTING] = ENDS("fast"), [RUNNING] = ENDS("fast"),
		[DRAINING] = ENDS("fast"), [DRAINED] = ENDS("fast"),
		[RELOADING] = ENDS("fast"), [TRYING] = ENDS("fast"),
		[TRIED] = ENDS("fast"), [BECOMING] = ENDS("fast"),
		[STOPPING] = ENDS("fast") } },
	{ SIGHUP, 0, {
		[STARTING] = RELOADS, [RUNNING] = RELOADS,
		[DRAINING] = RELOADS, [DRAINED] = RELOADS,
		[RELOADING] = RELOADS, [TRYING] = RELOADS,
		[TRIED] = RELOADS, [BECOMING] = RELOADS,
		[STOPPING] = IN_A_STOP("reload.failed") } },
	{ SIGUSR1, 0, {
		[STARTING] = REOPENS(2), [RUNNING] = REOPENS(2),
		[DRAINING] = REOPENS(0), [DRAINED] = REOPENS(0),
		[RELOADING] = REOPENS(2), [TRYING] = REOPENS(2),
		[TRIED] = REOPENS(2), [BECOMING] = REOPENS(2),
		[STOPPING] = IN_A_STOP("log.reopened") } },
	{ SIGUSR2, 0, {
		[STARTING] = UPGRADES(2), [RUNNING] = UPGRADES(2),
		[DRAINING] = UPGRADES(0), [DRAINED] = UPGRADES(0),
		[RELOADING] = UPGRADES(2),
		[TRYING] = SAYS("upgrade.failed", 2),	/* one at a time */
		[TRIED] = SAYS("upgrade.failed", 2),
		[BECOMING] = UPGRADES(2),
		[STOPPING] = IN_A_STOP("upgrade.failed") } },
	{ SIGTTIN, 0, {
		[STARTING] = SCALES(2, 3), [RUNNING] = SCALES(2, 3),
		[DRAINING] = SCALES(0, 3), [DRAINED] = SCALES(0, 3),
		[RELOADING] = SCALES(2, 3), [TRYING] = SCALES(2, 3),
		[TRIED] = SCALES(2, 3), [BECOMING] = SCALES(2, 3),
		[STOPPING] = IN_A_STOP("pool.scale") } },
	{ SIGTTOU, 0, {
		[STARTING] = SCALES(2, 1), [RUNNING] = SCALES(2, 1),
		[DRAINING] = SCALES(0, 0), [DRAINED] = SCALES(0, 0),
		[RELOADING] = SCALES(2, 1), [TRYING] = SCALES(2, 1),
		[TRIED] = SCALES(2, 1), [BECOMING] = SCALES(2, 1),
		[STOPPING] = IN_A_STOP("pool.scale") } },
	{ SIGWINCH, 0, {
		[STARTING] = DRAINS, [RUNNING] = DRAINS,
		[DRAINING] = DRAINS, [DRAINED] = DRAINS,
		[RELOADING] = DRAINS, [TRYING] = DRAINS,
		[TRIED] = DRAINS, [BECOMING] = DRAINS,
		[STOPPING] = IN_A_STOP("pool.drain") } },
	{ -1, 2, {		/* SIGRTMIN + 1 is no constant */
		[STARTING] = SCALES(2, 4), [RUNNING] = SCALES(2, 4),
		[DRAINING] = SCALES(0, 4), [DRAINED] = SCALES(0, 4),
		[RELOADING] = SCALES(2, 4), [TRYING] = SCALES(2, 4),
		[TRIED] = SCALES(2, 4), [BECOMING] = SCALES(2, 4),
		[STOPPING] = IN_A_STOP("pool.scale") } },
	/* Without a value it is ignored, whatever the state. */
	{ -1, 0, {
		[STARTING] = SAYS("signal.ignored", 2),
		[RUNNING] = SAYS("signal.ignored", 2),
		[DRAINING] = SAYS("signal.ignored", 0),
		[DRAINED] = SAYS("signal.ignored", 0),
		[RELOADING] = SAYS("signal.ignored", 2),
		[TRYING] = SAYS("signal.ignored", 2),
		[TRIED] = SAYS("signal.ignored", 2),
		[BECOMING] = SAYS("signal.ignored", 2),
		[STOPPING] = IN_A_STOP("signal.ignored") } },
	{ SIGCHLD, 0, CHANGES_NOTHING },
	{ SIGPIPE, 0, CHANGES_NOTHING },
	{ SIGXFSZ, 0, CHANGES_NOTHING },
	{ SIGURG, 0, CHANGES_NOTHING },
	{ SIGCONT, 0, CHANGES_NOTHING },
	{ SIGSTOP, 0, CHANGES_NOTHING },	/* until CONT */
	{ SIGALRM, 0, ENDS_IT(SIGALRM) },
	{ SIGPROF, 0, ENDS_IT(SIGPROF) },
	{ 50, 0, ENDS_IT(50) },			/* a real-time signal */
};
#define ROWS	(sizeof(rows) / sizeof(*rows))

/* ---- states */

static void
close_gate(void)
{
	rig_file("gate", "");
}

/* A copy of our own, that something else can take the place of. */
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

/*
 * What takes its place waits twice, in the trial and as the master, and is the
 * same binary otherwise.
 */
static void
replace_binary(void)
{
	exec_script("muster", "#!%s image\n", exec_mis());
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

/* Both are told to go, and wait at the gate. */
static void
enter_draining(void)
{
	enter_running();
	close_gate();
	rig_signal(&r, SIGWINCH);
	rig_await_log(&r, "worker.stop slot=0");
	rig_await_log(&r, "worker.stop slot=1");
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

/* The trial is waiting at the gate. */
static void
enter_trying(void)
{
	copy_binary();
	enter_running();
	close_gate();
	replace_binary();
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.trial");
}

/*
 * Not by STOP: the CONT that ends it throws TTIN and TTOU away.
 */
static void
freeze(void)
{
	int status;

	cr_assert_eq(ptrace(PTRACE_SEIZE, r.pid, 0, 0), 0);
	cr_assert_eq(ptrace(PTRACE_INTERRUPT, r.pid, 0, 0), 0);
	cr_assert_eq(waitpid(r.pid, &status, __WALL), r.pid);
	cr_assert(WIFSTOPPED(status));
}

static void
thaw(void)
{
	cr_assert_eq(ptrace(PTRACE_DETACH, r.pid, 0, 0), 0);
}

/*
 * The trial went well, and its end comes in one turn with what is sent: the
 * master is frozen until then.
 */
static void
enter_tried(void)
{
	pid_t trial;

	enter_trying();
	trial = (pid_t)rig_log_int(&r, "upgrade.trial", "pid");
	freeze();
	cr_assert_eq(unlink(rig_path("gate")), 0);
	cr_assert(eventually(look_state(trial) == 'Z'));
}

/* The trial went well; the new image has not begun: it is waiting. */
static void
enter_becoming(void)
{
	copy_binary();
	enter_running();
	rig_file("door", "");
	replace_binary();
	rig_signal(&r, SIGUSR2);
	cr_assert(eventually(strstr(look_file(r.pid, "cmdline"), " image ")));
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
	void		(*enter)(void);
	const char	 *gate;		/* that has to be opened for its end */
	const char	 *over;		/* what the log says from then on */
	int		  reloads, upgrades;	/* that are under way in it */
	bool		  deaf;		/* as long as it lasts */
} states[STATES] = {
	[STARTING] = { .enter = enter_starting, .gate = "gate",
	    .over = "pool.ready" },
	[RUNNING] = { .enter = enter_running },
	[DRAINING] = { .enter = enter_draining, .gate = "gate",
	    .over = "worker.exit" },
	[DRAINED] = { .enter = enter_drained },
	[RELOADING] = { .enter = enter_reloading, .gate = "gate",
	    .over = "worker.ready gen=2", .reloads = 1 },
	[TRYING] = { .enter = enter_trying, .gate = "gate",
	    .over = "upgrade.exec", .upgrades = 1 },
	[TRIED] = { .enter = enter_tried, .over = "upgrade.exec",
	    .upgrades = 1, .deaf = true },
	[BECOMING] = { .enter = enter_becoming, .gate = "door",
	    .over = "upgrade.done", .upgrades = 1, .deaf = true },
	[STOPPING] = { .enter = enter_stopping, .gate = "gate",
	    .over = "worker.exit" },
};

/* ---- what is looked at */

static void
send(const struct row *row)
{
	if (row->value != 0)
		rig_queue(&r, row->value);
	else
		rig_signal(&r, row->signo != -1 ? row->signo : SIGRTMIN + 1);
	if (row->signo != SIGSTOP)
		return;
	cr_expect(eventually(strchr("Tt", look_state(r.pid)) != NULL));
	rig_signal(&r, SIGCONT);
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

/* What it says, or that it stays. */
static void
reacts(const struct outcome *outcome, int before)
{
	if (outcome->says != NULL)
		await_count(outcome->says, before + 1);
	else if (outcome->code == 0)
		cr_expect(always_ms(!rig_ended(&r), 30));
}

static void
expect_cell(const struct row *row, enum state state)
{
	const struct outcome *outcome = &row->in[state];
	const char *over = states[state].over;
	int before;
	pid_t left;

	states[state].enter();
	before = said(outcome->says);
	cr_expect(over == NULL || !rig_log_says(&r, over),
	    "the state was over before the signal");
	send(row);
	if (!states[state].deaf)
		reacts(outcome, before);
	if (states[state].gate != NULL)
		cr_assert_eq(unlink(rig_path(states[state].gate)), 0);
	if (state == TRIED)
		thaw();
	if (states[state].deaf)
		reacts(outcome, before);
	if (!outcome->end) {
		settles(state, outcome);
		return;
	}
	cr_expect_eq(rig_exit_code(&r), outcome->code);
	if (!eventually(exec_all_gone())) {
		look_descendants(getpid(), &left, 1);
		cr_expect_fail("left: %d %s", (int)left,
		    look_file(left, "cmdline"));
	}
}

/* ---- one test a cell */

ParameterizedTestParameters(signal_states, each)
{
	static int cells[ROWS * STATES];

	for (size_t i = 0; i < ROWS * STATES; i++)
		cells[i] = (int)i;
	return cr_make_param_array(int, cells, ROWS * STATES);
}

ParameterizedTest(int *cell, signal_states, each)
{
	const struct row *row = &rows[(size_t)*cell / STATES];
	enum state state = (enum state)((size_t)*cell % STATES);
	char name[32];

	/* Told with a failure: nobody else knows which one it was. */
	snprintf(name, sizeof(name), "%s%s", row->signo == -1 ? "RTMIN+1" :
	    row->signo == 50 ? "50" : sigabbrev_np(row->signo),
	    row->value != 0 ? " with a value" : "");
	fprintf(stderr, "%s while %s\n", name, state_names[state]);
	expect_cell(row, state);
}

/* It must not take the state of another for none, and begin as a master. */
Test(signal_states, a_trial_in_a_child_of_a_script_is_no_second_master)
{
	copy_binary();
	enter_running();
	exec_script("muster", "#!/bin/sh\n%s \"$@\"\nexit $?\n",
	    rig_path("real"));
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.failed");
	cr_expect_not_null(strstr(rig_log_line(&r, "upgrade.failed"),
	    "the state is that of pid"), "%s", rig_log_line(&r, "upgrade.failed"));
	cr_expect_eq(rig_log_count(&r, "master.start"), 1);
	cr_expect_eq(rig_log_count(&r, "listen.open"), 1);
	cr_expect_eq(rig_stop(&r), 0);
}
