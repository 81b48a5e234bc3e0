#include <criterion/criterion.h>

#include <sys/wait.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "master/proc.h"
#include "master/resolve_priv.h"
#include "master/sigq.h"
#include "tests/unit/sockets.h"

static struct event_base	*base;
static struct resolved		*got;
static struct err		 why;
static int			 told;

static void
setup(void)
{
	sockets_setup();
	base = event_base_new();
	cr_assert_not_null(base);
}

static void
teardown(void)
{
	resolved_free(got);
	event_base_free(base);
	sockets_teardown();
}

TestSuite(resolve, .init = setup, .fini = teardown, .timeout = 30);

static void
on_done(void *arg, struct resolved *resolved, const struct err *err)
{
	cr_expect_eq(arg, &told);
	cr_expect_eq(resolved == NULL, err != NULL);
	got = resolved;
	if (err != NULL)
		why = *err;
	told++;
	event_base_loopbreak(base);
}

static struct resolver *
start(const struct conf *conf, int64_t limit_ms)
{
	struct err	 err = { "" };
	struct resolver	*r = resolver_start(base, 0, conf, limit_ms, on_done,
			    &told, &err);

	cr_assert_not_null(r, "%s", err.text);
	cr_expect_eq(told, 0);
	return r;
}

/* Is there a child left? With what did it end: an exit code, or -signal. */
static int
end_of_child(void)
{
	int	 status;

	if (waitpid(-1, &status, 0) == -1)
		return 999;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static const char *
nth_text(size_t bind, size_t nr)
{
	static char		 text[64];
	const struct sockaddr	*sa;
	socklen_t		 len;

	sa = resolved_addr(got, bind, nr, &len);
	if (sa == NULL)
		return "none";
	addr_format(sa, len, text, sizeof(text));
	return text;
}

/* ---- what stands for name servers */

static int
never_answers(const char *host, const char *port,
    const struct addrinfo *hints, struct addrinfo **out)
{
	(void)host;
	(void)port;
	(void)hints;
	(void)out;
	while (pause() == -1)
		continue;
	return EAI_FAIL;
}

static int
knows_nobody(const char *host, const char *port,
    const struct addrinfo *hints, struct addrinfo **out)
{
	(void)host;
	(void)port;
	(void)hints;
	(void)out;
	return EAI_AGAIN;
}

/* As a hosts file with both kinds, and one of them twice. */
static int
knows_all(const char *host, const char *port, const struct addrinfo *hints,
    struct addrinfo **out)
{
	struct addrinfo	*third;
	struct addrinfo	 numeric = *hints;

	(void)host;
	numeric.ai_flags |= AI_NUMERICHOST;
	cr_assert_eq(getaddrinfo("127.0.0.9", port, &numeric, out), 0);
	cr_assert_eq(getaddrinfo("::9", port, &numeric, &third), 0);
	(*out)->ai_next = third;
	cr_assert_eq(getaddrinfo("127.0.0.9", port, &numeric,
	    &third->ai_next), 0);
	return 0;
}

static int
dies(const char *host, const char *port, const struct addrinfo *hints,
    struct addrinfo **out)
{
	(void)host;
	(void)port;
	(void)hints;
	(void)out;
	raise(SIGKILL);
	return EAI_FAIL;
}

static int	 report_to = -1;

/* What is a helper born with? Written down before it goes on. */
static int
looks_around(const char *host, const char *port,
    const struct addrinfo *hints, struct addrinfo **out)
{
	FILE	*file;
	char	 path[96];

	snprintf(path, sizeof(path), "%s/seen", folder);
	if ((file = fopen(path, "we")) == NULL)
		return EAI_FAIL;
	fprintf(file, "%d %d %d %d", getpgid(0) == getpid(),
	    fcntl(report_to, F_GETFD), count_fds(),
	    signal(SIGPIPE, SIG_DFL) == SIG_DFL);
	fclose(file);
	return knows_all(host, port, hints, out);
}

/* ---- tests */

Test(resolve, asks_in_a_child_and_keeps_every_address_once)
{
	int	 fds = count_fds();

	resolve_lookup = knows_all;
	start(with_bind("127.0.0.1:80", "unix:/x", "somebody:81", ":82",
	    "other:83", NULL), 5000);
	event_base_dispatch(base);
	cr_assert_eq(told, 1);
	cr_expect_not_null(got, "%s", why.text);
	cr_expect_str_eq(nth_text(0, 0), "127.0.0.1:80");
	cr_expect_str_eq(nth_text(0, 1), "none");
	cr_expect_str_eq(nth_text(1, 0), "none");
	cr_expect_str_eq(nth_text(2, 0), "127.0.0.9:81");
	cr_expect_str_eq(nth_text(2, 1), "[::9]:81");
	cr_expect_str_eq(nth_text(2, 2), "none");
	cr_expect_str_eq(nth_text(3, 0), "none");
	cr_expect_str_eq(nth_text(4, 1), "[::9]:83");
	cr_expect_eq(end_of_child(), 0);
	cr_expect_eq(count_fds(), fds);
}

Test(resolve, needs_no_child_for_numbers_and_still_answers_later)
{
	int	 fds = count_fds();

	resolve_lookup = never_answers;
	start(with_bind("127.0.0.1:80", "[::1]:81", NULL), 5000);
	cr_expect_eq(count_fds(), fds);
	event_base_dispatch(base);
	cr_assert_eq(told, 1);
	cr_expect_str_eq(nth_text(0, 0), "127.0.0.1:80");
	cr_expect_str_eq(nth_text(1, 0), "[::1]:81");
	cr_expect_eq(end_of_child(), 999);
}

Test(resolve, gives_a_silent_name_server_no_more_than_its_time)
{
	int64_t	 begin = clock_now_ms();
	int	 fds = count_fds();

	resolve_lookup = never_answers;
	start(with_bind("somebody:80", NULL), 150);
	cr_expect_lt(clock_now_ms() - begin, 100);
	event_base_dispatch(base);
	cr_assert_eq(told, 1);
	cr_expect_null(got);
	cr_expect_str_eq(why.text, "cannot look up host names: no answer "
	    "within 150 ms");
	cr_expect_geq(clock_now_ms() - begin, 140);
	cr_expect_lt(clock_now_ms() - begin, 2000);
	cr_expect_eq(end_of_child(), -SIGKILL);
	cr_expect_eq(count_fds(), fds);
}

Test(resolve, says_what_the_name_server_said)
{
	resolve_lookup = knows_nobody;
	start(with_bind("somebody:80", NULL), 5000);
	event_base_dispatch(base);
	cr_assert_eq(told, 1);
	cr_expect_str_eq(why.text, "cannot listen on somebody:80: Temporary "
	    "failure in name resolution");
	cr_expect_eq(end_of_child(), 0);
}

Test(resolve, notices_that_the_helper_died)
{
	resolve_lookup = dies;
	start(with_bind("somebody:80", NULL), 5000);
	event_base_dispatch(base);
	cr_assert_eq(told, 1);
	cr_expect_str_eq(why.text, "cannot look up host names: the helper "
	    "died");
	cr_expect_eq(end_of_child(), -SIGKILL);
}

Test(resolve, can_be_cancelled)
{
	int	 fds = count_fds();

	resolver_cancel(NULL);
	resolve_lookup = never_answers;
	resolver_cancel(start(with_bind("somebody:80", NULL), 100));
	cr_expect_eq(end_of_child(), -SIGKILL);
	cr_expect_eq(count_fds(), fds);
	event_base_dispatch(base);
	cr_expect_eq(told, 0);
}

Test(resolve, gives_the_helper_nothing_of_ours)
{
	char	 path[96], text[64] = "";
	FILE	*file;

	resolve_lookup = looks_around;
	sigq_ignore();
	report_to = open("/dev/null", O_RDONLY);	/* no close-on-exec */
	start(with_bind("somebody:80", NULL), 5000);
	event_base_dispatch(base);
	cr_expect_not_null(got, "%s", why.text);
	snprintf(path, sizeof(path), "%s/seen", folder);
	file = fopen(path, "re");
	cr_assert_not_null(file);
	cr_expect_not_null(fgets(text, sizeof(text), file));
	/* Its own group; three streams, the pipe, the file, and the folder. */
	cr_expect_str_eq(text, "1 -1 6 1");
	fclose(file);
	end_of_child();
}

Test(resolve, knows_localhost_at_once_or_in_a_child)
{
	struct err	 err = { "" };
	const struct conf *conf = with_bind("localhost:80", NULL);

	got = resolve_now(conf, &err);
	cr_assert_not_null(got, "%s", err.text);
	cr_expect_str_neq(nth_text(0, 0), "none");
	resolved_free(got);
	start(conf, 5000);
	event_base_dispatch(base);
	cr_assert_eq(told, 1);
	cr_expect(strcmp(nth_text(0, 0), "127.0.0.1:80") == 0 ||
	    strcmp(nth_text(0, 0), "[::1]:80") == 0, "%s", nth_text(0, 0));
	resolve_lookup = knows_nobody;
	cr_expect_null(resolve_now(conf, &err));
	cr_expect_str_eq(err.text, "cannot listen on localhost:80: Temporary "
	    "failure in name resolution");
}

/* ---- what a child that is not what it should be may send */

static struct found	 rows[300];
static size_t		 send_bytes;

static int
sends_rows(const char *host, const char *port, const struct addrinfo *hints,
    struct addrinfo **out)
{
	size_t	 sent = 0;
	ssize_t	 n;

	(void)host;
	(void)port;
	(void)hints;
	(void)out;
	for (; sent < send_bytes; sent += (size_t)n) {
		/* Its pipe is the only one that it has. */
		n = write(3, (const char *)rows + sent, send_bytes - sent);
		for (int fd = 4; n == -1 && errno == EBADF && fd < 1024; fd++)
			n = write(fd, (const char *)rows + sent,
			    send_bytes - sent);
		if (n <= 0)
			_exit(1);
	}
	_exit(0);
}

static struct found
good_row(void)
{
	struct found		 row = { .kind = FOUND_ADDRESS,
				    .len = sizeof(struct sockaddr_in) };
	struct sockaddr_in	*in = (void *)&row.sa;

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return row;
}

static void
hear(size_t bytes)
{
	resolve_lookup = sends_rows;
	send_bytes = bytes;
	told = 0;
	why.text[0] = '\0';
	start(with_bind("somebody:80", ":81", "127.0.0.1:82", NULL), 5000);
	event_base_dispatch(base);
	cr_assert_eq(told, 1);
	end_of_child();
}

static bool
is_nonsense(void)
{
	hear(2 * sizeof(rows[0]));
	return got == NULL && strstr(why.text, "makes no sense") != NULL;
}

Test(resolve, believes_no_nonsense)
{
	const struct found	 good = good_row(),
				 all = { .kind = FOUND_ALL };

	rows[0] = good;
	rows[1] = all;
	((struct sockaddr_in *)&rows[0].sa)->sin_port = htons(22);
	hear(2 * sizeof(rows[0]));
	cr_assert_not_null(got, "%s", why.text);
	cr_expect_str_eq(nth_text(0, 0), "127.0.0.1:80");	/* its port */
	resolved_free(got);
	got = NULL;

#define BAD(change)	do { rows[0] = good; change;			\
	cr_expect(is_nonsense(), "%s", #change); } while (0)
	BAD(rows[0].kind = 0);
	BAD(rows[0].kind = 77);
	BAD(rows[0].bind = 1);		/* has no host */
	BAD(rows[0].bind = 3);
	BAD(rows[0].bind = UINT32_MAX);
	BAD(rows[0].len = 0);
	BAD(rows[0].len = UINT32_MAX);
	BAD(rows[0].sa.ss_family = AF_UNIX);
	BAD(rows[0].sa.ss_family = AF_INET6);
	BAD(rows[0] = all);		/* there is something behind it */
	rows[1] = good;
	BAD(rows[0] = all);

	rows[0].kind = FOUND_FAILURE;
	memset(&rows[0].why, 'x', sizeof(rows[0].why));
	hear(sizeof(rows[0]));
	cr_expect_null(got);
	cr_expect_eq(strspn(why.text, "x"), sizeof(why.text) - 1);

	rows[0] = good;
	hear(sizeof(rows[0]));		/* it never said that this was all */
	cr_expect_str_eq(why.text, "cannot look up host names: the helper "
	    "died");
	hear(sizeof(rows[0]) - 1);
	cr_expect_null(got);
	hear(0);
	cr_expect_null(got);
}

Test(resolve, stops_listening_to_a_flood)
{
	struct sockaddr_in	*in;

	for (uint32_t i = 0; i < 300; i++) {
		rows[i] = good_row();
		in = (void *)&rows[i].sa;
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK + i);
	}
	hear(sizeof(rows));
	cr_expect_null(got);
	cr_expect_not_null(strstr(why.text, "makes no sense"));
}
