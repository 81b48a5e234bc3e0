#include "master/options.h"

#include <stdio.h>
#include <string.h>

#include "master/options_table.h"

const struct option_row option_rows[] = {
	{ 'b', "bind", "ADDR", "listen.bind", NULL, NULL,
	    "listen here; repeatable" },
	{ 'w', "workers", "N", "pool.workers", NULL, NULL,
	    "pool size, or auto: one worker per CPU" },
	{ 'a', "app", "APP", "worker.app", NULL, NULL,
	    "what workers run" },
	{ 'c', "config", "FILE", NULL, NULL, "a file",
	    "read this file; options win over it" },
	{ 's', "set", "SECTION.KEY=VALUE", NULL, NULL, "SECTION.KEY=VALUE",
	    "set any key; repeatable" },
	{ 'n', "name", "NAME", "master.name", NULL, NULL,
	    "name of this instance" },
	{ 'p', "pidfile", "FILE", "master.pidfile", NULL, NULL,
	    "write the master's pid there" },
	{ 'd', "daemon", NULL, "master.daemon", "yes", NULL,
	    "go to the background once the pool is ready" },
	{ 't', "test", NULL, NULL, NULL, NULL,
	    "check the configuration and exit" },
	{ 'T', "dump", NULL, NULL, NULL, NULL,
	    "the same, and print what is in effect" },
	{ LETTER_ADOPT, "adopt", NULL, NULL, NULL, NULL,
	    "take over from a killed master of this name" },
	{ 'v', "verbose", NULL, "master.log_level", "more", NULL,
	    "log more; repeatable" },
	{ 'q', "quiet", NULL, "master.log_level", "less", NULL,
	    "log less; repeatable" },
	{ 'h', "help", NULL, NULL, NULL, NULL, "print this" },
	{ 'V', "version", NULL, NULL, NULL, NULL,
	    "print versions and features" },
	{ 0, NULL, NULL, NULL, NULL, NULL, NULL }
};

_Static_assert(sizeof(option_rows) / sizeof(option_rows[0]) <=
    OPTION_ROWS_MAX, "OPTION_ROWS_MAX");

#define WIDTH	79	/* of the help's lines */

struct help_row {
	const char	*name, *help;
};

static const struct help_row signal_rows[] = {
	{ "TTIN", "one worker more" },
	{ "TTOU", "one worker fewer, gracefully" },
	{ "INT, TERM", "graceful stop; a second one: fast stop" },
	{ "QUIT", "fast stop" },
	{ "RTMIN+1", "with a value (sigqueue): so many workers more" },
	{ "HUP", "reload: read the configuration anew, replace the workers" },
	{ "USR1", "reopen log files" },
	{ "USR2", "upgrade in place: become the binary installed now" },
	{ "WINCH", "detached: drain the workers, keep the sockets" },
	{ NULL, NULL }
};

static const struct help_row exit_rows[] = {
	{ "0", "stopped as asked" },
	{ "1", "stopped as asked, but a worker had to be killed" },
	{ "64", "usage error" },
	{ "69", "an address could not be bound, or the pidfile is held" },
	{ "70", "the master crashed more than 3 times in a minute" },
	{ "71", "the system refused what the master cannot do without" },
	{ "75", "no worker ever became ready" },
	{ "78", "configuration error" },
	{ NULL, NULL }
};

/* left in its column, help beside it in lines that fit a terminal. */
static void
print_two(int indent, int column, const char *left, const char *help)
{
	int	 at = indent + column + 1, room = WIDTH - at, len;

	printf("%*s%-*s ", indent, "", column, left);
	while ((int)strlen(help) > room) {
		for (len = room; len > 0 && help[len] != ' '; len--)
			;
		if (len == 0)
			break;
		printf("%.*s\n%*s", len, help, at, "");
		help += len + 1;
	}
	puts(help);
}

static void
print_rows(const struct help_row *row)
{
	for (; row->name != NULL; row++)
		print_two(2, 10, row->name, row->help);
}

static void
print_options(void)
{
	const struct option_row	*row;
	char			 left[48];

	for (row = option_rows; row->word != NULL; row++) {
		snprintf(left, sizeof(left), "%s--%s%s%s",
		    row->letter == LETTER_ADOPT ? "    " :
		    (char[]){ '-', row->letter, ',', ' ', '\0' }, row->word,
		    row->arg == NULL ? "" : " ",
		    row->arg == NULL ? "" : row->arg);
		print_two(2, 29, left, row->help);
	}
}

static void
print_keys(void)
{
	struct conf_key_info	 info;
	const char		*section = "";
	char			 left[64];

	for (size_t i = 0; i < conf_key_count(); i++) {
		conf_key_info(i, &info);
		if (strcmp(section, info.section) != 0)
			printf("  [%s]\n", info.section);
		section = info.section;
		snprintf(left, sizeof(left), "%s%s%s", info.key,
		    info.fallback == NULL ? "" : "=",
		    info.fallback == NULL ? "" : info.fallback);
		print_two(4, 23, left, info.help);
	}
}

void
options_help(void)
{
	puts("usage: muster [option ...] [--] [command [arg ...]]\n\n"
	    "Keeps a pool of workers behind listening sockets, and replaces "
	    "those that die.\n\noptions:");
	print_options();
	puts("\nsignals to the master (see [signals]):");
	print_rows(signal_rows);
	puts("\nconfiguration keys, with their defaults:");
	print_keys();
	puts("\nexit codes:");
	print_rows(exit_rows);
	puts("\nmuster(8) and muster.conf(5) say more.");
}

void
options_version(void)
{
	printf("muster %s\nlibevent %s\nfeatures:", MUSTER_VERSION,
	    options_libevent());
	printf(" inih libbsd reuseport syslog");
#ifdef __SANITIZE_ADDRESS__
	printf(" asan");
#endif
#if defined(__OPTIMIZE__) && defined(_FORTIFY_SOURCE)
	printf(" fortify");
#endif
	putchar('\n');
}
