#ifndef MUSTER_PACK_H
#define MUSTER_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Tagged fields in a row of bytes: tag and length as 32 bits each, then the
 * bytes, filled up to a multiple of 8. A field may hold fields. Pure.
 */
struct pack {			/* begin with zeros; data is the caller's */
	unsigned char	*data;
	size_t		 len, room;
};

void	pack_put(struct pack *pack, uint32_t tag, const void *data,
	    size_t len);
/* NULL puts nothing. */
void	pack_text(struct pack *pack, uint32_t tag, const char *text);
/* What is put between is inside a field of this tag. */
size_t	pack_open(struct pack *pack, uint32_t tag);
void	pack_close(struct pack *pack, size_t opened);

struct unpack {
	const unsigned char	*at;
	size_t			 left;
	bool			 bad;	/* a field is longer than what is left */
};

struct unpack_field {		/* data is borrowed, and aligned as the input */
	uint32_t		 tag;
	const unsigned char	*data;
	size_t			 len;
};

void	unpack_begin(struct unpack *unpack, const void *data, size_t len);
/* The next field. False: the end, or bad. */
bool	unpack_next(struct unpack *unpack, struct unpack_field *field);

#endif
