#include "tests/unit/mailbox_rig.h"

#include <criterion/criterion.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

struct event_base	*mail_base;
struct mailroom		*mail_room;
int			 mail_said, mail_ready, mail_done;
pid_t			 mail_said_by;
char			 mail_status[NOTIFY_MAX];
struct mailbox		*mail_to_close;

static void
on_said(void *arg, pid_t worker, const struct notify *notify)
{
	(void)arg;
	mail_said++;
	mail_ready += notify->ready;
	mail_said_by = worker;
	if (notify->status != NULL)
		snprintf(mail_status, sizeof(mail_status), "%.*s",
		    (int)notify->status_len, notify->status);
	if (mail_to_close != NULL) {
		mailbox_close(mail_to_close);
		mail_to_close = NULL;
	}
}

static void
on_done(void *arg)
{
	(void)arg;
	mail_done++;
}

void
mailbox_rig_setup(void)
{
	struct event_config	*config = event_config_new();
	struct err		 err;

	event_config_set_max_dispatch_interval(config, NULL, 16, 1);
	mail_base = event_base_new_with_config(config);
	event_config_free(config);
	event_base_priority_init(mail_base, 3);
	mail_room = mailroom_new(mail_base, 1, on_said, on_done, NULL, &err);
	cr_assert_not_null(mail_room, "%s", err.text);
}

void
mailbox_rig_teardown(void)
{
	mailroom_free(mail_room);
	event_base_free(mail_base);
}

struct mailbox *
mail_box_of(pid_t worker, uid_t uid)
{
	struct err	 err;
	struct mailbox	*box = mailbox_open(mail_room, &err);

	cr_assert_not_null(box, "%s", err.text);
	mailbox_own(box, worker, uid);
	return box;
}

/* All that is there. */
void
mail_listen(void)
{
	int	 before;

	do {
		before = mail_said + mail_done;
		event_base_loop(mail_base, EVLOOP_NONBLOCK);
	} while (mail_said + mail_done != before);
}

/* A socket that sends to address, as a program does; -1: it cannot. */
int
mail_connect(const char *address)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	int			 fd;

	memcpy(sun.sun_path, address, strlen(address));
	sun.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&sun, (socklen_t)(strlen(address) +
	    offsetof(struct sockaddr_un, sun_path))) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

void
mail_say(const char *address, const char *text)
{
	int	 fd = mail_connect(address);

	send(fd, text, strlen(text), 0);
	close(fd);
}

/* A process that does this, in a group of its own; reaped by the caller. */
pid_t
mail_child(void (*work)(const char *), const char *address)
{
	pid_t	 pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		work(address);
		_exit(0);
	}
	setpgid(pid, pid);
	return pid;
}

void
mail_reap(pid_t pid)
{
	int	 code;

	waitpid(pid, &code, 0);
	cr_expect_eq(code, 0);
}

/* Ended, but not reaped: proc(5) still tells of it. */
void
mail_await_end(pid_t pid)
{
	siginfo_t	 info;

	cr_assert_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

void
mail_say_ready(const char *address)
{
	mail_say(address, "READY=1");
}

void
mail_pause(const char *address)
{
	(void)address;
	for (;;)
		pause();
}
