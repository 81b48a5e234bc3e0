#ifndef MUSTER_APP_H
#define MUSTER_APP_H

#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"

/*
 * What a built-in app is to the worker: one row in apps.c. conn.[ch] makes,
 * reads, writes, counts and closes the connections; the app sees bytes, and
 * answers with the second half of conn.h.
 */
struct conn;

struct app_context {
	const struct conf	*conf;
	int64_t			 idle_ms;	/* may be silent; 0: for ever */
	void			*data;		/* the app's own, init to fini */
};

struct app {
	const char	*name;
	/* Sets idle_ms and data. 0, or -1 with err: the worker cannot start. */
	int		(*init)(struct app_context *context, struct err *err);
	/*
	 * len new bytes have come, after those that conn_held() still shows.
	 * The app answers them or has them kept; what it leaves is gone.
	 */
	void		(*input)(struct app_context *context, struct conn *conn,
			    const char *data, size_t len);
	void		(*fini)(struct app_context *context);
};

/* The table. NULL if there is no app of that name. */
const struct app	*app_find(const char *name);

#endif
