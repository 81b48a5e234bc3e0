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
#include "master/tail.h"

/* Longer answers are cut: it is one line for the log. */
#define ANSWER_MAX	400
/* One that talks on and on shall not hold up the turn. */
#define READS_A_TURN	16
/* Of what it prints so much is read, and so many lines are looked at. */
#define OUTPUT_MAX	65536
#define OUTPUT_LINES	16

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
	int			 output_fd;	/* what it prints; -1: closed */
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
	u->reply_fd = u->output_fd = -1;
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
	if (u->output_fd != -1)
		close(u->output_fd);
	u->reply_fd = u->output_fd = -1;
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
clean(char *text)
{
	text[strcspn(text, "\n")] = '\0';
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == '\177')
			*text = '?';
}

static void
note_line(void *arg, const char *line, size_t len)
{
	char	*words = arg;

	if (len == 0 || len >= ANSWER_MAX)
		return;
	memcpy(words, line, len);
	words[len] = '\0';
}

/*
 * The last line that it printed, as of a loader that lacks a library; "" if
 * there is none. Read at its end only, and never more than the pipe may hold:
 * what it left behind may still print.
 */
static void
last_words(struct upgrade *u, char words[ANSWER_MAX])
{
	struct tail	 tail = { 0 };
	char		 bytes[4096];
	ssize_t		 n;
	int		 rounds = OUTPUT_MAX / (int)sizeof(bytes);

	words[0] = '\0';
	while (rounds-- > 0 &&
	    (n = read(u->output_fd, bytes, sizeof(bytes))) > 0)
		tail_add(&tail, bytes, (size_t)n);
	tail_lines(&tail, OUTPUT_LINES, ANSWER_MAX - 1, note_line, words);
	tail_free(&tail);
	clean(words);
}

/* How it failed, where it was executed. */
static void
tell_end(struct upgrade *u, const struct proc_death *death, char *why,
    size_t size)
{
	char	 words[ANSWER_MAX];
	bool	 ok = strncmp(u->answer, "ok ", 3) == 0;

	if (death->signo == 0 && u->answer[0] != '\0' && !ok) {
		snprintf(why, size, "%s: %s", u->path, u->answer);
		return;
	}
	last_words(u, words);
	if (death->signo != 0)
		snprintf(why, size, "%s was ended by SIG%s while it was "
		    "tried%s%s", u->path, sigabbrev_np(death->signo) == NULL ?
		    "?" : sigabbrev_np(death->signo),
		    words[0] == '\0' ? "" : ": ", words);
	else if (ok)
		snprintf(why, size, "%s ended with %d when it was tried, "
		    "though it said ok", u->path, death->code);
	else
		snprintf(why, size, "%s ended with %d when it was tried%s%s",
		    u->path, death->code, words[0] == '\0' ?
		    ", and said nothing" : ": ", words);
}

static void
judge(struct upgrade *u, const struct proc_death *death)
{
	char	 why[2 * ANSWER_MAX];
	int	 error = 0;

	if (u->len > sizeof(error) && u->answer[0] == PROC_NO_EXEC) {
		memcpy(&error, u->answer + 1, sizeof(error));
		snprintf(why, sizeof(why), "%s cannot be executed: %s",
		    u->path, strerror(error));
		finish(u, NULL, why);
		return;
	}
	u->answer[u->len] = '\0';
	clean(u->answer);
	if (death->code == 0 && strncmp(u->answer, "ok ", 3) == 0) {
		memmove(u->answer, u->answer + 3, strlen(u->answer + 3) + 1);
		finish(u, u->answer, NULL);
		return;
	}
	tell_end(u, death, why, sizeof(why));
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
launch(struct upgrade *u, int state_fd, int answer_fd, int output_fd,
    struct err *err)
{
	const int	 keep[] = { state_fd, answer_fd };
	char		**envp = heal_trial_environ(state_fd, answer_fd);

	u->pid = proc_fork_exec(u->path, heal_argv(), envp, keep, 2,
	    answer_fd, output_fd);
	free(envp);
	if (u->pid != -1)
		return 0;
	u->pid = 0;
	return err_sys(err, "cannot fork to try %s", u->path);
}

static int
open_pipe(int *ours, int *its, struct err *err)
{
	int	 ends[2];

	/* Nonblocking for both: it shall not wait for us to read either. */
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1)
		return err_sys(err, "no pipe to the new binary");
	*ours = ends[0];
	*its = ends[1];
	return 0;
}

static int
try(struct upgrade *u, struct err *err)
{
	int	 answer_fd = -1, output_fd = -1, state_fd, status = -1;

	if ((state_fd = mirror_copy(u->mirror, err)) == -1)
		return -1;
	if (open_pipe(&u->reply_fd, &answer_fd, err) == 0 &&
	    open_pipe(&u->output_fd, &output_fd, err) == 0 &&
	    (status = watch(u, err)) == 0)
		status = launch(u, state_fd, answer_fd, output_fd, err);
	if (answer_fd != -1)
		close(answer_fd);
	if (output_fd != -1)
		close(output_fd);
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
