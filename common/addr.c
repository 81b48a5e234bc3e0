#include "common/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/mem.h"

#define HOST_MAX	253
#define FD_MAX		1048575
#define PATH_LONGEST	(sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define ACCEPTED	"HOST:PORT, :PORT, [V6]:PORT, unix:/path, " \
			"unix:@name, fd:N or none"

bool
addr_name_ok(const char *name)
{
	size_t	 len;

	for (len = 0; name[len] != '\0'; len++)
		if (!isalnum((unsigned char)name[len]) &&
		    strchr("._-", name[len]) == NULL)
			return false;
	return len >= 1 && len <= ADDR_NAME_MAX;
}

void
addr_free(struct addr *addr)
{
	free(addr->name);
	free(addr->text);
	free(addr->host);
	free(addr->path);
	*addr = (struct addr){ 0 };
}

char *
addr_print(const struct addr *addr)
{
	char	*plain = xasprintf("%s", addr->text), *text;

	for (char *p = plain; *p != '\0'; p++)
		if (*p == ':')
			*p = '_';
	if (strcmp(plain, addr->name) == 0)
		text = xstrdup(addr->text);
	else
		text = xasprintf("%s=%s", addr->name, addr->text);
	free(plain);
	return text;
}

/* Decimal digits alone, up to max; -1 if it is not that. */
static int
parse_digits(const char *text, int max)
{
	int	 number = 0;

	if (*text == '\0')
		return -1;
	for (; *text != '\0'; text++) {
		if (!isdigit((unsigned char)*text))
			return -1;
		number = number * 10 + (*text - '0');
		if (number > max)
			return -1;
	}
	return number;
}

static int
refuse(struct err *err, const char *text, const char *why)
{
	return err_set(err, "\"%.128s\" %s", text, why);
}

static int
parse_unix(const char *text, struct addr *addr, struct err *err)
{
	const char	*path = text + strlen("unix:");
	bool		 abstract = *path == '@';

	if (abstract)
		path++;
	if (!abstract && *path != '/')
		return refuse(err, text,
		    "is not unix:/path (from the root) or unix:@name");
	if (*path == '\0' || (!abstract && path[1] == '\0'))
		return refuse(err, text, "names no socket");
	if (strlen(path) > PATH_LONGEST)
		return refuse(err, text,
		    "is too long for a Unix socket (107 bytes)");
	addr->kind = abstract ? ADDR_ABSTRACT : ADDR_UNIX;
	addr->path = xstrdup(path);
	return 0;
}

static int
parse_fd(const char *text, struct addr *addr, struct err *err)
{
	addr->kind = ADDR_FD;
	addr->fd = parse_digits(text + strlen("fd:"), FD_MAX);
	if (addr->fd == -1)
		return refuse(err, text,
		    "is not fd:N, the number of an open descriptor");
	return 0;
}

/* Is it an IPv6 address, possibly with %ZONE? */
static bool
is_v6(const char *host)
{
	char		 plain[INET6_ADDRSTRLEN];
	struct in6_addr	 in6;
	size_t		 len = strcspn(host, "%");

	if (len >= sizeof(plain) || (host[len] == '%' && host[len + 1] == '\0'))
		return false;
	memcpy(plain, host, len);
	plain[len] = '\0';
	return inet_pton(AF_INET6, plain, &in6) == 1;
}

/* A name or an IPv4 address; digits and dots alone must be the latter. */
static bool
is_host(const char *host)
{
	struct in_addr	 in;
	bool		 digits = true;
	size_t		 len;

	for (len = 0; host[len] != '\0'; len++) {
		if (!isalnum((unsigned char)host[len]) &&
		    strchr("._-", host[len]) == NULL)
			return false;
		if (!isdigit((unsigned char)host[len]) && host[len] != '.')
			digits = false;
	}
	if (len > HOST_MAX || host[0] == '-' || host[0] == '.')
		return false;
	return !digits || inet_pton(AF_INET, host, &in) == 1;
}

/* The host before the last ':' of text; its brackets go. */
static int
parse_host(const char *text, size_t len, struct addr *addr, struct err *err)
{
	char	*host;

	if (len == 0)
		return 0;
	host = addr->host = xcalloc(1, len + 1);
	memcpy(host, text, len);
	if (*host == '[') {
		if (host[len - 1] != ']')
			return refuse(err, text, "is not [V6]:PORT");
		host[len - 1] = '\0';
		memmove(host, host + 1, len - 1);
		return is_v6(host) ? 0 :
		    refuse(err, text, "holds no IPv6 address in its brackets");
	}
	if (strchr(host, ':') != NULL)
		return refuse(err, text,
		    "is ambiguous: an IPv6 address is written [V6]:PORT");
	if (!is_host(host))
		return refuse(err, text,
		    "holds neither a host name nor an IPv4 address");
	return 0;
}

static int
parse_tcp(const char *text, struct addr *addr, struct err *err)
{
	const char	*colon = strrchr(text, ':');

	addr->kind = ADDR_TCP;
	if (colon == NULL)
		return refuse(err, text, "is not an address (" ACCEPTED ")");
	addr->port = parse_digits(colon + 1, 65535);
	if (addr->port == -1)
		return refuse(err, text,
		    "does not end in a port from 0 to 65535");
	return parse_host(text, (size_t)(colon - text), addr, err);
}

/* Take NAME= off *text, if it begins so. */
static int
parse_name(const char **text, struct addr *addr, struct err *err)
{
	size_t	 len = strcspn(*text, "=:/[");

	if ((*text)[len] != '=')
		return 0;
	addr->name = xcalloc(1, len + 1);
	memcpy(addr->name, *text, len);
	if (!addr_name_ok(addr->name))
		return refuse(err, addr->name, "is not a name for a socket "
		    "(A-Z a-z 0-9 . _ -, 48 characters at most)");
	*text += len + 1;
	return 0;
}

static int
parse_kind(const char *text, struct addr *addr, struct err *err)
{
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text, addr, err);
	if (strncmp(text, "fd:", 3) == 0)
		return parse_fd(text, addr, err);
	if (strcmp(text, "none") == 0) {
		addr->kind = ADDR_NONE;
		return 0;
	}
	return parse_tcp(text, addr, err);
}

/* First, so that no message quotes any. */
static int
check_bytes(const char *text, struct err *err)
{
	for (; *text != '\0'; text++)
		if (iscntrl((unsigned char)*text))
			return err_set(err, "an address holds the control "
			    "byte 0x%02x", (unsigned char)*text);
	return 0;
}

int
addr_parse(const char *text, struct addr *addr, struct err *err)
{
	*addr = (struct addr){ .fd = -1 };
	if (check_bytes(text, err) == -1 ||
	    parse_name(&text, addr, err) == -1 ||
	    parse_kind(text, addr, err) == -1) {
		addr_free(addr);
		return -1;
	}
	addr->text = xstrdup(text);
	if (addr->name != NULL)
		return 0;
	addr->name = xstrdup(text);
	for (char *p = addr->name; *p != '\0'; p++)
		if (*p == ':')
			*p = '_';
	return 0;
}

static void
format_unix(const struct sockaddr_un *un, socklen_t len, char *out,
    size_t size)
{
	size_t	 room = len - offsetof(struct sockaddr_un, sun_path);
	bool	 abstract;
	int	 n;

	if (room > sizeof(un->sun_path))	/* or len was less still */
		room = 0;
	abstract = room > 1 && un->sun_path[0] == '\0';
	if (abstract)
		n = (int)room - 1;
	else
		n = (int)strnlen(un->sun_path, room);
	snprintf(out, size, "unix:%s%.*s", abstract ? "@" : "", n,
	    un->sun_path + abstract);
}

void
addr_format(const struct sockaddr *sa, socklen_t len, char *out, size_t size)
{
	const void	*any = sa;
	char		 host[INET6_ADDRSTRLEN];

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in	*in = any;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%d", host, ntohs(in->sin_port));
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6	*in6 = any;

		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		if (in6->sin6_scope_id != 0)
			snprintf(out, size, "[%s%%%u]:%d", host,
			    in6->sin6_scope_id, ntohs(in6->sin6_port));
		else
			snprintf(out, size, "[%s]:%d", host,
			    ntohs(in6->sin6_port));
	} else if (sa->sa_family == AF_UNIX)
		format_unix(any, len, out, size);
	else
		snprintf(out, size, "family %d", sa->sa_family);
}
