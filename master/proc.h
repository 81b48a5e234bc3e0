#ifndef MUSTER_PROC_H
#define MUSTER_PROC_H

#include <sys/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The one door to processes: fork, kill, wait. Signals go only to children
 * that are not reaped yet, so that a number reused by a stranger is never hit.
 */
struct program;
struct program_failure;
struct worker_boot;

/* Once, before the first fork. */
void	proc_prepare(void);

/*
 * Fork a worker that leads its own process group. -1 with errno. Between
 * proc_hold_signals() and proc_release_signals() only: the child must not
 * run our handlers.
 */
pid_t	proc_spawn(const struct worker_boot *boot);
/*
 * Start a program that program_new() prepared, between the same two calls. -1
 * with errno: no process. Else failure tells what became of it: with a step,
 * it never was the program and is reaped already; its number means nothing
 * then. The caller is suspended until that is known, which is as long as the
 * kernel needs to open the file.
 */
pid_t	proc_exec(struct program *program, struct program_failure *failure);
void	proc_hold_signals(void);
void	proc_release_signals(void);

/*
 * Fork a helper, a throw-away child that does what may block: run(arg, out)
 * is all it does, its result is the exit code. It has its own group, default
 * dispositions, and of our descriptors the standard streams and out, the
 * write end of a pipe: it must not log. *fd is the read end, non-blocking, the
 * caller's; at its end of file the helper is gone, or about to: until then its
 * pid is its own, and proc_kill() hits nobody else. Whoever reaps it takes it
 * for a stranger. -1 with errno.
 */
pid_t	proc_fork_helper(int (*run)(void *arg, int out), void *arg, int *fd);

/* To one process, and CONT, so that a stopped one gets it, too. */
void	proc_signal(pid_t pid, int signo);
/*
 * A worker that is no child of ours, from now on signalled by its pidfd, which
 * is borrowed until it is gone.
 */
void	proc_foreign(pid_t pid, int pidfd);
void	proc_foreign_gone(pid_t pid);
/* KILL to a worker and its whole process group. 0, or -1 with errno. */
int	proc_kill(pid_t pid);
/* KILL to what an ended worker, not reaped yet, left in its group. */
void	proc_kill_leftovers(pid_t pid);
/* KILL to a child that is no worker, and to the group that it leads, if so. */
void	proc_kill_orphan(pid_t pid);

/*
 * Fork a helper that leads its own group, dies with us, and is the program at
 * path with 0, 1, 2 and the nkeep descriptors in keep alone. -1 with errno.
 * If it cannot be executed, a PROC_NO_EXEC byte and errno (an int) are written
 * to fail_fd, which is one of keep. What it prints goes to out_fd.
 */
#define PROC_NO_EXEC	'\0'
pid_t	proc_fork_exec(const char *path, char *const argv[],
	    char *const envp[], const int keep[], size_t nkeep, int fail_fd,
	    int out_fd);

struct proc_death {
	pid_t	 pid;
	int	 code;		/* exit code, or -1 if a signal ended it */
	int	 signo;		/* that signal, or 0 */
	bool	 core;
	int64_t	 cpu_us;	/* user and system */
	int64_t	 peak_rss;	/* bytes */
};

/* Does it live, or wait to be reaped? Children, and those of proc_foreign(). */
bool	proc_is_there(pid_t pid);
/* A child that has ended and is not reaped yet; 0: none. */
pid_t	proc_ended(void);
/* Reap it. False: it was not there. */
bool	proc_reap(pid_t pid, struct proc_death *death);

/*
 * What proc(5) says of a living process: its name, and what it waits in, as
 * "state S in WCHAN". Empty text where it cannot be read.
 */
void	proc_name(pid_t pid, char *out, size_t size);
void	proc_where(pid_t pid, char *out, size_t size);
/* Resident memory in bytes, or -1. */
int64_t	proc_rss(pid_t pid);
/* Its parent, or -1. */
pid_t	proc_parent(pid_t pid);

#endif
