#ifndef MUSTER_OPTIONS_H
#define MUSTER_OPTIONS_H

#include <stdbool.h>

#include "common/conf.h"
#include "common/err.h"

/*
 * The command line: one table of options in options.c, from which getopt_long
 * and --help are fed. Options that are config keys become conf_settings, and
 * so does a command behind them.
 */
struct options {
	struct conf_setting	*settings;	/* owned array */
	size_t			 nsettings;
	char			*file;		/* -c; owned, as it was given */
	bool			 test, dump, adopt, help, version;
};

/*
 * Parse argv. 0, or -1 with err, one line that names the option and what it
 * takes, without "muster: "; the caller prints "Try 'muster --help'." and
 * exits with 64.
 */
int	options_parse(int argc, char **argv, struct options *out,
	    struct err *err);
void	options_free(struct options *options);

/* To stdout. The help lists options, signals and every config key. */
void	options_help(void);
void	options_version(void);

/* Tests build a muster that calls itself another. */
#ifndef MUSTER_VERSION
#define MUSTER_VERSION	"0.2.0"
#endif

#endif
