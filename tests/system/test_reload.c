/*
 * Reload: the new configuration is checked aside, takes force as a whole or
 * not at all, and the workers are replaced in a rolling way; section 6.
 */
#include <sys/stat.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"
#include "tests/system/reloads.h"

TestSuite(reload, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

static void
serves(void)
{
	cr_expect_str_eq(rig_ask(&r, "hello\n"), "hello\n");
}

/* Nothing has changed: the same workers, of the first generation. */
static void
is_as_it_was(int workers)
{
	cr_expect(!rig_log_says(&r, "reload.start"));
	cr_expect_eq(rig_log_count(&r, "worker.start"), workers);
	cr_expect_eq(rig_count(&r), workers);
	serves();
}

Test(reload, replaces_every_worker_by_a_new_one)
{
	reload_start(&r, "[pool]\nworkers = 3\n");
	rig_await_workers(&r, 3);
	reload_succeeds(&r);
	rig_await_workers(&r, 3);
	for (int slot = 0; slot < 3; slot++)
		cr_expect_eq(reload_generation(&r, slot), 2);
	cr_expect(eventually(rig_log_count(&r, "worker.exit gen=1") == 3));
	cr_expect(!rig_log_says(&r, "worker.died"));
	serves();
	cr_expect_eq(rig_stop(&r), 0);
}

/* The line of the log is later than the other one? */
static bool
comes_after(const char *later, const char *sooner)
{
	const char *text = rig_read(&r, r.err);
	const char *first = strstr(text, sooner);

	return first != NULL && strstr(text, later) > first;
}

Test(reload, starts_a_successor_before_its_predecessor_is_told)
{
	char stop[64], ready[64];

	reload_start(&r, "[pool]\nworkers = 1\n");
	snprintf(stop, sizeof(stop), "worker.exit slot=0 pid=%d ",
	    (int)rig_worker(&r, 0));
	reload_succeeds(&r);
	rig_await_workers(&r, 1);
	snprintf(ready, sizeof(ready), "worker.ready slot=0 pid=%d ",
	    (int)rig_worker(&r, 0));
	rig_await_text(&r, stop);
	cr_expect(comes_after(stop, ready), "%s", rig_read(&r, r.err));
}

/* Those that were started and not told to leave: how many at most? */
static int
most_wanted(void)
{
	int wanted = 0, most = 0;
	const char *at = rig_read(&r, r.err);

	for (; *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n') {
		size_t len = strcspn(at, "\n");

		wanted += memmem(at, len, " worker.start ", 14) != NULL;
		wanted -= memmem(at, len, " worker.stop ", 13) != NULL;
		if (wanted > most)
			most = wanted;
	}
	return most;
}

/* As many more as surge says, and not one more, ever. */
static void
rolls_by(const char *surge, int workers, int extra)
{
	int most = 0, count;

	reload_start(&r, "[pool]\nworkers = %d\nsurge = %s\n[worker]\n"
	    "command = @MIS@ silent\nready = alive:100ms\n", workers, surge);
	rig_await_workers(&r, workers);
	rig_signal(&r, SIGHUP);
	while (!rig_log_says(&r, "reload.done")) {
		count = rig_count(&r);
		if (count > most)
			most = count;
		cr_expect_geq(count, workers);
		cr_assert(!rig_ended(&r));
		rig_nap();
	}
	/* Who is told to leave may still be there. */
	cr_expect_geq(most, workers + extra);
	rig_await_workers(&r, workers);
	cr_expect_eq(most_wanted(), workers + extra);
}

Test(reload, rolls_by_one)
{
	rolls_by("1", 3, 1);
	cr_expect_lt(rig_log_ms(&r, "reload.done", "took"), WAIT_MS);
	cr_expect_geq(rig_log_ms(&r, "reload.done", "took"), 300);
}

Test(reload, rolls_by_three)
{
	rolls_by("3", 6, 3);
	cr_expect_geq(rig_log_ms(&r, "reload.done", "took"), 200);
}

Test(reload, rolls_by_half)
{
	rolls_by("50%", 5, 3);
	cr_expect_geq(rig_log_ms(&r, "reload.done", "took"), 200);
}

Test(reload, of_many_workers)
{
	struct exact *load;

	reload_start(&r, "[pool]\nworkers = 64\nsurge = 25%%\n");
	rig_await_workers(&r, 64);
	load = reload_load(r.addr, false);
	reload_succeeds(&r);
	rig_await_workers(&r, 64);
	reload_unload(load, "a reload of 64");
	cr_expect_eq(rig_stop(&r), 0);
}

/* ---- what is checked before anything changes */

static void
is_refused(const char *reason)
{
	const char *line = reload_fails(&r);

	cr_expect_not_null(strstr(line, reason), "no %s in: %s", reason,
	    line);
}

Test(reload, tells_every_error_of_the_file_and_changes_nothing)
{
	char at[512];

	reload_start(&r, "[pool]\nworkers = 2\n");
	rig_await_workers(&r, 2);
	reload_write("[pool]\nworkers = many\nsurgee = 3\nno sense\n"
	    "[worker]\nstop_signal = NEVER\n");
	is_refused("the configuration is bad");
	for (int line = 2; line <= 6; line += line == 4 ? 2 : 1) {
		snprintf(at, sizeof(at), "%s:%d:", rig_path("conf"), line);
		cr_expect(rig_log_has(&r, at), "no error at %s", at);
	}
	cr_expect_geq(rig_log_count(&r, "config.error"), 4);
	is_as_it_was(2);
	reload_write("[pool]\nworkers = 3\n");
	reload_succeeds(&r);
	rig_await_workers(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(reload, refuses_a_file_that_is_gone_or_no_file)
{
	reload_start(&r, "[pool]\nworkers = 2\n");
	rig_await_workers(&r, 2);
	unlink(rig_path("conf"));
	is_refused("No such file");
	cr_assert_eq(mkfifo(rig_path("conf"), 0600), 0);
	is_refused("not a regular file");
	is_as_it_was(2);
}

Test(reload, refuses_users_and_groups_that_are_not_there)
{
	reload_start(&r, "[pool]\nworkers = 1\n");
	reload_write("[master]\nuser = no-such-user\ngroup = no-such-group\n");
	is_refused("no-such-");
	cr_expect(rig_log_has(&r, "there is no group"));
	cr_expect(rig_log_has(&r, "there is no user"));
	is_as_it_was(1);
}

static const struct {
	const char *text, *key;
} fixed[] = {
	{ "[master]\nname = other\n", "master.name" },
	{ "[master]\npidfile = /tmp/other.pid\n", "master.pidfile" },
	{ "[master]\ndaemon = yes\n", "master.daemon" },
	{ "[master]\nchdir = /tmp\n", "master.chdir" },
	{ "[listen]\nunix_mode = 0600\n", "listen.unix_mode" },
	{ "[listen]\nunix_user = 1\n", "listen.unix_user" },
	{ "[listen]\nunix_group = 1\n", "listen.unix_group" },
	{ "[listen]\naccept = reuseport\n", "listen.accept" },
	{ "[master]\nname = other\n[listen]\nunix_mode = 0600\n",
	    "master.name, listen.unix_mode" },
};

Test(reload, names_the_keys_that_need_a_restart)
{
	reload_start(&r, "[pool]\nworkers = 1\n");
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		reload_write("[pool]\nworkers = 1\n%s", fixed[i].text);
		is_refused(fixed[i].key);
		is_refused("a restart is needed");
	}
	is_as_it_was(1);
}

Test(reload, from_reuseport_needs_a_restart)
{
	reload_start(&r, "[pool]\nworkers = 1\n[listen]\n"
	    "accept = reuseport\n");
	reload_write("[pool]\nworkers = 1\n[listen]\naccept = shared\n");
	is_refused("listen.accept");
	is_as_it_was(1);
}

Test(reload, from_exclusive_to_shared_needs_none)
{
	reload_start(&r, "[listen]\naccept = exclusive\n");
	reload_write("[listen]\naccept = shared\n");
	reload_succeeds(&r);
	serves();
}

/* A reload and an upgrade read relative paths as the start did. */
Test(reload, relative_paths_mean_what_they_meant_at_the_start)
{
	struct stat st;

	cr_assert_eq(mkdir(rig_path("sub"), 0755), 0);
	cr_assert_eq(chdir(rig_path("")), 0);
	reload_write("[master]\nchdir = sub\npidfile = pid\nlog = log\n");
	r.log = rig_path("log");
	rig_start(&r, "-c", "conf", NULL);
	reload_succeeds(&r);
	reload_succeeds(&r);
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.done");
	rig_await_log(&r, "reload.done gen=4");
	reload_succeeds(&r);
	serves();
	cr_expect_eq(stat(rig_path("sub/log"), &st), -1);
	cr_expect_eq(stat(rig_path("pid"), &st), 0);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(reload, a_program_is_found_from_where_it_was_at_the_start)
{
	char text[512];

	cr_assert_eq(mkdir(rig_path("sub"), 0755), 0);
	cr_assert_eq(chdir(rig_path("")), 0);
	snprintf(text, sizeof(text), "#!/bin/sh\nexec %s serve\n",
	    exec_mis());
	rename(exec_script("script", "%s", text), rig_path("sub/script"));
	reload_write("[pool]\nworkers = 1\n[master]\nchdir = sub\n[worker]\n"
	    "ready = notify\ncommand = ./script\n");
	rig_start(&r, "-c", "conf", NULL);
	for (int i = 0; i < 3; i++)
		reload_succeeds(&r);
	rig_await_workers(&r, 1);
	reload_write("[pool]\nworkers = 1\n[master]\nchdir = sub\n[worker]\n"
	    "ready = notify\ncommand = sub/script\n");
	reload_fails(&r);
	rig_await_workers(&r, 1);
	cr_expect_eq(reload_generation(&r, 0), 4);
	cr_expect_eq(rig_stop(&r), 0);
}

/* ---- classes of keys */

static bool
is_nonblocking(int fd)
{
	char name[32];
	const char *flags;

	snprintf(name, sizeof(name), "fdinfo/%d", fd);
	flags = strstr(look_file(r.pid, name), "flags:");
	return flags != NULL && (strtol(flags + 6, NULL, 8) & O_NONBLOCK);
}

/* The same socket throughout, whose options are those of the newest file. */
Test(reload, options_of_a_socket_count_at_once)
{
	char before[64];
	int fd;

	reload_start(&r, "[pool]\nworkers = 1\n[worker]\nready = notify\n"
	    "command = @MIS@ serve\n");
	fd = (int)rig_log_int(&r, "listen.open", "fd");
	cr_expect(is_nonblocking(fd));
	snprintf(before, sizeof(before), "%s", look_fd(r.pid, fd));
	cr_expect_str_eq(look_fd(rig_worker(&r, 0), 3), before);
	for (int i = 0; i < 4; i++) {
		reload_write("[pool]\nworkers = 1\n[listen]\nnonblock = %s\n"
		    "[worker]\nready = notify\ncommand = @MIS@ serve\n",
		    i % 2 == 0 ? "no" : "yes");
		reload_succeeds(&r);
		rig_await_workers(&r, 1);
		cr_expect_eq(is_nonblocking(fd), i % 2 == 1);
		cr_expect_str_eq(look_fd(r.pid, fd), before);
		cr_expect_str_eq(look_fd(rig_worker(&r, 0), 3), before);
	}
}

Test(reload, meanings_of_signals_count_at_once)
{
	reload_start(&r, "[pool]\nworkers = 1\n");
	reload_write("[pool]\nworkers = 1\n[signals]\nUSR1 = scale-up\n"
	    "TTIN = ignore\n");
	reload_succeeds(&r);
	rig_signal(&r, SIGTTIN);
	rig_await_log(&r, "signal.ignored signal=TTIN");
	rig_signal(&r, SIGUSR1);
	rig_await_workers(&r, 2);
}

/* Who drains keeps what it began with. */
Test(reload, confinement_is_that_of_each_generation)
{
	pid_t old;
	int fd;

	reload_start(&r, "[pool]\nworkers = 1\n[master]\numask = 022\n"
	    "[limits]\nnofile = 100\n");
	old = rig_worker(&r, 0);
	fd = rig_connect(&r);	/* it leaves when we let it */
	client_say(fd, "whole\nhalf");
	cr_expect_str_eq(client_hear(fd), "whole\n");
	reload_write("[pool]\nworkers = 1\n[master]\numask = 077\n"
	    "[limits]\nnofile = 200\n");
	reload_succeeds(&r);
	cr_expect_str_eq(look_status(old, "Umask"), "0022");
	cr_expect_str_eq(look_status(rig_worker(&r, 0), "Umask"), "0077");
	cr_expect_not_null(strstr(look_file(rig_worker(&r, 0), "limits"),
	    "Max open files            200"));
	cr_expect_not_null(strstr(look_file(old, "limits"),
	    "Max open files            100"));
	close(fd);
	rig_await_workers(&r, 1);
}

Test(reload, another_log_file_level_and_format_count_at_once)
{
	r.log = rig_path("one");
	reload_start(&r, "[master]\nlog = %s\n", r.log);
	reload_write("[master]\nlog = %s\nlog_level = debug\n"
	    "log_format = json\n", rig_path("two"));
	rig_signal(&r, SIGHUP);
	cr_assert(eventually(strstr(rig_read(&r, rig_path("two")),
	    "reload.done") != NULL));
	cr_expect_null(strstr(rig_read(&r, rig_path("one")), "reload."));
	cr_expect_eq(*rig_read(&r, rig_path("two")), '{');
	reload_write("[master]\nlog = /nonexistent/log\n");
	rig_signal(&r, SIGHUP);
	cr_assert(eventually(strstr(rig_read(&r, rig_path("two")),
	    "reload.failed") != NULL));
	cr_expect_not_null(strstr(rig_read(&r, rig_path("two")),
	    "/nonexistent/log"));
	cr_expect_null(strstr(rig_read(&r, rig_path("two")),
	    "\"gen\":3"));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(reload, a_shorter_graceful_timeout_counts_for_who_drains_already)
{
	char told[64];
	int fd;

	reload_start(&r, "[pool]\nworkers = 1\n[worker]\n"
	    "graceful_timeout = 60s\n");
	snprintf(told, sizeof(told), "worker.kill pid=%d",
	    (int)rig_worker(&r, 0));
	fd = rig_connect(&r);
	client_say(fd, "whole\nhalf");
	cr_expect_str_eq(client_hear(fd), "whole\n");	/* it has it */
	reload_succeeds(&r);
	cr_assert(always_ms(rig_count(&r) == 2, 300));
	reload_write("[pool]\nworkers = 1\n[worker]\n"
	    "graceful_timeout = 100ms\n");
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, told);
	rig_await_workers(&r, 1);
	close(fd);
}

Test(reload, an_old_worker_is_stopped_by_its_own_signal)
{
	reload_start(&r, "[pool]\nworkers = 1\n[worker]\n"
	    "command = @MIS@ serve\nready = notify\n");
	reload_write("[pool]\nworkers = 1\n[worker]\n"
	    "command = @MIS@ serve\nready = notify\nstop_signal = INT\n");
	reload_succeeds(&r);
	rig_await_log(&r, "worker.exit gen=1 code=0");
	reload_succeeds(&r);
	rig_await_log(&r, "worker.exit gen=2 signal=INT");
}

Test(reload, new_workers_run_what_the_new_file_says)
{
	reload_start(&r, "[pool]\nworkers = 2\n");
	reload_write("[pool]\nworkers = 2\n[worker]\ncommand = @MIS@ serve\n"
	    "ready = notify\n[env]\nCOLOUR = blue\n");
	reload_succeeds(&r);
	rig_await_workers(&r, 2);
	cr_expect_str_eq(rig_ask(&r, "program\n"), "program\n");
	cr_expect_not_null(strstr(look_file(rig_worker(&r, 0), "environ"),
	    "COLOUR=blue"));
	reload_write("[pool]\nworkers = 2\n");
	reload_succeeds(&r);
	rig_await_workers(&r, 2);
	serves();
	cr_expect_eq(rig_stop(&r), 0);
}

/* ---- how many */

Test(reload, keeps_the_number_that_was_scaled_to)
{
	reload_start(&r, "[pool]\nworkers = 2\n");
	rig_queue(&r, 2);
	rig_await_workers(&r, 4);
	reload_succeeds(&r);
	rig_await_workers(&r, 4);
	reload_write("[pool]\nworkers = 2\nmin_workers = 2\n");
	reload_succeeds(&r);
	rig_await_workers(&r, 4);
}

Test(reload, takes_a_number_that_was_configured_anew)
{
	reload_start(&r, "[pool]\nworkers = 2\n");
	rig_queue(&r, 2);
	rig_await_workers(&r, 4);
	reload_write("[pool]\nworkers = 3\n");
	reload_succeeds(&r);
	rig_await_workers(&r, 3);
	reload_write("[pool]\nworkers = 1\n");
	reload_succeeds(&r);
	rig_await_workers(&r, 1);
}

Test(reload, keeps_within_new_bounds)
{
	reload_start(&r, "[pool]\nworkers = 2\n");
	rig_queue(&r, 4);
	rig_await_workers(&r, 6);
	reload_write("[pool]\nworkers = 2\nmax_workers = 3\n");
	reload_succeeds(&r);
	rig_await_workers(&r, 3);
}

Test(reload, restores_a_pool_that_was_drained)
{
	reload_start(&r, "[pool]\nworkers = 2\n");
	rig_queue(&r, 1);
	rig_await_workers(&r, 3);
	rig_signal(&r, SIGWINCH);
	cr_assert(eventually(rig_count(&r) == 0));
	reload_succeeds(&r);
	rig_await_workers(&r, 3);
	serves();
}

/* ---- nothing is left behind */

Test(reload, costs_no_descriptor_and_no_memory)
{
	int fds = 0;
	int64_t rss = 0;

	reload_start(&r, "[listen]\nbind = 127.0.0.1:0\n");
	for (int i = 1; i <= 62; i++) {
		reload_write("[listen]\nbind = 127.0.0.1:0\n%s%s%s",
		    i % 2 == 0 ? "" : "bind = unix:",
		    i % 2 == 0 ? "" : rig_path("sock"),
		    i % 5 == 0 ? "\nno_such = key\n" : "\n");
		if (i % 5 == 0)
			reload_fails(&r);
		else
			reload_succeeds(&r);
		rig_await_workers(&r, 2);
		if (i == 12) {
			fds = look_fds(r.pid);
			rss = look_rss_kb(r.pid);
		}
	}
	cr_expect(eventually(look_fds(r.pid) <= fds), "%d, then %d", fds,
	    look_fds(r.pid));
	if (!rig_sanitized())
		cr_expect_leq(look_rss_kb(r.pid), rss + 256,
		    "%lld, then %lld", (long long)rss,
		    (long long)look_rss_kb(r.pid));
}
