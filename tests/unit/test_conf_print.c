#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf_table.h"
#include "common/mem.h"
#include "tests/unit/conf_rig.h"

/* What a master hands to the next, and what a reload would change. */
TestSuite(conf_print, .timeout = 20);
TestSuite(conf_diff, .timeout = 20);
TestSuite(conf_source, .timeout = 20);

static struct conf_rig
loaded(const char *text)
{
	struct conf_rig	 rig = conf_rig(text, NULL, 0);

	for (size_t i = 0; i < rig.errors.count; i++)
		cr_log_error("%s", rig.errors.lines[i]);
	cr_assert_not_null(rig.conf, "%s", text);
	return rig;
}

static struct conf *
again(const struct conf *conf)
{
	struct conf_errors	 errors;
	struct conf		*copy;
	size_t			 len;
	char			*text = conf_print(conf, &len);

	cr_assert_eq(strlen(text), len);
	copy = conf_load_text(text, len, false, &errors);
	for (size_t i = 0; i < errors.count; i++)
		cr_log_error("%s", errors.lines[i]);
	cr_assert_not_null(copy, "%s", text);
	free(text);
	return copy;
}

static void
on_key(void *arg, const struct conf_key_info *key)
{
	char	**names = arg, *longer;
	static const char	*const classes[] = { "live", "respawn",
		"restart" };

	longer = xasprintf("%s%s%s.%s:%s", *names, **names ? " " : "",
	    key->section, key->key, classes[key->reload]);
	free(*names);
	*names = longer;
}

/* "pool.workers:live ..." of what differs. Owned. */
static char *
changes(const struct conf *a, const struct conf *b)
{
	char	*names = xstrdup("");
	size_t	 count = conf_diff(a, b, on_key, &names), blanks = 0;

	for (const char *p = names; *p != '\0'; p++)
		blanks += *p == ' ' && strncmp(p, " echo.", 6) != 0;
	cr_expect_eq(count, *names == '\0' ? 0 : blanks + 1 -
	    (strncmp(names, "app ", 4) == 0), "%s", names);
	cr_expect_eq(conf_diff(b, a, NULL, NULL), count);
	return names;
}

static void
prints_to_the_same(const char *text)
{
	struct conf_rig	 rig = loaded(text);
	struct conf	*copy = again(rig.conf);
	char		*names = changes(rig.conf, copy);

	cr_expect_str_eq(names, "", "%s", text);
	cr_expect_eq(copy->listen.bind_given, rig.conf->listen.bind_given);
	cr_expect_not(copy->master.name_is_pid);
	cr_expect_eq(copy->master.ids.user_set, rig.conf->master.ids.user_set);
	cr_expect_eq(copy->master.ids.uid, rig.conf->master.ids.uid);
	free(names);
	conf_free(copy);
	conf_rig_end(&rig);
}

/* ---- one value of each key that is not its default */

struct sample {
	const char	*section, *key, *value;
	const char	*with;	/* what it needs, or "" */
};

static const struct sample samples[] = {
	{ "master", "name", "web", "" },
	{ "master", "pidfile", "/run/x.pid", "" },
	{ "master", "daemon", "yes", "" },
	{ "master", "user", "root", "" },
	{ "master", "group", "root", "" },
	{ "master", "umask", "0027", "" },
	{ "master", "chdir", "/tmp", "" },
	{ "master", "log", "/tmp/a ; b.log", "" },
	{ "master", "log_level", "debug", "" },
	{ "master", "log_format", "json", "" },
	{ "listen", "bind", "web=:81", "" },
	{ "listen", "backlog", "5", "" },
	{ "listen", "accept", "shared", "" },
	{ "listen", "defer_accept", "1m1ms", "" },
	{ "listen", "nonblock", "no", "[worker]\ncommand = x\n" },
	{ "listen", "nodelay", "no", "" },
	{ "listen", "keepalive", "yes", "" },
	{ "listen", "unix_mode", "0600", "" },
	{ "listen", "unix_user", "root", "" },
	{ "listen", "unix_group", "root", "" },
	{ "pool", "workers", "auto", "min_workers = 7\n" },
	{ "pool", "min_workers", "2", "" },
	{ "pool", "max_workers", "9", "" },
	{ "pool", "cull", "idlest", "" },
	{ "pool", "spawn_batch", "3", "" },
	{ "pool", "spawn_jitter", "3s", "" },
	{ "pool", "backoff_min", "3s", "" },
	{ "pool", "backoff_max", "5m", "" },
	{ "pool", "min_uptime", "0", "" },
	{ "pool", "boot_retries", "1", "" },
	{ "pool", "surge", "25%", "" },
	{ "worker", "app", NULL, "" },	/* echo is all there is */
	{ "worker", "command", "sh -c $'a\\x3b \"b\"\\n' '' \"it's ;\"", "" },
	{ "worker", "preset", "php-fpm", "command = x\n" },
	{ "worker", "stop_signal", "INT", "" },
	{ "worker", "fast_signal", "HUP", "" },
	{ "worker", "reopen_signal", "USR1", "" },
	{ "worker", "stop_delay", "1s", "" },
	{ "worker", "ready", "alive:1500ms", "" },
	{ "worker", "ready_timeout", "1s", "" },
	{ "worker", "graceful_timeout", "1s", "" },
	{ "worker", "kill_timeout", "0", "" },
	{ "worker", "upgrade_timeout", "1s", "" },
	{ "worker", "watchdog", "1s", "" },
	{ "worker", "watchdog_required", "yes", "" },
	{ "worker", "max_connections", "4", "" },
	{ "worker", "fatal_exit_codes", "none", "" },
	{ "worker", "max_requests", "4", "" },
	{ "worker", "max_requests_jitter", "4", "" },
	{ "worker", "max_age", "4h", "" },
	{ "worker", "max_age_jitter", "4h", "" },
	{ "worker", "max_rss", "4097", "" },
	{ "worker", "on_master_death", "kill", "" },
	{ "worker", "capture_output", "no", "" },
	{ "worker", "sockets", "nginx stdin", "" },
	{ "worker", "nice", "0", "" },
	{ "worker", "oom_score_adj", "-5", "" },
	{ "worker", "cpu_affinity", "0,2-3", "" },
	{ "worker", "no_new_privs", "yes", "" },
	{ "signals", "HUP", "ignore", "" },
	{ "signals", "INT", "ignore", "" },
	{ "signals", "TERM", "ignore", "" },
	{ "signals", "QUIT", "stop", "" },
	{ "signals", "TTIN", "ignore", "" },
	{ "signals", "TTOU", "ignore", "" },
	{ "signals", "USR1", "ignore", "" },
	{ "signals", "USR2", "reload", "" },
	{ "signals", "WINCH", "ignore", "" },
	{ "limits", "as", "5g", "" },
	{ "limits", "core", "0", "" },
	{ "limits", "cpu", "5", "" },
	{ "limits", "data", "5g", "" },
	{ "limits", "fsize", "5g", "" },
	{ "limits", "locks", "5", "" },
	{ "limits", "memlock", "5:unlimited", "" },
	{ "limits", "msgqueue", "5", "" },
	{ "limits", "nice", "5", "" },
	{ "limits", "nofile", "64:128", "" },
	{ "limits", "nproc", "5k", "" },
	{ "limits", "rss", "5", "" },
	{ "limits", "rtprio", "5", "" },
	{ "limits", "rttime", "5", "" },
	{ "limits", "sigpending", "5", "" },
	{ "limits", "stack", "unlimited", "" },
	{ "env", "clear", "yes", "" },
	{ "env", "NAME", "\"a ; b\" c", "PASSED\nEMPTY =\nSEMI=;x\n" },
	{ "app echo", "max_line", "7", "" },
	{ "app echo", "idle_timeout", "7s", "" },
	{ "app echo", "fault_word", "boom", "" },
};

Test(conf_print, has_a_sample_of_every_key)
{
	size_t	 n = sizeof(samples) / sizeof(samples[0]);

	cr_assert_eq(n, conf_nkeys);
	for (size_t i = 0; i < n; i++) {
		cr_expect_str_eq(samples[i].section, conf_keys[i].section);
		cr_expect_str_eq(samples[i].key, conf_keys[i].key);
	}
}

Test(conf_print, prints_every_key_so_that_it_loads_to_the_same)
{
	struct conf_rig	 plain = loaded(NULL), rig;
	char		*text;

	for (size_t i = 0; i < conf_nkeys; i++) {
		if (samples[i].value == NULL)
			continue;
		text = xasprintf("[%s]\n%s = %s\n%s", samples[i].section,
		    samples[i].key, samples[i].value, samples[i].with);
		rig = loaded(text);
		cr_expect_neq(conf_diff(plain.conf, rig.conf, NULL, NULL), 0,
		    "%s", text);
		conf_rig_end(&rig);
		prints_to_the_same(text);
		free(text);
	}
	conf_rig_end(&plain);
}

Test(conf_print, prints_all_of_a_configuration_with_everything_in_it)
{
	char	*path = rig_path("conf/good/all.ini");
	char	*text = rig_slurp(path, NULL);

	prints_to_the_same(text);
	prints_to_the_same("");
	free(text);
	free(path);
}

Test(conf_print, keeps_whether_an_address_was_given)
{
	struct conf_rig	 rig = loaded("[listen]\nbind = 127.0.0.1:8000\n");
	struct conf_rig	 plain = loaded(NULL);
	struct conf	*copy = again(plain.conf);
	char		*names = changes(rig.conf, plain.conf);

	cr_expect_not(copy->listen.bind_given);
	cr_expect_eq(copy->listen.nbind, 1);
	cr_expect_str_eq(names, "listen.bind:live");
	free(names);
	conf_free(copy);
	conf_rig_end(&rig);
	conf_rig_end(&plain);
}

Test(conf_print, has_the_environment_in_its_order)
{
	struct conf_rig	 rig = loaded("[env]\nB =\nA\nC = \"x\" ;\n");
	struct conf	*copy = again(rig.conf);

	cr_assert_eq(copy->nenv, 3);
	cr_expect_str_eq(copy->env[0].name, "B");
	cr_expect_str_eq(copy->env[0].value, "");
	cr_expect_null(copy->env[1].value);
	cr_expect_str_eq(copy->env[2].value, "\"x\"");
	conf_free(copy);
	conf_rig_end(&rig);
}

/* count times part behind head. Owned. */
static char *
repeated(const char *head, const char *part, size_t count)
{
	char	*text = xcalloc(1, strlen(head) + count * strlen(part) + 2);
	char	*end = stpcpy(text, head);

	while (count-- > 0)
		end = stpcpy(end, part);
	strcpy(end, "\n");
	return text;
}

Test(conf_print, may_have_lines_that_no_file_may_have)
{
	char	*text = repeated("[worker]\nfatal_exit_codes = 7", ",7", 4000);

	prints_to_the_same(text);
	free(text);
}

Test(conf_print, prints_no_command_that_a_file_could_not_hold)
{
	char		*text = repeated("[worker]\ncommand = x", " !", 1900);
	struct conf_rig	 rig;

	prints_to_the_same(text);
	free(text);
	text = repeated("[worker]\ncommand = x", " !", 2100);
	rig = conf_rig(text, NULL, 0);
	cr_expect_null(rig.conf, "in quotes it is longer than a line");
	conf_rig_end(&rig);
	free(text);
}

Test(conf_print, loads_without_looking_at_the_folder_again)
{
	char		 dir[] = "/tmp/muster-print-XXXXXX", *text;
	struct conf_rig	 rig;

	cr_assert_not_null(mkdtemp(dir));
	text = xasprintf("[master]\nchdir = %s\n", dir);
	rig = loaded(text);
	rmdir(dir);
	conf_free(again(rig.conf));
	conf_rig_end(&rig);
	free(text);
}

Test(conf_print, lenient_loading_skips_what_is_not_known)
{
	static const char	 text[] = "[pool]\nworkers=3\nfuture=7\n"
				    "[later]\na=1\n[listen]\nbind=:81\n";
	struct conf_errors	 errors;
	struct conf		*conf;

	cr_expect_null(conf_load_text(text, strlen(text), false, &errors));
	cr_expect_eq(errors.count, 2);
	cr_expect_not_null(strstr(errors.lines[0], ":3: [pool] future: "));
	conf_errors_free(&errors);
	conf = conf_load_text(text, strlen(text), true, &errors);
	cr_assert_not_null(conf);
	cr_expect_eq(errors.count, 0);
	cr_expect_eq(conf->pool.workers, 3);
	cr_expect_eq(conf->listen.bind[0].port, 81);
	conf_free(conf);
	/* What is known has to be right all the same. */
	cr_expect_null(conf_load_text("[pool]\nworkers=x\n", 17, true,
	    &errors));
	conf_errors_free(&errors);
	/* A text is bytes and their number: no NUL is looked for. */
	conf = conf_load_text("[pool]\nworkers=34", 16, true, &errors);
	cr_assert_not_null(conf);
	cr_expect_eq(conf->pool.workers, 3);
	conf_free(conf);
}

/* ---- differences */

static void
differs(const char *one, const char *other, const char *expected)
{
	struct conf_rig	 a = loaded(one), b = loaded(other);
	char		*names = changes(a.conf, b.conf);

	cr_expect_str_eq(names, expected, "%s -> %s", one, other);
	free(names);
	conf_rig_end(&a);
	conf_rig_end(&b);
}

Test(conf_diff, tells_each_key_with_its_class)
{
	differs("", "", "");
	differs("", "[pool]\nworkers = 3\n[app echo]\nmax_line = 1k\n"
	    "[master]\npidfile = /x\n", "master.pidfile:restart "
	    "pool.workers:live app echo.max_line:respawn");
	differs("[pool]\nbackoff_max = 60s\n", "[pool]\nbackoff_max = 1m\n",
	    "");
	differs("", "[limits]\nnofile = 5\n[signals]\nHUP = stop\n",
	    "signals.HUP:live limits.nofile:respawn");
	differs("", "[worker]\ncommand = x\n", "worker.command:respawn");
	differs("[worker]\ncommand = a b\n", "[worker]\ncommand = 'a' \"b\"\n",
	    "");
	differs("[worker]\ncommand = a b\n", "[worker]\ncommand = 'a b'\n",
	    "worker.command:respawn");
}

Test(conf_diff, takes_addresses_by_their_order_and_variables_by_name)
{
	differs("[listen]\nbind = :1\nbind = :2\n",
	    "[listen]\nbind = :2\nbind = :1\n", "listen.bind:live");
	differs("[listen]\nbind = a=:1\n", "[listen]\nbind = b=:1\n",
	    "listen.bind:live");
	differs("[env]\nA = 1\nB\n", "[env]\nB\nA = 1\n", "");
	differs("[env]\nA = 1\n", "[env]\nA = 2\n", "env.NAME:respawn");
	differs("[env]\nA =\n", "[env]\nA\n", "env.NAME:respawn");
	differs("[env]\nA = 1\n", "[env]\nB = 1\n", "env.NAME:respawn");
	differs("[env]\nA = 1\n", "[env]\nA = 1\nB = 1\n",
	    "env.NAME:respawn");
}

Test(conf_diff, knows_that_reuseport_is_for_life)
{
	differs("", "[listen]\naccept = shared\n", "listen.accept:respawn");
	differs("", "[listen]\naccept = reuseport\n", "listen.accept:restart");
	differs("[listen]\naccept = reuseport\n", "", "listen.accept:restart");
}

Test(conf_diff, sees_a_preset_by_its_effects_alone)
{
	differs("[worker]\ncommand = x\npreset = gunicorn\n"
	    "reopen_signal = none\nready = auto\n",
	    "[worker]\ncommand = x\n", "");
	differs("[worker]\ncommand = x\npreset = nginx\n",
	    "[worker]\ncommand = x\npreset = unicorn\n",
	    "worker.ready:respawn worker.sockets:respawn");
	differs("[worker]\nfast_signal = QUIT\n", "", "");
	differs("[worker]\nstop_signal = QUIT\n", "",
	    "worker.stop_signal:respawn worker.fast_signal:respawn");
}

/* ---- the source */

Test(conf_source, copies_are_deep)
{
	char			 key[] = "pool.workers", value[] = "3";
	char			 origin[] = "-w", file[] = "/x.ini";
	char			 folder[] = "/srv";
	struct conf_setting	 setting = { key, value, origin };
	struct conf_source	 source = { file, &setting, 1, folder, false },
				*copy;

	copy = conf_source_copy(&source);
	memset(key, 'x', strlen(key));
	memset(file, 'x', strlen(file));
	memset(folder, 'x', strlen(folder));
	*value = *origin = 'x';
	cr_expect_str_eq(copy->file, "/x.ini");
	cr_expect_str_eq(copy->folder, "/srv");
	cr_assert_eq(copy->nsettings, 1);
	cr_expect_str_eq(copy->settings[0].key, "pool.workers");
	cr_expect_str_eq(copy->settings[0].value, "3");
	cr_expect_str_eq(copy->settings[0].origin, "-w");
	conf_source_free(copy);
	copy = conf_source_copy(&(struct conf_source){ NULL, NULL, 0,
	    NULL, false });
	cr_expect_null(copy->file);
	cr_expect_eq(copy->nsettings, 0);
	conf_source_free(copy);
	conf_source_free(NULL);
}
