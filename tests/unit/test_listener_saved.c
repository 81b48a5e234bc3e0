#include <criterion/criterion.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/sockets.h"

/*
 * Over an exec: what was saved is taken over by its number, if it is what it
 * was. Here the descriptors pass through dup(2), where an exec would leave
 * them alone.
 */

TestSuite(listener_saved, .init = sockets_setup, .fini = sockets_teardown,
    .timeout = 30);

struct kept {
	struct listener_saved	 saved;
	int			 fds[8];
	size_t			 nfds;
};

static struct listener *
at(const struct listener_set *set, size_t nr)
{
	const char	*name;

	return listener_set_nth(set, nr, &name);
}

/* What a new image would find: the same sockets, and close-on-exec off. */
static struct kept
keep(const struct listener *l)
{
	struct kept	 k = { .nfds = (size_t)listener_sockets(l) };

	listener_save(l, &k.saved);
	for (size_t i = 0; i < k.nfds; i++)
		k.fds[i] = dup(listener_fd(l, (int)i));
	if (k.saved.dir != -1)
		k.saved.dir = dup(k.saved.dir);
	return k;
}

static bool
is_refused_as(const struct kept *k, const char *why)
{
	struct err	 err = { "" };
	struct listener	*l = listener_restore(&k->saved, k->fds, k->nfds,
			    &err);

	cr_expect_null(l);
	if (strstr(err.text, why) == NULL)
		cr_log_error("%s", err.text);
	return strstr(err.text, why) != NULL;
}

static struct listener *
restore_ok(const struct kept *k)
{
	struct err	 err = { "" };
	struct listener	*l = listener_restore(&k->saved, k->fds, k->nfds,
			    &err);

	cr_assert_not_null(l, "%s", err.text);
	return l;
}

Test(listener_saved, takes_a_socket_over)
{
	struct listener_set	*old = open_ok(with_bind("web=127.0.0.1:0",
				    NULL)), *now;
	struct kept		 k = keep(at(old, 0));
	uint32_t		 id = listener_id(at(old, 0));
	const char		*name = "web";
	struct listener		*l;
	struct err		 err;

	listener_set_drop(old);
	l = restore_ok(&k);
	cr_expect_eq(listener_id(l), id);
	cr_expect(fcntl(k.fds[0], F_GETFD) & FD_CLOEXEC);
	cr_expect(listener_unused(l));
	now = listener_set_restore(&l, &name, 1, &err);
	cr_assert_not_null(now);
	listener_drop(l);
	cr_expect_str_eq(nth(now, 0).name, "web");
	cr_expect_eq(nth(now, 0).fd, k.fds[0]);
	cr_expect_neq(connect_to(nth(now, 0).text, 1000), -1);

	/* It is known by what the configuration called it. */
	old = now;
	now = listeners_plan(old, with_bind("none", NULL), NULL, &err);
	listener_set_drop(now);
	listeners_apply(old, with_bind("web=127.0.0.1:0", NULL));
	cr_expect_eq(logged("listen.open"), 1);

	/* New numbers come after it. */
	now = open_ok(with_bind("127.0.0.1:0", NULL));
	cr_expect_gt(listener_id(at(now, 0)), id);
	listener_set_drop(now);
	listener_set_drop(old);
	cr_expect_eq(fcntl(k.fds[0], F_GETFD), -1);
}

Test(listener_saved, refuses_what_is_not_the_socket_that_it_was)
{
	struct listener_set	*set = open_ok(with_bind("127.0.0.1:0",
				    "127.0.0.1:0", NULL));
	struct kept		 k = keep(at(set, 0)), other = keep(at(set, 1));
	char			*text = strdup(nth(set, 0).text);
	int			 good = k.fds[0], ends[2], fd;

	listener_set_drop(set);
	cr_assert_eq(pipe(ends), 0);
	fd = k.fds[0] = ends[0];
	cr_expect(is_refused_as(&k, "it is no socket"));
	cr_expect_eq(fcntl(fd, F_GETFD), 0);	/* untouched, and open */
	k.fds[0] = 777;
	cr_expect(is_refused_as(&k, "it is not open"));
	k.fds[0] = 1;
	cr_expect(is_refused_as(&k, "it is a standard stream"));
	k.fds[0] = -1;
	cr_expect(is_refused_as(&k, "it is a standard stream"));
	k.fds[0] = connect_to(text, 1000);
	cr_expect_neq(k.fds[0], -1);
	cr_expect(is_refused_as(&k, "it does not listen"));
	k.fds[0] = socket(AF_INET, SOCK_DGRAM, 0);
	cr_expect(is_refused_as(&k, "it is no stream socket"));
	k.fds[0] = other.fds[0];
	cr_expect(is_refused_as(&k, "it is bound to another address"));
	k.fds[0] = good;
	listener_drop(restore_ok(&k));
	free(text);
}

Test(listener_saved, refuses_what_somebody_else_has)
{
	struct listener_set	*set = open_ok(with_bind("127.0.0.1:0",
				    NULL));
	struct kept		 k = keep(at(set, 0));

	cr_expect(is_refused_as(&k, "its number is taken"));
	k.saved.id += 100;
	k.fds[0] = nth(set, 0).fd;
	cr_expect(is_refused_as(&k, "it is given twice"));
	cr_expect_neq(fcntl(k.fds[0], F_GETFD), -1);
	listener_set_drop(set);
}

/* Each of these would do harm if it were believed. */
Test(listener_saved, refuses_nonsense)
{
	struct listener_set	*set = open_ok(with_bind("127.0.0.1:0",
				    NULL));
	const struct kept	 k = keep(at(set, 0));
	struct kept		 bad;

	listener_set_drop(set);
#define BAD(change, why)	do { bad = k; change;			\
	cr_expect(is_refused_as(&bad, why), "%s", #change); } while (0)
	BAD(bad.saved.id = 0, "no sensible number");
	BAD(bad.saved.id = UINT32_MAX, "no sensible number");
	BAD(bad.saved.kind = 99, "no known kind");
	BAD(bad.saved.kind = -1, "no known kind");
	BAD(bad.saved.kind = ADDR_NONE, "no known kind");
	BAD(bad.saved.kind = ADDR_UNIX, "another family");
	BAD(memset(bad.saved.text, 'x', LISTENER_TEXT_MAX), "cut off");
	BAD(memset(bad.saved.name, 'x', LISTENER_TEXT_MAX), "cut off");
	BAD(memset(bad.saved.key, 'x', LISTENER_TEXT_MAX), "cut off");
	BAD(memset(bad.saved.base, 'x', LISTENER_TEXT_MAX), "cut off");
	BAD(bad.saved.steered = 2, "out of range");
	BAD(bad.saved.backlog = -1, "out of range");
	BAD(bad.saved.nfds = 0, "not as many");
	BAD(bad.saved.nfds = 2, "not as many");
	BAD(bad.saved.nfds = INT32_MAX, "not as many");
	BAD(bad.saved.salen = 0, "no sensible length");
	BAD(bad.saved.salen = UINT32_MAX, "no sensible length");
	BAD(bad.saved.salen--, "another address");
	BAD(bad.saved.steered = 1, "shares no port");
	BAD(bad.saved.given = 1, "its kind has not");
	BAD(bad.saved.dir = bad.fds[0], "its kind has not");
	bad = k;
	bad.nfds = 0;
	cr_expect(is_refused_as(&bad, "not as many"));
	listener_drop(restore_ok(&k));
}

Test(listener_saved, takes_the_file_of_a_unix_socket_over)
{
	char			 text[128];
	struct listener_set	*old;
	struct kept		 k, bad;
	struct listener		*l;
	int			 fds;

	snprintf(text, sizeof(text), "unix:%s/s", folder);
	old = open_ok(with_bind(text, NULL));
	k = keep(at(old, 0));
	/* The old image never ran its end: nothing was unlinked. */
	listeners_disown();
	listener_set_drop(old);
	cr_expect_eq(count_files(folder), 1);
	cr_expect_neq(connect_to(text, 100), -1);
	fds = count_fds();

	bad = k;
	strcpy(bad.saved.base, "../x");
	cr_expect(is_refused_as(&bad, "no sensible name"));
	strcpy(bad.saved.base, "..");
	cr_expect(is_refused_as(&bad, "no sensible name"));
	bad.saved.base[0] = '\0';
	cr_expect(is_refused_as(&bad, "no sensible name"));
	bad = k;
	bad.saved.dir = 0;
	cr_expect(is_refused_as(&bad, "no sensible name"));
	bad.saved.dir = k.fds[0];
	cr_expect(is_refused_as(&bad, "it is no folder"));
	bad.saved.dir = 777;
	cr_expect(is_refused_as(&bad, "it is no folder"));
	cr_expect_eq(count_fds(), fds);

	/* A trial looks, and leaves it where it is. */
	l = restore_ok(&k);
	listener_drop(l);
	cr_expect_eq(count_files(folder), 1);
	cr_expect_eq(count_fds(), fds - 2);
}

static void
restore_and_end(const struct kept *k)
{
	struct err	 err;
	struct listener	*l = listener_restore(&k->saved, k->fds, k->nfds,
			    &err);

	if (l == NULL)
		_exit(2);
	listener_drop(l);
	_exit(0);
}

Test(listener_saved, unlinks_at_its_end_what_it_took_over)
{
	char			 text[128];
	struct listener_set	*old;
	struct kept		 k;
	pid_t			 pid;
	int			 status;

	snprintf(text, sizeof(text), "unix:%s/s", folder);
	old = open_ok(with_bind(text, NULL));
	k = keep(at(old, 0));
	k.saved.id = 1000;
	pid = fork();
	if (pid == 0)
		restore_and_end(&k);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
	cr_expect_eq(count_files(folder), 0);
	listener_set_drop(old);
}

Test(listener_saved, takes_a_group_over_and_its_order)
{
	struct conf		*conf = with_bind("127.0.0.1:0", NULL);
	const bool		 ready[] = { false, false, true, false };
	struct listener_set	*old, *now;
	struct inherited	 in;
	struct listener		*l;
	struct kept		 k, bad;
	const char		*name = "x";
	struct err		 err;
	int			 fd;

	conf->listen.accept = ACCEPT_REUSEPORT;
	old = open_ok(conf);
	cr_assert_eq(listeners_for_slot(old, 2, &in, 1, &err), 1);
	k = keep(at(old, 0));
	listener_set_drop(old);
	cr_expect_eq(k.nfds, 3);
	bad = k;
	bad.fds[2] = bad.fds[0];
	cr_expect(is_refused_as(&bad, "it is given twice"));
	l = restore_ok(&k);
	now = listener_set_restore(&l, &name, 1, &err);
	listener_drop(l);
	cr_expect_eq(listeners_for_slot(now, 3, &in, 1, &err), 1);
	cr_expect_eq(listener_sockets(at(now, 0)), 4);
	listener_steer(at(now, 0), ready, 4);
	for (int i = 0; i < 20; i++) {
		fd = connect_to(in.text, 1000);
		cr_expect_neq(fd, -1);
		cr_expect(accepts(k.fds[2]));
		close(fd);
	}
	listener_set_drop(now);
}

Test(listener_saved, remembers_that_it_refuses)
{
	struct listener_set	*old = open_ok(with_bind("127.0.0.1:0",
				    NULL));
	struct listener		*l;
	struct kept		 k;

	listeners_retire(old, NULL);
	k = keep(at(old, 0));
	listener_set_drop(old);
	l = restore_ok(&k);
	cr_expect_geq(listener_refused_ms(l), 0);
	cr_expect_eq(connect_to(listener_text(l), 100), -1);
	listener_drop(l);
}

Test(listener_saved, makes_no_set_of_nonsense)
{
	struct listener_set	*old = open_ok(with_bind("127.0.0.1:0",
				    NULL));
	struct listener		*twice[] = { at(old, 0), at(old, 0) };
	const char		*names[] = { "a", "b" }, *none[] = { "" };
	struct err		 err = { "" };

	cr_expect_null(listener_set_restore(twice, names, 2, &err));
	cr_expect_not_null(strstr(err.text, "it is there twice"));
	cr_expect_null(listener_set_restore(twice, none, 1, &err));
	cr_expect_not_null(strstr(err.text, "it has no name"));
	cr_expect(listener_unused(at(old, 0)));
	listener_set_drop(old);
}

static void
count_one(void *arg, int fd, enum listener_fd kind)
{
	struct stat	 st;

	cr_expect_eq(fstat(fd, &st), 0);
	cr_expect_eq(S_ISDIR(st.st_mode), kind == LISTENER_FOLDER);
	++*(int *)arg;
}

Test(listener_saved, names_every_descriptor_that_has_to_survive)
{
	char			 text[128];
	struct listener_set	*set;
	int			 n = 0;

	snprintf(text, sizeof(text), "unix:%s/s", folder);
	set = open_ok(with_bind(text, "127.0.0.1:0", NULL));
	listener_fds(at(set, 0), count_one, &n);
	cr_expect_eq(n, 2);	/* the socket and its folder */
	listener_fds(at(set, 1), count_one, &n);
	cr_expect_eq(n, 3);
	listener_set_drop(set);
}
