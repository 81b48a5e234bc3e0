#ifndef MUSTER_RELOAD_H
#define MUSTER_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct conf_source;
struct event_base;
struct generations;
struct pool;
struct pool_tell;

/*
 * Reload: the new configuration is read and checked aside, host names are
 * looked up in a child, new sockets are bound; only when all of that is
 * done does anything change: the pool begins to replace its workers by a
 * new generation. If that fails before any new worker was ready, all of it
 * is put back. Nothing here waits; another request starts it anew.
 */
struct reload;

struct reload_parts {
	struct event_base		*base;
	int				 priority;
	const struct conf_source	*source;	/* borrowed */
	struct generations		*generations;
	struct pool			*pool;
	/*
	 * The configuration in force is another one: at a reload's start, and
	 * when it was put back.
	 */
	void	(*changed)(void *arg);
	/* It has begun; to be written down at once. It has ended, well or not. */
	void	(*begun)(void *arg);
	void	(*ended)(void *arg);
	void	(*run)(void *arg);	/* the pool has something to do */
	void	*arg;
};

/* Parts are copied, what they point to is borrowed. Never fails. */
struct reload	*reload_new(const struct reload_parts *parts);
void		 reload_free(struct reload *reload);

/* Is stderr /dev/null by now? Then a log there goes to syslog. */
void		 reload_detached(struct reload *reload);

/*
 * Reload. Replaces one that is under way. why is for the log: "signal",
 * "upgrade". Static text.
 */
void		 reload_request(struct reload *reload, const char *why);

/*
 * New workers by the configuration in force, as those that there are have not
 * the sockets that there are. why is as above.
 */
void		 reload_again(struct reload *reload, const char *why);

/* What the pool told: the renewal's end. words: a failed worker's last. */
void		 reload_told(struct reload *reload,
		    const struct pool_tell *tell, const char *words);

/* A worker of this generation was ready for the first time. */
void		 reload_proved(struct reload *reload, int generation);

/* The pool stops: what is under way is let be. */
void		 reload_forget(struct reload *reload);

/*
 * The pool is at it already: after an exec of the master, or as it replaces
 * those that a killed one left. why is borrowed for good.
 */
void		 reload_resume(struct reload *reload, const char *why);

/* Why what took force last was begun; NULL: nothing did. Borrowed. */
const char	*reload_why(const struct reload *reload);

bool		 reload_running(const struct reload *reload);
/* Is it still at what comes before anything changes? Why; or NULL. */
const char	*reload_preparing(const struct reload *reload);
/*
 * The image before us was preparing one, for this reason. It is requested
 * again, or, as it may be what crashed us, given up: it has failed then.
 */
void		 reload_cut_off(struct reload *reload, const char *why);
void		 reload_give_up(struct reload *reload);

#endif
