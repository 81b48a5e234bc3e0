/* What the service manager hears, at a socket of its own. */
#include <criterion/criterion.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/log.h"
#include "master/systemd.h"

static char			 folder[64], path[96], log_path[96];
static struct event_base	*base;
static int			 manager = -1;
static bool			 well = true;
static int			 asked;
static char			 heard[512];
static int			 heard_fd;

static int
manager_open(const char *address)
{
	struct sockaddr_un	 sa = { .sun_family = AF_UNIX };
	socklen_t		 len = (socklen_t)(offsetof(struct sockaddr_un,
				    sun_path) + strlen(address));
	int			 fd;

	strcpy(sa.sun_path, address);
	if (address[0] == '@')
		sa.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

static void
setup(void)
{
	struct log_options	 options = { .target = log_path,
				    .ident = "muster",
				    .level = LOG_LEVEL_DEBUG };
	struct err		 err;

	for (size_t i = 0; systemd_names[i] != NULL; i++)
		unsetenv(systemd_names[i]);
	strcpy(folder, "/tmp/muster-sd-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/notify", folder);
	snprintf(log_path, sizeof(log_path), "%s/log", folder);
	cr_assert_eq(log_open(&options, &err), 0, "%s", err.text);
	base = event_base_new();
	cr_assert_eq(event_base_priority_init(base, 2), 0);
	manager = manager_open(path);
	setenv("NOTIFY_SOCKET", path, 1);
}

static void
teardown(void)
{
	event_base_free(base);
	close(manager);
	unlink(path);
	unlink(log_path);
	rmdir(folder);
}

TestSuite(systemd, .timeout = 20, .init = setup, .fini = teardown);

static bool
healthy(void *arg)
{
	asked++;
	return *(bool *)arg;
}

static struct systemd *
start(bool again)
{
	return systemd_new(base, 1, again, healthy, &well);
}

/* The next datagram, "" for none; a descriptor with it is in heard_fd. */
static const char *
hear(void)
{
	union {
		struct cmsghdr	 align;
		char		 bytes[CMSG_SPACE(sizeof(int))];
	}		 control;
	struct iovec	 iov = { heard, sizeof(heard) - 1 };
	struct msghdr	 message = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr	*header;
	ssize_t		 n = recvmsg(manager, &message, MSG_CMSG_CLOEXEC);

	heard[n < 0 ? 0 : n] = '\0';
	heard_fd = -1;
	header = n < 0 ? NULL : CMSG_FIRSTHDR(&message);
	if (header != NULL && header->cmsg_type == SCM_RIGHTS)
		memcpy(&heard_fd, CMSG_DATA(header), sizeof(heard_fd));
	return heard;
}

static void
turn_for(int ms)
{
	struct timeval	 tv = clock_timeval(ms);

	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

/* So many datagrams of a stranger that the queue takes no more. */
static int
fill(void)
{
	struct sockaddr_un	 sa = { .sun_family = AF_UNIX };
	int			 fd, n = 0;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	strcpy(sa.sun_path, path);
	while (sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, sizeof(sa)) == 1)
		n++;
	cr_assert_eq(errno, EAGAIN);
	close(fd);
	return n;
}

static void
empty(int count)
{
	while (count-- > 0)
		cr_assert_str_eq(hear(), "x");
}

static bool
log_has(const char *text)
{
	static char	 all[16384];
	FILE		*file = fopen(log_path, "re");
	size_t		 n = file == NULL ? 0 :
			    fread(all, 1, sizeof(all) - 1, file);

	all[n] = '\0';
	if (file != NULL)
		fclose(file);
	return strstr(all, text) != NULL;
}

Test(systemd, is_nothing_without_a_manager_and_all_take_it)
{
	int			 fd = 0;
	const char		*name = "x";

	unsetenv("NOTIFY_SOCKET");
	cr_expect_null(start(false));
	systemd_ready(NULL);
	systemd_reloading(NULL);
	systemd_stopping(NULL);
	systemd_status(NULL, "running %d/%d", 1, 1);
	systemd_extend(NULL, 1);
	systemd_store(NULL, &fd, &name, 1);
	systemd_unstore(NULL, name);
	systemd_free(NULL);
}

Test(systemd, tells_the_phases_in_order_and_each_once)
{
	struct systemd	*s = start(false);
	int64_t		 before, then = 0;

	cr_assert_not_null(s);
	cr_expect_str_eq(hear(), "");
	systemd_ready(s);
	systemd_ready(s);
	cr_expect_str_eq(hear(), "READY=1");
	cr_expect_str_eq(hear(), "");
	before = clock_now_us();
	systemd_reloading(s);
	cr_expect_eq(sscanf(hear(), "RELOADING=1\nMONOTONIC_USEC=%" SCNd64,
	    &then), 1, "%s", heard);
	cr_expect(then >= before && then <= clock_now_us());
	systemd_ready(s);
	cr_expect_str_eq(hear(), "READY=1");
	systemd_stopping(s);
	systemd_stopping(s);
	systemd_ready(s);
	systemd_reloading(s);
	cr_expect_str_eq(hear(), "STOPPING=1");
	cr_expect_str_eq(hear(), "");
	systemd_free(s);
}

Test(systemd, speaks_to_an_abstract_address)
{
	struct systemd	*s;
	char		 address[96];

	snprintf(address, sizeof(address), "@muster-test-%d", (int)getpid());
	close(manager);
	manager = manager_open(address);
	setenv("NOTIFY_SOCKET", address, 1);
	s = start(false);
	systemd_ready(s);
	cr_expect_str_eq(hear(), "READY=1");
	systemd_free(s);
}

Test(systemd, takes_its_variables_from_the_workers)
{
	struct systemd	*s;

	setenv("WATCHDOG_USEC", "1000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	setenv("FDSTORE", "4", 1);
	s = start(false);
	for (size_t i = 0; systemd_names[i] != NULL; i++)
		cr_expect_null(getenv(systemd_names[i]), "%s",
		    systemd_names[i]);
	systemd_free(s);
}

Test(systemd, ignores_addresses_that_it_does_not_speak_and_says_so)
{
	char	 big[256];

	setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
	cr_expect_null(start(false));
	cr_expect(log_has("systemd.ignored variable=NOTIFY_SOCKET "
	    "value=vsock:2:1234"));
	setenv("NOTIFY_SOCKET", "notify", 1);
	cr_expect_null(start(false));
	setenv("NOTIFY_SOCKET", "@", 1);
	cr_expect_null(start(false));
	memset(big, 'a', sizeof(big));
	big[0] = '/';
	big[255] = '\0';
	setenv("NOTIFY_SOCKET", big, 1);
	cr_expect_null(start(false));
	setenv("NOTIFY_SOCKET", "", 1);
	cr_expect_null(start(false));
}

Test(systemd, says_a_status_when_it_is_another_and_on_one_line)
{
	struct systemd	*s = start(false);

	systemd_status(s, "running %d/%d", 3, 4);
	cr_expect_str_eq(hear(), "STATUS=running 3/4");
	systemd_status(s, "running %d/%d", 3, 4);
	cr_expect_str_eq(hear(), "");
	systemd_status(s, "a\nREADY=1");
	cr_expect_str_eq(hear(), "STATUS=a READY=1");
	systemd_extend(s, 5000000);
	cr_expect_str_eq(hear(), "EXTEND_TIMEOUT_USEC=5000000");
	systemd_free(s);
}

Test(systemd, loses_no_phase_to_a_full_queue_and_keeps_the_newest_status)
{
	struct systemd	*s = start(false);
	int		 n = fill();

	systemd_ready(s);
	for (int i = 0; i < 5; i++) {
		systemd_reloading(s);
		systemd_status(s, "reload %d", i);
		systemd_ready(s);
	}
	systemd_stopping(s);
	turn_for(120);
	empty(n);
	turn_for(1100);
	cr_expect_str_eq(hear(), "READY=1");
	cr_expect_eq(strncmp(hear(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	cr_expect_str_eq(hear(), "READY=1");
	cr_expect_str_eq(hear(), "STOPPING=1");
	cr_expect_str_eq(hear(), "STATUS=reload 4");
	cr_expect_str_eq(hear(), "");
	systemd_free(s);
}

Test(systemd, outlasts_a_manager_that_is_away)
{
	struct systemd	*s = start(false);

	close(manager);
	unlink(path);
	systemd_ready(s);
	turn_for(60);
	manager = manager_open(path);
	turn_for(300);
	cr_expect_str_eq(hear(), "READY=1");
	systemd_free(s);
}

Test(systemd, makes_a_last_try_when_it_is_freed)
{
	struct systemd	*s = start(false);
	int		 n = fill();

	systemd_stopping(s);
	empty(n);
	systemd_free(s);
	cr_expect_str_eq(hear(), "STOPPING=1");
}

/* ---- the watchdog */

static int
pings(int ms)
{
	int	 n = 0;

	turn_for(ms);
	while (strcmp(hear(), "WATCHDOG=1") == 0)
		n++;
	cr_expect_str_eq(heard, "");
	return n;
}

Test(systemd, pings_twice_in_the_time_allowed_while_all_is_well)
{
	struct systemd	*s;
	int		 n;

	setenv("WATCHDOG_USEC", "100000", 1);
	s = start(false);
	cr_expect_eq(pings(10), 0);
	n = pings(520);
	cr_expect(n >= 6 && n <= 11, "%d pings", n);
	well = false;
	asked = 0;
	cr_expect_eq(pings(260), 0);
	cr_expect_geq(asked, 2);
	cr_expect(log_has("systemd.note"));
	well = true;
	cr_expect_geq(pings(260), 2);
	systemd_free(s);
}

Test(systemd, pings_at_once_after_an_exec)
{
	struct systemd	*s;

	setenv("WATCHDOG_USEC", "60000000", 1);
	s = start(true);
	cr_expect_eq(pings(50), 1);
	systemd_free(s);
}

Test(systemd, does_not_ping_for_another_process_or_without_a_time)
{
	static const char *const rows[][2] = { { "20000", "1" },
	    { "0", NULL }, { "-5", NULL }, { "2x", NULL }, { "", NULL } };
	struct systemd	*s;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		setenv("NOTIFY_SOCKET", path, 1);
		setenv("WATCHDOG_USEC", rows[i][0], 1);
		if (rows[i][1] != NULL)
			setenv("WATCHDOG_PID", rows[i][1], 1);
		s = start(false);
		cr_assert_not_null(s);
		cr_expect_eq(pings(60), 0, "row %zu", i);
		systemd_free(s);
	}
}

Test(systemd, pings_for_its_own_pid)
{
	struct systemd	*s;
	char		 pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_USEC", "40000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	s = start(false);
	cr_expect_geq(pings(100), 1);
	systemd_free(s);
}

/* ---- the store */

static bool
is_same(int a, int b)
{
	struct stat	 x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino;
}

Test(systemd, stores_descriptors_only_when_asked)
{
	const char	*names[] = { "web", "admin", "more" };
	int		 fds[] = { manager, manager, manager };
	struct systemd	*s = start(false);

	systemd_store(s, fds, names, 2);
	systemd_unstore(s, "web");
	cr_expect_str_eq(hear(), "");
	systemd_free(s);

	setenv("NOTIFY_SOCKET", path, 1);
	setenv("FDSTORE", "2", 1);
	s = start(false);
	systemd_store(s, fds, names, 3);
	cr_expect_str_eq(hear(), "FDSTORE=1\nFDPOLL=0\nFDNAME=web");
	cr_expect(is_same(heard_fd, manager));
	close(heard_fd);
	cr_expect_str_eq(hear(), "FDSTORE=1\nFDPOLL=0\nFDNAME=admin");
	close(heard_fd);
	cr_expect_str_eq(hear(), "");
	cr_expect(log_has("more is not kept"));
	systemd_unstore(s, "web");
	cr_expect_str_eq(hear(), "FDSTOREREMOVE=1\nFDNAME=web");
	cr_expect_eq(heard_fd, -1);
	systemd_free(s);
}

Test(systemd, stores_later_what_the_caller_has_closed_since)
{
	const char	*names[] = { "web", "gone" };
	int		 fds[2] = { open("/dev/null", O_RDONLY | O_CLOEXEC),
			    open("/dev/null", O_RDONLY | O_CLOEXEC) };
	struct systemd	*s;
	int		 n;

	setenv("FDSTORE", "4", 1);
	s = start(false);
	n = fill();
	systemd_store(s, fds, names, 2);
	systemd_unstore(s, "gone");
	close(fds[0]);
	close(fds[1]);
	empty(n);
	turn_for(1100);
	cr_expect_str_eq(hear(), "FDSTORE=1\nFDPOLL=0\nFDNAME=web");
	cr_expect_neq(heard_fd, -1);
	close(heard_fd);
	cr_expect_str_eq(hear(), "FDSTOREREMOVE=1\nFDNAME=gone");
	cr_expect_eq(heard_fd, -1);
	systemd_free(s);
}

Test(systemd, stores_nothing_under_a_name_that_says_more)
{
	const char	*names[] = { "a\nREADY=1", "a:b", "" };
	int		 fds[] = { manager, manager, manager };
	struct systemd	*s;

	setenv("FDSTORE", "4", 1);
	s = start(false);
	systemd_store(s, fds, names, 3);
	cr_expect_str_eq(hear(), "");
	systemd_unstore(s, names[0]);
	cr_expect_str_eq(hear(), "");
	systemd_free(s);
}
