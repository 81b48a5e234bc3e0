/*
 * What a program is started with: section 7 to the letter, as the program
 * itself sees it.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/exec.h"
#include "tests/system/look.h"

TestSuite(exec, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

#define SHOW(...) do {							\
	rig_start(&r, "-w", "1", OWN_OUTPUT, SET("worker.ready=alive:10ms"), \
	    __VA_ARGS__, NULL);						\
	exec_shown(&r, 1);						\
} while (0)

static void
expect_value(const char *key, const char *wanted)
{
	const char *value = exec_value(&r, 0, key);

	cr_expect(value != NULL && strcmp(value, wanted) == 0,
	    "%s is \"%s\", not \"%s\"", key, value, wanted);
}

static void
expect_none(const char *key)
{
	const char *value = exec_value(&r, 0, key);

	cr_expect_null(value, "%s is \"%s\"", key, value);
}

static long
number_of(const char *key)
{
	const char *value = exec_value(&r, 0, key);

	return value == NULL ? -1 : atol(value);
}

static const char *
port_text(const char *before, const char *behind)
{
	static char texts[8][128];
	static int next;
	char *text = texts[next++ % 8];

	snprintf(text, sizeof(*texts), "%s%d%s", before, r.port, behind);
	return text;
}

/* ---- descriptors */

static void
expect_socket(int fd)
{
	char key[16];
	const char *value;

	snprintf(key, sizeof(key), "fd.%d", fd);
	value = exec_value(&r, 0, key);
	cr_expect(value != NULL && strncmp(value, "socket:", 7) == 0,
	    "%s is %s", key, value);
}

Test(exec, inherits_its_sockets_from_3_on_and_nothing_else)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);	/* the master's starter's, leaked */
	r.pass[0] = ends[0];
	r.pass[1] = ends[1];
	r.npass = 2;
	SHOW("-b", "127.0.0.1:0", "-b", "127.0.0.1:0", "--", exec_show(),
	    "hold");
	expect_value("fd.0", "/dev/null");
	expect_value("fd.1", r.out);
	expect_value("fd.2", r.err);
	expect_socket(3);
	expect_socket(4);
	cr_expect_eq(exec_lines(&r, 0, "fd."), 5);
}

Test(exec, without_sockets_it_has_the_three)
{
	r.as_is = true;
	SHOW("-b", "none", "--", exec_show(), "hold");
	expect_value("fd.0", "/dev/null");
	cr_expect_eq(exec_lines(&r, 0, "fd."), 3);
	expect_none("env.LISTEN_FDS");
	expect_none("env.LISTEN_PID");
	expect_none("env.LISTEN_FDNAMES");
}

Test(exec, its_captured_output_is_one_pipe)
{
	int fds[2] = { 1, 2 };
	char to[2][64];

	rig_start(&r, "-w", "1", NOTIFY, "--", exec_mis(), "serve", NULL);
	for (int i = 0; i < 2; i++)
		snprintf(to[i], sizeof(to[i]), "%s",
		    look_fd(rig_worker(&r, 0), fds[i]));
	cr_expect_eq(strncmp(to[0], "pipe:", 5), 0, "%s", to[0]);
	cr_expect_str_eq(to[0], to[1]);
	cr_expect_eq(look_fds(rig_worker(&r, 0)), 5, "has %d descriptors",
	    look_fds(rig_worker(&r, 0)));	/* and one to notify with */
}

/* ---- variables */

Test(exec, knows_its_sockets_and_who_it_is)
{
	char names[128], number[16];

	SHOW("-n", "itself", "-b", "web=127.0.0.1:0", "-b", "unix:@a-b",
	    "--", exec_show(), "hold");
	expect_value("env.LISTEN_FDS", "2");
	expect_value("env.LISTEN_PID", exec_value(&r, 0, "pid"));
	snprintf(names, sizeof(names), "web:unix_@a-b");
	expect_value("env.LISTEN_FDNAMES", names);
	expect_value("env.MUSTER_SLOT", "0");
	expect_value("env.MUSTER_GENERATION", "1");
	expect_value("env.MUSTER_NAME", "itself");
	snprintf(number, sizeof(number), "%d", (int)r.pid);
	expect_value("env.MUSTER_MASTER_PID", number);
	expect_value("env.WATCHDOG_USEC", "30000000");
	expect_value("env.WATCHDOG_PID", exec_value(&r, 0, "pid"));
	cr_expect_not_null(exec_value(&r, 0, "env.NOTIFY_SOCKET"));
}

Test(exec, a_watchdog_that_is_off_is_not_spoken_of)
{
	SHOW(SET("worker.watchdog=0"), "--", exec_show(), "hold");
	expect_none("env.WATCHDOG_USEC");
	expect_none("env.WATCHDOG_PID");
}

static void
set_foreign_variables(void *arg)
{
	(void)arg;
	setenv("LISTEN_FDS", "7", 1);
	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDNAMES", "theirs", 1);
	setenv("NOTIFY_SOCKET", "@not-for-them", 1);
	setenv("EINHORN_FD_COUNT", "9", 1);
	setenv("SERVER_STARTER_PORT", "1=1", 1);
	setenv("MUSTER_SLOT", "77", 1);
	setenv("KEPT", "as it was", 1);
}

Test(exec, what_was_meant_for_the_master_does_not_reach_it)
{
	r.child = set_foreign_variables;
	SHOW("--", exec_show(), "hold");
	expect_value("env.LISTEN_FDS", "1");
	expect_value("env.MUSTER_SLOT", "0");
	expect_value("env.KEPT", "as it was");
	expect_none("env.EINHORN_FD_COUNT");
	expect_none("env.SERVER_STARTER_PORT");
	cr_expect_neq(strcmp(exec_value(&r, 0, "env.NOTIFY_SOCKET"),
	    "@not-for-them"), 0);
}

Test(exec, env_clear_starts_empty_and_passes_on_what_is_named)
{
	const char *file = rig_file("ini", "[env]\nclear = yes\nKEPT\n"
	    "NEW = value\n[pool]\nworkers = 1\n[worker]\n"
	    "ready = alive:10ms\ncapture_output = no\n");

	r.child = set_foreign_variables;
	SHOW("-c", file, "--", exec_show(), "hold");
	expect_value("env.KEPT", "as it was");
	expect_value("env.NEW", "value");
	expect_value("env.LISTEN_FDS", "1");
	expect_none("env.PATH");
	expect_none("env.HOME");
}

/* ---- the same again at every start */

/* May differ from one start to the next: numbers of processes, addresses. */
static bool
may_differ(const char *line)
{
	static const char *const begins[] = { "pid ", "pgid ", "SigPnd ",
		"env.LISTEN_PID ", "env.WATCHDOG_PID ", "env.NOTIFY_SOCKET ",
		"env.EINHORN_SOCK_PATH ", NULL };

	for (int i = 0; begins[i] != NULL; i++)
		if (strncmp(line, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

/* Two lists of lines; the first that should be equal and is not, or NULL. */
static const char *
difference(const char *a, const char *b, const char *end)
{
	for (; strncmp(a, end, strlen(end)) != 0; a = strchr(a, '\n') + 1,
	    b = strchr(b, '\n') + 1) {
		size_t len = strcspn(a, "\n") + 1;

		if (!may_differ(a) && strncmp(a, b, len) != 0)
			return b;
	}
	return NULL;
}

Test(exec, the_fiftieth_start_is_as_the_first)
{
	const char *text, *last, *at, *diff;
	int count = 0;

	rig_launch(&r, "-w", "1", OWN_OUTPUT, SET("pool.backoff_min=1ms"),
	    SET("pool.backoff_max=1ms"), SET("pool.boot_retries=50"),
	    SET("worker.sockets=listen-fds einhorn"), "--", exec_show(),
	    "exit:1", NULL);
	cr_expect_eq(rig_exit_code(&r), 75);
	text = last = rig_read(&r, r.out);
	for (at = text; (at = strstr(at, "\nend .\n")) != NULL; at++)
		if (++count < 50)
			last = at + strlen("\nend .\n");
	cr_assert_eq(count, 50, "%d starts", count);
	diff = difference(text, last, "end .");
	cr_expect_null(diff, "differs: %.200s", diff);
	for (int i = 0; i < 50; i += 49)
		cr_expect_str_eq(exec_value(&r, i, "env.LISTEN_PID"),
		    exec_value(&r, i, "pid"));
}

/* ---- dialects */

struct told {
	const char	*name;		/* of the dialect */
	const char	*key;
	const char	*before, *behind; /* around the port; or without it */
	bool		 port;
};

static const struct told dialects[] = {
	{ "listen-fds", "env.LISTEN_FDS", "1", NULL, false },
	{ "einhorn", "env.EINHORN_FD_0", "3", NULL, false },
	{ "einhorn", "env.EINHORN_FD_COUNT", "1", NULL, false },
	{ "server-starter", "env.SERVER_STARTER_PORT", "127.0.0.1:", "=3",
	    true },
	{ "server-starter", "env.SERVER_STARTER_GENERATION", "1", NULL,
	    false },
	{ "nginx", "env.NGINX", "3;", NULL, false },
	{ "php-fpm", "env.FPM_SOCKETS", "127.0.0.1:", "=3", true },
	{ "unicorn", "env.UNICORN_FD", "3", NULL, false },
};
#define TOLD	(sizeof(dialects) / sizeof(*dialects))

static void
expect_told(const struct told *row, bool told)
{
	if (!told)
		expect_none(row->key);
	else
		expect_value(row->key, row->port ?
		    port_text(row->before, row->behind) : row->before);
}

static void
speaks_only(const char *name)
{
	char set[64];

	snprintf(set, sizeof(set), "worker.sockets=%s", name);
	SHOW(SET(set), "--", exec_show(), "hold");
	for (size_t i = 0; i < TOLD; i++)
		expect_told(&dialects[i], strcmp(dialects[i].name, name) == 0);
	expect_socket(3);
	cr_expect_eq(exec_lines(&r, 0, "fd."), 4);
}

Test(exec, listen_fds_alone)
{
	speaks_only("listen-fds");
}

Test(exec, einhorn_alone)
{
	speaks_only("einhorn");
}

Test(exec, server_starter_alone)
{
	speaks_only("server-starter");
}

Test(exec, nginx_alone)
{
	speaks_only("nginx");
}

Test(exec, php_fpm_alone)
{
	speaks_only("php-fpm");
}

Test(exec, unicorn_alone)
{
	speaks_only("unicorn");
}

Test(exec, no_dialect_at_all)
{
	speaks_only("none");
}

Test(exec, all_dialects_at_once)
{
	SHOW(SET("worker.sockets=listen-fds einhorn server-starter nginx "
	    "php-fpm unicorn stdin"), "--", exec_show(), "hold");
	for (size_t i = 0; i < TOLD; i++)
		expect_told(&dialects[i], true);
	cr_expect_not_null(exec_value(&r, 0, "env.EINHORN_SOCK_PATH"));
	expect_value("env.EINHORN_MASTER_PID", exec_value(&r, 0, "ppid"));
	expect_value("fd.0", exec_value(&r, 0, "fd.3"));
	cr_expect_eq(exec_lines(&r, 0, "fd."), 4);
}

/* As inetd's "wait" services do: the listening socket is fd 0. */
Test(exec, one_on_stdin_serves_there)
{
	rig_start(&r, "-w", "2", NOTIFY, SET("worker.sockets=stdin"), "--",
	    exec_mis(), "stdin", NULL);
	for (int i = 0; i < 4; i++)
		cr_expect_str_eq(rig_ask(&r, "as inetd\n"), "as inetd\n");
	cr_expect_eq(rig_stop(&r), 0);
}

/* ---- the command's words */

Test(exec, placeholders_stand_for_sockets)
{
	SHOW("-b", "web=127.0.0.1:0", "-b", "unix:@ex-b", "--", exec_show(),
	    "--a={fd:0},{fd:1}", "{fd:web}", "{addr:0}", "{addr:1}", "{x}",
	    "{fd:0}{fd:0}", "hold");
	expect_value("arg.1", "--a=3,4");
	expect_value("arg.2", "3");
	expect_value("arg.3", port_text("127.0.0.1:", ""));
	expect_value("arg.4", "unix:@ex-b");
	expect_value("arg.5", "{x}");
	expect_value("arg.6", "33");
	expect_value("arg.7", "hold");
}

Test(exec, a_placeholder_for_no_socket_is_an_error_before_the_start)
{
	cr_expect_eq(rig_run(&r, "-b", "127.0.0.1:0", "--", exec_show(),
	    "{fd:1}", NULL), 64);
	cr_expect(rig_log_has(&r, "{fd:1}"), "%s", rig_read(&r, r.err));
}

/* ---- signals, group, user */

static void
ignore_and_block(void *arg)
{
	sigset_t set;

	(void)arg;
	signal(SIGUSR1, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGRTMAX, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

Test(exec, starts_with_default_dispositions_and_an_empty_mask)
{
	r.child = ignore_and_block;
	SHOW("--", exec_show(), "hold");
	expect_value("SigIgn", "0000000000000000");
	expect_value("SigBlk", "0000000000000000");
	expect_value("SigPnd", "0000000000000000");
	expect_value("ShdPnd", "0000000000000000");
}

Test(exec, leads_a_group_of_its_own_below_the_master)
{
	SHOW("--", exec_show(), "hold");
	expect_value("pgid", exec_value(&r, 0, "pid"));
	cr_expect_eq(number_of("ppid"), r.pid);
	cr_expect_eq(number_of("death"), SIGTERM);
}

Test(exec, one_that_writes_to_our_terminal_ignores_ttou)
{
	const char *script;

	r.tty = true;
	script = exec_script("to", "#!/bin/sh\nexec 3>&1 1<>/dev/null\n"
	    "grep SigIgn /proc/self/status >%s\nexec sleep 60\n",
	    rig_path("ignored"));
	rig_start(&r, "-w", "1", OWN_OUTPUT, SET("worker.ready=alive:300ms"),
	    "--", script, NULL);
	cr_expect_eq(strtoull(strchr(rig_read(&r, rig_path("ignored")),
	    ':') + 1, NULL, 16), 1ULL << (SIGTTOU - 1));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec, one_that_is_captured_does_not_ignore_ttou)
{
	r.tty = true;
	rig_start(&r, "-w", "1", NOTIFY, "--", exec_mis(), "serve", NULL);
	cr_expect_str_eq(look_status(rig_worker(&r, 0), "SigIgn"),
	    "0000000000000000");
}

Test(exec, is_another_user_with_that_users_groups_alone)
{
	need_root();
	SHOW(SET("master.user=nobody"), "--", "/bin/sh", "-c",
	    "grep -E '^(Uid|Gid|Groups|CapEff)' /proc/self/status; "
	    "echo end .; exec sleep 60");
	cr_expect_null(strstr(rig_read(&r, r.out), "\t0\t"), "%s",
	    rig_read(&r, r.out));
	cr_expect_not_null(strstr(rig_read(&r, r.out), "65534"));
	cr_expect_not_null(strstr(rig_read(&r, r.out),
	    "CapEff:\t0000000000000000"));
	cr_expect_eq(atoi(look_status(r.pid, "Uid")), 0);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(exec, another_user_still_has_its_mailbox)
{
	need_root();
	if (access("/usr/bin/systemd-notify", X_OK) == -1)
		rig_skip("needs systemd-notify");
	rig_start(&r, "-w", "1", NOTIFY, SET("master.user=nobody"), "--",
	    "/bin/sh", "-c", "systemd-notify --ready; exec sleep 60", NULL);
	cr_expect_eq(rig_stop(&r), 0);
	cr_expect_eq(rig_log_count(&r, "worker.start"), 1);
}

Test(exec, limits_nice_and_umask_are_its_own)
{
	struct rlimit before, after;
	const char *script = exec_script("show.sh", "#!/bin/sh\nulimit -n\n"
	    "exec %s hold\n", exec_show());

	getrlimit(RLIMIT_NOFILE, &before);
	SHOW(SET("limits.nofile=99"), SET("worker.nice=7"),
	    SET("master.umask=027"), SET("worker.no_new_privs=yes"), "--",
	    script);
	expect_value("nofile", "99");
	expect_value("nice", "7");
	expect_value("umask", "0027");
	expect_value("NoNewPrivs", "1");
	cr_assert_eq(prlimit(r.pid, RLIMIT_NOFILE, NULL, &after), 0);
	cr_expect_gt(after.rlim_cur, 99);
	cr_expect_eq(getpriority(PRIO_PROCESS, (id_t)r.pid),
	    getpriority(PRIO_PROCESS, 0));
}
