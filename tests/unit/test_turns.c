#include <criterion/criterion.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "worker/turns.h"

TestSuite(turns, .timeout = 10);

Test(turns, a_line_of_fdinfo_gives_the_data_of_its_descriptor)
{
	static const char	 line[] = "tfd:        7 events:       19 "
	    "data:     7fff00000007  pos:0 ino:2a sdev:9";
	uint64_t		 data = 0;

	cr_expect(turns_parse(line, 7, &data));
	cr_expect_eq(data, 0x7fff00000007);
	cr_expect_not(turns_parse(line, 8, &data));
}

Test(turns, other_lines_give_nothing)
{
	static const char *const lines[] = { "", "pos:\t0", "tfd:",
		"tfd: x events: 19 data: 7", "tfd: 7 events: 19",
		"tfd: 7 events: 19 data:", "tfd: 7 data: zz", "xtfd: 7 data: 7" };
	uint64_t		 data;
	size_t			 i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect_not(turns_parse(lines[i], 7, &data), "%s",
		    lines[i]);
}

Test(turns, the_next_descriptor_is_known_before)
{
	int	 next = turns_next_fd(), ep = epoll_create1(EPOLL_CLOEXEC);

	cr_expect_eq(ep, next);
	close(ep);
}

Test(turns, what_libevent_tells_the_kernel_is_learned_by_trying)
{
	cr_expect_not(turns_known());
	cr_expect(turns_learn());
	cr_expect(turns_known());
}

Test(turns, a_descriptor_that_is_not_watched_shows_itself)
{
	int	 ep = epoll_create1(EPOLL_CLOEXEC);
	int	 fd = eventfd(1, EFD_CLOEXEC);

	cr_expect_eq(turns_tail(ep, fd, turns_data(fd)), -1);
	cr_expect_eq(turns_tail(fd, ep, turns_data(ep)), -1);
	close(fd);
	close(ep);
}

Test(turns, going_to_the_tail_keeps_the_data)
{
	struct epoll_event	 ev = { .events = EPOLLIN };
	int			 ep = epoll_create1(EPOLL_CLOEXEC);
	int			 fd = eventfd(1, EFD_CLOEXEC);

	ev.data.u64 = 77;
	cr_assert_eq(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	cr_expect_eq(turns_tail(ep, fd, 77), 0);
	ev.data.u64 = 0;
	cr_expect_eq(epoll_wait(ep, &ev, 1, 0), 1);
	cr_expect_eq(ev.data.u64, 77);
	cr_expect_eq(turns_tail(ep, ep, 77), -1);
	close(fd);
	close(ep);
}
