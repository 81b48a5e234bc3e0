#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf_table.h"
#include "common/mem.h"
#include "tests/unit/conf_rig.h"

/* Programs as workers: the command, the presets and what goes with them. */
TestSuite(conf_program, .timeout = 20);

/* The text of a file that is refused with one error, which ends so. */
static void
refused(const char *text, const char *end)
{
	struct conf_rig	 rig = conf_rig(text, NULL, 0);
	const char	*line;

	cr_assert_null(rig.conf, "%s", text);
	cr_expect_eq(rig.errors.count, 1, "%zu errors: %s", rig.errors.count,
	    text);
	line = rig.errors.lines[0];
	if (strlen(line) > strlen(end))
		line += strlen(line) - strlen(end);
	cr_expect_str_eq(line, end);
	conf_rig_end(&rig);
}

static struct conf_rig
loaded(const char *text)
{
	struct conf_rig	 rig = conf_rig(text, NULL, 0);

	for (size_t i = 0; i < rig.errors.count; i++)
		cr_log_error("%s", rig.errors.lines[i]);
	cr_assert_not_null(rig.conf, "%s", text);
	return rig;
}

static void
accepted(const char *text)
{
	struct conf_rig	 rig = loaded(text);

	conf_rig_end(&rig);
}

/* ---- the command */

/* text is split into the words, which end with NULL. */
static void
splits(const char *text, const char *const *words)
{
	char	**got;
	size_t	 count, i;

	cr_assert_eq(value_parse_command(text, &got, &count), VALUE_OK, "%s",
	    text);
	for (i = 0; words[i] != NULL && i < count; i++)
		cr_expect_str_eq(got[i], words[i], "%s", text);
	cr_expect_eq(i, count, "%s", text);
	cr_expect_null(words[i], "%s", text);
	cr_expect_null(got[count]);
	value_free_command(got);
}
#define SPLITS(text, ...)	splits(text, (const char *[]){ __VA_ARGS__, NULL })

Test(conf_program, command_is_split_as_the_shell_splits_words)
{
	SPLITS("a", "a");
	SPLITS("  a \t b  ", "a", "b");
	SPLITS("a ''", "a", "");
	SPLITS("a \"\"b''", "a", "b");
	SPLITS("'a b' c", "a b", "c");
	SPLITS("a'b'\"c\"d", "abcd");
	SPLITS("a\\ b c\\\\ \\'", "a b", "c\\", "'");
	SPLITS("\"a 'b' \\\" \\$ \\\\ \\n\"", "a 'b' \" $ \\ \\n");
	SPLITS("'a \"b\" \\'", "a \"b\" \\");
	SPLITS("$'a\\nb\\t\\'\\x41\\x9\\\\'", "a\nb\t'A\t\\");
	SPLITS("$'\\q\\x'", "\\q\\x");
	/* Nothing is expanded. */
	SPLITS("$HOME ~ * `x` $(x) #no a>b", "$HOME", "~", "*", "`x`",
	    "$(x)", "#no", "a>b");
}

Test(conf_program, command_that_is_open_or_empty_is_refused)
{
	static const char *const open[] = { "a 'b", "a \"b", "a \\", "$'a",
		"\"a\\", "$'\\", "$'\\'", "a 'b\"", NULL };
	static const char *const empty[] = { "", "  ", "''", "\"\" a", NULL };
	char	**words;
	size_t	  n;

	for (int i = 0; open[i] != NULL; i++)
		cr_expect_eq(value_parse_command(open[i], &words, &n),
		    VALUE_RANGE, "%s", open[i]);
	for (int i = 0; empty[i] != NULL; i++)
		cr_expect_eq(value_parse_command(empty[i], &words, &n),
		    VALUE_BAD, "%s", empty[i]);
	refused("[worker]\ncommand = a 'b\n", ":2: [worker] command: \"a 'b\" "
	    "has an open quote, nothing behind a backslash, or over 8000 "
	    "bytes");
}

/* Words of bytes that mean something somewhere, by a simple generator. */
static size_t
make_words(unsigned int *seed, char words[8][16], char **list)
{
	static const char	 bytes[] = "a ;\"'\\$`{}\n\t\x01\x7f=#[]\xc3";
	size_t			 count = 1 + rand_r(seed) % 7, len;

	for (size_t i = 0; i < count; i++) {
		len = i == 0 ? 1 + rand_r(seed) % 14 : rand_r(seed) % 15;
		for (size_t j = 0; j < len; j++)
			words[i][j] = bytes[rand_r(seed) % (sizeof(bytes) -
			    1)];
		words[i][len] = '\0';
		list[i] = words[i];
	}
	list[count] = NULL;
	return count;
}

Test(conf_program, command_printed_fits_a_file_and_loads_to_the_same)
{
	unsigned int	 seed = 17;
	char		 words[8][16], *list[9], *text, *file;
	struct conf_rig	 rig;
	size_t		 count;

	for (int round = 0; round < 2000; round++) {
		count = make_words(&seed, words, list);
		text = value_print_command(list, count);
		splits(text, (const char *const *)list);
		file = xasprintf("[worker]\ncommand = %s\n", text);
		rig = conf_rig(file, NULL, 0);
		cr_assert_not_null(rig.conf, "%s", file);
		cr_assert_eq(rig.conf->worker.ncommand, count, "%s", file);
		for (size_t i = 0; i < count; i++)
			cr_assert_str_eq(rig.conf->worker.command[i],
			    list[i], "%s", file);
		conf_rig_end(&rig);
		free(file);
		free(text);
	}
}

Test(conf_program, command_may_be_long_and_have_json_in_it)
{
	struct conf_rig	 rig = loaded("[worker]\ncommand = x "
	    "'{\"fd\": {\"a\": 1}}' {} {{fd}} {fd} {port:1} {addr\n");

	cr_expect(conf_is_program(rig.conf));
	cr_expect_str_eq(rig.conf->worker.command[1], "{\"fd\": {\"a\": 1}}");
	conf_rig_end(&rig);
	rig = loaded(NULL);
	cr_expect_not(conf_is_program(rig.conf));
	cr_expect_null(rig.conf->worker.command);
	conf_rig_end(&rig);
}

#define BINDS	"[listen]\nbind = web=127.0.0.1:80\nbind = [::1]:81\n" \
		"bind = :82\nbind = unix:/x\n[worker]\ncommand = "

Test(conf_program, places_for_sockets_that_name_none_are_told)
{
	accepted(BINDS "x {fd:0}-{fd:3} {addr:3} {fd:web} --a=\n");
	refused(BINDS "x {fd:4}\n",
	    "command: \"{fd:4}\": there are not so many sockets");
	refused(BINDS "x a{addr:99999999999999999999}b\n", "command: "
	    "\"{addr:99999999999999999999}\": there are not so many sockets");
	refused(BINDS "x {fd:wob}\n",
	    "command: \"{fd:wob}\": there is no socket of that name");
	refused(BINDS "x {addr:web}\n",
	    "command: \"{addr:web}\": takes a number from 0");
	refused(BINDS "x {fd:}\n", "command: \"{fd:}\": takes a number from "
	    "0 or a socket's name");
	refused(BINDS "x {fd:-1}\n", "command: \"{fd:-1}\": there are not so "
	    "many sockets");
	refused(BINDS "x '{fd:0 '\n", "command: \"{fd:0 \": has no }");
	refused(BINDS "x {fd:{fd:0}\n", "command: \"{fd:\": has no }");
	refused("[listen]\nbind = none\n[worker]\ncommand = x {fd:0}\n",
	    "command: \"{fd:0}\": there are not so many sockets");
}

Test(conf_program, places_that_only_the_start_can_tell_are_left)
{
	/* A name with several addresses, or sockets of a service manager. */
	accepted("[listen]\nbind = w=localhost:80\n[worker]\n"
	    "command = x {fd:7} {fd:w}\n");
	accepted("[worker]\ncommand = x {fd:7} {fd:http.socket}\n");
	refused("[listen]\nbind = w=localhost:80\n[worker]\n"
	    "command = x {fd:v}\n",
	    "command: \"{fd:v}\": there is no socket of that name");
}

/* ---- presets */

Test(conf_program, presets_are_stronger_than_defaults_alone)
{
	struct conf_rig	 rig = loaded("[worker]\ncommand = nginx\n"
	    "preset = nginx\nreopen_signal = HUP\n");
	char		*text = NULL;
	size_t		 len;
	FILE		*f = open_memstream(&text, &len);

	cr_expect_eq(rig.conf->worker.stop_signal, SIGQUIT);
	cr_expect_eq(rig.conf->worker.fast_signal, SIGTERM);
	cr_expect_eq(rig.conf->worker.reopen_signal, SIGHUP);
	cr_expect_eq(rig.conf->worker.sockets, DIALECT_NGINX);
	conf_dump(rig.conf, f);
	fclose(f);
	cr_expect_not_null(strstr(text, "; preset nginx\n"));
	cr_expect_not_null(strstr(text, "\nstop_signal = QUIT "));
	free(text);
	conf_rig_end(&rig);
}

Test(conf_program, presets_all_load_and_are_whole)
{
	char		*text;
	struct conf_rig	 rig;

	for (const struct conf_preset *p = conf_presets; p->name; p++) {
		text = xasprintf("[worker]\ncommand = x\npreset = %s\n",
		    p->name);
		rig = loaded(text);
		cr_expect_neq(rig.conf->worker.fast_signal, 0, "%s", p->name);
		for (int i = 0; i < PRESET_SETTINGS && p->settings[i]; i++) {
			const char	*dot = strchr(p->settings[i], '.');
			const char	*is = strchr(p->settings[i], '=');
			char		*section, *key, *value;
			const struct conf_key	*row;

			section = strndup(p->settings[i],
			    (size_t)(dot - p->settings[i]));
			key = strndup(dot + 1, (size_t)(is - dot - 1));
			row = conf_key_by_name(section, key);
			cr_assert_not_null(row, "%s", p->settings[i]);
			value = conf_type_get(row, rig.conf);
			cr_expect_str_eq(value, is + 1, "%s", p->name);
			cr_expect_eq(rig.conf->origins->keys[
			    conf_key_nr(row)].kind, ORIGIN_PRESET);
			free(section);
			free(key);
			free(value);
		}
		conf_rig_end(&rig);
		free(text);
	}
}

Test(conf_program, presets_give_way_to_a_stop_signal_of_the_user)
{
	struct conf_rig	 rig = loaded("[worker]\ncommand = x\n"
	    "preset = nginx\nstop_signal = TERM\n");

	cr_expect_eq(conf_fast_signal(&rig.conf->worker), SIGQUIT);
	conf_rig_end(&rig);
	rig = loaded("[worker]\ncommand = x\npreset = nginx\n"
	    "stop_signal = USR1\n");
	cr_expect_eq(rig.conf->worker.reopen_signal, 0);
	conf_rig_end(&rig);
}

Test(conf_program, presets_unknown_are_refused_with_what_was_meant)
{
	refused("[worker]\ncommand = x\npreset = ngnix\n", ":3: [worker] "
	    "preset: \"ngnix\" is not a preset (gunicorn, puma, nginx and "
	    "others); did you mean nginx?");
	refused("[worker]\ncommand = x\npreset = php-fpm8.2\n",
	    "; did you mean php-fpm?");
	refused("[worker]\ncommand = x\npreset = apache2\n", "\"apache2\" is "
	    "not a preset (gunicorn, puma, nginx and others)");
	refused("[worker]\npreset = nginx\n",
	    "preset: goes with a command, and there is none");
}

/* ---- what goes together */

#define WITH(keys)	"[worker]\ncommand = x\n" keys "\n"

Test(conf_program, keys_of_programs_have_their_values)
{
	struct conf_rig	 rig = loaded(WITH("ready = alive:1m\n"
	    "sockets = stdin, listen-fds\nreopen_signal = usr2\n"
	    "on_master_death = serve\ncapture_output = no\n"
	    "watchdog_required = yes\nupgrade_timeout = 3s\n"
	    "[listen]\nnonblock = no"));
	const struct conf_worker	*w = &rig.conf->worker;

	cr_expect_eq(w->ready.mode, READY_ALIVE);
	cr_expect_eq(w->ready.alive, 60000);
	cr_expect_eq(w->sockets, DIALECT_STDIN | DIALECT_LISTEN_FDS);
	cr_expect_eq(w->reopen_signal, SIGUSR2);
	cr_expect_eq(w->on_master_death, MASTER_DEATH_SERVE);
	cr_expect_not(w->capture_output);
	cr_expect(w->watchdog_required);
	cr_expect_eq(w->upgrade_timeout, 3000);
	cr_expect_not(rig.conf->listen.nonblock);
	conf_rig_end(&rig);
}

Test(conf_program, keys_of_programs_have_their_defaults)
{
	struct conf_rig	 rig = loaded(NULL);
	const struct conf_worker	*w = &rig.conf->worker;

	cr_expect_eq(w->ready.mode, READY_AUTO);
	cr_expect_eq(w->ready.alive, 1000);
	cr_expect_eq(w->sockets, DIALECT_LISTEN_FDS);
	cr_expect_eq(w->reopen_signal, 0);
	cr_expect_null(w->preset);
	cr_expect_eq(w->on_master_death, MASTER_DEATH_DRAIN);
	cr_expect(w->capture_output);
	cr_expect_not(w->watchdog_required);
	cr_expect_eq(w->upgrade_timeout, 10000);
	cr_expect(rig.conf->listen.nonblock);
	conf_rig_end(&rig);
}

Test(conf_program, what_does_not_go_together_is_refused)
{
	refused(WITH("app = echo"), "command and app are both given");
	refused(WITH("max_requests = 5"), "max_requests: counts what built-in "
	    "apps serve: it goes with no command");
	refused(WITH("max_connections = 5"), "max_connections: counts what "
	    "built-in apps serve: it goes with no command");
	refused(WITH("[listen]\naccept = exclusive"), ":4: [listen] accept: "
	    "exclusive goes with built-in apps: programs share their sockets");
	refused(WITH("watchdog = 0\nwatchdog_required = yes"),
	    "watchdog_required without a watchdog");
	refused(WITH("reopen_signal = TERM"),
	    "reopen_signal and stop_signal are the same");
	refused(WITH("reopen_signal = QUIT"),
	    "reopen_signal and fast_signal are the same");
	refused(WITH("reopen_signal = STOP"),
	    "\"STOP\" means something else to a worker");
	refused("[listen]\nnonblock = no\n",
	    "nonblock: no goes with a command, and there is none");
	accepted(WITH("[listen]\naccept = reuseport"));
	accepted(WITH("sockets = stdin listen-fds\nmax_age = 1h"));
	/* What was refused is not missing, too. */
	refused("[worker]\npreset = nginx\ncommand = 'x\n[listen]\n"
	    "nonblock = no\n", "or over 8000 bytes");
}

Test(conf_program, values_that_are_none_are_refused)
{
	static const char *const bad[] = { "ready = soon", "ready = alive",
		"ready = alive:", "ready = alive:5", "ready = notify:1s",
		"sockets = listen_fds", "sockets =", "sockets = none nginx",
		"sockets = listen-fds;stdin", "reopen_signal = no",
		"on_master_death = wait", "ready = alive:2000d", NULL };
	char		*text;
	struct conf_rig	 rig;

	for (int i = 0; bad[i] != NULL; i++) {
		text = xasprintf(WITH("%s"), bad[i]);
		rig = conf_rig(text, NULL, 0);
		cr_expect_null(rig.conf, "%s", bad[i]);
		cr_expect_eq(rig.errors.count, 1);
		conf_rig_end(&rig);
		free(text);
	}
}

/* ---- is it there? */

static void
check_says(const char *text, int rc, const char *what)
{
	struct conf_rig		 rig = loaded(text);
	struct conf_source	 source = { .file = rig.file,
				    .programs = true };
	struct conf_errors	 errors;
	struct conf		*conf;

	/* Without being asked to nobody looks. */
	cr_expect_not_null(rig.conf);
	conf = conf_load(&source, &errors);
	cr_expect_eq(conf == NULL ? -1 : 0, rc, "%s", text);
	if (rc == -1) {
		cr_assert_eq(errors.count, 1);
		cr_expect_not_null(strstr(errors.lines[0], what), "%s",
		    errors.lines[0]);
	}
	conf_free(conf);
	conf_errors_free(&errors);
	conf_rig_end(&rig);
}

Test(conf_program, program_is_looked_for_where_workers_would)
{
	char	 dir[] = "/tmp/muster-path-XXXXXX", *text, *file, *tool;

	cr_assert_not_null(mkdtemp(dir));
	tool = xasprintf("%s/tool", dir);
	cr_assert_eq(symlink("/bin/sh", tool), 0);
	file = xasprintf("%s/file", dir);
	fclose(fopen(file, "we"));
	cr_assert_eq(setenv("PATH", "/nowhere:/bin", 1), 0);
	check_says("[worker]\ncommand = sh\n", 0, NULL);
	check_says("[worker]\ncommand = tool\n", -1,
	    "[worker] command: \"tool\": not found in PATH");
	text = xasprintf("[worker]\ncommand = tool\n[env]\nPATH = %s\n", dir);
	check_says(text, 0, NULL);
	free(text);
	text = xasprintf("[worker]\ncommand = file\n[env]\nPATH = %s\n", dir);
	check_says(text, -1, "\"file\": Permission denied");
	free(text);
	text = xasprintf("[worker]\ncommand = ./tool\n[master]\nchdir = %s\n",
	    dir);
	check_says(text, 0, NULL);
	free(text);
	check_says("[worker]\ncommand = ./tool\n", -1, "No such file");
	check_says("[worker]\ncommand = /tmp\n", -1, "Permission denied");
	/* Cleared, it is the system's own; passed on, ours. */
	cr_assert_eq(setenv("PATH", dir, 1), 0);
	check_says("[worker]\ncommand = sh\n[env]\nclear = yes\n", 0, NULL);
	check_says("[worker]\ncommand = sh\n[env]\nclear = yes\nPATH\n", -1,
	    "not found in PATH");
	check_says("", 0, NULL);
	unlink(tool);
	unlink(file);
	rmdir(dir);
	free(tool);
	free(file);
}
