#include <criterion/criterion.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/notify.h"
#include "master/mailbox.h"
#include "tests/unit/log_rig.h"
#include "tests/unit/mailbox_rig.h"

TestSuite(mailbox, .init = mailbox_rig_setup, .fini = mailbox_rig_teardown,
    .timeout = 30);

/* Send text and these descriptors; they are closed here. */
static void
pass(const char *address, const char *text, const int *fds, size_t count)
{
	char		 control[CMSG_SPACE(253 * sizeof(int))] = { 0 };
	struct iovec	 iov = { (char *)text, strlen(text) };
	struct msghdr	 message = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr	*header = CMSG_FIRSTHDR(&message);
	int		 fd = mail_connect(address);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	cr_expect_eq(sendmsg(fd, &message, 0), (ssize_t)strlen(text), "%s",
	    strerror(errno));
	close(fd);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static int
open_fds(void)
{
	int	 fd, n = 0;

	for (fd = 0; fd < 4096; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* ---- */

Test(mailbox, an_address_is_abstract_and_of_its_own)
{
	struct err	 err;
	struct mailbox	*a = mailbox_open(mail_room, &err);
	struct mailbox	*b = mailbox_open(mail_room, &err);
	char		*begin = xasprintf("@muster/%d/1.", (int)getpid());

	cr_expect_eq(strncmp(mailbox_address(a), begin, strlen(begin)), 0,
	    "%s", mailbox_address(a));
	cr_expect_str_neq(mailbox_address(a) + strlen(begin),
	    mailbox_address(b) + strlen(begin));
	cr_expect_eq(strlen(mailbox_address(a)), strlen(begin) + 16);
	cr_expect(fcntl(mailbox_fd(a), F_GETFD) & FD_CLOEXEC);
	cr_expect(fcntl(mailbox_fd(a), F_GETFL) & O_NONBLOCK);
	free(begin);
}

Test(mailbox, a_worker_is_heard)
{
	struct mailbox	*box = mail_box_of(getpid(), getuid());

	mail_say(mailbox_address(box), "READY=1\nSTATUS=at it");
	mail_listen();
	cr_expect_eq(mail_ready, 1);
	cr_expect_eq(mail_said_by, getpid());
	cr_expect_str_eq(mail_status, "at it");
	cr_expect_eq(mail_done, 1);
}

Test(mailbox, what_comes_before_it_is_owned_is_kept)
{
	struct err	 err;
	struct mailbox	*box = mailbox_open(mail_room, &err);

	mail_say(mailbox_address(box), "READY=1");
	mail_listen();
	mailbox_read(box, 10);
	cr_expect_eq(mail_said, 0);
	mailbox_own(box, getpid(), getuid());
	mail_listen();
	cr_expect_eq(mail_ready, 1);
}

Test(mailbox, it_is_found_by_worker_and_by_address)
{
	struct mailbox	*a = mail_box_of(1001, 0), *b = mail_box_of(1002, 0);
	char		*gone = xstrdup(mailbox_address(a));

	cr_expect_eq(mailbox_of(mail_room, 1001), a);
	cr_expect_eq(mailbox_of(mail_room, 1002), b);
	cr_expect_null(mailbox_of(mail_room, 1003));
	cr_expect_eq(mailbox_at(mail_room, mailbox_address(b)), b);
	cr_expect_null(mailbox_at(mail_room, ""));
	cr_expect_null(mailbox_at(mail_room, "@muster/an address that is far too "
	    "long to be that of any mailbox at all, as it has no end"));
	mailbox_close(a);
	cr_expect_null(mailbox_of(mail_room, 1001));
	cr_expect_null(mailbox_at(mail_room, gone));
	cr_expect_eq(mail_connect(gone), -1);
	free(gone);
}

Test(mailbox, last_words_are_read_when_asked_for)
{
	struct mailbox	*box = mail_box_of(getpid(), getuid());
	int		 i;

	for (i = 0; i < 5; i++)
		mail_say(mailbox_address(box), "STOPPING=1");
	mailbox_read(box, 3);
	cr_expect_eq(mail_said, 3);
	mailbox_read(box, 100);
	cr_expect_eq(mail_said, 5);
}

Test(mailbox, refusals_are_told_of_once, .init = log_rig_setup,
    .fini = log_rig_teardown)
{
	const struct log_options	 options = { log_rig_path, "muster",
					    LOG_LEVEL_DEBUG, LOG_TEXT };
	struct mailbox			*box;
	struct err			 err;
	char				 big[NOTIFY_MAX + 2];
	const char			*log;

	cr_assert_eq(log_open(&options, &err), 0);
	box = mail_box_of(getpid(), getuid());
	memset(big, 'x', sizeof(big));
	memcpy(big, "READY=1\n", 8);
	big[sizeof(big) - 1] = '\0';
	mail_say(mailbox_address(box), big);
	mail_say(mailbox_address(box), big);
	mail_say(mailbox_address(box), "STOPPING=1");
	mail_listen();
	cr_expect_eq(mail_ready, 0);
	cr_expect_eq(mail_said, 1);
	log = log_rig_take_file(log_rig_path);
	cr_expect_eq(log_rig_count(log, "mail.refused"), 1, "%s", log);
}

Test(mailbox, the_longest_message_is_heard)
{
	struct mailbox	*box = mail_box_of(getpid(), getuid());
	char		 big[NOTIFY_MAX + 1];

	memset(big, 'x', sizeof(big));
	memcpy(big, "READY=1\n", 8);
	big[NOTIFY_MAX] = '\0';
	mail_say(mailbox_address(box), big);
	mail_listen();
	cr_expect_eq(mail_ready, 1);
}

Test(mailbox, any_message_is_survived)
{
	struct mailbox	*box = mail_box_of(getpid(), getuid());
	int		 fd = mail_connect(mailbox_address(box));

	send(fd, "", 0, 0);
	send(fd, "\0\n\n=\n\xff\nREADY=1", 14, 0);
	mail_listen();
	cr_expect_eq(mail_said, 2);
	cr_expect_eq(mail_ready, 1);
	close(fd);
}

/* ---- descriptors */

Test(mailbox, a_barrier_is_answered)
{
	struct mailbox	*box = mail_box_of(getpid(), getuid());
	struct pollfd	 p = { .events = POLLIN };
	int		 ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	p.fd = ends[0];
	pass(mailbox_address(box), "BARRIER=1", &ends[1], 1);
	cr_expect_eq(poll(&p, 1, 0), 0);
	mail_listen();
	cr_assert_eq(poll(&p, 1, 0), 1);
	cr_expect_eq(p.revents, POLLHUP);
	cr_expect_eq(mail_said, 1);
	close(ends[0]);
}

static void
pass_many(const char *address, size_t count)
{
	int	 fds[253];
	size_t	 i;

	for (i = 0; i < count; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pass(address, "READY=1", fds, count);
}

Test(mailbox, passed_descriptors_are_closed)
{
	struct mailbox	*box = mail_box_of(getpid(), getuid());
	int		 before = open_fds(), i;

	for (i = 0; i < 20; i++) {
		pass_many(mailbox_address(box), 253);
		pass_many(mailbox_address(box), 1);
		mail_listen();
	}
	cr_expect_eq(mail_ready, 40);
	cr_expect_eq(open_fds(), before);
}

Test(mailbox, descriptors_beyond_our_limit_are_closed)
{
	struct mailbox		*box = mail_box_of(getpid(), getuid());
	struct rlimit		 limit, low;
	struct pollfd		 p = { .events = POLLIN };
	int			 ends[2], before = open_fds();

	pass_many(mailbox_address(box), 253);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	p.fd = ends[0];
	pass(mailbox_address(box), "BARRIER=1", &ends[1], 1);
	getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	low.rlim_cur = (rlim_t)before;
	setrlimit(RLIMIT_NOFILE, &low);
	mail_listen();
	setrlimit(RLIMIT_NOFILE, &limit);
	cr_expect_eq(mail_said, 2);
	cr_expect_eq(poll(&p, 1, 0), 1);
	close(ends[0]);
	cr_expect_eq(open_fds(), before);
}

/* Who closes such a socket last waits until all that it sent was read. */
static int
lingering_socket(int *peer)
{
	const struct linger	 linger = { 1, 10 };
	struct sockaddr_in	 sin = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t		 len = sizeof(sin);
	static char		 data[65536];
	int			 server, client;

	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(server, (struct sockaddr *)&sin, len), 0);
	cr_assert_eq(listen(server, 1), 0);
	getsockname(server, (struct sockaddr *)&sin, &len);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(client, (struct sockaddr *)&sin, len), 0);
	*peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	close(server);
	fd_nonblock(client, true);
	while (send(client, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return client;
}

Test(mailbox, a_lingering_socket_does_not_hold_us_up)
{
	struct mailbox	*box = mail_box_of(getpid(), getuid());
	int		 peer, fd = lingering_socket(&peer);
	int64_t		 begin;

	pass(mailbox_address(box), "READY=1", &fd, 1);
	begin = clock_now_ms();
	mail_listen();
	cr_expect_lt(clock_now_ms() - begin, 2000);
	cr_expect_eq(mail_ready, 1);
	close(peer);
}

/* ---- floods */

static void
flood(const char *address)
{
	int	 i, fd = mail_connect(address);

	for (i = 0; i < 1000000; i++)
		if (send(fd, "STATUS=again", 12, 0) == -1)
			break;
}

static void
on_signal(evutil_socket_t fd, short what, void *arg)
{
	char	 byte;

	(void)what;
	*(int *)arg += (int)read(fd, &byte, 1);
}

/*
 * One worker says something without end. Each look at what is there serves
 * the signals first, and another worker's one message within two turns.
 */
Test(mailbox, a_flood_starves_nobody)
{
	struct err	 err;
	struct mailbox	*loud = mailbox_open(mail_room, &err);
	struct mailbox	*soft = mail_box_of(getpid(), getuid());
	pid_t		 worker = mail_child(flood, mailbox_address(loud));
	int		 ends[2], signals = 0, turns, before;
	int64_t		 begin, worst = 0;
	struct event	*ev;

	mailbox_own(loud, worker, getuid());
	cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	ev = event_new(mail_base, ends[0], EV_READ | EV_PERSIST, on_signal,
	    &signals);
	event_priority_set(ev, 0);
	event_add(ev, NULL);
	for (turns = 1; mail_said < 100000; turns++) {
		before = mail_said;
		cr_assert_eq(write(ends[1], "x", 1), 1);
		if (turns % 100 == 0)
			mail_say(mailbox_address(soft), "READY=1");
		begin = clock_now_us();
		event_base_loop(mail_base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		event_base_loop(mail_base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		worst = clock_now_us() - begin > worst ? clock_now_us() - begin :
		    worst;
		cr_assert_eq(signals, turns);
		cr_assert_eq(mail_ready, turns / 100);
		cr_assert_leq(mail_said - before, 2 * 16 * 8);
	}
	cr_expect_lt(worst, 200000);
	kill(worker, SIGKILL);
	waitpid(worker, NULL, 0);
	event_free(ev);
}

Test(mailbox, it_can_be_closed_by_what_is_said)
{
	struct mailbox	*box = mail_box_of(getpid(), getuid());
	int		 i;

	for (i = 0; i < 5; i++)
		mail_say(mailbox_address(box), "READY=1");
	mail_to_close = box;
	mail_listen();
	cr_expect_eq(mail_said, 1);
	cr_expect_null(mailbox_of(mail_room, getpid()));
}

Test(mailbox, another_can_be_closed_by_what_is_said)
{
	struct mailbox	*a = mail_box_of(getpid(), getuid());
	struct mailbox	*b = mail_box_of(getppid(), getuid());

	mail_say(mailbox_address(a), "READY=1");
	mail_say(mailbox_address(b), "READY=1");
	mail_to_close = b;
	mail_listen();
	cr_expect_eq(mail_said, 1);
	cr_expect_eq(mail_said_by, getpid());
}

/* ---- across an exec */

/* What is left of a mailbox when the process goes on as another program. */
static int
left_open(struct mailbox *box)
{
	int	 fd = dup(mailbox_fd(box));

	mailbox_close(box);
	return fd;
}

Test(mailbox, it_outlives_an_exec_with_what_was_said_meanwhile)
{
	struct mailbox	*box = mail_box_of(getpid(), getuid());
	char		*address = xstrdup(mailbox_address(box));
	int		 fd;
	struct err	 err;

	fd = left_open(box);
	mail_say(address, "READY=1");
	mail_say(address, "STOPPING=1");
	fd_nonblock(fd, false);
	box = mailbox_restore(mail_room, fd, getpid(), getuid(), &err);
	cr_assert_not_null(box, "%s", err.text);
	cr_expect_str_eq(mailbox_address(box), address);
	cr_expect_eq(mailbox_of(mail_room, getpid()), box);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_expect(fcntl(fd, F_GETFL) & O_NONBLOCK);
	mail_listen();
	cr_expect_eq(mail_said, 2);
	free(address);
}

Test(mailbox, numbers_are_not_given_again_after_an_exec)
{
	struct mailbox	*box;
	struct err	 err;
	char		*begin = xasprintf("@muster/%d/4.", (int)getpid());
	int		 fd;

	mailbox_close(mailbox_open(mail_room, &err));
	mailbox_close(mailbox_open(mail_room, &err));
	fd = left_open(mail_box_of(getpid(), getuid()));
	mailbox_rig_teardown();
	mailbox_rig_setup();
	cr_assert_not_null(mailbox_restore(mail_room, fd, 77, 0, &err));
	box = mailbox_open(mail_room, &err);
	cr_expect_eq(strncmp(mailbox_address(box), begin, strlen(begin)), 0,
	    "%s", mailbox_address(box));
	free(begin);
}

static int
bound(const char *path, int type)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	int			 fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	memcpy(sun.sun_path, path, strlen(path));
	sun.sun_path[0] = '\0';
	cr_assert_eq(bind(fd, (struct sockaddr *)&sun, (socklen_t)(strlen(path) +
	    offsetof(struct sockaddr_un, sun_path))), 0);
	return fd;
}

Test(mailbox, only_a_mailbox_of_ours_is_taken_over)
{
	static const char *const	 names[] = { "@muster/1/1.0123456789abcdef",
					    "@muster/x", "@other",
					    "@muster/%d/0.0123456789abcdef",
					    "@muster/%d/9.", "@muster/%d/9.xyz",
					    "@muster/%d/9.0123456789abcdef0" };
	struct mailbox			*box = mail_box_of(getpid(), getuid());
	struct err			 err;
	char				 name[100];
	size_t				 i;
	int				 fd, again;

	cr_expect_null(mailbox_restore(mail_room, -1, 5, 0, &err));
	cr_expect_null(mailbox_restore(mail_room, 0, 5, 0, &err));
	cr_expect_null(mailbox_restore(mail_room, 9999, 5, 0, &err));
	again = dup(mailbox_fd(box));
	cr_expect_null(mailbox_restore(mail_room, again, 5, 0, &err));
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(name, sizeof(name), names[i], (int)getpid());
#pragma GCC diagnostic pop
		fd = bound(name, SOCK_DGRAM);
		cr_expect_null(mailbox_restore(mail_room, fd, 5, 0, &err), "%s",
		    name);
		close(fd);
	}
	snprintf(name, sizeof(name), "@muster/%d/9.0123456789abcdef",
	    (int)getpid());
	fd = bound(name, SOCK_STREAM);
	cr_expect_null(mailbox_restore(mail_room, fd, 5, 0, &err));
	close(fd);
	fd = bound(name, SOCK_DGRAM);
	cr_expect_null(mailbox_restore(mail_room, fd, 0, 0, &err));
	cr_expect_null(mailbox_restore(mail_room, fd, -5, 0, &err));
	cr_expect_null(mailbox_restore(mail_room, fd, getpid(), 0, &err));
	cr_expect_not_null(mailbox_restore(mail_room, fd, 5, 0, &err));
}
