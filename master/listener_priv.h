#ifndef MUSTER_LISTENER_PRIV_H
#define MUSTER_LISTENER_PRIV_H

#include <sys/socket.h>
#include <sys/types.h>

#include "master/listener.h"

/*
 * For listener.c and its parts alone: listener_tcp.c, listener_unix.c and
 * listener_inherit.c each know how one kind of socket comes about.
 */
struct listener {
	enum addr_kind		 kind;		/* ADDR_FD: not ours */
	char			*name;		/* owned */
	char			*text;		/* owned; with the real port */
	int			*fds;		/* owned; one, or one a slot */
	int			 nfds;
	bool			 steered;	/* reuseport: fds[n] is slot n's */
	bool			 v6only;	/* ADDR_TCP over IPv6 */
	struct sockaddr_storage	 sa;		/* ADDR_TCP: for more slots */
	socklen_t		 salen;
	/* ADDR_UNIX: which file is ours; the folder survives a chdir(2) */
	int			 dir;		/* -1: none, or unlinked */
	char			*base;		/* owned */
	dev_t			 dev;
	ino_t			 ino;
};

struct listeners {
	struct listener	*list;
	size_t		 count;
	bool		 refused;
	/* socket options, for those opened later */
	int		 backlog;
	int		 defer_s;	/* TCP_DEFER_ACCEPT; 0: off */
	bool		 nodelay, keepalive;
	bool		 reuseport;
};

/* A new listener in the list, without a socket; name is copied. */
struct listener	*listener_add(struct listeners *listeners,
		    enum addr_kind kind, const char *name);

/* Hand fd over to listener. */
void		 listener_own(struct listener *listener, int fd);

/* "cannot listen on TEXT: " and errno's text; -1. */
int		 listener_error(const char *text, struct err *err);

/*
 * Each adds the sockets of one address. 0, or -1 with err; what was added
 * before is freed by the caller, with all else.
 */
int		 tcp_open(struct listeners *listeners,
		    const struct addr *addr, struct err *err);
int		 unix_open(struct listeners *listeners,
		    const struct addr *addr, const struct conf_listen *conf,
		    struct err *err);
int		 inherit_open(struct listeners *listeners,
		    const struct addr *addr, struct err *err);

/* One more socket for a steered listener, for slot nfds. 0, or -1 with err. */
int		 tcp_open_slot(const struct listeners *listeners,
		    struct listener *listener, struct err *err);

/* Remove the name of a Unix socket, if it is still ours; once. */
void		 unix_unlink(struct listener *listener);

/*
 * Check every fd:N of conf, before we open anything that might get that
 * number. 0, or -1 with err.
 */
int		 inherit_check(const struct conf_listen *conf,
		    struct err *err);

/*
 * What the service manager passed, see listeners_open(): how many were
 * adopted, or -1 with err.
 */
int		 inherit_listen_fds(struct listeners *listeners,
		    const struct conf_listen *conf, struct err *err);

#endif
