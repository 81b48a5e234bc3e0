#ifndef MUSTER_RESTORE_H
#define MUSTER_RESTORE_H

#include "common/err.h"

struct generations;
struct saved;

/*
 * The generations of another image of this master: their configurations from
 * the text it wrote down, their sockets from the descriptors it kept. All or
 * nothing: NULL with err.
 */
struct generations	*restore_generations(const struct saved *saved,
			    struct err *err);

#endif
