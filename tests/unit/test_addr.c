#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/addr.h"

TestSuite(addr, .timeout = 10);

static struct addr
parsed(const char *text)
{
	struct addr	 addr;
	struct err	 err;

	cr_assert_eq(addr_parse(text, &addr, &err), 0, "%s: %s", text,
	    err.text);
	return addr;
}

static void
refused(const char *text, const char *why)
{
	struct addr	 addr;
	struct err	 err;

	cr_assert_eq(addr_parse(text, &addr, &err), -1, "%s", text);
	cr_expect_not_null(strstr(err.text, why), "%s: %s", text, err.text);
	cr_expect_null(addr.name);
	cr_expect_null(addr.host);
}

static void
tcp(const char *text, const char *host, int port, const char *name)
{
	struct addr	 addr = parsed(text);

	cr_expect_eq(addr.kind, ADDR_TCP);
	cr_expect_eq(addr.port, port);
	if (host == NULL)
		cr_expect_null(addr.host);
	else
		cr_expect_str_eq(addr.host, host);
	cr_expect_str_eq(addr.name, name);
	addr_free(&addr);
}

Test(addr, of_tcp_have_host_and_port)
{
	tcp("127.0.0.1:8000", "127.0.0.1", 8000, "127.0.0.1_8000");
	tcp("localhost:0", "localhost", 0, "localhost_0");
	tcp(":80", NULL, 80, "_80");
	tcp("[::1]:65535", "::1", 65535, "[__1]_65535");
	tcp("[fe80::1%eth0]:1", "fe80::1%eth0", 1, "[fe80__1%eth0]_1");
}

Test(addr, may_have_a_name_of_their_own)
{
	struct addr	 addr = parsed("web=:80");
	char		*text = addr_print(&addr);

	cr_expect_str_eq(addr.name, "web");
	cr_expect_str_eq(addr.text, ":80");
	cr_expect_str_eq(text, "web=:80");
	free(text);
	addr_free(&addr);
	refused("a b=:80", "is not a name");
	refused("=:80", "is not a name");
	refused("1234567890123456789012345678901234567890123456789=:80",
	    "48 characters");
}

Test(addr, of_unix_sockets_are_paths_or_abstract)
{
	struct addr	 addr = parsed("unix:/tmp/a=b:c");

	cr_expect_eq(addr.kind, ADDR_UNIX);
	cr_expect_str_eq(addr.path, "/tmp/a=b:c");
	cr_expect_str_eq(addr.name, "unix_/tmp/a=b_c");
	addr_free(&addr);
	addr = parsed("unix:@pool");
	cr_expect_eq(addr.kind, ADDR_ABSTRACT);
	cr_expect_str_eq(addr.path, "pool");
	addr_free(&addr);
	refused("unix:x.sock", "from the root");
	refused("unix:@", "names no socket");
	refused("unix:/", "names no socket");
}

Test(addr, of_unix_sockets_have_107_bytes_at_most)
{
	char		 text[128] = "unix:/";
	struct addr	 addr;

	memset(text + 6, 'x', 106);
	addr = parsed(text);
	addr_free(&addr);
	text[6 + 106] = 'x';
	refused(text, "too long");
}

Test(addr, may_be_inherited_or_none)
{
	struct addr	 addr = parsed("old=fd:3");

	cr_expect_eq(addr.kind, ADDR_FD);
	cr_expect_eq(addr.fd, 3);
	addr_free(&addr);
	addr = parsed("none");
	cr_expect_eq(addr.kind, ADDR_NONE);
	addr_free(&addr);
	refused("fd:", "fd:N");
	refused("fd:-1", "fd:N");
	refused("fd:99999999999", "fd:N");
}

Test(addr, that_are_none_are_refused_with_the_reason)
{
	refused("", "is not an address");
	refused("8000", "is not an address");
	refused("localhost", "is not an address");
	refused("localhost:", "port");
	refused("localhost:http", "port");
	refused("localhost:65536", "port");
	refused("localhost:-1", "port");
	refused("::1:80", "[V6]:PORT");
	refused("[::1]80", "port");
	refused("[::1:80", "[V6]:PORT");
	refused("[1.2.3.4]:80", "IPv6");
	refused("[::1%]:80", "IPv6");
	refused("1.2.3:80", "IPv4");
	refused("256.1.1.1:80", "IPv4");
	refused("a b:80", "host name");
	refused("-x:80", "host name");
	refused("a\nb:80", "control byte");
	refused("a\nb=:80", "control byte");
}

static void
formats(const void *sa, socklen_t len, const char *text)
{
	char	 out[160];

	addr_format(sa, len, out, sizeof(out));
	cr_expect_str_eq(out, text);
}

Test(addr, of_the_kernel_are_written_as_the_user_would)
{
	struct sockaddr_in	 in = { .sin_family = AF_INET,
		.sin_port = htons(80) };
	struct sockaddr_in6	 in6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(80), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_un	 un = { .sun_family = AF_UNIX };
	socklen_t		 head = offsetof(struct sockaddr_un, sun_path);
	char			 full[128] = "unix:";

	memset(full + 5, 'p', sizeof(un.sun_path));
	formats(&in, sizeof(in), "0.0.0.0:80");
	formats(&in6, sizeof(in6), "[::1]:80");
	in6.sin6_scope_id = 2;
	formats(&in6, sizeof(in6), "[::1%2]:80");
	formats(&un, head, "unix:");
	formats(&un, sizeof(sa_family_t), "unix:");
	strcpy(un.sun_path, "/x");
	formats(&un, head + 3, "unix:/x");
	memcpy(un.sun_path, "\0xyz", 4);
	formats(&un, head + 3, "unix:@xy");
	memset(un.sun_path, 'p', sizeof(un.sun_path));
	formats(&un, sizeof(un), full);
}

Test(addr, names_are_short_and_plain)
{
	cr_expect(addr_name_ok("Web.1_a-b"));
	cr_expect_not(addr_name_ok(""));
	cr_expect_not(addr_name_ok("a/b"));
	cr_expect(addr_name_ok(
	    "123456789012345678901234567890123456789012345678"));
	cr_expect_not(addr_name_ok(
	    "1234567890123456789012345678901234567890123456789"));
}
