#ifndef MUSTER_TESTS_CONF_RIG_H
#define MUSTER_TESTS_CONF_RIG_H

#include "common/conf.h"

/* A configuration's text in a file of its own, and what loading it gives. */
struct conf_rig {
	char			 file[64];	/* unlinked by conf_rig_end() */
	struct conf		*conf;		/* NULL: refused */
	struct conf_errors	 errors;
};

/* Load text as a file (NULL: none) with count settings. */
struct conf_rig	conf_rig(const char *text, const struct conf_setting *settings,
		    size_t count);
void		conf_rig_end(struct conf_rig *rig);

/* The dump without its comments, so that two can be compared. Owned. */
char		*conf_rig_dump(const struct conf *conf);

/* A file whole, with a NUL behind it. Owned; len may be NULL. */
char		*rig_slurp(const char *path, size_t *len);

/* A path below the tests' folder, or beside it. Owned. */
char		*rig_path(const char *below);

#endif
