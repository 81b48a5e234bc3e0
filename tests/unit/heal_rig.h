#ifndef TESTS_HEAL_RIG_H
#define TESTS_HEAL_RIG_H

#include <sys/types.h>

/* A master in small (tests/fixtures/heal.c), its stdin and its stdout. */
struct heal_rig {
	pid_t	 pid;
	int	 in, out;
	char	 line[1024];	/* the last one read */
};

/* Where it lies; owned by the caller. */
char		*heal_rig_path(void);
/* Start path (NULL: the fixture) in the environment as it is now. */
void		 heal_rig_start(struct heal_rig *rig, const char *path);
void		 heal_rig_say(struct heal_rig *rig, const char *command);
/* The next line within 10 s; "" at the end. */
const char	*heal_rig_line(struct heal_rig *rig);
/* Close its stdin, and wait for its end: a status as of waitpid(2). */
int		 heal_rig_end(struct heal_rig *rig);

/* The next line has to begin with this. */
#define heal_rig_expect(rig, text) \
	cr_assert(strncmp(heal_rig_line(rig), text, strlen(text)) == 0, \
	    "expected \"%s\", got \"%s\"", text, (rig)->line)

#endif
