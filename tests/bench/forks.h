#ifndef BENCH_FORKS_H
#define BENCH_FORKS_H

/*
 * When did a process come into being? The kernel's proc connector says so,
 * with its own time of the fork, and can be asked afterwards: nobody has to
 * wake up in the middle of what is measured. It needs root; without it the
 * caller has to poll, which is coarser and takes a CPU.
 */
#include <sys/socket.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* A socket that hears of every fork, or -1. */
static inline int
forks_open(void)
{
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK,
		.nl_groups = CN_IDX_PROC };
	char ask[NLMSG_SPACE(sizeof(struct cn_msg) +
	    sizeof(enum proc_cn_mcast_op))] __attribute__((aligned(8))) = { 0 };
	enum proc_cn_mcast_op op = PROC_CN_MCAST_LISTEN;
	struct nlmsghdr *h = (struct nlmsghdr *)ask;
	struct cn_msg *m = NLMSG_DATA(h);
	int fd, big = 1 << 22;

	h->nlmsg_len = NLMSG_LENGTH(sizeof(*m) + sizeof(op));
	h->nlmsg_type = NLMSG_DONE;
	m->id.idx = CN_IDX_PROC;
	m->id.val = CN_VAL_PROC;
	m->len = sizeof(op);
	memcpy(m->data, &op, sizeof(op));
	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    NETLINK_CONNECTOR);
	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	if (bind(fd, (struct sockaddr *)&nl, sizeof(nl)) == -1 ||
	    send(fd, ask, h->nlmsg_len, 0) != (ssize_t)h->nlmsg_len) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * Read all that is queued; the last fork of parent is told: its child's pid,
 * and when it was, in monotonic ms. False if there was none.
 */
static inline bool
forks_read(int fd, pid_t parent, pid_t *child, double *when_ms)
{
	char buf[4096] __attribute__((aligned(8)));
	struct proc_event *ev;
	bool found = false;
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0 || (n == -1 &&
	    errno == ENOBUFS)) {
		if (n < (ssize_t)(NLMSG_HDRLEN + sizeof(struct cn_msg)))
			continue;
		ev = (struct proc_event *)(buf + NLMSG_HDRLEN +
		    sizeof(struct cn_msg));
		if (ev->what != PROC_EVENT_FORK ||
		    ev->event_data.fork.parent_tgid != parent ||
		    ev->event_data.fork.child_pid !=
		    ev->event_data.fork.child_tgid)
			continue;
		*child = ev->event_data.fork.child_pid;
		*when_ms = (double)ev->timestamp_ns / 1e6;
		found = true;
	}
	return found;
}

#endif
