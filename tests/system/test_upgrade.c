/*
 * A master that becomes another binary, and what of it nobody notices: the
 * pid, the sockets, the workers that are programs, the open connections, all
 * that had been asked for.
 */
#include <sys/resource.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/anew.h"
#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"

TestSuite(upgrade, .init = rig_setup, .fini = rig_cleanup, .timeout = 90);

static struct rig r;

#define NEXT	"9.9.9"

/* What this one calls itself. */
static const char *
version(void)
{
	static char text[32];
	const char *at = strstr(rig_log_line(&r, "master.start"), "version=");

	snprintf(text, sizeof(text), "%.*s", (int)strcspn(at + 8, " \n"),
	    at + 8);
	return text;
}

/* The first listening TCP socket of the rig: its inode, by proc_net(5). */
static unsigned long
inode(void)
{
	char text[128], line[256];
	unsigned long found = 0, number;
	FILE *file = fopen("/proc/net/tcp", "re");

	snprintf(text, sizeof(text), ":%04X 00000000:0000 0A", r.port);
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strstr(line, text) != NULL && sscanf(line, "%*s %*s %*s "
		    "%*s %*s %*s %*s %*s %*s %lu", &number) == 1)
			found = number;
	fclose(file);
	cr_assert_gt(found, 0);
	return found;
}

static void
become(const char *binary, const char *its_version)
{
	anew_install(binary);
	anew_upgrade(&r, its_version);
}

/* ---- what stays */

Test(upgrade, there_and_back_with_the_workers_renewed_one_by_one)
{
	static char path[256], first[32];
	pid_t before[RIG_MAX], pid;
	unsigned long socket;
	int fd;

	snprintf(path, sizeof(path), "%s", rig_path("muster.pid"));
	anew_install(NULL);
	rig_start(&r, "-w", "3", "-p", path, NULL);
	snprintf(first, sizeof(first), "%s", version());
	pid = r.pid;
	socket = inode();
	rig_workers(&r, before);
	fd = rig_connect(&r);
	client_say(fd, "one\nha");
	cr_assert_str_eq(client_hear(fd), "one\n");

	anew_install(ANEW_NEXT);
	rig_signal(&r, SIGUSR2);
	rig_await_log(&r, "upgrade.done version=9.9.9 workers=3");
	/* It has half a line, and all its time. */
	client_say(fd, "lf\n");
	cr_expect_str_eq(client_hear(fd), "half\n");
	rig_await_log(&r, "reload.done gen=2");
	rig_await_workers(&r, 3);
	for (int i = 0; i < 3; i++)
		cr_expect(eventually(!look_alive(before[i])));
	cr_expect(rig_log_says(&r, "reload.start gen=2 why=upgrade"));
	cr_expect_eq(rig_log_count(&r, "worker.start gen=2"), 3);

	become(NULL, first);
	cr_expect(rig_log_says(&r, "reload.done gen=3"));
	cr_expect_eq(rig_log_count(&r, "worker.start"), 9);
	cr_expect_eq(rig_log_count(&r, "upgrade.done"), 2);
	cr_expect_eq(rig_log_count(&r, "upgrade.exec"), 2);
	cr_expect_eq(rig_log_count(&r, "upgrade.trial"), 2);
	cr_expect_eq(r.pid, pid);
	cr_expect_eq(atoi(rig_read(&r, path)), pid);
	cr_expect_eq(inode(), socket);
	anew_expect_well(&r, 3);
	anew_expect_signals(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_eq(access(path, F_OK), -1);
}

/* A release is put in place by its link: what counts is the name. */
Test(upgrade, a_link_that_leads_to_another_binary_by_now)
{
	anew_install(NULL);
	cr_assert_eq(symlink("muster", rig_path("current")), 0);
	setenv("MUSTER", rig_path("current"), 1);
	rig_start(&r, "-w", "2", NULL);
	cr_assert_eq(symlink(anew_built(ANEW_NEXT), rig_path("next")), 0);
	cr_assert_eq(rename(rig_path("next"), rig_path("current")), 0);
	anew_upgrade(&r, NEXT);
	anew_expect_well(&r, 2);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(upgrade, programs_are_not_touched)
{
	struct anew before;
	unsigned long socket;

	anew_install(NULL);
	rig_start(&r, "-w", "2", NOTIFY, "--", exec_mis(), "serve", NULL);
	rig_await_workers(&r, 2);
	rig_queue(&r, 1);
	rig_await_workers(&r, 3);
	socket = inode();
	anew_look(&r, &before);
	become(ANEW_NEXT, NEXT);
	anew_expect_same(&r, &before);
	cr_expect_eq(inode(), socket);
	cr_expect(always_ms(rig_log_count(&r, "worker.start") == 3, 200));
	cr_expect_eq(rig_log_count(&r, "reload.start"), 0);
	anew_expect_well(&r, 3);
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.done gen=2");
	cr_expect_eq(rig_log_count(&r, "worker.start gen=2"), 3);
	rig_await_workers(&r, 3);
	cr_expect_eq(rig_stop(&r), 0);
}

/* Each is still at its gate when the binary changes, and heard afterwards. */
static void
speaks_afterwards(const char *ready, const char *sockets, const char *kind)
{
	const char *script;

	anew_install(NULL);
	script = exec_script("worker", "#!/bin/sh\n"
	    "while [ ! -e %s ]; do sleep 0.02; done\nexec %s %s\n",
	    rig_path("go"), exec_mis(), kind);
	rig_launch(&r, "-w", "2", SET("worker.ready_timeout=50s"), "-s",
	    ready, "-s", sockets, "--", script, NULL);
	cr_assert(eventually(rig_log_count(&r, "worker.start") == 2));
	become(ANEW_NEXT, NEXT);
	cr_expect_eq(rig_log_count(&r, "worker.ready"), 0);
	rig_file("go", "");
	cr_expect(eventually(rig_log_count(&r, "worker.ready") == 2));
	rig_await_log(&r, "pool.ready");
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(upgrade, what_a_program_notifies_is_heard_afterwards)
{
	speaks_afterwards("worker.ready=notify", "worker.sockets=listen-fds",
	    "serve");
}

Test(upgrade, the_ack_of_a_program_is_heard_afterwards)
{
	speaks_afterwards("worker.ready=notify", "worker.sockets=einhorn",
	    "ack");
}

Test(upgrade, the_output_of_a_program_is_captured_afterwards)
{
	const char *script;
	struct anew before;

	anew_install(NULL);
	script = exec_script("worker", "#!/bin/sh\nprintf 'ha'\n"
	    "while [ ! -e %s ]; do sleep 0.02; done\necho said afterwards\n"
	    "exec sleep 100\n", rig_path("go"));
	rig_start(&r, "-w", "1", SET("worker.ready=alive:50ms"), "--", script,
	    NULL);
	anew_look(&r, &before);
	become(ANEW_NEXT, NEXT);
	rig_file("go", "");
	rig_await_text(&r, "said afterwards");
	anew_expect_same(&r, &before);
}

/* As show prints it, without what says who and when it is. */
static void
expect_alike(int nth)
{
	static const char *const keys[] = { "fd.0", "fd.1", "fd.2", "fd.3",
		"cwd", "umask", "nice", "nofile", "SigBlk", "SigIgn", "Uid",
		"env.PATH", "env.MARK", "env.MUSTER_NAME", "env.LISTEN_FDS",
		"env.LISTEN_FDNAMES", "env.MUSTER_MASTER_PID", "death" };
	const char *first, *now;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		first = exec_value(&r, 0, keys[i]);
		now = exec_value(&r, nth, keys[i]);
		cr_expect(first != NULL && now != NULL &&
		    strcmp(first, now) == 0, "%s: %s, not %s", keys[i], now,
		    first);
	}
	cr_expect_eq(exec_lines(&r, nth, "env."), exec_lines(&r, 0, "env."));
	cr_expect_eq(exec_lines(&r, nth, "fd."), exec_lines(&r, 0, "fd."));
}

static void
odd_start(void *arg)
{
	struct rlimit files = { 333, 4444 };

	(void)arg;
	umask(037);
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGWINCH, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	setenv("MARK", "a b=c\n\"d\"", 1);
	if (chdir("/usr") == -1)
		_exit(126);
}

/* The first worker and the one of the third image start alike. */
Test(upgrade, programs_start_as_they_did_before)
{
	anew_install(NULL);
	r.child = odd_start;
	rig_start(&r, "-w", "1", QUICK, OWN_OUTPUT, "-n", "same",
	    SET("worker.ready=alive:10ms"), "--", exec_show(), "hold", NULL);
	exec_shown(&r, 1);
	become(ANEW_NEXT, NEXT);
	become(NULL, version());
	rig_kill_worker(&r, 0, SIGKILL);
	exec_shown(&r, 2);
	expect_alike(1);
	cr_expect_str_eq(exec_value(&r, 1, "umask"), "0037");
	cr_expect_str_eq(exec_value(&r, 1, "nofile"), "333");
	cr_expect_str_eq(exec_value(&r, 1, "cwd"), "/usr");
	/* A reload still works though its signal was ignored at the start. */
	rig_signal(&r, SIGHUP);
	rig_await_log(&r, "reload.done");
}

Test(upgrade, a_daemon_with_a_log_of_its_own)
{
	static char pidfile[256], log[256], set_log[300];
	static struct rig other;
	ino_t logged;
	struct stat st;

	snprintf(pidfile, sizeof(pidfile), "%s", rig_path("muster.pid"));
	snprintf(log, sizeof(log), "%s", rig_path("muster.log"));
	snprintf(set_log, sizeof(set_log), "master.log=%s", log);
	r.log = log;
	anew_install(NULL);
	cr_assert_eq(rig_run(&r, "-d", "-p", pidfile, "-b", "127.0.0.1:0",
	    "-s", set_log, NULL), 0, "%s", rig_read(&r, r.err));
	r.pid = (pid_t)atoi(rig_read(&r, pidfile));
	r.ended = false;
	rig_await_ready(&r);
	cr_assert_eq(stat(log, &st), 0);
	logged = st.st_ino;
	become(ANEW_NEXT, NEXT);
	cr_expect_eq(atoi(rig_read(&r, pidfile)), r.pid);
	cr_expect(stat(log, &st) == 0 && st.st_ino == logged);
	anew_expect_well(&r, 2);
	cr_expect_eq(rig_run(&other, "-p", pidfile, NULL), 69,
	    "the pidfile is locked no more");
	cr_expect_eq(atoi(rig_read(&r, pidfile)), r.pid);
	rig_signal(&r, SIGTERM);
	cr_expect(eventually(!look_alive(r.pid)));
	cr_expect_eq(access(pidfile, F_OK), -1);
}

/* As the command ends only when the pool is ready, whoever makes it so. */
Test(upgrade, a_daemon_that_is_not_ready_yet)
{
	static char pidfile[256], log[256], set_log[300];
	const char *script;
	pid_t parent;

	snprintf(pidfile, sizeof(pidfile), "%s", rig_path("muster.pid"));
	snprintf(log, sizeof(log), "%s", rig_path("muster.log"));
	snprintf(set_log, sizeof(set_log), "master.log=%s", log);
	r.log = log;
	anew_install(NULL);
	script = exec_script("worker", "#!/bin/sh\n"
	    "while [ ! -e %s ]; do sleep 0.02; done\nexec %s serve\n",
	    rig_path("go"), exec_mis());
	rig_launch(&r, "-d", "-p", pidfile, "-s", set_log, NOTIFY, "--",
	    script, NULL);
	parent = r.pid;
	rig_await_log(&r, "worker.start");
	r.pid = (pid_t)atoi(rig_read(&r, pidfile));
	become(ANEW_NEXT, NEXT);
	cr_expect(look_alive(parent));
	rig_file("go", "");
	rig_await_log(&r, "pool.ready");
	r.pid = parent;
	cr_expect_eq(rig_exit_code(&r), 0);
}

Test(upgrade, scale_and_drain_are_kept)
{
	anew_install(NULL);
	rig_start(&r, "-w", "2", NULL);
	rig_queue(&r, 3);
	rig_await_workers(&r, 5);
	become(ANEW_NEXT, NEXT);
	anew_expect_well(&r, 5);
	rig_signal(&r, SIGTTOU);
	rig_await_workers(&r, 4);
	cr_expect(rig_log_says(&r, "pool.scale from=5 to=4"));

	rig_signal(&r, SIGWINCH);
	cr_assert(eventually(rig_count(&r) == 0));
	anew_install(NULL);
	rig_signal(&r, SIGUSR2);
	cr_assert(eventually(rig_log_count(&r, "upgrade.done") == 2));
	cr_expect(always_ms(rig_count(&r) == 0, 300));
	rig_signal(&r, SIGHUP);
	rig_await_workers(&r, 4);
	anew_expect_well(&r, 4);
}

/* ---- again and again */

Test(upgrade, twenty_of_them_leave_no_descriptor_behind)
{
	struct anew before;

	anew_install(NULL);
	rig_start(&r, "-w", "2", NOTIFY, "-b", "127.0.0.1:0", "-b",
	    rig_abstract(), "--", exec_mis(), "serve", NULL);
	rig_await_workers(&r, 2);
	anew_look(&r, &before);
	for (int i = 0; i < rig_soak(20); i++) {
		become(i % 2 == 0 ? ANEW_NEXT : NULL,
		    i % 2 == 0 ? NEXT : version());
		anew_expect_same(&r, &before);
	}
	cr_expect_eq(rig_log_count(&r, "worker.start"), 2);
	anew_expect_signals(&r, 2);
}

/* The crash handler of the next image is as good as that of the first. */
Test(upgrade, and_crashes_in_turns)
{
	struct anew before;

	setenv("MUSTER_HEAL", "1", 1);
	anew_install(NULL);
	rig_start(&r, "-w", "2", NOTIFY, "--", exec_mis(), "serve", NULL);
	rig_await_workers(&r, 2);
	anew_look(&r, &before);
	become(ANEW_NEXT, NEXT);
	anew_crash(&r, SIGSEGV);
	become(NULL, version());
	anew_crash(&r, SIGBUS);
	cr_expect(rig_log_says(&r, "master.crashed count=2"));
	anew_expect_same(&r, &before);
	anew_expect_signals(&r, 2);
}

/* Names and options mean what they meant at the start. */
Test(upgrade, a_config_by_a_relative_path_is_read_again)
{
	char folder[256];

	snprintf(folder, sizeof(folder), "%s", rig_path("."));
	cr_assert_eq(chdir(folder), 0);
	rig_file("my.ini", "[master]\nchdir = /\n[pool]\nworkers = 1\n");
	anew_install(NULL);
	rig_start(&r, "-c", "my.ini", NULL);
	rig_await_workers(&r, 1);
	rig_file("my.ini", "[master]\nchdir = /\n[pool]\nworkers = 3\n");
	become(ANEW_NEXT, NEXT);
	anew_expect_well(&r, 3);
}
