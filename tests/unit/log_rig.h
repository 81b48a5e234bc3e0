#ifndef MUSTER_TEST_LOG_RIG_H
#define MUSTER_TEST_LOG_RIG_H

#include "common/err.h"

/*
 * What the tests of the log share. Each test is a process of its own, has a
 * folder of its own, and in it two names of files.
 */
extern char	 log_rig_path[64], log_rig_other[64];

void		 log_rig_setup(void);
void		 log_rig_teardown(void);

/* log_open() as text at level info; log an event with gen=NUMBER. */
int		 log_rig_open(const char *target, struct err *err);
void		 log_rig_say(int number);

/*
 * What is there to be read now from a descriptor, from the beginning of a
 * file; empty if nothing is. Valid until the next call.
 */
const char	*log_rig_take(int fd);
const char	*log_rig_take_file(const char *path);

/* Lead stderr into a pipe; returns its end for reading. */
int		 log_rig_stderr(void);

int		 log_rig_count(const char *text, const char *word);

#endif
