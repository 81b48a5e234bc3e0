#ifndef MUSTER_TEST_LOG_RIG_H
#define MUSTER_TEST_LOG_RIG_H

#include "common/err.h"

/*
 * What the tests of the log share. Each test is a process of its own, has a
 * folder of its own, and in it two names of files.
 */
extern char	 rig_path[64], rig_other[64];

void		 rig_setup(void);
void		 rig_teardown(void);

/* log_open() as text at level info; log an event with gen=NUMBER. */
int		 rig_open(const char *target, struct err *err);
void		 rig_say(int number);

/*
 * What is there to be read now from a descriptor, from the beginning of a
 * file; empty if nothing is. Valid until the next call.
 */
const char	*rig_take(int fd);
const char	*rig_take_file(const char *path);

/* Lead stderr into a pipe; returns its end for reading. */
int		 rig_stderr(void);

int		 rig_count(const char *text, const char *word);

#endif
