#ifndef MUSTER_RESTORE_H
#define MUSTER_RESTORE_H

#include <stdbool.h>

#include "common/err.h"

struct conf;
struct generations;
struct saved;

/* Is all there that a master needs? 0, or -1 with err. */
int			 restore_check(const struct saved *saved,
			    struct err *err);

/*
 * In a trial, which has none of the descriptors: could a master go on from
 * there, as far as can be told without them? 0, or -1 with err.
 */
int			 restore_try(const struct saved *saved,
			    struct err *err);

/*
 * The generations of another image of this master: their configurations from
 * the text it wrote down, their sockets from the descriptors it kept. All or
 * nothing: NULL with err, and nothing is closed (or freed).
 */
struct generations	*restore_generations(const struct saved *saved,
			    struct err *err);

/*
 * May a part that could not be made take down what it has? Not what it took
 * up from an image before us (saved, which may be NULL): that image may have
 * to go on with it, so all is left as it is, for the exec that follows.
 */
bool			 restore_may_undo(const struct saved *saved);

/*
 * Had the pool ended, and only the closing was left? Then this closes what
 * sockets there still are, and removes their files. The configuration that was
 * in force, the caller's, or NULL with err. And the exit code of that end.
 */
bool			 restore_ended(const struct saved *saved);
struct conf		*restore_farewell(const struct saved *saved,
			    struct err *err);
int			 restore_exit_code(const struct saved *saved);

#endif
