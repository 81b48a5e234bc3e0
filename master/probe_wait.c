#include "master/probe_priv.h"

#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "master/procfs.h"

#define POLL_MAX	1024

struct call {
	long			 number;
	unsigned long long	 args[2];
};

enum wait_kind {
	WAIT_ACCEPT,	/* descriptor */
	WAIT_POLL,	/* struct pollfd *, how many */
	WAIT_SELECT,	/* how many, fd_set * */
	WAIT_NAP,	/* and looks again afterwards, perhaps */
	WAIT_ELSE,	/* nothing that a client could end */
};

/*
 * Where a thread may sleep and we know what that means. Whatever is not
 * listed, or is another call in a 32-bit process, is not understood.
 */
static const struct {
	long		 number;
	enum wait_kind	 kind;
} waits[] = {
	{ SYS_accept, WAIT_ACCEPT },
	{ SYS_accept4, WAIT_ACCEPT },
	{ SYS_ppoll, WAIT_POLL },
	{ SYS_pselect6, WAIT_SELECT },
	{ SYS_nanosleep, WAIT_NAP },
	{ SYS_clock_nanosleep, WAIT_NAP },
	/* What an epoll instance watches was seen among the descriptors. */
	{ SYS_epoll_pwait, WAIT_ELSE },
	{ SYS_epoll_pwait2, WAIT_ELSE },
	{ SYS_futex, WAIT_ELSE },
	{ SYS_wait4, WAIT_ELSE },
	{ SYS_waitid, WAIT_ELSE },
	{ SYS_read, WAIT_ELSE },
	{ SYS_readv, WAIT_ELSE },
	{ SYS_recvfrom, WAIT_ELSE },
	{ SYS_recvmsg, WAIT_ELSE },
	{ SYS_rt_sigsuspend, WAIT_ELSE },
	{ SYS_rt_sigtimedwait, WAIT_ELSE },
#ifdef SYS_poll			/* older architectures have these, too */
	{ SYS_poll, WAIT_POLL },
	{ SYS_select, WAIT_SELECT },
	{ SYS_epoll_wait, WAIT_ELSE },
	{ SYS_pause, WAIT_ELSE },
#endif
};

static void
on_fd(struct probe *probe, pid_t pid, int fd)
{
	ino_t	 ino;

	if (procfs_socket(pid, fd, &ino) && probe_is_ours(probe, ino))
		probe->used = true;
}

/*
 * Only of a process of our own user, which could stop us anyway: the memory
 * of another's may be such that reading it never ends (a page that a file
 * system of its own has to bring).
 */
static bool
read_memory(pid_t pid, unsigned long long from, void *to, size_t size)
{
	struct iovec	 here = { to, size };
	struct iovec	 there = { (void *)(uintptr_t)from, size };

	return probe_is_own(pid) && process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)size;
}

static void
on_poll(struct probe *probe, pid_t pid, const struct call *call)
{
	struct pollfd	 list[POLL_MAX];
	size_t		 count = (size_t)call->args[1];

	if (count > POLL_MAX || (count > 0 && !read_memory(pid,
	    call->args[0], list, count * sizeof(*list)))) {
		probe->unsure = true;
		return;
	}
	if (count == 0)		/* a nap in other words */
		probe->naps = true;
	for (size_t i = 0; i < count; i++)
		if (list[i].fd >= 0 && (list[i].events & POLLIN) != 0)
			on_fd(probe, pid, list[i].fd);
}

/* The set holds what was asked for until the call returns. */
static void
on_select(struct probe *probe, pid_t pid, const struct call *call)
{
	size_t	 bits = 8 * sizeof(unsigned long);
	size_t	 count = (size_t)call->args[0];
	fd_set	 set;

	if (count == 0 || call->args[1] == 0) {
		probe->naps = true;
		return;
	}
	if (count > FD_SETSIZE || !read_memory(pid, call->args[1], &set,
	    (count + bits - 1) / bits * sizeof(unsigned long))) {
		probe->unsure = true;
		return;
	}
	for (size_t fd = 0; fd < count; fd++)
		if (FD_ISSET(fd, &set))
			on_fd(probe, pid, (int)fd);
}

static void
on_call(struct probe *probe, pid_t pid, const struct call *call)
{
	for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
		if (waits[i].number != call->number)
			continue;
		if (waits[i].kind == WAIT_ACCEPT)
			on_fd(probe, pid, (int)call->args[0]);
		else if (waits[i].kind == WAIT_POLL)
			on_poll(probe, pid, call);
		else if (waits[i].kind == WAIT_SELECT)
			on_select(probe, pid, call);
		else if (waits[i].kind == WAIT_NAP)
			probe->naps = true;
		return;
	}
	probe->unsure = true;
}

/* "232 0x4 0x7f29db345f90 ..."; "running"; "-1 ...": in no call. */
void
probe_wait(struct probe *probe, pid_t pid, int tid)
{
	struct call	 call;
	char		 file[48], text[256];

	snprintf(file, sizeof(file), "task/%d/syscall", tid);
	if (procfs_read(pid, file, text, sizeof(text)) == -1) {
		/* a thread that has ended waits for nothing */
		if (errno != ENOENT && errno != ESRCH)
			probe->unsure = true;
		return;
	}
	if (sscanf(text, "%ld %llx %llx", &call.number, &call.args[0],
	    &call.args[1]) != 3 || call.number < 0)
		probe->unsure = true;
	else
		on_call(probe, pid, &call);
}
