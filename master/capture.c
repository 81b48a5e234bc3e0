#include "master/capture.h"

#include <bsd/sys/queue.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/mem.h"
#include "master/ears.h"
#include "master/tail.h"

#define PIPES_A_TURN	4
#define PIPE_SIZE	(256 * 1024)
#define CHUNK		(64 * 1024)
/* A dead worker's pipe holds no more; what is written meanwhile may wait. */
#define LAST_CHUNKS	(PIPE_SIZE / CHUNK + 1)

_Static_assert(CAPTURE_KEEP == TAIL_MAX, "one limit");

struct capture {
	LIST_ENTRY(capture) entry;
	struct captures	*captures;
	int		 fd;
	int		 slot;
	int		 generation;
	pid_t		 pid;
	bool		 heard;		/* ears know of it */
	char		*line;		/* owned; unfinished: its beginning */
	size_t		 line_len;
	int64_t		 cut;		/* and what came behind that */
	struct tail	 last;
};

struct captures {
	struct ears	*ears;
	LIST_HEAD(, capture) all;
};

/* What was read last. No part of the heap: an app's pool never touches it. */
static char	 chunk[CHUNK];

/* ---- lines */

static void
emit(const char *line, size_t len, int64_t cut)
{
	if (len > CAPTURE_LINE) {
		cut += (int64_t)len - CAPTURE_LINE;
		len = CAPTURE_LINE;
	} else if (cut == 0 && len > 0 && line[len - 1] == '\r') {
		len--;
	}
	log_run_line((const struct log_field[]){
	    log_bytes("line", line, len),
	    cut > 0 ? log_int("cut", cut) : log_str("cut", NULL),
	    { LOG_FIELD_END, NULL, 0, NULL } });
}

/* The lines that end now are the worker's. */
static void
begin_lines(const struct capture *c)
{
	log_run_begin(EV_WORKER_OUTPUT, (const struct log_field[]){
	    log_int("slot", c->slot), log_int("pid", c->pid),
	    log_int("gen", c->generation),
	    { LOG_FIELD_END, NULL, 0, NULL } });
}

/* Keep what may become a line, as much of it as a line may have. */
static void
hold(struct capture *c, const char *data, size_t len)
{
	size_t	 room = CAPTURE_LINE - c->line_len;

	if (len > room) {
		c->cut += (int64_t)(len - room);
		len = room;
	}
	if (len == 0)
		return;
	c->line = xreallocarray(c->line, c->line_len + len, 1);
	memcpy(c->line + c->line_len, data, len);
	c->line_len += len;
}

static bool
is_holding(const struct capture *c)
{
	return c->line != NULL;
}

static void
emit_held(struct capture *c)
{
	emit(c->line, c->line_len, c->cut);
	free(c->line);
	c->line = NULL;
	c->line_len = 0;
	c->cut = 0;
}

static void
take(struct capture *c, const char *data, size_t len)
{
	const char	*newline;
	size_t		 part;

	tail_add(&c->last, data, len);
	begin_lines(c);
	for (; (newline = memchr(data, '\n', len)) != NULL; data += part + 1,
	    len -= part + 1) {
		part = (size_t)(newline - data);
		if (is_holding(c)) {
			hold(c, data, part);
			emit_held(c);
		} else {
			emit(data, part, 0);
		}
	}
	log_run_end();
	hold(c, data, len);
}

/* ---- reading */

static void
deafen(struct capture *c)
{
	if (c->heard)
		ears_drop(c->captures->ears, c->fd);
	c->heard = false;
}

/* False: there is nothing more, now or ever. */
static bool
read_chunk(struct capture *c)
{
	ssize_t	 n;

	do
		n = read(c->fd, chunk, CHUNK);
	while (n == -1 && errno == EINTR);
	if (n > 0) {
		take(c, chunk, (size_t)n);
		return true;
	}
	/* Nobody has the other end any more, and its readiness has no end. */
	if (n == 0 || errno != EAGAIN)
		deafen(c);
	return false;
}

static void
on_output(void *arg, void *who)
{
	(void)arg;
	read_chunk(who);
}

void
capture_finish(struct capture *c)
{
	int	 i;

	for (i = 0; i < LAST_CHUNKS && read_chunk(c); i++)
		;
	if (is_holding(c)) {
		begin_lines(c);
		emit_held(c);
		log_run_end();
	}
	deafen(c);
}

size_t
capture_last(const struct capture *c, capture_line_fn *each, void *arg)
{
	return tail_lines(&c->last, CAPTURE_KEEP_LINES, CAPTURE_LINE, each,
	    arg);
}

/* ---- life */

struct captures *
captures_new(struct event_base *base, int priority, struct err *err)
{
	struct captures	*captures = xcalloc(1, sizeof(*captures));

	LIST_INIT(&captures->all);
	captures->ears = ears_new(base, priority, PIPES_A_TURN, on_output,
	    NULL, captures, err);
	if (captures->ears != NULL)
		return captures;
	free(captures);
	return NULL;
}

void
captures_free(struct captures *captures)
{
	struct capture	*c, *next;

	if (captures == NULL)
		return;
	LIST_FOREACH_SAFE(c, &captures->all, entry, next)
		capture_close(c);
	ears_free(captures->ears);
	free(captures);
}

static struct capture *
capture_new(struct captures *captures, int fd)
{
	struct capture	*c = xcalloc(1, sizeof(*c));

	c->captures = captures;
	c->fd = fd;
	LIST_INSERT_HEAD(&captures->all, c, entry);
	return c;
}

/*
 * Only our end does not block: programs do not expect that of their stdout.
 * The bigger the pipe, the less a worker waits for our next turn.
 */
struct capture *
capture_open(struct captures *captures, int *write_end, struct err *err)
{
	int	 ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1) {
		err_sys(err, "cannot make a pipe for a worker's output");
		return NULL;
	}
	if (fd_nonblock(ends[0], true) == -1) {
		err_sys(err, "cannot read a worker's output");
		close(ends[0]);
		close(ends[1]);
		return NULL;
	}
	fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
	*write_end = ends[1];
	return capture_new(captures, ends[0]);
}

/* Only memory or a limit on watches can be lacking: see epoll_ctl(2). */
void
capture_own(struct capture *c, int slot, pid_t pid, int generation)
{
	c->slot = slot;
	c->pid = pid;
	c->generation = generation;
	if (ears_add(c->captures->ears, c->fd, c) == -1)
		log_event(EV_LOOP_NOTE, log_str("msg",
		    "a program's output cannot be read"), log_errno());
	else
		c->heard = true;
}

void
capture_close(struct capture *c)
{
	if (c == NULL)
		return;
	deafen(c);
	close(c->fd);
	LIST_REMOVE(c, entry);
	tail_free(&c->last);
	free(c->line);
	free(c);
}

/* ---- across an exec */

int
capture_fd(const struct capture *c)
{
	return c->fd;
}

static bool
is_taken(const struct captures *captures, int fd)
{
	const struct capture	*c;

	LIST_FOREACH(c, &captures->all, entry)
		if (c->fd == fd)
			return true;
	return false;
}

struct capture *
capture_restore(struct captures *captures, int fd, int slot, pid_t pid,
    int generation, struct err *err)
{
	struct capture	*c;
	struct stat	 st;
	int		 flags = fcntl(fd, F_GETFL);

	if (flags == -1 || (flags & O_ACCMODE) != O_RDONLY ||
	    fstat(fd, &st) == -1 || !S_ISFIFO(st.st_mode) ||
	    is_taken(captures, fd)) {
		err_set(err, "descriptor %d is not the output of pid %d", fd,
		    (int)pid);
		return NULL;
	}
	if (fd_cloexec(fd, true) == -1 || fd_nonblock(fd, true) == -1) {
		err_sys(err, "cannot take the output of pid %d over",
		    (int)pid);
		return NULL;
	}
	c = capture_new(captures, fd);
	capture_own(c, slot, pid, generation);
	return c;
}
