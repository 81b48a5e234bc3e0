#include "common/conf_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/*
 * THE table of programs: how each is told of its sockets, stopped, stopped
 * fast and made to reopen its logs. What is not in a row is as the defaults
 * have it. ready is notify only where READY=1 means what it says: gunicorn's
 * comes before the app is loaded. A row of blocking sockets is of one that
 * takes an accept() without a connection for a failure.
 */
#define STOP(s, f)	"worker.stop_signal=" s, "worker.fast_signal=" f
#define REOPEN(s)	"worker.reopen_signal=" s
#define SOCKETS(s)	"worker.sockets=" s
#define LIVES(t)	"worker.ready=alive:" t
#define NOTIFIES	"worker.ready=notify"
#define BLOCKING	"listen.nonblock=no"

const struct conf_preset conf_presets[] = {
	/* Python */
	{ "gunicorn", { STOP("TERM", "QUIT"), REOPEN("USR1"),
	    SOCKETS("listen-fds"), LIVES("2s") } },
	{ "uvicorn", { STOP("TERM", "QUIT") } },	/* --fd {fd:0} */
	{ "daphne", { STOP("TERM", "QUIT") } },		/* --fd {fd:0} */
	{ "aiohttp", { STOP("TERM", "QUIT") } },
	{ "tornado", { STOP("TERM", "QUIT") } },
	{ "twisted", { STOP("TERM", "QUIT") } },
	/* Without --master: with it HUP is a reload, and nothing graceful. */
	{ "uwsgi", { STOP("HUP", "INT"), LIVES("1s") } },
	{ "node", { STOP("TERM", "QUIT") } },		/* listen({fd: 3}) */
	/* Ruby; HUP would end a puma whose output is not a file. */
	{ "puma", { STOP("TERM", "QUIT"), SOCKETS("listen-fds") } },
	{ "unicorn", { STOP("QUIT", "TERM"), REOPEN("USR1"),
	    SOCKETS("unicorn"), LIVES("2s") } },
	/* Perl */
	{ "starman", { STOP("QUIT", "TERM"), SOCKETS("server-starter"),
	    BLOCKING } },
	{ "twiggy", { STOP("QUIT", "TERM"), SOCKETS("server-starter") } },
	{ "mojo", { STOP("QUIT", "TERM") } },		/* prefork, ?fd=3 */
	/* Servers of their own */
	{ "nginx", { STOP("QUIT", "TERM"), REOPEN("USR1"),
	    SOCKETS("nginx") } },
	{ "php-fpm", { STOP("QUIT", "TERM"), REOPEN("USR1"),
	    SOCKETS("php-fpm"), NOTIFIES, BLOCKING } },
	{ "haproxy", { STOP("USR1", "TERM") } },	/* bind fd@3 */
	{ "lighttpd", { STOP("INT", "TERM"), REOPEN("HUP"),
	    SOCKETS("listen-fds") } },
	{ "h2o", { STOP("TERM", "QUIT"), SOCKETS("server-starter") } },
	{ NULL, { NULL } }
};

const struct conf_preset *
conf_preset_find(const char *name)
{
	const struct conf_preset	*row;

	for (row = conf_presets; row->name != NULL; row++)
		if (strcmp(row->name, name) == 0)
			return row;
	return NULL;
}

/* One of the preset's signals that the user takes for another purpose. */
static void
take_back(struct conf *conf, const char *name, int *signo)
{
	struct conf_origin	*from;

	from = &conf->origins->keys[conf_key_nr(conf_key_by_name("worker",
	    name))];
	if (from->kind != ORIGIN_PRESET)
		return;
	*signo = 0;
	free(from->where);
	*from = (struct conf_origin){ .kind = ORIGIN_DEFAULT };
}

/*
 * The user's own stop signal wins: a fast signal of the preset that is the
 * same becomes the derived one, a signal to reopen becomes none.
 */
static void
give_way(struct conf *conf)
{
	struct conf_worker	*worker = &conf->worker;

	if (worker->fast_signal == worker->stop_signal)
		take_back(conf, "fast_signal", &worker->fast_signal);
	if (worker->reopen_signal == worker->stop_signal ||
	    worker->reopen_signal == conf_fast_signal(worker))
		take_back(conf, "reopen_signal", &worker->reopen_signal);
}

static void
apply_one(struct conf_load *load, const char *setting,
    const struct conf_origin *from)
{
	struct conf_origin	*origins = load->conf->origins->keys;
	const struct conf_key	*key;
	char			*copy = xstrdup(setting), *name, *value = copy;

	name = strsep(&value, "=");
	name = strchr(name, '.');
	*name++ = '\0';
	key = conf_key_by_name(copy, name);
	if (origins[conf_key_nr(key)].kind == ORIGIN_DEFAULT)
		conf_assign(load, copy, name, value, from);
	free(copy);
}

void
conf_preset_apply(struct conf_load *load)
{
	struct conf			*conf = load->conf;
	struct conf_origin		 from = { .kind = ORIGIN_PRESET };
	const struct conf_preset	*row;

	if (conf->worker.preset == NULL ||
	    (row = conf_preset_find(conf->worker.preset)) == NULL)
		return;
	from.where = conf->worker.preset;
	for (size_t i = 0; i < PRESET_SETTINGS && row->settings[i] != NULL;
	    i++)
		apply_one(load, row->settings[i], &from);
	give_way(conf);
}
