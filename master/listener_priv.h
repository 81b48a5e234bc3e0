#ifndef MUSTER_LISTENER_PRIV_H
#define MUSTER_LISTENER_PRIV_H

#include <bsd/sys/queue.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "master/listener.h"

/*
 * For listener.c and its parts alone: listener_set.c makes sets and plans,
 * listener_tcp.c, listener_unix.c and listener_inherit.c each know how one
 * kind of socket comes about, listener_found.c what to do with one that is
 * there, listener_revive.c when it was shut down, listener_stored.c where those
 * are that the service manager kept, listener_saved.c how it survives an exec.
 */
struct listener_options {
	int	 backlog;
	int	 defer_s;	/* TCP_DEFER_ACCEPT; 0: off */
	bool	 nodelay, keepalive, nonblock;
};

struct listener {
	uint32_t		 id;
	int			 refs;
	enum addr_kind		 kind;		/* ADDR_FD: not ours */
	bool			 given;		/* by LISTEN_FDS: has no key */
	char			*key;		/* owned; as configured */
	char			*name;		/* owned; in the latest set */
	char			*text;		/* owned; with the real port */
	int			*fds;		/* owned; one, or one a slot */
	int			 nfds;
	bool			 steered;	/* reuseport: fds[n] is slot n's */
	bool			 v6only;	/* ADDR_TCP over IPv6 */
	struct sockaddr_storage	 sa;		/* as getsockname(2) says */
	socklen_t		 salen;
	struct listener_options	 options;
	bool			 announced;	/* logged */
	bool			 stuck;		/* refuses: no way back */
	bool			 lost;		/* shut down; that was told */
	int64_t			 refused_ms;	/* -1: lets everybody in */
	/* ADDR_UNIX: which file is ours; the folder survives a chdir(2) */
	int			 dir;		/* -1: none, or unlinked */
	char			*base;		/* owned */
	dev_t			 dev;
	ino_t			 ino;
	TAILQ_ENTRY(listener)	 link;		/* of all there are */
};

struct listener_entry {
	struct listener	*listener;	/* held */
	char		*name;		/* owned */
};

struct listener_set {
	int			 refs;
	struct listener_entry	*list;
	size_t			 count;
};

/* A set in the making. */
struct plan {
	struct listener_set		*set;
	const struct listener_set	*current;	/* NULL: there is none */
	bool				 first;		/* no reload */
	const struct conf_listen	*conf;
	const struct resolved		*resolved;
	struct listener_options		 options;
	struct stored			*stored;	/* owned; kept for us */
	size_t				 nstored;
};

/*
 * A new listener without a socket, of which the caller is the one holder;
 * texts are copied, text may be NULL for now. fd goes over to it, also -1.
 */
struct listener	*listener_new(enum addr_kind kind, const char *key,
		    const char *text, int fd);
void		 listener_own(struct listener *listener, int fd);
/* One that no other has. */
uint32_t	 listener_id_next(void);
/* It had another number before the exec; new ones come after all of them. */
void		 listener_renumber(struct listener *listener, uint32_t id);

/* Can it serve again, if it is asked to? */
bool		 listener_usable(const struct listener *listener);

/* The same host, whatever the port? */
bool		 same_host(const struct sockaddr *a, const struct sockaddr *b);

/* Fill in sa. 0, or -1 with errno. */
int		 listener_ask_name(struct listener *listener);

/* One of its sockets lets nobody new in; all of them do again. They log. */
void		 listener_refuse_socket(struct listener *listener, int fd);
void		 listener_admit(struct listener *listener);

/* A descriptor that has to survive an exec came, or goes. */
void		 listener_note_fd(int fd, enum listener_fd kind,
		    bool comes);

/* "cannot listen on TEXT: " and errno's text; -1. */
int		 listener_error(const char *text, struct err *err);
void		 listener_warn(const struct listener *listener,
		    const char *msg);

/* Hand a listener, and the caller's hold on it, to a set; name is copied. */
void		 set_add(struct listener_set *set, struct listener *listener,
		    const char *name);
/*
 * Add one that there is for addr, and for sa, if not NULL: one of the
 * addresses of its host. False: there is none.
 */
bool		 plan_keep(struct plan *plan, const struct addr *addr,
		    const struct sockaddr *sa);

/*
 * Each adds what is missing for one address: 0, or -1 with err; what was added
 * before goes with the plan's set.
 */
int		 tcp_open(struct plan *plan, size_t bind, struct err *err);
int		 unix_open(struct plan *plan, const struct addr *addr,
		    struct err *err);
int		 inherit_open(struct plan *plan, const struct addr *addr,
		    struct err *err);

/* One more socket for a steered listener, for slot nfds. 0, or -1 with err. */
int		 tcp_open_slot(struct listener *listener, struct err *err);
/* Put the options on all its sockets, those that differ. Logs failures. */
void		 listener_set_options(struct listener *listener,
		    const struct listener_options *options);

/* Remove the name of a Unix socket, if it is still ours; once. */
void		 unix_unlink(struct listener *listener);

/* Did somebody shut it down, or does it not listen at all? */
bool		 listener_is_dead(int fd);
/*
 * Another socket in place of one that is dead, under the same number and, if
 * that still is ours, the same name. 0, or -1 with errno.
 */
int		 unix_open_again(struct listener *listener);

/* Why fd is no stream socket that listens: NULL if it is one. */
const char	*inherit_unfit(int fd);

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
int		 inherit_listen_fds(struct plan *plan, struct err *err);
/*
 * Is it one that the service manager kept for us under that name (or NULL)?
 * Such ones are put aside in the plan, which then has fd. With names resolved,
 * those that conf asks for become listeners in a set, the caller's, where
 * plan_keep() finds them; the others are shut down and closed, with a warning.
 * stored_free() closes all that are still aside.
 */
bool		 stored_is(int fd, const char *name);
void		 stored_add(struct plan *plan, int fd, const char *name);
struct listener_set	*stored_take(struct plan *plan);
void		 stored_free(struct plan *plan);

/* LISTEN_FDS and its like are not for us, nor for anybody we start. */
void		 inherit_forget(void);

#endif
