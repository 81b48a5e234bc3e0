#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/net.h"
#include "tests/system/rig.h"

#define CLIENTS_MAX	64
#define PATIENCE_MS	8000	/* for an answer, or a connection */

struct crowd {			/* shared between the test and the process */
	_Atomic uint64_t	answered, refused, lost;
	_Atomic bool		stop;
	char			first[120];
	char			addr[128];
	int			clients;
	pid_t			pid;
};

enum step { NOT_YET, CONNECTING, TALKING };

struct client {
	int		fd;
	enum step	step;
	char		want[64];	/* the answer, not yet heard */
	size_t		left;
	int64_t		since_ms;
};

/* ---- in the process */

static void
leave(struct client *c)
{
	close(c->fd);
	c->fd = -1;
	c->step = NOT_YET;
}

static void
lose(struct crowd *crowd, struct client *c, const char *how)
{
	if (atomic_fetch_add(&crowd->lost, 1) == 0)
		snprintf(crowd->first, sizeof(crowd->first),
		    "%s after %lld ms: %s", how,
		    (long long)(rig_now_ms() - c->since_ms),
		    errno != 0 ? strerror(errno) : "end of input");
	leave(c);
}

static void
begin(struct crowd *crowd, struct client *c)
{
	static unsigned source;

	c->fd = net_connect(crowd->addr, ++source);
	c->since_ms = rig_now_ms();
	if (c->fd != -1) {
		c->step = CONNECTING;
		return;
	}
	atomic_fetch_add(&crowd->refused, 1);
	rig_nap();
}

static void
say_line(struct crowd *crowd, struct client *c)
{
	static unsigned number;
	int len = snprintf(c->want, sizeof(c->want), "line %u of %d\n",
	    ++number, (int)getpid());

	c->left = (size_t)len;
	errno = 0;
	if (send(c->fd, c->want, c->left, MSG_NOSIGNAL) != len)
		lose(crowd, c, "send");
}

static void
connected(struct crowd *crowd, struct client *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		atomic_fetch_add(&crowd->refused, 1);
		leave(c);
		return;
	}
	c->step = TALKING;
	say_line(crowd, c);
}

static void
hear(struct crowd *crowd, struct client *c)
{
	size_t heard = strlen(c->want) - c->left;
	char buf[64];
	ssize_t got;

	errno = 0;
	if ((got = recv(c->fd, buf, sizeof(buf), 0)) <= 0) {
		lose(crowd, c, "recv");
		return;
	}
	if ((size_t)got > c->left ||
	    memcmp(buf, c->want + heard, (size_t)got) != 0) {
		lose(crowd, c, "wrong answer");
		return;
	}
	if ((c->left -= (size_t)got) > 0)
		return;
	atomic_fetch_add(&crowd->answered, 1);
	leave(c);
}

static void
look_at_time(struct crowd *crowd, struct client *c)
{
	if (c->step == NOT_YET || rig_now_ms() - c->since_ms < PATIENCE_MS)
		return;
	errno = ETIMEDOUT;
	if (c->step == TALKING)
		lose(crowd, c, "answer");
	else
		leave(c);
}

/* A dropped SYN is nobody's loss: when we stop, do not wait for it. */
static void
finish_connecting(struct crowd *crowd, struct client *c)
{
	struct pollfd pfd = { c->fd, POLLOUT, 0 };

	if (poll(&pfd, 1, 50) == 1)
		connected(crowd, c);
	else
		leave(c);
}

/* One turn over all clients; are any of them still in the middle? */
static bool
turn(struct crowd *crowd, struct client *clients)
{
	struct pollfd fds[CLIENTS_MAX];
	bool stop = atomic_load(&crowd->stop), busy = false;

	for (int i = 0; i < crowd->clients; i++) {
		struct client *c = &clients[i];

		if (c->step == NOT_YET && !stop)
			begin(crowd, c);
		if (c->step == CONNECTING && stop)
			finish_connecting(crowd, c);
		fds[i] = (struct pollfd){ c->fd,
			c->step == CONNECTING ? POLLOUT : POLLIN, 0 };
		busy = busy || c->step != NOT_YET;
	}
	poll(fds, (nfds_t)crowd->clients, 20);
	for (int i = 0; i < crowd->clients; i++) {
		if (fds[i].revents == 0)
			look_at_time(crowd, &clients[i]);
		else if (clients[i].step == CONNECTING)
			connected(crowd, &clients[i]);
		else if (clients[i].step == TALKING)
			hear(crowd, &clients[i]);
	}
	return busy || !stop;
}

static void __attribute__((noreturn))
run(struct crowd *crowd)
{
	static struct client clients[CLIENTS_MAX];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	close_range(3, ~0U, 0);
	for (int i = 0; i < crowd->clients; i++)
		clients[i].fd = -1;
	while (turn(crowd, clients))
		;
	_exit(0);
}

/* ---- in the test */

struct crowd *
crowd_start(const char *addr, int clients)
{
	struct crowd *crowd = mmap(NULL, sizeof(*crowd),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	cr_assert_neq(crowd, MAP_FAILED);
	snprintf(crowd->addr, sizeof(crowd->addr), "%s", addr);
	crowd->clients = clients;
	if ((pid = fork()) == 0)
		run(crowd);
	cr_assert_gt(pid, 0);
	crowd->pid = pid;	/* by us alone: the child would write 0 */
	cr_assert(eventually(atomic_load(&crowd->answered) > 20),
	    "the crowd gets no answers");
	return crowd;
}

struct crowd_counts
crowd_now(const struct crowd *crowd)
{
	struct crowd_counts counts = {
		.answered = atomic_load(&crowd->answered),
		.refused = atomic_load(&crowd->refused),
		.lost = atomic_load(&crowd->lost),
	};

	memcpy(counts.first, crowd->first, sizeof(counts.first));
	return counts;
}

struct crowd_counts
crowd_stop(struct crowd *crowd)
{
	struct crowd_counts counts;
	pid_t pid = crowd->pid;
	int status;

	atomic_store(&crowd->stop, true);
	cr_assert(eventually(waitpid(pid, &status, WNOHANG) == pid),
	    "the crowd does not end");
	counts = crowd_now(crowd);
	munmap(crowd, sizeof(*crowd));
	return counts;
}
