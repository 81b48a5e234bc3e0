#include <bsd/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/fd.h"
#include "master/heal.h"
#include "master/options.h"
#include "master/start.h"

static int
usage_error(const char *line)
{
	fprintf(stderr, "%s\nTry 'muster --help'.\n", line);
	return EX_USAGE;
}

/*
 * What is opened next must not be taken for a standard stream: a daemon puts
 * /dev/null over those, and the next image takes none for what was kept.
 */
static void
fill_standard_streams(void)
{
	int	 fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1)
			fd_null(fd);
}

/* Read and check it all, or say all that is wrong with it. */
static int
load(const struct options *options, struct conf **out)
{
	struct conf_source	 source = { options->file, options->settings,
				    options->nsettings, NULL,
				    options->test || options->dump };
	struct conf_errors	 errors = { 0 };
	size_t			 i;
	int			 code = EX_CONFIG;

	if ((*out = conf_load(&source, &errors)) != NULL)
		return 0;
	if (errors.usage)
		code = usage_error(errors.lines[0]);
	else
		for (i = 0; i < errors.count; i++)
			fprintf(stderr, "%s\n", errors.lines[i]);
	conf_errors_free(&errors);
	return code;
}

/* Say what is in effect, or that it is well. */
static int
show(const struct options *options, struct conf *conf)
{
	if (options->dump)
		conf_dump(conf, stdout);
	else
		printf("muster: configuration ok\n");
	conf_free(conf);
	return 0;
}

static int
run(const struct options *options, const struct heal_origin *origin)
{
	struct conf	*conf;
	int		 code;

	if (origin->how == HEAL_TRIAL)
		return start_trial(options, origin);
	if (origin->how != HEAL_FRESH)
		return start_again(options, origin);
	if (options->help || options->version) {
		if (options->help)
			options_help();
		else
			options_version();
		return 0;
	}
	if ((code = load(options, &conf)) != 0)
		return code;
	if (options->test || options->dump)
		return show(options, conf);
	return start_fresh(options, conf);
}

int
main(int argc, char **argv)
{
	struct heal_origin	 origin;
	struct options		 options;
	struct err		 err;
	int			 code;

	fill_standard_streams();
	/* Before all else: what is kept has to be as it was at the start. */
	if (heal_first(argc, argv, &err) == -1)
		fprintf(stderr, "muster: %s\n", err.text);
	setproctitle_init(argc, argv, environ);
	origin = heal_origin();
	if (origin.warning[0] != '\0')
		fprintf(stderr, "muster: %s\n", origin.warning);
	if (options_parse(argc, argv, &options, &err) == -1) {
		fprintf(stderr, "muster: ");
		return usage_error(err.text);
	}
	code = run(&options, &origin);
	options_free(&options);
	if (fflush(stdout) == EOF) {
		fprintf(stderr, "muster: cannot write to stdout: %s\n",
		    strerror(errno));
		return EX_OSERR;
	}
	return code;
}
