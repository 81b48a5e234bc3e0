#ifndef MUSTER_ACK_FOLDER_H
#define MUSTER_ACK_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

/*
 * A folder of this process alone, in the first of these places where one can
 * be made: $RUNTIME_DIRECTORY (its first entry), $XDG_RUNTIME_DIR/muster,
 * /run/muster (as root), $TMPDIR or /tmp. Others may pass through it and can
 * see and change nothing. Returns its path, owned, short enough for a socket
 * in it with a name of 10 bytes; or NULL with err.
 */
char	*ack_folder_make(struct err *err);

/* Is path, of len bytes, such a folder, made by this process? */
bool	 ack_folder_ours(const char *path, size_t len);

#endif
