#ifndef BENCH_FORKS_H
#define BENCH_FORKS_H

/*
 * When did a process come into being, and when did it become its program? The
 * kernel's proc connector says so, with its own time of it, and can be asked
 * afterwards: nobody has to wake up in the middle of what is measured. It
 * needs root; without it the caller has to poll, or do without.
 */
#include <sys/socket.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

struct birth {
	pid_t	 pid;
	double	 forked, executed;	/* monotonic ms; 0: not (yet) */
};

/* A socket that hears of every fork and exec, or -1. */
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

static inline void
forks_note(const struct proc_event *ev, pid_t parent, struct birth *births,
    int room, int *n)
{
	int i;

	if (ev->what == PROC_EVENT_FORK && *n < room &&
	    ev->event_data.fork.parent_tgid == parent &&
	    ev->event_data.fork.child_pid == ev->event_data.fork.child_tgid)
		births[(*n)++] = (struct birth){
		    .pid = ev->event_data.fork.child_pid,
		    .forked = (double)ev->timestamp_ns / 1e6 };
	for (i = *n - 1; ev->what == PROC_EVENT_EXEC && i >= 0; i--)
		if (births[i].pid == ev->event_data.exec.process_tgid)
			births[i].executed = (double)ev->timestamp_ns / 1e6;
}

/*
 * Read all that is queued: the children of parent are added to births, of
 * which there are n; how many there are then.
 */
static inline int
forks_all(int fd, pid_t parent, struct birth *births, int room, int n)
{
	char buf[4096] __attribute__((aligned(8)));
	ssize_t got;

	while ((got = recv(fd, buf, sizeof(buf), 0)) > 0 || (got == -1 &&
	    errno == ENOBUFS)) {
		if (got >= (ssize_t)(NLMSG_HDRLEN + sizeof(struct cn_msg)))
			forks_note((struct proc_event *)(buf + NLMSG_HDRLEN +
			    sizeof(struct cn_msg)), parent, births, room, &n);
	}
	return n;
}

/* The last fork of parent among all that is queued; false: there is none. */
static inline bool
forks_read(int fd, pid_t parent, pid_t *child, double *when_ms)
{
	static struct birth births[64];
	int n = forks_all(fd, parent, births, 64, 0);

	if (n == 0)
		return false;
	*child = births[n - 1].pid;
	*when_ms = births[n - 1].forked;
	return true;
}

#endif
