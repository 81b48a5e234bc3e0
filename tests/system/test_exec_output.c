/* What a program prints: in the log, bounded, and never in its way. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"

TestSuite(exec_output, .init = rig_setup, .fini = rig_cleanup,
    .timeout = 60);

static struct rig r;

/* One worker that prints by a shell's words and then stays. */
static void
prints(const char *words)
{
	const char *path = exec_script("prints", "#!/bin/sh\n%s\n"
	    "exec %s serve\n", words, exec_mis());

	rig_start(&r, "-w", "1", NOTIFY, "--", path, NULL);
}

Test(exec_output, a_line_has_its_slot_and_pid)
{
	char words[96];

	prints("echo hello; echo moaning >&2");
	snprintf(words, sizeof(words),
	    "worker.output slot=0 pid=%d line=hello", (int)exec_pid(&r, 0));
	rig_await_log(&r, words);
	rig_await_log(&r, "worker.output slot=0 line=moaning");
}

Test(exec_output, a_long_line_is_cut_and_says_by_how_much)
{
	const char *line;

	prints("head -c 10000 /dev/zero | tr '\\0' A; echo; echo next");
	rig_await_log(&r, "worker.output line=next");
	line = rig_log_line(&r, "worker.output cut=5904");
	cr_assert_not_null(line, "no cut line");
	cr_expect(eventually(rig_log_count(&r, "worker.output") == 2));
}

Test(exec_output, what_is_no_text_is_escaped)
{
	prints("printf 'a\\033[31mred\\000nul\\r\\377\\n'");
	rig_await_text(&r, "red");
	rig_await_log(&r, "worker.ready slot=0");
	cr_expect(!rig_log_has(&r, "\033"));
	cr_expect(!rig_log_has(&r, "\r"));
	cr_expect(rig_log_has(&r, "a\\u001b[31mred"), "%s",
	    rig_log_line(&r, "slot=0"));
}

Test(exec_output, nobody_can_forge_a_line_of_the_log)
{
	prints("printf 'x\\r2026-01-01T00:00:00.000Z info  pool.stop "
	    "mode=fast\\n'");
	rig_await_log(&r, "pool.stop mode=fast");
	cr_expect_not_null(strstr(rig_log_line(&r, "pool.stop mode=fast"),
	    "worker.output slot=0"));
	cr_expect(!rig_log_has(&r, "\r") && !rig_log_has(&r, "\n2026-01"));
}

Test(exec_output, an_unfinished_line_comes_when_it_dies)
{
	rig_start(&r, "-w", "1", NOTIFY, "--", exec_script("half",
	    "#!/bin/sh\nprintf 'not yet done'\nexec %s serve\n", exec_mis()),
	    NULL);
	cr_expect(always_ms(!rig_log_has(&r, "not yet done"), 100));
	rig_kill_worker(&r, 0, SIGKILL);
	rig_await_text(&r, "line=\"not yet done\"");
	cr_expect(eventually(rig_log_count(&r, "worker.ready") == 2));
}

Test(exec_output, what_it_said_comes_before_its_death)
{
	const char *text;

	rig_launch(&r, "-w", "1", SET("pool.boot_retries=1"), "--", "/bin/sh",
	    "-c", "seq 1 2000; echo the last; exit 3", NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	text = rig_read(&r, r.err);
	cr_expect_lt(strstr(text, "line=\"the last\""),
	    strstr(text, "worker.died"));
	cr_expect_not_null(strstr(text, "line=1\n"));
	cr_expect(rig_log_has(&r, "the last failure"));
	cr_expect_not_null(strstr(rig_log_line(&r, "pool.failed"),
	    "1998 | 1999 | 2000 | the last"), "%s",
	    rig_log_line(&r, "pool.failed"));
}

Test(exec_output, the_reload_that_failed_says_what_was_printed)
{
	exec_script("s", "#!/bin/sh\nexec %s serve\n", exec_mis());
	rig_start(&r, "-w", "1", NOTIFY, "--", rig_path("s"), NULL);
	exec_script("s", "#!/bin/sh\necho no database >&2\nexit 1\n");
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.failed gen=2");
	cr_expect_not_null(strstr(rig_log_line(&r, "reload.failed"),
	    "no database"), "%s", rig_log_line(&r, "reload.failed"));
}

Test(exec_output, where_it_is_not_wanted_it_goes_where_ours_goes)
{
	rig_start(&r, "-w", "1", OWN_OUTPUT, NOTIFY, "--", exec_script("s",
	    "#!/bin/sh\necho to stdout\necho to stderr >&2\n"
	    "exec %s serve\n", exec_mis()), NULL);
	cr_expect_not_null(strstr(rig_read(&r, r.out), "to stdout\n"));
	cr_expect_not_null(strstr(rig_read(&r, r.err), "to stderr\n"));
	cr_expect_eq(rig_log_count(&r, "worker.output"), 0);
}

static void
close_stdout(void *arg)
{
	(void)arg;
	close(STDOUT_FILENO);
}

Test(exec_output, a_closed_stdout_of_ours_is_dev_null)
{
	r.child = close_stdout;
	rig_start(&r, "-w", "1", OWN_OUTPUT, NOTIFY, "--", exec_mis(),
	    "serve", NULL);
	cr_expect_str_eq(look_fd(rig_worker(&r, 0), 1), "/dev/null");
	cr_expect_str_eq(look_fd(rig_worker(&r, 0), 2), r.err);
	cr_expect_eq(rig_stop(&r), 0);
}

/* The daemon itself has its starter's until it is ready. */
Test(exec_output, a_daemons_is_dev_null_from_the_start)
{
	static char pidfile[256], log[256], set_log[300];

	snprintf(pidfile, sizeof(pidfile), "%s", rig_path("muster.pid"));
	snprintf(log, sizeof(log), "%s", rig_path("muster.log"));
	snprintf(set_log, sizeof(set_log), "master.log=%s", log);
	r.log = log;
	cr_assert_eq(rig_run(&r, "-d", "-p", pidfile, "-w", "1", "-s",
	    set_log, OWN_OUTPUT, NOTIFY, "--", exec_mis(), "serve", NULL), 0,
	    "%s", rig_read(&r, r.err));
	cr_expect_str_eq(look_fd(rig_worker(&r, 0), 1), "/dev/null");
	cr_expect_str_eq(look_fd(rig_worker(&r, 0), 2), "/dev/null");
}

/* ---- much of it */

static void
answers_soon(int signo, const char *words)
{
	int64_t from = rig_now_ms();

	rig_signal(&r, signo);
	rig_await_log(&r, words);
	cr_expect_lt(rig_now_ms() - from, 2000, "%s took %lld ms", words,
	    (long long)(rig_now_ms() - from));
}

static const char *
ask_patiently(void)
{
	const char *heard = NULL;

	for (int i = 0; i < 10 && heard == NULL; i++)
		heard = client_ask(rig_abstract(), "done\n");
	return heard == NULL ? "nothing" : heard;
}

/* A worker that has printed it all is one that was not blocked. */
Test(exec_output, a_flood_is_read_to_its_end_in_bounded_memory)
{
	const char *mib = rig_soak(1) > 1 ? "1024" : "256";
	int64_t rss;

	r.log = "the log";
	rig_launch(&r, "-w", "1", "-b", rig_abstract(), NOTIFY,
	    SET("master.log=/dev/null"), "--", exec_mis(), "flood", mib,
	    NULL);
	/* It answers once it has printed all. */
	cr_assert(eventually_ms(client_try(rig_abstract(), 100) != -1,
	    5000));
	rss = look_rss_kb(r.pid);
	cr_expect_str_eq(ask_patiently(), "done\n");
	cr_expect_lt(look_rss_kb(r.pid) - rss, 4096, "%lld kB",
	    (long long)(look_rss_kb(r.pid) - rss));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec_output, signals_are_answered_in_a_flood)
{
	int64_t rss;

	rig_start(&r, "-w", "2", NOTIFY, "--", exec_script("yes",
	    "#!/bin/sh\nsystemd-notify --ready\nexec cat /dev/zero\n"),
	    NULL);
	rss = look_rss_kb(r.pid);
	answers_soon(SIGTTIN, "pool.scale from=2 to=3");
	answers_soon(SIGUSR1, "log.reopened");
	cr_expect(eventually(rig_log_count(&r, "worker.ready") == 3));
	cr_expect_lt(look_rss_kb(r.pid) - rss, 4096);
	answers_soon(SIGTERM, "pool.stop mode=graceful");
	cr_expect_eq(rig_exit_code(&r), 0);
}
