#include "master/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/mem.h"
#include "master/heal.h"
#include "master/mirror.h"
#include "master/options.h"
#include "master/proc.h"

/* Longer answers are cut: it is one line for the log. */
#define ANSWER_MAX	400
/* One that talks on and on shall not hold up the turn. */
#define READS_A_TURN	16

struct upgrade {
	struct event_base	*base;
	int			 priority;
	struct mirror		*mirror;	/* borrowed */
	upgrade_done_fn		*done;
	void			*arg;
	pid_t			 pid;		/* not reaped yet; 0: none */
	bool			 open;		/* the outcome is not known */
	char			*path;		/* owned; that it tries */
	int64_t			 timeout_ms;
	int			 reply_fd;	/* -1: closed */
	struct event		*reply, *timer;	/* NULL: none */
	char			 answer[ANSWER_MAX];
	size_t			 len;
};

struct upgrade *
upgrade_new(struct event_base *base, int priority, struct mirror *mirror,
    upgrade_done_fn *done, void *arg)
{
	struct upgrade	*u = xcalloc(1, sizeof(*u));

	u->base = base;
	u->priority = priority;
	u->mirror = mirror;
	u->done = done;
	u->arg = arg;
	u->reply_fd = -1;
	return u;
}

static void
close_reply(struct upgrade *u)
{
	if (u->reply != NULL)
		event_free(u->reply);
	if (u->timer != NULL)
		event_free(u->timer);
	u->reply = u->timer = NULL;
	if (u->reply_fd != -1)
		close(u->reply_fd);
	u->reply_fd = -1;
}

void
upgrade_free(struct upgrade *u)
{
	if (u == NULL)
		return;
	if (u->pid != 0)
		proc_kill(u->pid);
	close_reply(u);
	free(u->path);
	free(u);
}

bool
upgrade_running(const struct upgrade *u)
{
	return u->open;
}

pid_t
upgrade_pid(const struct upgrade *u)
{
	return u->pid;
}

/* ---- the outcome */

static void
finish(struct upgrade *u, const char *version, const char *why)
{
	u->open = false;
	close_reply(u);
	/* Last: it may start another, free us, or become another image. */
	u->done(u->arg, version, why);
}

/* What it wrote, as far as it is there. */
static void
read_answer(struct upgrade *u)
{
	char	 spill[ANSWER_MAX];
	ssize_t	 n = 1;
	size_t	 room;
	int	 i;

	for (i = 0; i < READS_A_TURN && n > 0; i++) {
		room = sizeof(u->answer) - 1 - u->len;
		n = room > 0 ? read(u->reply_fd, u->answer + u->len, room) :
		    read(u->reply_fd, spill, sizeof(spill));
		if (n > 0 && room > 0)
			u->len += (size_t)n;
	}
	/* The end, or an error: only the exit says more. */
	if (u->reply != NULL && (n == 0 || (n == -1 && errno != EAGAIN &&
	    errno != EINTR)))
		event_del(u->reply);
}

/* One line of text, whatever it holds; "" if there is none. */
static void
clean_answer(struct upgrade *u)
{
	size_t	 i;

	u->answer[u->len] = '\0';
	u->answer[strcspn(u->answer, "\n")] = '\0';
	for (i = 0; u->answer[i] != '\0'; i++)
		if ((unsigned char)u->answer[i] < ' ' ||
		    u->answer[i] == '\177')
			u->answer[i] = '?';
}

static void
judge(struct upgrade *u, const struct proc_death *death)
{
	char	 why[ANSWER_MAX + 256];
	int	 error = 0;

	if (u->len > sizeof(error) && u->answer[0] == PROC_NO_EXEC) {
		memcpy(&error, u->answer + 1, sizeof(error));
		snprintf(why, sizeof(why), "%s cannot be executed: %s",
		    u->path, strerror(error));
		finish(u, NULL, why);
		return;
	}
	clean_answer(u);
	if (death->code == 0 && strncmp(u->answer, "ok ", 3) == 0) {
		memmove(u->answer, u->answer + 3, strlen(u->answer + 3) + 1);
		finish(u, u->answer, NULL);
		return;
	}
	if (death->signo != 0)
		snprintf(why, sizeof(why), "%s was ended by SIG%s while it "
		    "was tried", u->path, sigabbrev_np(death->signo) == NULL ?
		    "?" : sigabbrev_np(death->signo));
	else if (u->answer[0] != '\0' && strncmp(u->answer, "ok ", 3) != 0)
		snprintf(why, sizeof(why), "%s: %s", u->path, u->answer);
	else
		snprintf(why, sizeof(why), "%s ended with %d when it was "
		    "tried, %s", u->path, death->code, u->answer[0] == '\0' ?
		    "and said nothing" : "though it said ok");
	finish(u, NULL, why);
}

bool
upgrade_exited(struct upgrade *u, pid_t pid, const struct proc_death *death)
{
	if (u->pid == 0 || pid != u->pid)
		return false;
	u->pid = 0;
	if (u->open) {
		read_answer(u);
		judge(u, death);
	}
	return true;
}

static void
on_reply(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	read_answer(arg);
}

static void
on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct upgrade	*u = arg;
	char		 why[ANSWER_MAX + 64];

	(void)fd;
	(void)what;
	if (u->pid != 0)
		proc_kill(u->pid);
	snprintf(why, sizeof(why), "%s did not answer within %lld ms",
	    u->path, (long long)u->timeout_ms);
	finish(u, NULL, why);
}

/* ---- the trial */

static int
watch(struct upgrade *u, struct err *err)
{
	struct timeval	 tv = clock_timeval(u->timeout_ms);

	u->reply = event_new(u->base, u->reply_fd, EV_READ | EV_PERSIST,
	    on_reply, u);
	u->timer = evtimer_new(u->base, on_timeout, u);
	if (u->reply == NULL || u->timer == NULL)
		return err_set(err, "cannot wait for the new binary");
	event_priority_set(u->reply, u->priority);
	event_priority_set(u->timer, u->priority);
	if (event_add(u->reply, NULL) == -1 || evtimer_add(u->timer, &tv) == -1)
		return err_set(err, "cannot wait for the new binary");
	return 0;
}

static int
launch(struct upgrade *u, int state_fd, int answer_fd, struct err *err)
{
	const int	 keep[] = { state_fd, answer_fd };
	char		**envp = heal_trial_environ(state_fd, answer_fd);

	u->pid = proc_fork_exec(u->path, heal_argv(), envp, keep, 2,
	    answer_fd);
	free(envp);
	if (u->pid != -1)
		return 0;
	u->pid = 0;
	return err_sys(err, "cannot fork to try %s", u->path);
}

static int
try(struct upgrade *u, struct err *err)
{
	int	 ends[2] = { -1, -1 }, state_fd, status;

	if ((state_fd = mirror_copy(u->mirror, err)) == -1)
		return -1;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1) {
		err_sys(err, "no pipe to the new binary");
		close(state_fd);
		return -1;
	}
	u->reply_fd = ends[0];
	if ((status = watch(u, err)) == 0)
		status = launch(u, state_fd, ends[1], err);
	close(ends[1]);
	close(state_fd);
	return status;
}

int
upgrade_start(struct upgrade *u, const char *path, int64_t timeout_ms,
    struct err *err)
{
	if (u->open)
		return err_set(err, "an upgrade is being tried already");
	if (path == NULL)
		path = heal_path();
	if (*path == '\0')
		return err_set(err, "it is not known where the program lies");
	/* One that is killed, but not reaped: a stranger from now on. */
	u->pid = 0;
	free(u->path);
	u->path = xstrdup(path);
	u->timeout_ms = timeout_ms;
	u->len = 0;
	if (try(u, err) == -1) {
		close_reply(u);
		return -1;
	}
	u->open = true;
	return 0;
}

/* ---- the other side */

int
upgrade_trial_answer(int reply_fd, const struct err *err)
{
	char	 line[ANSWER_MAX];
	int	 len;

	if (err == NULL)
		len = snprintf(line, sizeof(line), "ok %s\n", MUSTER_VERSION);
	else
		len = snprintf(line, sizeof(line), "%.*s\n", ANSWER_MAX - 2,
		    err->text);
	if (write(reply_fd, line, (size_t)len) != (ssize_t)len)
		return EXIT_FAILURE;
	return err == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
upgrade_exec(struct mirror *mirror, const char *path, struct err *err)
{
	if (path == NULL)
		path = heal_path();
	heal_exec(path, mirror_fd(mirror));
	return err_sys(err, "cannot become %s", path);
}

int
upgrade_back(const char *why, struct err *err)
{
	struct heal_origin	 origin = heal_origin();

	if (origin.how != HEAL_UPGRADE || origin.back_fd == -1)
		return err_set(err, "there is no image to go back to");
	heal_exec_back(origin.back_fd, origin.state_fd, why);
	return err_sys(err, "cannot go back to the old image");
}
