#include "common/log_sink.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log_line.h"

#define FILE_FLAGS	(O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | \
			 O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define STDERR_FLAGS	(O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

#define MASTER_KEY	"MUSTER_LOG="
#define MASTER_ROOM	(LOG_LINE_MAX - sizeof(MASTER_KEY "error "))

/* How a line gets through the descriptor without waiting. */
enum sink_way {
	WAY_SHARED,	/* it may block, and others hold it: ask each time */
	WAY_WRITE,	/* it does not block, or is a file on a disk */
	WAY_SYSLOG,
	WAY_MASTER,
};

struct sink {
	char		 path[PATH_MAX];	/* "": not a file */
	char		 ident[64];	/* syslog's tag */
	enum sink_way	 way;
	int		 fd;		/* -1: none just now */
	bool		 own;		/* fd is ours to close */
	bool		 tty;
	bool		 torn;		/* the last line has no end yet */
};

static struct sink	 sink = { .way = WAY_SHARED, .fd = STDERR_FILENO,
			    .tty = true };
static const char	*syslog_path = "/dev/log";

/* ---- opening */

/* A standard descriptor that was closed must not become the log. */
static int
above_stdio(int fd)
{
	int	 moved, saved;

	if (fd == -1 || fd > STDERR_FILENO)
		return fd;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	saved = errno;
	close(fd);
	errno = saved;
	return moved;
}

static int
open_file(const char *path, struct sink *out, struct err *err)
{
	struct stat	 st;
	int		 fd;

	if ((fd = above_stdio(open(path, FILE_FLAGS, 0640))) == -1) {
		if (errno == ELOOP)
			return err_set(err, "cannot open log %s: symbolic "
			    "links are not followed", path);
		return err_sys(err, "cannot open log %s", path);
	}
	if (fstat(fd, &st) == -1 || (!S_ISREG(st.st_mode) &&
	    !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))) {
		close(fd);
		return err_set(err, "cannot log to %s: it is neither a file "
		    "nor a pipe nor a character device", path);
	}
	*out = (struct sink){ .way = WAY_WRITE, .fd = fd, .own = true,
	    .tty = isatty(fd) == 1 };
	snprintf(out->path, sizeof(out->path), "%s", path);
	return 0;
}

/*
 * stderr is shared with whoever started us, and so is its O_NONBLOCK: set on
 * a shell's terminal it would break the shell. What can block is opened anew
 * for flags of our own. A file does not block, and would lose its offset.
 */
static int
open_stderr(struct sink *out, struct err *err)
{
	struct stat	 st;
	int		 fd;

	if (fstat(STDERR_FILENO, &st) == -1)
		return err_sys(err, "cannot log to stderr");
	*out = (struct sink){ .way = WAY_SHARED, .fd = STDERR_FILENO,
	    .tty = isatty(STDERR_FILENO) == 1 };
	if (S_ISREG(st.st_mode)) {
		out->way = WAY_WRITE;
	} else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		fd = above_stdio(open("/proc/self/fd/2", STDERR_FLAGS));
		if (fd != -1) {
			out->way = WAY_WRITE;
			out->fd = fd;
			out->own = true;
		}
	}
	return 0;
}

static int
syslog_connect(void)
{
	struct sockaddr_un	 sun = { .sun_family = AF_UNIX };
	int			 fd, saved;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", syslog_path);
	fd = above_stdio(socket(AF_UNIX,
	    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	if (fd != -1 &&
	    connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static void
open_syslog(const char *ident, struct sink *out)
{
	*out = (struct sink){ .way = WAY_SYSLOG, .own = true };
	snprintf(out->ident, sizeof(out->ident), "%s", ident);
	tzset();	/* now, so that no line has to read the zone's file */
	/* Not there yet? Each line tries again. */
	out->fd = syslog_connect();
}

static void
swap(const struct sink *fresh)
{
	struct sink	 old = sink;

	sink = *fresh;
	if (old.own && old.fd != -1)
		close(old.fd);
}

int
log_sink_open(const char *target, const char *ident, struct err *err)
{
	struct sink	 fresh;
	int		 result = 0;

	if (strcmp(target, "stderr") == 0)
		result = open_stderr(&fresh, err);
	else if (strcmp(target, "syslog") == 0)
		open_syslog(ident, &fresh);
	else
		result = open_file(target, &fresh, err);
	if (result == 0)
		swap(&fresh);
	return result;
}

int
log_sink_reopen(struct err *err)
{
	struct sink	 fresh;

	if (sink.way == WAY_SYSLOG && sink.fd != -1) {
		close(sink.fd);		/* the next line connects */
		sink.fd = -1;
	}
	if (sink.way == WAY_MASTER || sink.path[0] == '\0')
		return 0;
	if (open_file(sink.path, &fresh, err) == -1)
		return -1;
	swap(&fresh);
	return 0;
}

void
log_sink_to_master(int fd)
{
	/* In a new worker: to write the path, too, takes a copy of its page. */
	sink.way = WAY_MASTER;
	sink.fd = fd;
	sink.own = sink.tty = sink.torn = false;
}

int
log_sink_fd(void)
{
	return sink.fd;
}

void
log_sink_syslog_path(const char *path)
{
	syslog_path = path;
}

size_t
log_sink_room(void)
{
	return sink.way == WAY_MASTER ? MASTER_ROOM : LOG_LINE_MAX;
}

bool
log_sink_joins(void)
{
	return sink.way == WAY_WRITE || sink.way == WAY_SHARED;
}

/* ---- writing */

/*
 * A socket can be told not to wait. For others ask whether a write would be
 * taken at once, and by somebody: no line is longer than what a pipe that has
 * room takes whole.
 */
static ssize_t
write_shared(int fd, const char *data, size_t len)
{
	struct pollfd	 p = { .fd = fd, .events = POLLOUT };
	ssize_t		 done;

	done = send(fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (done != -1 || errno != ENOTSOCK)
		return done;
	if (poll(&p, 1, 0) == 1 && p.revents == POLLOUT)
		return write(fd, data, len);
	errno = EAGAIN;
	return -1;
}

static bool
put_once(const char *data, size_t len)
{
	ssize_t	 done;

	do {
		done = sink.way == WAY_SHARED ?
		    write_shared(sink.fd, data, len) :
		    write(sink.fd, data, len);
	} while (done == -1 && errno == EINTR);
	if (done > 0)
		sink.torn = data[done - 1] != '\n';
	return done == (ssize_t)len;
}

static bool
put_line(const char *line, size_t len)
{
	if (sink.torn && !put_once("\n", 1))
		return false;
	return put_once(line, len);
}

/*
 * In a shell's background, with "stty tostop", a write to the terminal stops
 * the writer by SIGTTOU; while that is blocked, the terminal takes the text.
 */
static bool
put_tty(const char *line, size_t len)
{
	sigset_t	 ttou, old;
	bool		 done;

	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &old);
	done = put_line(line, len);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return done;
}

/* "<30>Nov 21 10:15:02 muster[712]: ", in local time as syslogd wants it. */
static size_t
syslog_head(enum log_level level, char *out, size_t size)
{
	static const char	 months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const int	 severity[] = { 3, 4, 6, 7 };
	enum { DAEMON = 3 << 3 };
	struct timespec		 now;
	struct tm		 tm;
	int			 len;

	clock_wall(&now);
	localtime_r(&now.tv_sec, &tm);
	len = snprintf(out, size, "<%d>%.3s %2d %02d:%02d:%02d %s[%d]: ",
	    DAEMON + severity[level], months + 3 * tm.tm_mon, tm.tm_mday,
	    tm.tm_hour, tm.tm_min, tm.tm_sec, sink.ident, (int)getpid());
	return (size_t)len < size ? (size_t)len : size - 1;
}

static bool
try_syslog(struct iovec *iov, size_t count)
{
	struct msghdr	 msg = { .msg_iov = iov, .msg_iovlen = count };

	return sendmsg(sink.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) != -1;
}

static bool
put_syslog(enum log_level level, const char *line, size_t len)
{
	char		 head[160];
	struct iovec	 iov[2] = { { .iov_base = head } };

	/* It has a time and a level of its own; JSON is left whole. */
	if (len > LOG_LINE_HEAD && line[0] != '{' &&
	    line[LOG_LINE_HEAD - 8] == 'Z' && line[LOG_LINE_HEAD - 1] == ' ') {
		line += LOG_LINE_HEAD;
		len -= LOG_LINE_HEAD;
	}
	iov[0].iov_len = syslog_head(level, head, sizeof(head));
	iov[1] = (struct iovec){ (char *)line, len - 1 };
	if (sink.fd != -1) {
		if (try_syslog(iov, 2))
			return true;
		if (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE)
			return false;
		close(sink.fd);		/* syslogd was started anew */
	}
	return (sink.fd = syslog_connect()) != -1 && try_syslog(iov, 2);
}

static bool
put_master(enum log_level level, const char *line, size_t len)
{
	char		 text[LOG_LINE_MAX];
	struct sink	 fresh;
	struct err	 err;
	int		 n;

	n = snprintf(text, sizeof(text), MASTER_KEY "%s %.*s",
	    log_level_name(level), (int)len - 1, line);
	if (send(sink.fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != -1)
		return true;
	if (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE ||
	    errno == EINTR)
		return false;
	/* The master is gone. This line may be the one that says so. */
	if (open_stderr(&fresh, &err) == -1)
		return false;
	swap(&fresh);
	return log_sink_write(level, line, len);
}

bool
log_sink_write(enum log_level level, const char *line, size_t len)
{
	if (sink.way == WAY_SYSLOG)
		return put_syslog(level, line, len);
	if (sink.way == WAY_MASTER)
		return put_master(level, line, len);
	return sink.tty ? put_tty(line, len) : put_line(line, len);
}
