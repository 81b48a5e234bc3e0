#ifndef MUSTER_APP_H
#define MUSTER_APP_H

#include <stddef.h>

#include "common/conf.h"
#include "common/err.h"

/*
 * What a built-in app is to the worker: one row in apps.c. worker/conn.[ch]
 * makes, counts and closes the connections; the app sees lines of bytes.
 */
struct conn;
struct app_context {
	const struct conf	*conf;
	void			*data;	/* the app's own, from init to fini */
};

struct app {
	const char	*name;
	/* 0, or -1 with err: the worker then exits with WORKER_EXIT_OSERR. */
	int		(*init)(struct app_context *, struct err *);
	/* A connection was accepted; set conn's handlers and deadlines. */
	void		(*connection)(struct app_context *, struct conn *);
	/* Bytes arrived, or the peer's end of input (conn_eof()). */
	void		(*readable)(struct app_context *, struct conn *);
	/* May the connection be closed now, or is it in the middle of work? */
	int		(*idle)(struct app_context *, struct conn *);
	void		(*fini)(struct app_context *);
};

/* The table. NULL if there is no app of that name. */
const struct app	*app_find(const char *name);

#endif
