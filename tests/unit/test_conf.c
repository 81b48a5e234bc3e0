#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/mem.h"
#include "tests/unit/conf_rig.h"

TestSuite(conf, .timeout = 20);

#define SET(...)	((const struct conf_setting[]){ __VA_ARGS__ }),	\
	sizeof((const struct conf_setting[]){ __VA_ARGS__ }) /		\
	sizeof(struct conf_setting)

/* Does loading give the one error that ends so? */
static void
refused(struct conf_rig rig, const char *end)
{
	const char	*line;

	cr_assert_null(rig.conf, "%s", end);
	cr_assert_eq(rig.errors.count, 1, "%zu errors, not: %s",
	    rig.errors.count, end);
	line = rig.errors.lines[0];
	if (strlen(line) > strlen(end))
		line += strlen(line) - strlen(end);
	cr_expect_str_eq(line, end);
	conf_rig_end(&rig);
}

/* The same of the command line, with the whole line and usage set. */
static void
misused(struct conf_rig rig, const char *line)
{
	cr_assert_null(rig.conf, "%s", line);
	cr_expect(rig.errors.usage);
	cr_assert_eq(rig.errors.count, 1);
	cr_expect_str_eq(rig.errors.lines[0], line);
	conf_rig_end(&rig);
}

static struct conf_rig
loaded(struct conf_rig rig)
{
	for (size_t i = 0; i < rig.errors.count; i++)
		cr_log_error("%s", rig.errors.lines[i]);
	cr_assert_not_null(rig.conf);
	return rig;
}

Test(conf, has_the_defaults_that_are_promised)
{
	struct conf_rig		 rig = loaded(conf_rig(NULL, NULL, 0));
	const struct conf	*c = rig.conf;
	char			*name = xasprintf("muster-%d", (int)getpid());

	cr_expect_str_eq(c->master.name, name);
	free(name);
	cr_expect_null(c->master.pidfile);
	cr_expect_eq(c->master.umask, -1);
	cr_expect_str_eq(c->master.log, "stderr");
	cr_expect_eq(c->master.log_level, LOG_LEVEL_INFO);
	cr_expect_eq(c->listen.nbind, 1);
	cr_expect_not(c->listen.bind_given);
	cr_expect_eq(c->listen.bind[0].port, 8000);
	cr_expect_eq(c->listen.backlog, 2048);
	cr_expect_eq(c->listen.unix_mode, 0666);
	cr_expect_eq(c->listen.unix_uid, (uid_t)-1);
	cr_expect(c->listen.nodelay);
	cr_expect_eq(c->pool.workers, 2);
	cr_expect_eq(c->pool.max_workers, 10000);
	cr_expect_eq(c->pool.backoff_max, 60000);
	cr_expect_eq(c->pool.surge.number, 1);
	cr_expect_eq(c->worker.stop_signal, SIGTERM);
	cr_expect_eq(c->worker.fast_signal, 0);
	cr_expect_eq(conf_fast_signal(&c->worker), SIGQUIT);
	cr_expect_eq(c->worker.graceful_timeout, 30000);
	cr_expect_eq(c->worker.nfatal_exit_codes, 1);
	cr_expect_eq(c->worker.fatal_exit_codes[0], 78);
	cr_expect_not(c->worker.nice_set);
	cr_expect_eq(c->signals[CONF_QUIT], EFFECT_FAST_STOP);
	cr_expect_eq(c->signals[CONF_WINCH], EFFECT_DRAIN);
	cr_expect_not(c->limits[RLIMIT_NOFILE].set);
	cr_expect_eq(c->echo.max_line, 65536);
	conf_rig_end(&rig);
}

Test(conf, takes_the_command_line_over_the_file_over_the_defaults)
{
	struct conf_rig	 rig = loaded(conf_rig(
	    "[pool]\nworkers = 3\nspawn_batch = 5\n"
	    "[listen]\nbind = :81\nbind = :82\n[env]\nA = 1\nB = 1\n",
	    SET({ "pool.workers", "4", "-w" }, { "listen.bind", ":83", "-b" },
	    { "listen.bind", ":84", "--bind" }, { "env.A", "2", "--set" },
	    { "pool.workers", " 5 ", "--set" })));

	cr_expect_eq(rig.conf->pool.workers, 5);
	cr_expect_eq(rig.conf->pool.spawn_batch, 5);
	cr_expect_eq(rig.conf->listen.nbind, 2);
	cr_expect(rig.conf->listen.bind_given);
	cr_expect_str_eq(rig.conf->listen.bind[0].text, ":83");
	cr_expect_eq(rig.conf->nenv, 2);
	cr_expect_str_eq(rig.conf->env[0].value, "2");
	cr_expect_str_eq(rig.conf->env[1].value, "1");
	conf_rig_end(&rig);
}

Test(conf, moves_the_log_level_from_where_the_file_left_it)
{
	struct conf_rig	 rig = loaded(conf_rig("[master]\nlog_level = warn\n",
	    SET({ "master.log_level", "less", "-q" })));

	cr_expect_eq(rig.conf->master.log_level, LOG_LEVEL_ERROR);
	conf_rig_end(&rig);
	rig = loaded(conf_rig(NULL, SET({ "master.log_level", "more", "-v" },
	    { "master.log_level", "more", "-v" })));
	cr_expect_eq(rig.conf->master.log_level, LOG_LEVEL_DEBUG);
	conf_rig_end(&rig);
	refused(conf_rig("[master]\nlog_level = more\n", NULL, 0),
	    ":2: [master] log_level: \"more\" is not one of error, warn, "
	    "info, debug");
}

Test(conf, tells_a_wrong_option_in_one_line_before_all_else)
{
	misused(conf_rig("[nonsense]\n", SET({ "pool.workers", "x", "-w" },
	    { "pool.workers", "y", "--workers" })),
	    "muster: -w: \"x\" is not a number (1 to 10000, or auto)");
	misused(conf_rig(NULL, SET({ "pool.workers", "a\nb", "--set" })),
	    "muster: --set pool.workers: holds a control byte");
	misused(conf_rig(NULL, SET({ "env.A", "a ;b", "--set" })),
	    "muster: --set env.A: holds blank and ;, where a comment would "
	    "begin");
	misused(conf_rig(NULL, SET({ "pool.wokers", "3", "--set" })),
	    "muster: --set pool.wokers: no such key; did you mean workers?");
	misused(conf_rig(NULL, SET({ "pol.workers", "3", "--set" })),
	    "muster: --set pol.workers: no such section; did you mean [pool]?");
	misused(conf_rig(NULL, SET({ "listen.bind", "80", "-b" })),
	    "muster: -b: \"80\" is not an address (HOST:PORT, :PORT, "
	    "[V6]:PORT, unix:/path, unix:@name, fd:N or none)");
}

Test(conf, blames_the_stronger_of_two_values_that_do_not_fit)
{
	misused(conf_rig("[pool]\nmax_workers = 4\n",
	    SET({ "pool.workers", "5", "-w" })),
	    "muster: -w: workers (5) is more than max_workers (4)");
	refused(conf_rig("[pool]\nmax_workers = 1\n", NULL, 0),
	    ":2: [pool] max_workers: workers (2) is more than max_workers (1)");
	refused(conf_rig("[pool]\nworkers = 3\nmin_workers = 5\n", NULL, 0),
	    ":2: [pool] workers: workers (3) is less than min_workers (5)");
}

Test(conf, draws_no_conclusions_from_a_value_that_was_refused)
{
	refused(conf_rig("[pool]\nworkers = x\nmin_workers = 5\n", NULL, 0),
	    ":2: [pool] workers: \"x\" is not a number (1 to 10000, or auto)");
	refused(conf_rig("[pool]\nworkers = 1\nmin_workers = 0\n"
	    "max_workers = 1\n", NULL, 0),
	    ":3: [pool] min_workers: \"0\" is out of range (1 to 10000)");
}

Test(conf, fits_automatic_workers_between_the_bounds)
{
	struct conf_rig	 rig = loaded(conf_rig(
	    "[pool]\nworkers = auto\nmin_workers = 5000\n", NULL, 0));

	cr_expect_eq(rig.conf->pool.workers, 5000);
	conf_rig_end(&rig);
	rig = loaded(conf_rig("[pool]\nworkers = auto\nmax_workers = 1\n",
	    NULL, 0));
	cr_expect_eq(rig.conf->pool.workers, 1);
	conf_rig_end(&rig);
}

Test(conf, derives_the_fast_signal)
{
	struct conf_rig	 rig = loaded(conf_rig(
	    "[worker]\nstop_signal = QUIT\n", NULL, 0));

	cr_expect_eq(conf_fast_signal(&rig.conf->worker), SIGTERM);
	conf_rig_end(&rig);
	refused(conf_rig("[worker]\nfast_signal = SIGTERM\n", NULL, 0),
	    ":2: [worker] fast_signal: fast_signal and stop_signal are the "
	    "same");
}

Test(conf, makes_paths_absolute_before_any_chdir)
{
	struct conf_rig	 rig;
	char		 cwd[4096], *expected;

	rig = loaded(conf_rig("[master]\npidfile = a.pid\nlog = b.log\n"
	    "chdir = /\n", NULL, 0));
	cr_assert_not_null(getcwd(cwd, sizeof(cwd)));
	expected = xasprintf("%s/a.pid", cwd);
	cr_expect_str_eq(rig.conf->master.pidfile, expected);
	cr_expect_eq(rig.conf->master.log[0], '/');
	free(expected);
	conf_rig_end(&rig);
}

Test(conf, looks_up_users_and_their_groups)
{
	struct conf_rig		 rig;
	const struct conf_ids	*ids;

	rig = loaded(conf_rig("[master]\nuser = root\n[listen]\n"
	    "unix_user = 12\nunix_group = root\n", NULL, 0));
	ids = &rig.conf->master.ids;
	cr_expect(ids->user_set && ids->group_set);
	cr_expect_eq(ids->uid, 0);
	cr_expect_eq(ids->gid, 0);
	cr_expect_geq(ids->ngroups, 1);
	cr_expect_eq(rig.conf->listen.unix_uid, 12);
	cr_expect_eq(rig.conf->listen.unix_gid, 0);
	conf_rig_end(&rig);
	rig = loaded(conf_rig("[master]\nuser = 54321\ngroup = 54322\n",
	    NULL, 0));
	ids = &rig.conf->master.ids;
	cr_expect_eq(ids->uid, 54321);
	cr_expect_eq(ids->gid, 54322);
	cr_expect_eq(ids->ngroups, 1);
	cr_expect_eq(ids->groups[0], 54322);
	conf_rig_end(&rig);
}

static void
refused_file(const char *path, const char *why)
{
	struct conf_source	 source = { .file = path };
	struct conf_errors	 errors;
	char			*line;

	cr_expect_null(conf_load(&source, &errors));
	line = xasprintf("muster: cannot read %s: %s", path, why);
	cr_assert_eq(errors.count, 1);
	cr_expect_not(errors.usage);
	cr_expect_str_eq(errors.lines[0], line);
	free(line);
	conf_errors_free(&errors);
}

Test(conf, reads_regular_files_of_a_sane_size_alone)
{
	struct conf_rig	 rig = conf_rig(NULL, NULL, 0);

	refused_file("/nonexistent.ini", "No such file or directory");
	refused_file("/tmp", "Is a directory");
	refused_file("/dev/null", "not a regular file");
	unlink(rig.file);
	cr_assert_eq(mkfifo(rig.file, 0600), 0);
	refused_file(rig.file, "not a regular file");
	unlink(rig.file);
	close(open(rig.file, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(truncate(rig.file, (1 << 20) + 1), 0);
	refused_file(rig.file, "larger than 1 MiB");
	conf_rig_end(&rig);
}

/* A dump, loaded again, is the same: so it can be kept as a file. */
static void
dumps_itself(const struct conf *conf, const char *what)
{
	char		*first = conf_rig_dump(conf), *second, *whole = NULL;
	size_t		 len;
	FILE		*f = open_memstream(&whole, &len);
	struct conf_rig	 rig;

	conf_dump(conf, f);
	fclose(f);
	rig = loaded(conf_rig(whole, NULL, 0));
	second = conf_rig_dump(rig.conf);
	cr_expect_str_eq(first, second, "%s", what);
	cr_expect_eq(rig.conf->listen.bind_given, conf->listen.bind_given);
	conf_rig_end(&rig);
	free(whole);
	free(first);
	free(second);
}

Test(conf, dumps_what_loads_to_the_same)
{
	static const char *const	 files[] = { "all", "dos", "empty",
		"long-line", "no-newline", "program" };
	struct conf_errors		 errors;
	struct conf			*conf;
	char				*below, *path;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		below = xasprintf("conf/good/%s.ini", files[i]);
		path = rig_path(below);
		conf = conf_load(&(struct conf_source){ .file = path },
		    &errors);
		cr_assert_not_null(conf, "%s: %s", path, errors.lines[0]);
		dumps_itself(conf, path);
		conf_free(conf);
		free(path);
		free(below);
	}
}

Test(conf, dumps_what_the_command_line_gave_with_its_origin)
{
	struct conf_rig	 rig = loaded(conf_rig("[pool]\n\nspawn_batch = 5\n",
	    SET({ "pool.workers", "4", "--workers" },
	    { "listen.bind", "unix:/tmp/a b", "-b" },
	    { "env.A", ";x", "--set" }, { "env.B", "\"a ; b\" c\"", "--set" },
	    { "env.C", "", "--set" }, { "env.D", "#x", "--set" },
	    { "app echo.fault_word", ";;", "--set" })));
	char		*text = NULL, *line;
	size_t		 len;
	FILE		*f = open_memstream(&text, &len);

	conf_dump(rig.conf, f);
	fclose(f);
	cr_expect_not_null(strstr(text, "\nworkers = 4 "));
	cr_expect_not_null(strstr(text, "; --workers\n"));
	line = xasprintf("; file %s:3\n", rig.file);
	cr_expect_not_null(strstr(text, line));
	cr_expect_not_null(strstr(text, "; default\n"));
	dumps_itself(rig.conf, "options");
	free(line);
	free(text);
	conf_rig_end(&rig);
}

/* The lines "; expect: LINE: message" at the file's start, all of them. */
static void
fails_as_it_says(const char *path)
{
	struct conf_errors	 errors;
	char			*text = rig_slurp(path, NULL), *at = text;
	char			*line;
	size_t			 n = 0;

	cr_expect_null(conf_load(&(struct conf_source){ .file = path },
	    &errors), "%s", path);
	while (strncmp(at, "; expect: ", 10) == 0) {
		at += 10;
		line = xasprintf("%s:%.*s", path, (int)strcspn(at, "\n"), at);
		cr_assert_lt(n, errors.count, "missing: %s", line);
		cr_expect_str_eq(errors.lines[n++], line);
		free(line);
		at += strcspn(at, "\n") + 1;
	}
	cr_expect_gt(n, 0, "%s expects nothing", path);
	cr_expect_eq(n, errors.count, "%s: more errors", path);
	conf_errors_free(&errors);
	free(text);
}

Test(conf, tells_every_mistake_of_a_file_with_its_line)
{
	static const char *const	 files[] = { "command", "control-bytes",
		"long", "no-value", "reuseport", "structure",
		"user-without-group", "values" };
	char				*below, *path;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		below = xasprintf("conf/bad/%s.ini", files[i]);
		path = rig_path(below);
		fails_as_it_says(path);
		free(path);
		free(below);
	}
}

Test(conf, names_every_effect)
{
	for (int e = EFFECT_STOP; e < EFFECT_COUNT; e++)
		cr_expect_str_neq(effect_name((enum effect)e), "none");
	cr_expect_str_eq(effect_name(EFFECT_FAST_STOP), "fast-stop");
}
