#ifndef MUSTER_SETUP_H
#define MUSTER_SETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "master/listener.h"
#include "master/pool_save.h"

/*
 * What changes only at the start, a reload and an upgrade: the generations
 * with their configuration, the listeners, the master's own figures and
 * descriptors. Written as tagged fields, each with its length (pack.h): a
 * reader skips what it does not know, and has zero for what is not there.
 */
enum setup_reload { SETUP_NO_RELOAD, SETUP_BY_SIGNAL, SETUP_BY_UPGRADE };

struct setup_master {		/* append only; -1: no such descriptor */
	int64_t	 exec_ms;		/* when the last upgrade was begun */
	int32_t	 had_terminal;
	int32_t	 life_fds[2], signal_fds[2];
	int32_t	 inbox_fds[2], board_fd, pidfile_fd, daemon_fd;
	int32_t	 generation;		/* whose configuration is in force */
	uint32_t crashes;		/* logged so far */
	uint32_t reload_wanted;		/* by the image to come */
	uint32_t renewal;		/* why it was begun: keepsake.c */
	uint32_t reload_begun;		/* enum setup_reload: is prepared */
	int32_t	 spare[7];		/* 0 */
};

struct setup_listener {
	struct listener_saved	 saved;
	int32_t			*fds;	/* saved.nfds of them */
	size_t			 nfds;
};

struct setup_member {		/* of a listener set, in order */
	uint32_t id;			/* listener_saved.id */
	char	 name[LISTENER_TEXT_MAX];
};

struct setup_generation {
	int32_t			 nr;
	char			*conf;		/* conf_print(), with a NUL */
	size_t			 conf_len;	/* without it */
	struct setup_member	*members;
	size_t			 nmembers;
};

struct setup_saved {		/* the writer owns all, or the reader does */
	struct setup_master	 master;
	char			*name, *path;	/* instance; program; or NULL */
	char			*folder;	/* of the start; or NULL */
	struct setup_generation	*generations;
	size_t			 ngenerations;
	struct setup_listener	*listeners;
	size_t			 nlisteners;
};

/* As bytes, owned by the caller. */
unsigned char		*setup_write(const struct setup_saved *setup,
			    size_t *len);
/*
 * The other way, from bytes that may be anything: members name listeners that
 * are there, texts end, numbers of generations differ. NULL with err.
 */
struct setup_saved	*setup_read(const unsigned char *data, size_t len,
			    struct err *err);
void			 setup_free(struct setup_saved *setup);

#endif
