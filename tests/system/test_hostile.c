/* Workers that mean harm, and storms: the master stays master. */
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/client.h"
#include "tests/system/look.h"
#include "tests/system/rig.h"

TestSuite(hostile, .init = rig_setup, .fini = rig_cleanup, .timeout = 120);

static struct rig r;

/* The worker's end of the channel that all workers share, as it has it. */
static int
steal_channel(pid_t worker)
{
	int pidfd = pidfd_open(worker, 0), fd, type;
	socklen_t len = sizeof(type);

	cr_assert_neq(pidfd, -1);
	for (int i = 3; i < 64; i++) {
		if (strncmp(look_fd(worker, i), "socket:", 7) != 0)
			continue;
		if ((fd = pidfd_getfd(pidfd, i, 0)) == -1)
			rig_skip("descriptors of others cannot be had here");
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
		    type == SOCK_SEQPACKET) {
			close(pidfd);
			return fd;
		}
		close(fd);
	}
	cr_assert_fail("the worker has no channel");
	return -1;
}

Test(hostile, a_worker_that_shuts_the_channel_harms_neither_master_nor_pool)
{
	int64_t cpu;
	int fd;

	rig_start(&r, "-w", "2", NULL);
	fd = steal_channel(rig_worker(&r, 0));
	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	close(fd);
	rig_await_text(&r, "made anew");
	rig_kill_worker(&r, 1, SIGKILL);
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 3);
	cr_assert(eventually(rig_log_count(&r, "worker.ready") == 4));
	cpu = look_cpu_ms(r.pid);
	cr_expect(always_ms(look_cpu_ms(r.pid) - cpu < 100, 500), "it spins");
	cr_expect_eq(rig_stop(&r), 0);
}

/* Garbage, empty messages, descriptors, a claim to be somebody else. */
static void
send_rubbish(int fd, int i)
{
	char text[4096], control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct iovec iov = { text, (size_t)(i * 37 % 4096) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *header = (struct cmsghdr *)control;
	int passed[2] = { 0, 1 };

	memset(text, i, sizeof(text));
	if (i % 3 == 0)
		strcpy(text, "READY=1\nSTOPPING=0\nMUSTER_LOG=\x1b[2J\n");
	if (i % 2 == 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(passed));
		memcpy(CMSG_DATA(header), passed, sizeof(passed));
	}
	sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

Test(hostile, any_messages_from_anybody_are_survived)
{
	int fd, fds;

	rig_start(&r, "-w", "2", NULL);
	fds = look_fds(r.pid);
	fd = steal_channel(rig_worker(&r, 0));
	for (int i = 0; i < 20000; i++)
		send_rubbish(fd, i);
	close(fd);
	rig_signal(&r, SIGTTIN);
	rig_await_workers(&r, 3);
	cr_expect(eventually(look_fds(r.pid) == fds), "fds passed along stay");
	cr_expect_null(strchr(rig_read(&r, r.err), '\x1b'));
	cr_expect_eq(rig_stop(&r), 0);
}

/* Sends SIGRTMIN+1 as fast as it can, until it is killed. */
static pid_t
start_storm(pid_t master)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		sigqueue(master, SIGRTMIN + 1, (union sigval){ 0 });
}

Test(hostile, a_storm_of_queued_signals_does_not_hold_up_a_stop)
{
	pid_t storm;
	int64_t from;

	rig_start(&r, "-w", "2", NULL);
	storm = start_storm(r.pid);
	cr_assert(always_ms(!rig_ended(&r), 100));
	from = rig_now_ms();
	rig_signal(&r, SIGTERM);
	cr_expect(eventually_ms(rig_ended(&r), 5000), "it does not end");
	cr_expect_lt(rig_now_ms() - from, 5000);
	kill(storm, SIGKILL);
	waitpid(storm, NULL, 0);
	cr_expect_eq(rig_exit_code(&r), 0);
}

Test(hostile, workers_that_were_ready_and_died_unseen_are_replaced_at_once)
{
	pid_t workers[RIG_MAX];
	int count;

	rig_start(&r, "-w", "1", "-s", "pool.spawn_batch=1000", NULL);
	kill(r.pid, SIGSTOP);
	rig_queue(&r, 149);
	kill(r.pid, SIGCONT);
	rig_await_workers(&r, 150);
	kill(r.pid, SIGSTOP);
	count = rig_workers(&r, workers);
	for (int i = 0; i < count; i++)
		kill(workers[i], SIGKILL);
	kill(r.pid, SIGCONT);
	cr_assert(eventually(rig_log_count(&r, "worker.died") == count));
	rig_await_workers(&r, 150);
	cr_expect_not(rig_log_says(&r, "slot.wait"));
}
