#ifndef MUSTER_PROGRAM_PRIV_H
#define MUSTER_PROGRAM_PRIV_H

#include "worker/env.h"
#include "worker/program.h"

/* Between the files of program.h: program_words, program_exec, program_text. */

#define PROGRAM_STDIO	3	/* descriptors before the sockets */

struct program {
	const struct conf	*conf;		/* borrowed */
	int			 slot;
	pid_t			 master_pid;
	char			**argv;		/* owned, as all up to a NULL */
	char			**paths;	/* what to try, in order */
	struct env		 env;
	char			*pids[ENV_PIDS];	/* in env; ours to write */
	/*
	 * Descriptor i comes from source[i]; copies is the child's, where it
	 * has them above all places while it moves them.
	 */
	int			*source, *copies;
	int			 nfds;
	bool			 terminal;	/* its output is one */
	int			 death_signal;	/* when the master dies; or 0 */
	uint64_t		 changed;	/* signals; see program_exec() */
};

/*
 * A word of the command with its placeholders replaced, owned: {fd:N} and
 * {fd:NAME} by a socket's descriptor, {addr:N} by its address. NULL with err,
 * which names the word: there is no such socket.
 */
char	*program_word(const char *word, const struct program_boot *boot,
	    struct err *err);

#endif
