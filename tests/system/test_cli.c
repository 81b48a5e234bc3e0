/* The command line and the config file, without a pool: section 2 and 5. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/rig.h"

TestSuite(cli, .init = rig_setup, .fini = rig_cleanup, .timeout = 60);

static struct rig r;

static bool
out_has(const char *text)
{
	return strstr(rig_read(&r, r.out), text) != NULL;
}

static int
lines_of(const char *path)
{
	int lines = 0;

	for (const char *at = rig_read(&r, path); *at != '\0'; at++)
		lines += *at == '\n';
	return lines;
}

/* Exit 64, one line that names the culprit, then the pointer to --help. */
#define expect_usage_error(culprit, ...) do {				\
	cr_expect_eq(rig_run(&r, __VA_ARGS__, NULL), 64,		\
	    "%s: not exit 64", culprit);				\
	cr_expect(rig_log_has(&r, culprit), "%s is not named: %s",	\
	    culprit, rig_read(&r, r.err));				\
	cr_expect(rig_log_has(&r, "Try 'muster --help'."), "%s", culprit); \
	cr_expect_eq(lines_of(r.err), 2, "%s", rig_read(&r, r.err));	\
} while (0)

/* Exit 78, with FILE:LINE: before each message. */
static void
expect_config_error(const char *text, const char *line, const char *word)
{
	const char *path = rig_file("bad.ini", text);
	char where[256];

	snprintf(where, sizeof(where), "%s:%s: ", path, line);
	cr_expect_eq(rig_run(&r, "-t", "-c", path, NULL), 78, "%s", text);
	cr_expect(rig_log_has(&r, where), "no %s in: %s", where,
	    rig_read(&r, r.err));
	cr_expect(rig_log_has(&r, word), "no %s in: %s", word,
	    rig_read(&r, r.err));
}

Test(cli, help_goes_to_stdout)
{
	cr_expect_eq(rig_run(&r, "--help", NULL), 0);
	cr_expect(out_has("--workers") && out_has("TTIN"));
	cr_expect_eq(lines_of(r.err), 0);
	cr_expect_eq(rig_run(&r, "-h", NULL), 0);
	cr_expect(out_has("--set"));
}

Test(cli, version_names_libevent)
{
	cr_expect_eq(rig_run(&r, "--version", NULL), 0);
	cr_expect(out_has("muster ") && out_has("libevent 2."), "%s",
	    rig_read(&r, r.out));
	cr_expect_eq(lines_of(r.err), 0);
	cr_expect_eq(rig_run(&r, "-V", NULL), 0);
}

Test(cli, a_usage_error_names_the_option_and_exits_64)
{
	expect_usage_error("bogus", "--bogus");
	expect_usage_error("-w", "-w");
	expect_usage_error("--workers", "--workers=x");
	expect_usage_error("-w", "-w", "0");
	expect_usage_error("10000", "-w", "10001");
	expect_usage_error("bind", "--bind", "127.0.0.1:99999");
	expect_usage_error("app", "--app", "no-such-app");
}

Test(cli, a_wrong_set_is_a_usage_error)
{
	expect_usage_error("pool.backoff_min", "--set", "pool.backoff_min=5x");
	expect_usage_error("pool.nonsense", "-s", "pool.nonsense=1");
	expect_usage_error("nowhere.x", "-s", "nowhere.x=1");
	expect_usage_error("-s", "-s", "workers");
}

Test(cli, what_this_version_lacks_is_refused)
{
	expect_usage_error("http", "-a", "http");
}

Test(cli, a_command_comes_behind_the_options_and_is_looked_for)
{
	cr_expect_eq(rig_run(&r, "-t", "--", "sleep", "1", NULL), 0);
	cr_expect_eq(rig_run(&r, "-t", "sleep", "-w", "x", NULL), 0);
	cr_expect_eq(rig_run(&r, "-t", "--", "/nowhere/sleep", NULL), 78);
	cr_expect(rig_log_has(&r, "/nowhere/sleep"));
	cr_expect_eq(rig_run(&r, "-t", "no-such-program", NULL), 78);
	cr_expect(rig_log_has(&r, "not found in PATH"));
	cr_expect_eq(rig_run(&r, "-t", "/etc/passwd", NULL), 78);
	cr_expect(rig_log_has(&r, "Permission denied"));
	cr_expect_eq(rig_run(&r, "-t", "-s", "env.PATH=/nowhere", "sleep",
	    NULL), 78);
	expect_usage_error("command and app", "-a", "echo", "sleep", "1");
	expect_usage_error("{fd:}", "sleep", "{fd:}");
}

/* Those that are seen only when all is read, too, each where it is. */
Test(cli, every_mistake_in_a_file_is_told_by_its_line)
{
	const char *path = rig_file("bad.ini", "[worker]\n"
	    "command = no-such-program x {fd:9}\n[pool]\nwokers = 3\n"
	    "[listen]\nbind = :80\n[master]\nuser = nobody-of-that-name\n"
	    "chdir = /nowhere\n[pool]\nworkers = x\n");
	static const char *const told[] = {
		":2: [worker] command: \"no-such-program\": not found in PATH",
		":4: [pool] wokers",
		":8: [master] user: there is no user", ":9: [master] chdir",
		":11: [pool] workers" };
	const char *text, *at;

	cr_expect_eq(rig_run(&r, "-t", "-c", path, NULL), 78);
	text = rig_read(&r, r.err);
	for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++) {
		cr_assert_not_null(at = strstr(text, told[i]), "%s in %s",
		    told[i], text);
		text = at;
	}
	cr_expect_eq(rig_run(&r, "-T", "-c", path, NULL), 78);
}

Test(cli, names_are_checked)
{
	char name[50];

	expect_usage_error("a/b", "-n", "a/b");
	memset(name, 'n', 49);
	name[49] = '\0';
	expect_usage_error("-n", "-n", name);
	name[48] = '\0';
	cr_expect_eq(rig_run(&r, "-t", "-n", name, NULL), 0);
}

Test(cli, a_missing_file_is_a_config_error)
{
	cr_expect_eq(rig_run(&r, "-c", rig_path("none.ini"), NULL), 78);
	cr_expect(rig_log_has(&r, "none.ini"));
	cr_expect(rig_log_has(&r, "No such file"));
}

Test(cli, config_errors_name_file_and_line)
{
	expect_config_error("[pool]\nworkers = many\n", "2", "many");
	expect_config_error("[pool]\n\nwrokers = 2\n", "3", "workers");
	expect_config_error("[pol]\nworkers = 2\n", "1", "pool");
	expect_config_error("[worker]\nwatchdog = 3x\n", "2", "3x");
	expect_config_error("[listen]\nbind = 1.2.3.4\n", "2", "1.2.3.4");
	expect_config_error("[signals]\nTTIN = explode\n", "2", "explode");
	expect_config_error("[limits]\nnofiles = 5\n", "2", "nofile");
	expect_config_error("[pool]\nworkers = 2\nworkers = 3\n", "3",
	    "workers");
}

Test(cli, every_config_error_is_reported)
{
	const char *path = rig_file("bad.ini", "[pool]\nworkers = x\n"
	    "cull = y\n[worker]\nnice = z\n");

	cr_expect_eq(rig_run(&r, "-c", path, NULL), 78);
	cr_expect(rig_log_has(&r, "bad.ini:2: "));
	cr_expect(rig_log_has(&r, "bad.ini:3: "));
	cr_expect(rig_log_has(&r, "bad.ini:5: "), "%s", rig_read(&r, r.err));
}

Test(cli, test_checks_and_starts_nothing)
{
	const char *path = rig_file("good.ini", "[pool]\nworkers = 3\n");

	cr_expect_eq(rig_run(&r, "--test", "-c", path, NULL), 0, "%s",
	    rig_read(&r, r.err));
	cr_expect(!rig_log_has(&r, "listen.open"));
}

Test(cli, comments_blanks_and_units_are_read)
{
	const char *path = rig_file("good.ini", "; one\n# two\n\n[pool]\n"
	    "workers = 3 ; three\nbackoff_min = 250ms\n"
	    "[worker]\nmax_rss = 2g\nno_new_privs = on\n"
	    "[env]\nGREETING = \"a ; b\"\n");

	cr_expect_eq(rig_run(&r, "-T", "-c", path, NULL), 0, "%s",
	    rig_read(&r, r.err));
	cr_expect(out_has("workers = 3"));
	cr_expect(out_has("backoff_min = 250ms"));
	cr_expect(out_has("max_rss = 2g"));
	cr_expect(out_has("a ; b"));
}

Test(cli, dump_tells_where_each_value_came_from)
{
	const char *path = rig_file("some.ini", "[pool]\nsurge = 25%\n");

	cr_expect_eq(rig_run(&r, "-T", "-c", path, "-w", "7", NULL), 0);
	cr_expect(out_has("surge = 25%"));
	cr_expect(out_has("some.ini:2"), "%s", rig_read(&r, r.out));
	cr_expect(out_has("workers = 7") && out_has("-w"));
	cr_expect(out_has("127.0.0.1:8000") && out_has("default"));
}

/* What remains of a dump without comments and blank lines. */
static char *
bare(const char *text)
{
	char *out = calloc(1, strlen(text) + 1), *to = out;

	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		if (len > 0 && text[0] != ';' && text[0] != '#') {
			size_t cut = strcspn(text, ";\n");

			while (cut > 0 && strchr(" \t", text[cut - 1]) != NULL)
				cut--;
			memcpy(to, text, cut);
			to += cut;
			*to++ = '\n';
		}
		text += len + (text[len] == '\n');
	}
	return out;
}

Test(cli, a_dump_can_be_loaded_and_says_the_same)
{
	char *first, *second;
	const char *path;

	cr_assert_eq(rig_run(&r, "-T", "-w", "5", "-b", "web=127.0.0.1:81",
	    "-b", "unix:/tmp/x", "-s", "limits.nofile=64:128", "-s",
	    "signals.QUIT=stop", "-s", "env.A=b c", "-s",
	    "worker.graceful_timeout=1500ms", NULL), 0);
	first = bare(rig_read(&r, r.out));
	path = rig_file("dump.ini", rig_read(&r, r.out));
	cr_assert_eq(rig_run(&r, "-T", "-c", path, NULL), 0, "%s",
	    rig_read(&r, r.err));
	second = bare(rig_read(&r, r.out));
	cr_expect_str_eq(first, second);
	free(first);
	free(second);
}

Test(cli, the_command_line_wins_over_the_file)
{
	const char *path = rig_file("m.ini", "[pool]\nworkers = 3\n"
	    "[listen]\nbind = 127.0.0.1:7001\nbind = 127.0.0.1:7002\n");

	cr_expect_eq(rig_run(&r, "-T", "-c", path, "-w", "4", "-b",
	    "127.0.0.1:7003", NULL), 0);
	cr_expect(out_has("workers = 4") && out_has(":7003"));
	cr_expect(!out_has(":7001") && !out_has(":7002"));
}

static void
one_cpu(void *arg)
{
	cpu_set_t set;
	int cpu = 0;

	(void)arg;
	sched_getaffinity(0, sizeof(set), &set);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

Test(cli, auto_is_one_worker_per_cpu_we_may_use)
{
	r.child = one_cpu;
	rig_start(&r, "-w", "auto", NULL);
	rig_await_workers(&r, 1);
	cr_expect_eq(rig_stop(&r), 0);
}

Test(cli, verbose_says_more_and_quiet_less)
{
	const char *addr;

	rig_start(&r, "-v", "-w", "1", NULL);
	rig_ask(&r, "x\n");
	rig_await_text(&r, " debug ");
	cr_expect_eq(rig_stop(&r), 0);

	addr = rig_abstract();
	rig_launch(&r, "-q", "-w", "1", "-b", addr, NULL);
	cr_expect(eventually(client_try(addr, 1000) != -1));
	cr_expect_str_eq(client_ask(addr, "y\n"), "y\n");
	cr_expect(!rig_log_has(&r, " info "));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(cli, the_name_is_in_log_and_process_titles)
{
	rig_start(&r, "-w", "1", "-n", "front.1", NULL);
	cr_expect(rig_log_says(&r, "master.start name=front.1"));
	cr_expect(strstr(look_file(r.pid, "cmdline"), "front.1") != NULL);
	cr_expect(eventually(strstr(look_file(rig_worker(&r, 0), "cmdline"),
	    "front.1") != NULL), "%s",
	    look_file(rig_worker(&r, 0), "cmdline"));
	cr_expect_eq(rig_stop(&r), 0);
}

Test(cli, the_default_name_has_the_pid)
{
	char words[64];

	rig_start(&r, "-w", "1", NULL);
	snprintf(words, sizeof(words), "master.start name=muster-%d",
	    (int)r.pid);
	cr_expect(rig_log_says(&r, words));
}

Test(cli, two_workers_by_default)
{
	rig_start(&r, NULL);
	rig_await_workers(&r, 2);
	cr_expect(rig_log_says(&r, "pool.ready workers=2 target=2"));
}
