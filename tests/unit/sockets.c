#include "tests/unit/sockets.h"

#include <criterion/criterion.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "master/resolve.h"

#define LOG_FD	30	/* and above */

char			 folder[64];
static char		 log_path[80];
static struct conf	 conf;
static struct addr	 bind_list[8];

void
sockets_setup(void)
{
	struct log_options	 options = { .target = log_path,
				    .ident = "muster",
				    .level = LOG_LEVEL_DEBUG };
	struct err		 err;
	int			 low[LOG_FD];

	strcpy(folder, "/tmp/muster-sock-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(log_path, sizeof(log_path), "%s.log", folder);
	/* the log goes where no test puts a socket on a number it names */
	for (int i = 0; i < LOG_FD; i++)
		low[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cr_assert_eq(log_open(&options, &err), 0, "%s", err.text);
	for (int i = 0; i < LOG_FD; i++)
		close(low[i]);
}

static void
forget_bind(void)
{
	for (size_t i = 0; i < conf.listen.nbind; i++)
		addr_free(&bind_list[i]);
	memset(&conf, 0, sizeof(conf));
}

void
sockets_teardown(void)
{
	DIR		*dir = opendir(folder);
	struct dirent	*entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.' &&
		    unlinkat(dirfd(dir), entry->d_name, 0) == -1)
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	if (dir != NULL)
		closedir(dir);
	rmdir(folder);
	unlink(log_path);
	forget_bind();
}

struct conf *
with_bind(const char *addr, ...)
{
	struct err	 err;
	va_list		 ap;

	forget_bind();
	conf.listen = (struct conf_listen){
		.bind = bind_list, .bind_given = true, .backlog = 64,
		.nodelay = true, .unix_mode = 0666,
		.unix_uid = (uid_t)-1, .unix_gid = (gid_t)-1,
	};
	va_start(ap, addr);
	for (; addr != NULL; addr = va_arg(ap, const char *))
		cr_assert_eq(addr_parse(addr, &bind_list[conf.listen.nbind++],
		    &err), 0, "%s", err.text);
	va_end(ap);
	return &conf;
}

struct listener_set *
open_ok(const struct conf *given)
{
	struct err		 err = { "" };
	struct listener_set	*listeners = listeners_open(given, NULL, &err);

	cr_assert_not_null(listeners, "%s", err.text);
	return listeners;
}

struct listener_set *
plan_for(const struct listener_set *current, const struct conf *given,
    struct err *err)
{
	struct resolved		*resolved = resolve_now(given, err);
	struct listener_set	*set;

	cr_assert_not_null(resolved, "%s", err->text);
	set = listeners_plan(current, given, resolved, err);
	resolved_free(resolved);
	return set;
}

bool
open_fails(const struct conf *given, const char *text)
{
	struct err		 err = { "" };
	struct listener_set	*listeners = listeners_open(given, NULL, &err);

	cr_expect_null(listeners);
	listener_set_drop(listeners);
	if (strstr(err.text, text) == NULL)
		cr_log_error("%s", err.text);
	return strstr(err.text, text) != NULL;
}

struct inherited
nth(struct listener_set *listeners, int n)
{
	struct inherited	 in[16];
	struct err		 err = { "" };
	int			 count;

	count = listeners_for_slot(listeners, 0, in, 16, &err);
	cr_assert_lt(n, count, "%s", err.text);
	return in[n];
}

static socklen_t
parse(const char *text, struct sockaddr_storage *ss)
{
	struct sockaddr_un	*un = (void *)ss;
	struct sockaddr_in	*in = (void *)ss;
	struct sockaddr_in6	*in6 = (void *)ss;
	const char		*port = strrchr(text, ':') + 1;
	char			 host[64];

	memset(ss, 0, sizeof(*ss));
	if (strncmp(text, "unix:", 5) == 0) {
		un->sun_family = AF_UNIX;
		strcpy(un->sun_path, text + 5);
		if (text[5] != '@')
			return sizeof(*un);
		un->sun_path[0] = '\0';
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
		    strlen(text + 5));
	}
	snprintf(host, sizeof(host), "%.*s", (int)(port - 1 - text), text);
	if (host[0] != '[') {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)atoi(port));
		cr_assert_eq(inet_pton(AF_INET, host, &in->sin_addr), 1);
		return sizeof(*in);
	}
	host[strlen(host) - 1] = '\0';
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)atoi(port));
	cr_assert_eq(inet_pton(AF_INET6, host + 1, &in6->sin6_addr), 1);
	return sizeof(*in6);
}

int
connect_to(const char *text, int wait_ms)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = parse(text, &ss);
	struct pollfd		 watch = { .events = POLLOUT };
	int			 fd, error = 0;

	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (connect(fd, (struct sockaddr *)&ss, len) == -1)
		error = errno;
	if (error == EINPROGRESS) {
		watch.fd = fd;
		if (poll(&watch, 1, wait_ms) == 1)
			error = sockopt(fd, SOL_SOCKET, SO_ERROR);
	}
	if (error == 0)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

bool
accepts(int fd)
{
	struct pollfd	 watch = { .fd = fd, .events = POLLIN };
	int		 conn;

	poll(&watch, 1, 200);
	conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (conn == -1)
		return false;
	close(conn);
	return true;
}

int
sockopt(int fd, int level, int option)
{
	socklen_t	 len;
	int		 value;

	len = sizeof(value);
	if (getsockopt(fd, level, option, &value, &len) == -1)
		return -1;
	return value;
}

int
count_files(const char *path)
{
	DIR		*dir = opendir(path);
	struct dirent	*entry;
	int		 n = 0;

	if (dir == NULL)
		return -1;
	while ((entry = readdir(dir)) != NULL)
		n += strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return n;
}

int
count_fds(void)
{
	return count_files("/proc/self/fd");
}

int
logged(const char *text)
{
	FILE	*file = fopen(log_path, "re");
	char	 line[1024];
	int	 n = 0;

	if (file == NULL)
		return -1;
	while (fgets(line, sizeof(line), file) != NULL)
		n += strstr(line, text) != NULL;
	fclose(file);
	return n;
}
