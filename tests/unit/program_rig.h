#ifndef MUSTER_TEST_PROGRAM_RIG_H
#define MUSTER_TEST_PROGRAM_RIG_H

#include <sys/types.h>
#include <stdbool.h>

#include "common/conf.h"
#include "worker/program.h"

/*
 * A master with one program, tests/fixtures/show.c unless the test says
 * otherwise: its output goes into a file in memory, out_fd of boot, and is
 * read as "key value" lines.
 */
#define RIG_SOCKETS	8

struct rig {
	struct conf		 conf;
	struct program_boot	 boot;
	struct inherited	 sockets[RIG_SOCKETS];
	char			*words[16];	/* the command, owned */
	struct program_failure	 failure;
	char			 text[512];	/* why it did not start */
	pid_t			 pid;
	int			 status;	/* of waitpid(2) */
	char			*out;		/* owned */
};

/* As if nothing was configured, with "show" as the command. */
void		 prog_open(struct rig *rig);
void		 prog_close(struct rig *rig);
/* Another command, up to a NULL. */
void		 prog_command(struct rig *rig, const char *word, ...);
/* Add a socket that listens on the loopback, under this name. Its fd. */
int		 prog_socket(struct rig *rig, const char *name);
/* The same with a descriptor and an address of the test's own. */
void		 prog_inherit(struct rig *rig, int fd, const char *name,
		    const char *text);

/* Start it. False: it was not, and text says why. */
bool		 prog_start(struct rig *rig);
/* Start it, wait until it ends with 0, read its output. */
void		 prog_run(struct rig *rig);
/* Read the output of one that a child of ours started. */
void		 prog_read(struct rig *rig);
/* End a running one. */
void		 prog_kill(struct rig *rig);

/* The value of a key of the output; NULL: it has no such line. */
const char	*prog_value(const struct rig *rig, const char *key);
bool		 prog_says(const struct rig *rig, const char *key,
		    const char *value);
/* How many lines begin like that? */
int		 prog_count(const struct rig *rig, const char *begin);

/*
 * A file's path in a folder of the test's own that others may enter, gone with
 * prog_close(); good until the next but three. The second makes the file.
 */
const char	*prog_path(const char *name);
const char	*prog_file(const char *name, const char *content, mode_t mode);

/* Where the fixture is; a copy that anybody may run, the caller unlinks it. */
const char	*prog_show(void);
void		 prog_copy_show(const char *path);

#endif
