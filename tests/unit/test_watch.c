/* Workers that are no children of ours, and what is left of their watch. */
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <event2/event.h>

#include "master/proc.h"
#include "master/roster.h"
#include "master/watch.h"

TestSuite(watch, .timeout = 20);

static int gone;

static void
on_gone(void *arg, pid_t pid)
{
	(void)pid;
	gone++;
	roster_clear(arg, 0);	/* the watch goes within its own call */
}

static void
on_heard(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

/* As far as we are concerned a stranger's child. */
static pid_t
watched(struct event_base *base, struct roster *roster)
{
	pid_t pid = fork();
	struct entry entry = { .pid = pid };

	if (pid == 0) {
		pause();
		_exit(0);
	}
	cr_assert_neq(entry.pidfd = pidfd_open(pid, 0), -1);
	entry.watch = watch_new(base, pid, entry.pidfd, on_gone, roster);
	roster_enter(roster, 0, &entry);
	return pid;
}

static void
end(pid_t pid)
{
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

Test(watch, tells_of_the_end_once)
{
	struct event_base *base = event_base_new();
	struct roster *roster = roster_new();
	pid_t pid = watched(base, roster);

	cr_expect(proc_is_there(pid));
	event_base_loop(base, EVLOOP_NONBLOCK);
	cr_expect_eq(gone, 0);
	end(pid);
	cr_expect_not(proc_is_there(pid));
	event_base_loop(base, EVLOOP_ONCE);
	event_base_loop(base, EVLOOP_NONBLOCK);
	cr_expect_eq(gone, 1);
	roster_free(roster);
	event_base_free(base);
}

/* Known to be gone before it was told: its number is anybody's from then on. */
Test(watch, ends_with_the_entry_so_that_the_next_of_its_number_is_heard)
{
	struct event_base *base = event_base_new();
	struct roster *roster = roster_new();
	pid_t pid = watched(base, roster);
	int number = roster_at(roster, 0)->pidfd, fds[2];
	struct event *event;
	bool heard = false;

	end(pid);
	roster_clear(roster, 0);
	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(fds[0], number);
	event = event_new(base, number, EV_READ, on_heard, &heard);
	cr_assert_eq(event_add(event, NULL), 0);
	cr_assert_eq(write(fds[1], "x", 1), 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	cr_expect(heard);
	cr_expect_eq(gone, 0);
	event_free(event);
	roster_free(roster);
	event_base_free(base);
}
