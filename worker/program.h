#ifndef MUSTER_PROGRAM_H
#define MUSTER_PROGRAM_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/conf.h"
#include "common/err.h"
#include "worker/confine.h"

/*
 * A worker that is somebody else's program. All that can fail in words or
 * allocate is done in the master: program_new() makes a plan of argv, envp,
 * descriptors and paths; the child, which shares the master's memory until
 * execve(2), only follows it (proc_exec() in master/proc.h).
 *
 * The program starts with the sockets from 3 on, in order; 0 is /dev/null, or
 * the first socket with the stdin dialect; 1 and 2 go to out_fd. Nothing else
 * is open, whatever the master forgot to mark. Dispositions are the defaults
 * (but TTOU is ignored where its output is a terminal), the mask is empty, and
 * it leads a process group of its own.
 */
struct program_boot {
	const struct conf	*conf;
	int			 slot;
	int			 generation;
	pid_t			 master_pid;
	const struct inherited	*sockets;
	size_t			 nsockets;
	int			 null_fd;	/* /dev/null */
	int			 out_fd;	/* stdout, stderr; -1: ours */
	const char		*mail;		/* NOTIFY_SOCKET; NULL: none */
	const char		*ack;		/* EINHORN_SOCK_PATH or NULL */
	char *const		*original;	/* environment at our start */
};

/*
 * What the child left behind. step is NULL if nothing failed; the notes of
 * confine, to be logged by confine_report(), are there either way.
 */
struct program_failure {
	const char		*step;		/* "exec", "user", ...; or NULL */
	int			 error;		/* its errno */
	const char		*path;		/* exec: the file; the program's */
	struct confine_result	 confine;
};

struct program;

/*
 * Prepare a start. Of boot, conf, the environment and the descriptors have to
 * stay until it is freed, the rest is copied.
 * NULL with err: a placeholder of the command names no socket, or an address
 * cannot be told in a dialect.
 */
struct program	*program_new(const struct program_boot *boot,
		    struct err *err);
void		 program_free(struct program *program);	/* NULL is allowed */

/*
 * In the child: become the program. Async-signal-safe. changed has a bit, from
 * signal 1 on, for each that is handled or ignored. It returns only if it
 * failed, with failure filled in; the child has to end then.
 */
void		 program_exec(struct program *program, uint64_t changed,
		    struct program_failure *failure);

/*
 * In the master, with a step that failed: why, in words, without a newline,
 * cut to size. Looks at the file once more. Returns out.
 */
const char	*program_failure_text(const struct program_failure *failure,
		    const struct program *program, char *out, size_t size);

/*
 * The same: is another try in vain until somebody repairs something? So it is
 * when the file cannot be executed; not when memory, descriptors or processes
 * were short, or a confinement failed.
 */
bool		 program_hopeless(const struct program_failure *failure);

#endif
