#ifndef MUSTER_EXEC_H
#define MUSTER_EXEC_H

#include <stdbool.h>

#include "tests/system/rig.h"

/*
 * Small programs as workers: the fixtures mis (misbehaves in one way) and
 * show (prints what it was started with), and shell scripts.
 */
#define SET(text)	"-s", text
#define QUICK		SET("pool.backoff_min=10ms"), \
			SET("pool.backoff_max=20ms")
#define NOTIFY		SET("worker.ready=notify")
#define OWN_OUTPUT	SET("worker.capture_output=no")

/* Built beside the tests. Static text, one per name. */
const char	*exec_mis(void);
const char	*exec_show(void);

/* A shell script in the test's folder, put there in one step. Static text. */
const char	*exec_script(const char *name, const char *fmt, ...)
		    __attribute__((format(printf, 2, 3)));

/*
 * What the show that was started as the nth (from 0) printed to the master's
 * stdout behind a key; NULL: there is no such line. Static text, eight at a
 * time. exec_shown() waits until so many have printed all.
 */
const char	*exec_value(struct rig *r, int nth, const char *key);
void		 exec_shown(struct rig *r, int count);

/* How many of its lines begin so? */
int		 exec_lines(struct rig *r, int nth, const char *begin);

/* Nobody is below the test any more: all that was started has ended. */
bool		 exec_all_gone(void);

/* The worker in a slot, as soon as one was forked for it. */
pid_t		 exec_pid(struct rig *r, int slot);

#endif
