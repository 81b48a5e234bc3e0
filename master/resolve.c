#include "master/resolve_priv.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/addr.h"
#include "common/conf.h"
#include "common/mem.h"

resolve_lookup_fn	*resolve_lookup = getaddrinfo;

/* ---- what was found */

bool
resolve_is_asked(const struct addr *addr)
{
	return addr->kind == ADDR_TCP && addr->host != NULL;
}

static void
set_port(struct sockaddr_storage *sa, int port)
{
	if (sa->ss_family == AF_INET)
		((struct sockaddr_in *)sa)->sin_port = htons((uint16_t)port);
	else
		((struct sockaddr_in6 *)sa)->sin6_port = htons((uint16_t)port);
}

static bool
is_sane(const struct found *row, const struct conf_listen *conf)
{
	size_t	 want = row->sa.ss_family == AF_INET ?
		    sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);

	return row->bind < conf->nbind &&
	    resolve_is_asked(&conf->bind[row->bind]) &&
	    (row->sa.ss_family == AF_INET || row->sa.ss_family == AF_INET6) &&
	    row->len == want;
}

bool
resolve_add(struct resolved *r, const struct found *row,
    const struct conf_listen *conf)
{
	struct found	*to = &r->list[r->count];

	if (!is_sane(row, conf) || r->count == FOUND_MAX)
		return false;
	*to = *row;
	set_port(&to->sa, conf->bind[row->bind].port);
	for (int i = 0; i < r->count; i++)
		if (r->list[i].bind == to->bind && r->list[i].len == to->len &&
		    memcmp(&r->list[i].sa, &to->sa, to->len) == 0)
			return true;
	r->count++;
	return true;
}

const struct sockaddr *
resolved_addr(const struct resolved *r, size_t bind, size_t nr, socklen_t *len)
{
	for (int i = 0; r != NULL && i < r->count; i++) {
		if (r->list[i].bind != bind || nr-- > 0)
			continue;
		*len = r->list[i].len;
		return (const struct sockaddr *)&r->list[i].sa;
	}
	return NULL;
}

void
resolved_free(struct resolved *r)
{
	free(r);
}

/* ---- asking */

int
resolve_ask(const struct addr *addr, size_t bind, int flags,
    resolve_tell_fn *tell, void *arg, struct err *err)
{
	struct addrinfo	*list = NULL, hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV | flags,
	};
	struct found	 row = { .kind = FOUND_ADDRESS, .bind = (uint32_t)bind };
	char		 port[16];
	int		 error;

	snprintf(port, sizeof(port), "%d", addr->port);
	error = flags == 0 ?
	    resolve_lookup(addr->host, port, &hints, &list) :
	    getaddrinfo(addr->host, port, &hints, &list);
	if (error == EAI_NONAME && flags != 0)
		return 1;
	if (error == EAI_SYSTEM)
		return err_sys(err, "cannot listen on %s", addr->text);
	if (error != 0)
		return err_set(err, "cannot listen on %s: %s", addr->text,
		    gai_strerror(error));
	for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		if (ai->ai_addrlen > sizeof(row.sa))
			continue;
		memset(&row.sa, 0, sizeof(row.sa));
		memcpy(&row.sa, ai->ai_addr, ai->ai_addrlen);
		row.len = ai->ai_addrlen;
		if (!tell(arg, &row))
			break;
	}
	freeaddrinfo(list);
	return 0;
}

struct gathering {
	struct resolved			*to;
	const struct conf_listen	*conf;
};

static bool
gather(void *arg, const struct found *row)
{
	struct gathering	*g = arg;

	return resolve_add(g->to, row, g->conf);
}

int
resolve_ask_all(struct resolved *r, const struct conf_listen *conf,
    bool names, int *left, struct err *err)
{
	struct gathering	 g = { r, conf };
	int			 x;

	*left = 0;
	for (size_t i = 0; i < conf->nbind; i++) {
		if (!resolve_is_asked(&conf->bind[i]))
			continue;
		x = resolve_ask(&conf->bind[i], i, AI_NUMERICHOST, gather, &g, err);
		if (x == 1 && names)
			x = resolve_ask(&conf->bind[i], i, 0, gather, &g, err);
		if (x == -1)
			return -1;
		*left += x;
	}
	return 0;
}

struct resolved *
resolve_now(const struct conf *conf, struct err *err)
{
	struct resolved	*r = xcalloc(1, sizeof(*r));
	int		 left;

	if (resolve_ask_all(r, &conf->listen, true, &left, err) == 0)
		return r;
	resolved_free(r);
	return NULL;
}
