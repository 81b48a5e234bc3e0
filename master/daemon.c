#include "master/daemon.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/mem.h"
#include "master/keep.h"

#define EXIT_STOPPED	75	/* EX_TEMPFAIL: no worker was ever ready */
#define EXIT_SYSTEM	71
#define LOOK_MS		100

struct daemon_parent {
	int	 fd;	/* a byte sent here means: ready */
};

static int
exit_code(pid_t child, int flags)
{
	int	 status;
	pid_t	 pid;

	while ((pid = waitpid(child, &status, flags)) == -1 && errno == EINTR)
		continue;
	if (pid == 0)
		return -1;
	return pid == child && WIFEXITED(status) ? WEXITSTATUS(status) :
	    EXIT_SYSTEM;
}

/* It ended without having been ready: that is no success, whatever it says. */
static int
never_ready(int code)
{
	if (code != 0)
		return code;
	fprintf(stderr, "muster: stopped before the pool was ready\n");
	return EXIT_STOPPED;
}

/*
 * Wait for the verdict. Not for the end of file alone: a process that the
 * child has forked may hold the other end for longer than the child lives, so
 * that is looked for now and then. A byte that it had sent comes first.
 */
static int
verdict(int fd, pid_t child)
{
	struct pollfd	 watch = { .fd = fd, .events = POLLIN };
	ssize_t		 n;
	char		 byte;
	int		 code;

	for (;;) {
		code = exit_code(child, WNOHANG);
		n = recv(fd, &byte, 1, MSG_DONTWAIT);
		if (n == 1)
			return 0;
		if (code != -1)
			return never_ready(code);
		if (n == 0)
			return never_ready(exit_code(child, 0));
		poll(&watch, 1, LOOK_MS);
	}
}

/* Who started us may have ignored it: the exit code would be lost then. */
static void
expect_child(void)
{
	struct sigaction	 act;

	if (sigaction(SIGCHLD, NULL, &act) == 0 && act.sa_handler == SIG_IGN)
		signal(SIGCHLD, SIG_DFL);
}

/* What was meant for the process that the user started is for us. */
static void
inherit_passed(const char *variable, pid_t started)
{
	const char	*passed = getenv(variable);
	char		 pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)started);
	if (passed == NULL || strcmp(passed, pid) != 0)
		return;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv(variable, pid, 1);
}

struct daemon_parent *
daemon_start(struct err *err)
{
	struct daemon_parent	*parent;
	pid_t			 started = getpid(), child;
	int			 pair[2], saved;

	/* not a pipe: telling a parent that is gone must not raise SIGPIPE */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1) {
		err_sys(err, "cannot go to the background");
		return NULL;
	}
	expect_child();
	fflush(NULL);
	child = fork();
	if (child > 0) {
		close(pair[1]);
		_exit(verdict(pair[0], child));
	}
	saved = errno;
	close(pair[0]);
	if (child == -1) {
		close(pair[1]);
		errno = saved;
		err_sys(err, "cannot go to the background");
		return NULL;
	}
	setsid();
	fd_null(STDIN_FILENO);
	inherit_passed("LISTEN_PID", started);
	inherit_passed("WATCHDOG_PID", started);
	parent = xcalloc(1, sizeof(*parent));
	parent->fd = pair[1];
	return parent;
}

int
daemon_fd(const struct daemon_parent *parent)
{
	return parent == NULL ? -1 : parent->fd;
}

struct daemon_parent *
daemon_restore(int fd)
{
	struct daemon_parent	*parent;

	if (!keep_has(fd, KEEP_OTHER))
		return NULL;
	parent = xcalloc(1, sizeof(*parent));
	parent->fd = fd;
	keep_add(fd, KEEP_OTHER);
	return parent;
}

void
daemon_ready(struct daemon_parent *parent)
{
	fd_null(STDIN_FILENO);
	fd_null(STDOUT_FILENO);
	fd_null(STDERR_FILENO);
	send(parent->fd, "", 1, MSG_NOSIGNAL);
	keep_drop(parent->fd);
	close(parent->fd);
	parent->fd = -1;
}

void
daemon_free(struct daemon_parent *parent)
{
	if (parent == NULL)
		return;
	if (parent->fd != -1)
		close(parent->fd);
	free(parent);
}
