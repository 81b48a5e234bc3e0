#include <criterion/criterion.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "tests/unit/log_rig.h"
#include "tests/unit/mailbox_rig.h"

/* Who may speak for a worker, as its mailbox hears it. */
static void
setup(void)
{
	const struct log_options	 options = { log_rig_path, "muster",
					    LOG_LEVEL_DEBUG, LOG_TEXT };
	struct err			 err;

	mailbox_rig_setup();
	log_rig_setup();
	cr_assert_eq(log_open(&options, &err), 0, "%s", err.text);
}

static void
teardown(void)
{
	log_rig_teardown();
	mailbox_rig_teardown();
}

TestSuite(sender, .init = setup, .fini = teardown, .timeout = 30);

static bool
refused(void)
{
	return log_rig_count(log_rig_take_file(log_rig_path),
	    "mail.refused") == 1;
}

Test(sender, one_of_the_workers_group_may_speak)
{
	pid_t		 worker = mail_child(mail_pause, NULL), helper;
	struct mailbox	*box = mail_box_of(worker, getuid());

	if ((helper = fork()) == 0) {
		setpgid(0, worker);
		mail_say_ready(mailbox_address(box));
		_exit(0);
	}
	mail_await_end(helper);
	mail_listen();
	cr_expect_eq(mail_ready, 1);
	cr_expect_eq(mail_said_by, worker);
	mail_reap(helper);
	kill(worker, SIGKILL);
	waitpid(worker, NULL, 0);
}

/* A grandchild that has a session of its own. */
static void
speak_by_grandchild(const char *address)
{
	pid_t	 pid = fork();

	if (pid == 0) {
		setsid();
		if ((pid = fork()) == 0) {
			setsid();
			mail_say_ready(address);
			pause();
		}
		pause();
	}
	pause();
}

Test(sender, a_grandchild_in_a_session_of_its_own_may_speak)
{
	struct err	 err;
	struct mailbox	*box = mailbox_open(mail_room, &err);
	struct pollfd	 p = { .fd = mailbox_fd(box), .events = POLLIN };
	pid_t		 worker = mail_child(speak_by_grandchild,
			    mailbox_address(box));
	char		*kill_all = xasprintf("for p in $(pgrep -P %d); do "
			    "kill -9 $(pgrep -P $p) $p; done", (int)worker);

	mailbox_own(box, worker, getuid());
	cr_assert_eq(poll(&p, 1, 5000), 1);
	mail_listen();
	cr_expect_eq(mail_ready, 1);
	cr_expect_not(refused());
	cr_expect_eq(system(kill_all), 0);
	kill(worker, SIGKILL);
	waitpid(worker, NULL, 0);
	free(kill_all);
}

/* As systemd-notify(1) does: it is gone when the message is read. */
Test(sender, who_is_gone_by_now_may_have_spoken)
{
	pid_t		 worker = mail_child(mail_pause, NULL);
	struct mailbox	*box = mail_box_of(worker, getuid());

	mail_reap(mail_child(mail_say_ready, mailbox_address(box)));
	mail_listen();
	cr_expect_eq(mail_ready, 1);
	kill(worker, SIGKILL);
	waitpid(worker, NULL, 0);
}

Test(sender, a_stranger_of_the_same_uid_is_not_heard)
{
	pid_t		 worker = mail_child(mail_pause, NULL), other;
	struct mailbox	*box = mail_box_of(worker, getuid());

	other = mail_child(mail_say_ready, mailbox_address(box));
	mail_await_end(other);
	mail_listen();
	cr_expect_eq(mail_said, 0);
	cr_expect(refused());
	mail_reap(other);
	kill(worker, SIGKILL);
	waitpid(worker, NULL, 0);
}

static void
say_as_stranger(const char *address)
{
	if (setresuid(STRANGER, STRANGER, STRANGER) == -1)
		_exit(1);
	mail_say_ready(address);
}

Test(sender, another_uid_is_not_heard_even_when_it_is_gone)
{
	struct mailbox	*box = mail_box_of(getpid(), getuid());

	if (getuid() != 0)
		cr_skip_test("needs root");
	mail_reap(mail_child(say_as_stranger, mailbox_address(box)));
	mail_listen();
	cr_expect_eq(mail_said, 0);
	cr_expect(refused());
}

Test(sender, a_worker_of_another_uid_is_heard)
{
	struct err	 err;
	struct mailbox	*box = mailbox_open(mail_room, &err);
	pid_t		 worker;

	if (getuid() != 0)
		cr_skip_test("needs root");
	worker = mail_child(say_as_stranger, mailbox_address(box));
	mailbox_own(box, worker, STRANGER);
	mail_await_end(worker);
	mail_listen();
	cr_expect_eq(mail_ready, 1);
	mail_reap(worker);
}

/* Its name is "x) S PID" with the worker's pid and a newline behind it. */
static void
say_with_forged_name(const char *address)
{
	char	 name[32];
	int	 fd = open("/proc/self/comm", O_WRONLY | O_CLOEXEC);
	int	 n = snprintf(name, sizeof(name), "x) S %d\n",
		    atoi(getenv("WORKER")));

	if (fd == -1 || write(fd, name, (size_t)n) != n)
		_exit(1);
	mail_say_ready(address);
}

Test(sender, a_name_does_not_make_a_descendant)
{
	pid_t		 worker = mail_child(mail_pause, NULL), other;
	struct mailbox	*box = mail_box_of(worker, getuid());
	char		*text = xasprintf("%d", (int)worker);

	setenv("WORKER", text, 1);
	other = mail_child(say_with_forged_name, mailbox_address(box));
	mail_await_end(other);
	mail_listen();
	cr_expect_eq(mail_said, 0);
	cr_expect(refused());
	mail_reap(other);
	kill(worker, SIGKILL);
	waitpid(worker, NULL, 0);
	free(text);
}
