#include "common/conf_table.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

/* Checks that need more than one value, or the system. */


static struct conf_origin *
origin_of(struct conf_load *load, const struct conf_key *key)
{
	return &load->conf->origins->keys[conf_key_nr(key)];
}

/*
 * Report about one key, other having its part in it (or NULL): told where
 * the stronger of them was set. A value that was refused says nothing.
 */
static void	fault(struct conf_load *, const char *, const char *,
		    const char *, const char *, ...)
		    __attribute__((format(printf, 5, 6)));

static void
fault(struct conf_load *load, const char *section, const char *name,
    const char *other, const char *fmt, ...)
{
	const struct conf_key	*key = conf_key_by_name(section, name), *second;
	struct conf_origin	*from = origin_of(load, key), *more;
	va_list			 ap;
	char			 text[512];

	if (from->bad)
		return;
	if (other != NULL) {
		second = conf_key_by_name(section, other);
		more = origin_of(load, second);
		if (more->bad)
			return;
		if (more->kind > from->kind) {
			from = more;
			key = second;
		}
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conf_report(load, from, key, "%s", text);
}

static void
check_pool(struct conf_load *load)
{
	const struct conf_pool	*pool = &load->conf->pool;

	if (pool->min_workers > pool->max_workers)
		fault(load, "pool", "min_workers", "max_workers",
		    "min_workers (%d) is more than max_workers (%d)",
		    pool->min_workers, pool->max_workers);
	else if (pool->workers < pool->min_workers)
		fault(load, "pool", "workers", "min_workers",
		    "workers (%d) is less than min_workers (%d)",
		    pool->workers, pool->min_workers);
	else if (pool->workers > pool->max_workers)
		fault(load, "pool", "workers", "max_workers",
		    "workers (%d) is more than max_workers (%d)",
		    pool->workers, pool->max_workers);
	if (pool->backoff_min > pool->backoff_max)
		fault(load, "pool", "backoff_min", "backoff_max",
		    "backoff_min is more than backoff_max");
}

static void
check_signals(struct conf_load *load)
{
	const struct conf_worker	*worker = &load->conf->worker;

	if (worker->fast_signal == worker->stop_signal)
		fault(load, "worker", "fast_signal", "stop_signal",
		    "fast_signal and stop_signal are the same");
}

static bool
said(struct conf_load *load, const char *section, const char *name)
{
	return origin_of(load, conf_key_by_name(section, name))->kind >=
	    ORIGIN_FILE;
}

static void
check_reopen(struct conf_load *load)
{
	const struct conf_worker	*worker = &load->conf->worker;

	if (worker->reopen_signal == 0)
		return;
	if (worker->reopen_signal == worker->stop_signal)
		fault(load, "worker", "reopen_signal", "stop_signal",
		    "reopen_signal and stop_signal are the same");
	else if (worker->reopen_signal == conf_fast_signal(worker))
		fault(load, "worker", "reopen_signal", "fast_signal",
		    "reopen_signal and fast_signal are the same");
}

/* Keys of programs alone, where the workers run an app. */
static void
check_app(struct conf_load *load)
{
	const struct conf_key	*command;

	/* One that was refused is not none. */
	command = conf_key_by_name("worker", "command");
	if (origin_of(load, command)->bad)
		return;
	if (load->conf->worker.preset != NULL)
		fault(load, "worker", "preset", NULL,
		    "goes with a command, and there is none");
	if (!load->conf->listen.nonblock)
		fault(load, "listen", "nonblock", NULL,
		    "no goes with a command, and there is none");
}

/* Keys of apps alone, where the workers are programs. */
static void
check_program(struct conf_load *load)
{
	const struct conf	*conf = load->conf;
	static const char	 counts[] = "counts what built-in apps serve: "
				    "it goes with no command";

	if (said(load, "worker", "app"))
		fault(load, "worker", "command", "app",
		    "command and app are both given");
	if (conf->listen.accept == ACCEPT_EXCLUSIVE)
		fault(load, "listen", "accept", NULL, "exclusive goes with "
		    "built-in apps: programs share their sockets");
	if (conf->worker.max_requests != 0)
		fault(load, "worker", "max_requests", NULL, "%s", counts);
	if (conf->worker.max_connections != 0)
		fault(load, "worker", "max_connections", NULL, "%s", counts);
	conf_check_places(load);
	if (load->programs)
		conf_check_command(load);
}

static void
check_watchdog(struct conf_load *load)
{
	const struct conf_worker	*worker = &load->conf->worker;

	if (worker->watchdog_required && worker->watchdog == 0)
		fault(load, "worker", "watchdog_required", "watchdog",
		    "watchdog_required without a watchdog");
}

static void
check_bind(struct conf_load *load)
{
	const struct conf_listen	*listen = &load->conf->listen;
	const struct conf_key		*key;
	const struct conf_origin	*from;

	key = conf_key_by_name("listen", "bind");
	for (size_t i = 0; i < listen->nbind; i++) {
		from = &load->conf->origins->bind[i];
		if (listen->bind[i].kind == ADDR_NONE && listen->nbind > 1)
			conf_report(load, from, key,
			    "none goes with no other address");
		for (size_t j = 0; j < i; j++)
			/* Port 0 is another one each time. */
			if (strcmp(listen->bind[i].text,
			    listen->bind[j].text) == 0 &&
			    (listen->bind[i].kind != ADDR_TCP ||
			    listen->bind[i].port != 0)) {
				conf_report(load, from, key,
				    "%.128s is given twice",
				    listen->bind[i].text);
				break;
			}
	}
}

static void
check_accept(struct conf_load *load)
{
	const struct conf	*conf = load->conf;
	struct conf_origin	*workers;

	workers = origin_of(load, conf_key_by_name("pool", "workers"));
	if (conf->listen.accept == ACCEPT_REUSEPORT && !workers->bad &&
	    conf->pool.workers > CONF_REUSEPORT_SLOTS)
		fault(load, "listen", "accept", NULL,
		    "reuseport takes %d workers at most, not %d",
		    CONF_REUSEPORT_SLOTS, conf->pool.workers);
}

static void
check_chdir(struct conf_load *load)
{
	const char	*dir = load->conf->master.chdir;
	struct stat	 st;
	int		 failure = 0;

	if (dir == NULL)
		return;
	if (stat(dir, &st) == -1)
		failure = errno;
	else if (!S_ISDIR(st.st_mode))
		failure = ENOTDIR;
	if (failure != 0)
		fault(load, "master", "chdir", NULL, "%.256s: %s", dir,
		    strerror(failure));
}

void
conf_check(struct conf_load *load)
{
	check_bind(load);
	check_accept(load);
	check_pool(load);
	check_signals(load);
	check_reopen(load);
	check_watchdog(load);
	if (conf_is_program(load->conf))
		check_program(load);
	else
		check_app(load);
	/* We are there already, whatever has become of it. */
	if (!load->again)
		check_chdir(load);
}
