#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf_value.h"
#include "common/mem.h"
#include "master/options.h"

TestSuite(options, .timeout = 10);

/* Parse the words of a line, as the shell would without quotes. */
static int
parse(const char *line, struct options *out, struct err *err)
{
	static char	 copy[256];
	char		*rest = copy, *argv[32];
	int		 argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	while (argc < 31 && (argv[argc] = strsep(&rest, " ")) != NULL)
		argc++;
	argv[argc] = NULL;
	return options_parse(argc, argv, out, err);
}

static void
refused(const char *line, const char *message)
{
	struct options	 o;
	struct err	 err;

	cr_expect_eq(parse(line, &o, &err), -1, "%s", line);
	cr_expect_str_eq(err.text, message);
}

static void
sets(const char *line, const char *key, const char *value, const char *origin)
{
	struct options	 o;
	struct err	 err;

	cr_assert_eq(parse(line, &o, &err), 0, "%s: %s", line, err.text);
	cr_assert_eq(o.nsettings, 1, "%s", line);
	cr_expect_str_eq(o.settings[0].key, key);
	cr_expect_str_eq(o.settings[0].value, value);
	cr_expect_str_eq(o.settings[0].origin, origin);
	options_free(&o);
}

Test(options, become_settings_with_their_own_spelling)
{
	sets("muster -w 3", "pool.workers", "3", "-w");
	sets("muster -w3", "pool.workers", "3", "-w");
	sets("muster --workers 3", "pool.workers", "3", "--workers");
	sets("muster --workers=3", "pool.workers", "3", "--workers");
	sets("muster --work=3", "pool.workers", "3", "--workers");
	sets("muster -b :80", "listen.bind", ":80", "-b");
	sets("muster -a echo", "worker.app", "echo", "-a");
	sets("muster -n x", "master.name", "x", "-n");
	sets("muster -p x", "master.pidfile", "x", "-p");
	sets("muster -d", "master.daemon", "yes", "-d");
	sets("muster --verbose", "master.log_level", "more", "--verbose");
	sets("muster -q", "master.log_level", "less", "-q");
	sets("muster -s pool.cull=newest", "pool.cull", "newest", "--set");
	sets("muster --set env.A=b=c.d", "env.A", "b=c.d", "--set");
	sets("muster --set env.A.B=", "env.A.B", "", "--set");
	sets("muster -w 3 --", "pool.workers", "3", "-w");
}

Test(options, may_come_together_and_again)
{
	struct options	 o;
	struct err	 err;

	cr_assert_eq(parse("muster -vvd -b :1 -b :2 -c x.ini -tT", &o, &err),
	    0);
	cr_expect_eq(o.nsettings, 5);
	cr_expect_str_eq(o.settings[4].value, ":2");
	cr_expect_str_eq(o.file, "x.ini", "conf_load() knows its folder");
	cr_expect(o.test && o.dump);
	cr_expect_not(o.help || o.version);
	options_free(&o);
	cr_assert_eq(parse("muster --help --version", &o, &err), 0);
	cr_expect(o.help && o.version);
	options_free(&o);
}

Test(options, that_are_wrong_are_told_in_one_line)
{
	refused("muster -w", "-w: takes a number (1 to 10000, or auto)");
	refused("muster --workers",
	    "--workers: takes a number (1 to 10000, or auto)");
	refused("muster -c", "-c: takes a file");
	refused("muster --foo", "unknown option --foo");
	refused("muster --foo=bar", "unknown option --foo");
	refused("muster -Z", "unknown option -Z");
	refused("muster -tZ", "unknown option -Z");
	refused("muster --adopt=x", "--adopt: takes no value");
	refused("muster -\001", "unknown option -\001");
	refused("muster --help=x", "--help: takes no value");
	refused("muster --ver", "unknown option --ver");
	refused("muster --set pool", "--set: takes SECTION.KEY=VALUE");
	refused("muster -s pool.workers", "-s: takes SECTION.KEY=VALUE");
	refused("muster -s .workers=3", "-s: takes SECTION.KEY=VALUE");
	refused("muster -s pool.=3", "-s: takes SECTION.KEY=VALUE");
	refused("muster -s pool=1.5", "-s: takes SECTION.KEY=VALUE");
}

Test(options, end_where_the_command_begins)
{
	sets("muster gunicorn --foo -w 3", "worker.command",
	    "gunicorn --foo -w 3", "command line");
	sets("muster -- -x", "worker.command", "-x", "command line");
	sets("muster x -- y", "worker.command", "x -- y", "command line");
}

Test(options, hand_on_the_words_of_a_command_as_they_are)
{
	const char	*given[] = { "muster", "sh", "-c", "echo \"$1\" ;\nx",
			    "", "it's", "a b", "\\", NULL };
	char		**words;
	struct options	 o;
	struct err	 err;
	size_t		 n;

	cr_assert_eq(options_parse(8, (char **)given, &o, &err), 0);
	cr_assert_eq(o.nsettings, 1);
	cr_assert_eq(value_parse_command(o.settings[0].value, &words, &n),
	    VALUE_OK);
	cr_assert_eq(n, 7);
	for (size_t i = 0; i < n; i++)
		cr_expect_str_eq(words[i], given[i + 1]);
	value_free_command(words);
	options_free(&o);
}

Test(options, adopt_has_no_letter)
{
	struct options	 o;
	struct err	 err;

	cr_assert_eq(parse("muster --adopt -n x", &o, &err), 0);
	cr_expect(o.adopt);
	options_free(&o);
	cr_assert_eq(parse("muster -n x", &o, &err), 0);
	cr_expect_not(o.adopt);
	options_free(&o);
}

/* What a function prints to stdout, as a string. */
static const char *
printed(void (*function)(void))
{
	static char	 text[32768];
	int		 saved = dup(STDOUT_FILENO);
	FILE		*f = tmpfile();
	size_t		 n;

	cr_assert_not_null(f);
	fflush(stdout);
	cr_assert_neq(dup2(fileno(f), STDOUT_FILENO), -1);
	function();
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

Test(options, help_tells_of_every_option_and_key)
{
	static const char *const	 words[] = { "--bind ADDR", "--set ",
		"--test", "--dump", "--quiet", "--daemon", "TTIN", "WINCH",
		"  78 ", "muster.conf(5)" };
	struct conf_key_info		 info;
	const char			*text = printed(options_help);
	const char			*line;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		cr_expect_not_null(strstr(text, words[i]), "%s", words[i]);
	for (size_t i = 0; i < conf_key_count(); i++) {
		conf_key_info(i, &info);
		cr_expect_not_null(strstr(text, info.key), "%s", info.key);
	}
	for (line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
		cr_expect_leq(strcspn(line, "\n"), 79, "%.90s", line);
}

Test(options, version_names_the_libevent_we_run_with)
{
	const char	*text = printed(options_version);

	cr_expect_eq(strncmp(text, "muster " MUSTER_VERSION "\n", 13), 0);
	cr_expect_not_null(strstr(text, "libevent 2."));
	cr_expect_not_null(strstr(text, "features:"));
}
