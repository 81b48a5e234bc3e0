#ifndef MUSTER_RIG_H
#define MUSTER_RIG_H

#include <sys/types.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <criterion/criterion.h>

/*
 * The fixture of the system tests: starts the built program (env MUSTER) as
 * a user would, and looks at it from outside. Every helper that waits has a
 * deadline and fails the test, with the end of the log, when it passes.
 *
 * A suite names rig_setup and rig_cleanup as its .init and .fini and has a
 * .timeout. The test process is a subreaper (prctl(2)): whatever a master
 * leaves behind becomes our child, and rig_cleanup() ends it, also after a
 * failed test.
 */
struct rig {
	/* Set by the test before the start, where it matters. */
	int		 pass[4];	/* descriptors to pass as 3, 4, ... */
	int		 npass;
	void		(*child)(void *);	/* last step before exec */
	void		*arg;
	bool		 as_is;		/* add no --bind of ours */
	bool		 tty;		/* on a terminal of its own: tty_fd */
	const char	*log;		/* where the log goes; else stderr */
	int		 stderr_fd;	/* with log: put this on fd 2 */

	/* Filled by the start. */
	pid_t		 pid;		/* the master */
	bool		 ended;
	int		 status;	/* of wait(2), once ended */
	char		 addr[128];	/* of the first listen.open line */
	int		 port;		/* the same, 0 for a Unix socket */
	char		 out[128];	/* paths: its stdout, its stderr */
	char		 err[128];
	int		 tty_fd;	/* the terminal's other end */
	char		*text;		/* what rig_read() read */
};

#define WAIT_MS	30000		/* for what must happen, and soon does */
#define RIG_MAX	256		/* workers looked at */

/* Poll a condition until it holds or ms have passed; its last value. */
#define eventually_ms(condition, ms) __extension__ ({			\
	int64_t until_ = rig_now_ms() + (ms);				\
	bool holds_;							\
	while (!(holds_ = (condition)) && rig_now_ms() < until_)	\
		rig_nap();						\
	holds_;								\
})
#define eventually(condition)	eventually_ms(condition, WAIT_MS)

/* Does a condition hold all the time for ms? */
#define always_ms(condition, ms)	(!eventually_ms(!(condition), ms))

#define need_root() do {						\
	if (geteuid() != 0)						\
		rig_skip("needs root");					\
} while (0)

void	 rig_setup(void);
void	 rig_cleanup(void);
void	 rig_skip(const char *why) __attribute__((noreturn));
int	 rig_soak(int times);	/* many more with MUSTER_SOAK set */
bool	 rig_sanitized(void);	/* memory is not what it is otherwise */
int64_t	 rig_now_ms(void);
void	 rig_nap(void);

/* A path in the test's folder; the second writes a file there. Static text. */
const char	*rig_path(const char *name);
const char	*rig_file(const char *name, const char *text);
const char	*rig_abstract(void);	/* "unix:@...", nobody else's */

/*
 * Start muster with these arguments, to NULL. rig_start() waits for
 * pool.ready, rig_launch() for nothing, rig_run() for the end: it returns
 * the exit code as rig_exit_code() does.
 */
void	 rig_start(struct rig *r, ...);
void	 rig_launch(struct rig *r, ...);
int	 rig_run(struct rig *r, ...);
void	 rig_await_ready(struct rig *r);
void	 rig_learn_address(struct rig *r);	/* after rig_launch() */

/* Send a signal to the master; with a value, by sigqueue(3). */
void	 rig_signal(struct rig *r, int signo);
void	 rig_queue(struct rig *r, int value);

/* The master's exit code, 128 + signal; fails when it goes on living. */
int	 rig_exit_code(struct rig *r);
bool	 rig_ended(struct rig *r);
int	 rig_stop(struct rig *r);		/* TERM, then rig_exit_code() */

/*
 * The log: does a line have all these words ("worker.ready slot=1")? How
 * many? The last such line, or NULL. rig_has() looks for any text.
 */
bool		 rig_log_says(struct rig *r, const char *words);
int		 rig_log_count(struct rig *r, const char *words);
const char	*rig_log_line(struct rig *r, const char *words);
bool		 rig_log_has(struct rig *r, const char *text);
void		 rig_await_log(struct rig *r, const char *words);
void		 rig_await_text(struct rig *r, const char *text);

/* field= of the last line with these words: a number, or ms of a duration. */
int64_t		 rig_log_int(struct rig *r, const char *words,
		    const char *field);
int64_t		 rig_log_ms(struct rig *r, const char *words,
		    const char *field);

/* The whole file, valid until the rig's next read. "" if there is none. */
const char	*rig_read(struct rig *r, const char *path);

/* The master's living children. */
int	 rig_workers(struct rig *r, pid_t *out);
int	 rig_count(struct rig *r);
void	 rig_await_workers(struct rig *r, int count);	/* all of them ready */
pid_t	 rig_worker(struct rig *r, int slot);	/* its last, by the log */
void	 rig_kill_worker(struct rig *r, int slot, int signo);

/* Print the log's end and fail the test. */
void	 rig_fail(struct rig *r, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3), noreturn));

#endif
