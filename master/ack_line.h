#ifndef MUSTER_ACK_LINE_H
#define MUSTER_ACK_LINE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Is this line, without its newline, what einhorn's workers say when they are
 * ready? Either {"command":"worker:ack","pid":N} as JSON, or the same as YAML
 * with its newlines as %0A, which einhorn's own library sends. Other keys with
 * simple values may stand beside them. Pure; any bytes.
 */
bool	ack_line(const char *line, size_t len);

#endif
