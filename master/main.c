#include <bsd/unistd.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/fd.h"
#include "common/log.h"
#include "master/daemon.h"
#include "master/listener.h"
#include "master/master.h"
#include "master/options.h"
#include "master/pidfile.h"
#include "master/sigq.h"

/* What start() has made, for finish() to undo in reverse order. */
struct start {
	struct conf		*conf;
	struct daemon_parent	*parent;
	struct pidfile		*pidfile;
	struct listener_set	*listeners;
	struct master		*master;
};

static int
fail(int code, const struct err *err)
{
	fprintf(stderr, "muster: %s\n", err->text);
	return code;
}

static int
usage_error(const char *line)
{
	fprintf(stderr, "%s\nTry 'muster --help'.\n", line);
	return EX_USAGE;
}

/* What the system opens next must not be taken for a standard stream. */
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
				    options->nsettings };
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

static int
open_log(const struct conf *conf, struct err *err)
{
	struct log_options	 options = { conf->master.log, "muster",
				    conf->master.log_level,
				    conf->master.log_format };

	if (log_open(&options, err) == -1)
		return -1;
	if (log_fd() == -1)
		fprintf(stderr, "muster: cannot reach syslog: what is logged "
		    "is lost, and counted, until it is there\n");
	return 0;
}

/* Each step has its place for a reason. 0, or the exit code with err. */
static int
start(struct start *s, struct err *err)
{
	const struct conf_master	*conf = &s->conf->master;
	int				 code = EX_OSERR;

	if (conf->chdir != NULL && chdir(conf->chdir) == -1) {
		err_sys(err, "cannot change to %s", conf->chdir);
		return EX_OSERR;
	}
	/* Now, as all below belongs to the pid that we have then. */
	if (conf->daemon && (s->parent = daemon_start(err)) == NULL)
		return EX_OSERR;
	conf_name_after_pid(s->conf);
	sigq_ignore();
	if (open_log(s->conf, err) == -1)
		return EX_OSERR;
	/* The one step that may take long, while Ctrl+C still ends us. */
	if (listeners_resolvable(s->conf, err) == -1)
		return EX_UNAVAILABLE;
	/* Before anybody can learn our pid: no signal is lost or kills us. */
	if (sigq_open(err) == -1)
		return EX_OSERR;
	/* Before the sockets: of two masters the second shall fail here. */
	if (conf->pidfile != NULL &&
	    (s->pidfile = pidfile_take(conf->pidfile, &code, err)) == NULL)
		return code;
	if ((s->listeners = listeners_open(s->conf, err)) == NULL)
		return EX_UNAVAILABLE;
	s->master = master_new(s->conf, s->listeners, s->parent, err);
	return s->master == NULL ? EX_OSERR : 0;
}

static void
finish(struct start *s)
{
	if (s->master != NULL)
		master_free(s->master);
	sigq_close();
	listener_set_drop(s->listeners);
	pidfile_drop(s->pidfile);
	daemon_free(s->parent);
	conf_free(s->conf);
}

static int
supervise(struct conf *conf)
{
	struct start	 s = { .conf = conf };
	struct err	 err;
	int		 code;

	if ((code = start(&s, &err)) == 0)
		code = master_run(s.master);
	else
		fail(code, &err);
	/* Whoever started us looks at stderr; the log has said it elsewhere. */
	if (code == EX_TEMPFAIL && strcmp(conf->master.log, "stderr") != 0) {
		err_set(&err, "no worker ever became ready: see %s",
		    conf->master.log);
		fail(code, &err);
	}
	finish(&s);
	return code;
}

static int
run(const struct options *options)
{
	struct conf	*conf;
	struct err	 err;
	int		 code;

	if (options->help || options->version) {
		if (options->help)
			options_help();
		else
			options_version();
		return 0;
	}
	if ((code = load(options, &conf)) != 0)
		return code;
	if (!options->test && !options->dump)
		return supervise(conf);
	if (conf_command_check(conf, &err) == -1)
		code = fail(EX_CONFIG, &err);
	else if (options->dump)
		conf_dump(conf, stdout);
	else
		printf("muster: configuration ok\n");
	conf_free(conf);
	return code;
}

int
main(int argc, char **argv)
{
	struct options	 options;
	struct err	 err;
	int		 code;

	fill_standard_streams();
	setproctitle_init(argc, argv, environ);
	if (options_parse(argc, argv, &options, &err) == -1) {
		fprintf(stderr, "muster: ");
		return usage_error(err.text);
	}
	code = run(&options);
	options_free(&options);
	if (fflush(stdout) == EOF) {
		err_sys(&err, "cannot write to stdout");
		return fail(EX_OSERR, &err);
	}
	return code;
}
