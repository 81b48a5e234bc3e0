#include "master/start.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/adopt.h"
#include "master/crash.h"
#include "master/daemon.h"
#include "master/generation.h"
#include "master/keep.h"
#include "master/leftovers.h"
#include "master/listener.h"
#include "master/logs.h"
#include "master/master.h"
#include "master/mirror.h"
#include "master/options.h"
#include "master/pidfile.h"
#include "master/restore.h"
#include "master/saved.h"
#include "master/sigq.h"
#include "master/survivors.h"
#include "master/upgrade.h"

/* What a start has made, for finish() to undo in reverse order. */
struct start {
	struct conf_source	 source;
	char			*folder;	/* where all began; or NULL */
	struct daemon_parent	*parent;
	struct mirror		*mirror;
	struct pidfile		*pidfile;
	struct generations	*generations;
	struct survivors	*survivors;	/* with --adopt */
	struct saved		*saved;		/* of the image before */
	struct setup_master	 figures;
	struct master		*master;
};

static int
say(int code, const struct err *err)
{
	fprintf(stderr, "muster: %s\n", err->text);
	return code;
}

static void
init(struct start *s, const struct options *options)
{
	*s = (struct start){ .source = { options->file, options->settings,
	    options->nsettings, NULL, false } };
	s->figures = (struct setup_master){ .life_fds = { -1, -1 },
	    .signal_fds = { -1, -1 }, .inbox_fds = { -1, -1 },
	    .board_fd = -1, .pidfile_fd = -1, .daemon_fd = -1 };
}

static const struct conf *
conf_now(const struct start *s)
{
	return generations_now(s->generations)->conf;
}

/* Who takes over the process's fate writes it down from the beginning. */
static int
open_mirror(struct start *s, struct err *err)
{
	if ((s->mirror = mirror_new(err)) == NULL)
		return -1;
	sigq_move(mirror_signals(s->mirror));
	return keep_open(s->mirror, err);
}

static int
make_master(struct start *s, enum heal_how how, struct err *err)
{
	struct master_parts	 parts = { s->generations, &s->source,
				    s->parent, s->mirror, &s->figures,
				    s->saved, s->survivors, how };

	if ((s->master = master_new(&parts, err)) == NULL)
		return EX_OSERR;
	/* What was kept is in the right hands now. */
	saved_free(s->saved);
	s->saved = NULL;
	/* Our title says who we are, and nobody was forked yet. */
	survivors_free(s->survivors);
	s->survivors = NULL;
	return 0;
}

static void
finish(struct start *s)
{
	if (s->master != NULL)
		master_free(s->master);
	sigq_close();
	generations_free(s->generations);
	survivors_free(s->survivors);
	pidfile_drop(s->pidfile);
	daemon_free(s->parent);
	saved_free(s->saved);
	sigq_move(NULL);
	keep_forget();
	heal_disarm();
	mirror_free(s->mirror);
	free(s->folder);
}

/* It has a worker's last words, which are not to reach a terminal as such. */
static void
say_verdict(const struct start *s)
{
	const char	*at;

	fprintf(stderr, "muster: ");
	for (at = master_verdict(s->master); *at != '\0'; at++)
		putc(iscntrl((unsigned char)*at) ? '?' : *at, stderr);
	fprintf(stderr, " (see %s)\n", conf_now(s)->master.log);
}

static int
run(struct start *s)
{
	int	 code = master_run(s->master);

	/* Whoever started us looks at stderr; the log has said it elsewhere. */
	if (code == EX_TEMPFAIL &&
	    strcmp(conf_now(s)->master.log, "stderr") != 0)
		say_verdict(s);
	return code;
}

/* ---- the first start */

/* Both, as the second of two masters shall fail at the pidfile. */
static int
open_sockets(struct start *s, const struct options *options,
    struct conf *conf, struct err *err)
{
	struct listener_set	*sockets;
	int			 code = EX_OSERR;

	if (conf->master.pidfile != NULL) {
		s->pidfile = pidfile_take(conf->master.pidfile, &code, err);
		if (s->pidfile == NULL)
			return code;
		s->figures.pidfile_fd = pidfile_fd(s->pidfile);
		keep_add(s->figures.pidfile_fd, KEEP_PIDFILE);
	}
	if (options->adopt) {
		s->survivors = survivors_find(conf->master.name, err);
		if (s->survivors == NULL)
			return EX_UNAVAILABLE;
		sockets = adopt_sockets(s->survivors, conf, err);
	} else {
		sockets = listeners_open(conf, NULL, err);
	}
	if (sockets == NULL)
		return EX_UNAVAILABLE;
	s->generations = generations_new();
	generations_add(s->generations, 1, conf, sockets);
	return 0;
}

/* Each step has its place for a reason. 0, or the exit code with err. */
static int
begin(struct start *s, const struct options *options, struct conf *conf,
    struct err *err)
{
	const char	*folder = conf->master.chdir;
	int		 code;

	if (folder != NULL && chdir(folder) == -1) {
		err_sys(err, "cannot change to %s", folder);
		return EX_OSERR;
	}
	/* Now, as all below belongs to the pid that we have then. */
	if (conf->master.daemon && ((s->parent = daemon_start(err)) == NULL ||
	    heal_renew_environ(err) == -1))
		return EX_OSERR;
	conf_name_after_pid(conf);
	sigq_ignore();
	if (logs_open(conf, false, err) == -1)
		return EX_OSERR;
	/* The one step that may take long, while Ctrl+C still ends us. */
	if (listeners_resolvable(conf, err) == -1)
		return EX_UNAVAILABLE;
	if (open_mirror(s, err) == -1 || leftovers_init(err) == -1)
		return EX_OSERR;
	s->figures.daemon_fd = daemon_fd(s->parent);
	keep_add(s->figures.daemon_fd, KEEP_OTHER);
	/* Before anybody can learn our pid: no signal is lost or kills us. */
	if (sigq_open(err) == -1)
		return EX_OSERR;
	if ((code = open_sockets(s, options, conf, err)) != 0)
		return code;
	return make_master(s, HEAL_FRESH, err);
}

int
start_fresh(const struct options *options, struct conf *conf)
{
	struct start	 s;
	struct err	 err;
	int		 code;

	init(&s, options);
	/* Before any chdir: a reload reads relative paths as we do. */
	s.source.folder = s.folder = getcwd(NULL, 0);
	code = begin(&s, options, conf, &err);
	if (code == 0)
		code = run(&s);
	else
		say(code, &err);
	if (s.generations == NULL)
		conf_free(conf);
	finish(&s);
	return code;
}

/* ---- another image was here before */

/* Without it we are a master all the same. */
static void
take_up_pidfile(struct start *s, const struct conf_master *conf)
{
	struct err	 err;

	if (conf->pidfile == NULL)
		return;
	s->pidfile = pidfile_restore(conf->pidfile, s->figures.pidfile_fd,
	    &err);
	if (s->pidfile == NULL)
		log_event(EV_STATE_NOTE, log_str("msg", err.text));
	else
		keep_add(s->figures.pidfile_fd, KEEP_PIDFILE);
}

static int
read_state(struct start *s, const struct heal_origin *origin, struct err *err)
{
	s->saved = saved_read(origin->state_fd, getpid(), err);
	if (s->saved == NULL || restore_check(s->saved, err) == -1)
		return -1;
	s->figures = s->saved->setup->master;
	return 0;
}

static int
take_up(struct start *s, const struct heal_origin *origin, struct err *err)
{
	heal_set_path(s->saved->setup->path);
	if (s->saved->setup->folder != NULL)
		s->source.folder = s->folder =
		    xstrdup(s->saved->setup->folder);
	if (open_mirror(s, err) == -1)
		return -1;
	mirror_crashes(s->mirror, s->saved->crashes, s->saved->ncrashes);
	sigq_restore(&s->saved->signals);
	keep_check(s->saved->keeps, s->saved->nkeeps);
	/* Now: once all is taken up there is no way back. */
	if (sigq_check(s->figures.signal_fds, err) == -1)
		return -1;
	s->generations = restore_generations(s->saved, err);
	if (s->generations == NULL)
		return -1;
	s->parent = daemon_restore(s->figures.daemon_fd);
	s->figures.daemon_fd = daemon_fd(s->parent);
	if (logs_open(conf_now(s), conf_now(s)->master.daemon &&
	    s->parent == NULL, err) == -1 && origin->how == HEAL_UPGRADE)
		return -1;
	if (!keep_has(s->figures.pidfile_fd, KEEP_PIDFILE))
		s->figures.pidfile_fd = -1;
	take_up_pidfile(s, &conf_now(s)->master);
	return 0;
}

/* A crash while all was being closed: what is left to do, best effort. */
static int
say_farewell(struct start *s)
{
	const struct saved	*saved = s->saved;
	struct conf		*conf;
	struct err		 err;
	size_t			 i;
	int			 code = restore_exit_code(saved);

	conf = restore_farewell(saved, &err);
	if (conf != NULL && logs_open(conf, conf->master.daemon, &err) == 0)
		take_up_pidfile(s, &conf->master);
	for (i = 0; i < saved->ncrashes; i++)
		if (saved->crashes[i].nr > s->figures.crashes)
			crash_report(&saved->crashes[i], 0);
	log_event(EV_MASTER_STOP, log_int("pid", getpid()),
	    log_int("code", code), log_ms("took", 0));
	conf_free(conf);
	return code;
}

static int
go_on(struct start *s, const struct heal_origin *origin, struct err *err)
{
	int	 code;

	if (take_up(s, origin, err) == -1)
		return EX_OSERR;
	if ((code = make_master(s, origin->how, err)) != 0)
		return code;
	keep_sweep();
	/* The state is in the mirror by now, and we are here to stay. */
	close(origin->state_fd);
	if (origin->back_fd != -1)
		close(origin->back_fd);
	return 0;
}

/* The binary that was here before can; nothing was closed. */
static int
go_back(const struct start *s, int code, const struct err *err)
{
	struct err	 back;

	if (s->saved != NULL)
		keep_expose_saved(s->saved->keeps, s->saved->nkeeps);
	if (upgrade_back(err->text, &back) == -1)
		log_event(EV_UPGRADE_FAILED, log_str("msg", back.text));
	return say(code, err);
}

int
start_again(const struct options *options, const struct heal_origin *origin)
{
	struct start	 s;
	struct err	 err;
	int		 code = EX_OSERR;

	init(&s, options);
	sigq_ignore();
	if (leftovers_init(&err) == 0 && read_state(&s, origin, &err) == 0) {
		if (restore_ended(s.saved)) {
			code = say_farewell(&s);
			finish(&s);
			return code;
		}
		code = go_on(&s, origin, &err);
	}
	if (code == 0) {
		code = run(&s);
		finish(&s);
		return code;
	}
	if (origin->how == HEAL_UPGRADE)
		return go_back(&s, code, &err);
	log_event(EV_MASTER_FAILED, log_str("msg", err.text),
	    log_int("code", code));
	return say(code, &err);
}

/* ---- a trial */

static int
try_it(const struct options *options, const struct heal_origin *origin,
    struct err *err)
{
	struct conf_source	 source = { options->file, options->settings,
				    options->nsettings, NULL, false };
	struct conf_errors	 errors = { 0 };
	struct conf		*conf;
	struct saved		*saved;
	int			 result;

	if ((saved = saved_read(origin->state_fd, getppid(), err)) == NULL)
		return -1;
	if ((result = restore_try(saved, err)) == 0) {
		source.folder = saved->setup->folder;
		if ((conf = conf_load(&source, &errors)) == NULL)
			result = err_set(err, "%s", errors.lines[0]);
		conf_errors_free(&errors);
		conf_free(conf);
	}
	saved_free(saved);
	return result;
}

int
start_trial(const struct options *options, const struct heal_origin *origin)
{
	struct err	 err;
	bool		 ok = try_it(options, origin, &err) == 0;

	return upgrade_trial_answer(origin->reply_fd, ok ? NULL : &err);
}
