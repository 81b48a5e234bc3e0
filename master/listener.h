#ifndef MUSTER_LISTENER_H
#define MUSTER_LISTENER_H

#include <sys/socket.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/addr.h"
#include "common/conf.h"
#include "common/err.h"

struct resolved;

/*
 * A listener is one address that is listened on: opened or adopted before the
 * first fork or at a reload, held by the master to the end, close-on-exec from
 * birth, non-blocking unless programs want it otherwise, never shutdown(2)
 * while somebody may still be served through it. It is counted: the sets that
 * have it hold it, its last drop closes it.
 *
 * With accept = reuseport a TCP address has one socket a slot, all held here;
 * steer.h says which of them get new connections. Socket n of such a group is
 * slot n's (its index in the kernel's group: sockets are opened in order). A
 * listener stays what it was opened as, whatever accept says at a reload.
 */
struct listener;

/*
 * What the workers of one generation inherit, in order, each under the name
 * that its configuration gives it. Counted, and never changed once made.
 */
struct listener_set;

/* ---- making sets */

/*
 * Ask for all host names of conf. A name server that does not answer takes
 * its time: asked before the signals are taken over, one may interrupt it. 0,
 * or -1 with err, which names the address.
 */
int			 listeners_resolvable(const struct conf *conf,
			    struct err *err);

/*
 * The first start: bind and listen, every address of conf, in order; host
 * names are resolved here, and may block. Uses LISTEN_FDS (sd_listen_fds(3))
 * when conf gives no bind, closes those sockets with a warning when it does,
 * and unsets the variables. What was found before (below; or NULL), and what
 * the service manager kept for us, is used where conf asks for its address.
 * Applied, see listeners_apply(). All or nothing: NULL with err, which names
 * the address.
 */
struct listener_set	*listeners_open(const struct conf *conf,
			    const struct listener_set *found, struct err *err);

/*
 * Sockets that listened before we were there. Does fd listen for streams where
 * addr says? For a TCP address with a host, sa is one that it stands for
 * (resolve.h), else NULL; port 0 is any.
 */
bool			 listens_at(int fd, const struct addr *addr,
			    const struct sockaddr *sa);
/*
 * Such a socket is added to a set in the making, as if we had opened it for
 * addr: new connections are let in, a Unix socket's name goes with it. fd goes
 * over, also with -1 and err.
 */
struct listener_set	*listeners_found_new(void);
int			 listeners_found(struct listener_set *set, int fd,
			    const struct addr *addr, struct err *err);

/*
 * A reload: the set for conf, without any effect on current. What current has
 * is kept, found by the address as written (":0" is ":0") and, for a host
 * name, by what it stands for now; failing that, by what it is bound to. So
 * is one that an earlier reload removed and that is still held. All else is
 * bound and listens from here on. Sockets from LISTEN_FDS are kept as long as
 * conf gives no bind; fd:N can be kept, not added. resolved (resolve.h) has
 * the addresses of all of conf's host names. All or nothing: NULL with err.
 */
struct listener_set	*listeners_plan(const struct listener_set *current,
			    const struct conf *conf,
			    const struct resolved *resolved, struct err *err);

/*
 * Put a planned set into force: the options of conf on those that were there
 * before (backlog, nodelay, keepalive, defer_accept, nonblock), connections
 * let in again where they were refused, new ones logged.
 * What the system refuses is logged and left as it was. Going back after a
 * failed reload is the same call with the old set and the old conf.
 */
void			 listeners_apply(struct listener_set *set,
			    const struct conf *conf);

/*
 * One more holder, returned; one fewer, NULL is allowed. The last drop of a
 * listener closes it and unlinks a Unix socket that is still ours: for the
 * process that opened it or took over from it, see listeners_disown().
 */
struct listener_set	*listener_set_hold(struct listener_set *set);
void			 listener_set_drop(struct listener_set *set);

/* ---- closing */

/*
 * Those in old that are not in now let nobody new in: TCP as refuse.h says, a
 * Unix socket's name is unlinked. Handshakes in flight complete, queued
 * connections stay: what old's workers still serve. Sockets of somebody else
 * stay as they are; an abstract one stays open until old's last worker is told
 * to stop (turnout.h), as its name cannot be taken away. To be called for each
 * old set once the first worker of now is ready, before any worker is told to
 * stop for it: so nothing has to be undone when a reload fails. Then, it is
 * called the other way round, for those that the reload added.
 */
void			 listeners_retire(const struct listener_set *old,
			    const struct listener_set *now);
/* Are the accept queues of those empty? */
bool			 listeners_retired_quiet(const struct listener_set *old,
			    const struct listener_set *now);

/*
 * The last stop: nobody new in, on any listener there is. An abstract socket
 * is shut down for reading (with its queue empty, accept(2) gives EINVAL
 * then). May be called again.
 */
void			 listeners_refuse_all(void);

/*
 * This process only looks (a trial): from now on a drop closes our copy of the
 * descriptors, and neither removes names nor tells the registry.
 */
void			 listeners_disown(void);

/*
 * Those that a worker shut down (shutdown(2)) listen again, with a warning; or
 * a warning says, once, that they cannot. REVIVED_OTHER: one is another socket
 * now (Unix), which the workers that there are have not. REVIVED_GROUP: one
 * is to be steered anew. Those that refuse stay as they are.
 */
enum revived { REVIVED_NONE, REVIVED_SAME, REVIVED_GROUP, REVIVED_OTHER };

enum revived		 listeners_revive(void);

/* ---- using sets */

/*
 * What the worker of a slot inherits: at most max are written to out, which
 * borrows from the set; returns how many there are. A steered listener gets
 * the slot's socket if it has none yet: -1 with err.
 */
int			 listeners_for_slot(struct listener_set *set, int slot,
			    struct inherited *out, size_t max,
			    struct err *err);

size_t			 listeners_count(const struct listener_set *set);
/* The nr-th, and its name. */
struct listener		*listener_set_nth(const struct listener_set *set,
			    size_t nr, const char **name);
/* NULL has none. */
bool			 listener_set_has(const struct listener_set *set,
			    const struct listener *listener);
/* Is any of them steered (reuseport)? NULL has none. Then CONF_REUSEPORT_SLOTS slots at most. */
bool			 listeners_steered(const struct listener_set *set);

/* ---- single ones */

/* All there are, of any set, in the order of their making; start with NULL. */
struct listener		*listener_next(struct listener *previous);

/* One more holder, returned; one fewer. Is the caller the only one? */
struct listener		*listener_hold(struct listener *listener);
void			 listener_drop(struct listener *listener);
bool			 listener_unused(const struct listener *listener);

/* Its number, never given again, also after an exec; where it listens. */
uint32_t		 listener_id(const struct listener *listener);
const char		*listener_text(const struct listener *listener);
/* Its name in the set that was put into force last. */
const char		*listener_name(const struct listener *listener);
/* Of whom: ADDR_FD is somebody else's. */
enum addr_kind		 listener_kind(const struct listener *listener);
/* When it began to refuse, monotonic ms; -1: it does not. */
int64_t			 listener_refused_ms(const struct listener *listener);
/* Its sockets, each slot's; one if it is not steered, whatever the slot. */
bool			 listener_is_steered(const struct listener *listener);
int			 listener_sockets(const struct listener *listener);
int			 listener_fd(const struct listener *listener, int slot);
/*
 * Is the accept queue of the slot's socket empty (TCP_INFO; on others: nothing
 * to read)? True where there is none.
 */
bool			 listener_quiet(const struct listener *listener,
			    int slot);
/*
 * reuseport: send new connections only to the slots n with ready[n] of count;
 * with none ready, nothing changes. A failure is logged and leaves the old
 * steering.
 */
void			 listener_steer(struct listener *listener,
			    const bool *ready, int count);
/* The accept queue is cut off (shutdown(2)): a retired abstract socket. */
void			 listener_shut(struct listener *listener);

/* ---- with the service manager (store.h) */

#define LISTENER_STORE_NAME	256

/*
 * Under which name it is kept, given its name in a set. False: it is not one
 * that is kept.
 */
bool			 listener_store_name(const struct listener *listener,
			    const char *name, char out[LISTENER_STORE_NAME]);
/* Names of those that were kept, and listeners_open() had no use for; NULL
 * ends them. */
const char		*listeners_unwanted(size_t nr);

/* ---- over an exec of the master */

#define LISTENER_TEXT_MAX	300	/* with its NUL */

/*
 * All that a new image of the master needs to know of one; plain, so that it
 * can be written down. Texts end with a NUL. Its descriptors follow aside, as
 * there may be one a slot.
 */
struct listener_saved {
	uint32_t	 id;
	int32_t		 kind, steered, v6only;
	int32_t		 refused, stuck, announced;
	int32_t		 given;		/* by LISTEN_FDS, under name */
	int32_t		 backlog, defer_s, nodelay, keepalive, nonblock;
	int32_t		 nfds;
	int32_t		 dir;		/* a Unix socket's folder; -1: none */
	uint64_t	 dev, ino;
	uint32_t	 salen;
	uint8_t		 sa[sizeof(struct sockaddr_storage)];
	char		 key[LISTENER_TEXT_MAX];	/* as configured */
	char		 text[LISTENER_TEXT_MAX];	/* with the real port */
	char		 base[LISTENER_TEXT_MAX];	/* name in dir */
	char		 name[LISTENER_TEXT_MAX];	/* if given */
};

void			 listener_save(const struct listener *listener,
			    struct listener_saved *out);

/*
 * From what was saved, which may hold anything, and nfds descriptors: each has
 * to be a socket that listens, of the right kind, and bound to what was saved;
 * or one of TCP that did, until a worker shut it down (listeners_revive()).
 * They are close-on-exec afterwards. The caller is its one holder. NULL with
 * err; the descriptors stay open then.
 */
struct listener		*listener_restore(const struct listener_saved *saved,
			    const int *fds, size_t nfds, struct err *err);

/* A set of these, which it holds, with these names. NULL with err. */
struct listener_set	*listener_set_restore(struct listener *const *list,
			    const char *const *names, size_t count,
			    struct err *err);

enum listener_fd { LISTENER_SOCKET, LISTENER_FOLDER };

/*
 * All descriptors of a listener, those of folders included: what has to
 * survive the exec. (As they come and go: listener_note_fd() in listener.c.)
 */
typedef void		 listener_fd_fn(void *arg, int fd,
			    enum listener_fd kind);
void			 listener_fds(const struct listener *listener,
			    listener_fd_fn *each, void *arg);

#endif
