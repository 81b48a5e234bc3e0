#include "master/pack.h"

#include <string.h>

#include "common/mem.h"

#define FILL(n)		((8 - (n) % 8) % 8)

struct field_head {
	uint32_t tag, len;
};

static unsigned char *
more(struct pack *pack, size_t len)
{
	if (pack->room - pack->len < len) {
		pack->room = (pack->len + len) * 2;
		pack->data = xreallocarray(pack->data, pack->room, 1);
	}
	pack->len += len;
	return pack->data + pack->len - len;
}

size_t
pack_open(struct pack *pack, uint32_t tag)
{
	struct field_head	 head = { tag, 0 };

	memcpy(more(pack, sizeof(head)), &head, sizeof(head));
	return pack->len;
}

void
pack_close(struct pack *pack, size_t opened)
{
	uint32_t	 len = (uint32_t)(pack->len - opened);

	memcpy(pack->data + opened - sizeof(len), &len, sizeof(len));
	memset(more(pack, FILL(len)), 0, FILL(len));
}

void
pack_put(struct pack *pack, uint32_t tag, const void *data, size_t len)
{
	size_t	 opened = pack_open(pack, tag);

	if (len > 0)
		memcpy(more(pack, len), data, len);
	pack_close(pack, opened);
}

void
pack_text(struct pack *pack, uint32_t tag, const char *text)
{
	if (text != NULL)
		pack_put(pack, tag, text, strlen(text));
}

void
unpack_begin(struct unpack *unpack, const void *data, size_t len)
{
	*unpack = (struct unpack){ .at = data, .left = len };
}

bool
unpack_next(struct unpack *unpack, struct unpack_field *field)
{
	struct field_head	 head;
	size_t			 whole;

	if (unpack->left == 0 || unpack->bad)
		return false;
	if (unpack->left < sizeof(head)) {
		unpack->bad = true;
		return false;
	}
	memcpy(&head, unpack->at, sizeof(head));
	if (head.len > unpack->left - sizeof(head)) {
		unpack->bad = true;
		return false;
	}
	*field = (struct unpack_field){ head.tag, unpack->at + sizeof(head),
	    head.len };
	whole = sizeof(head) + head.len + FILL(head.len);
	/* The last one's filling may be missing. */
	if (whole > unpack->left)
		whole = unpack->left;
	unpack->at += whole;
	unpack->left -= whole;
	return true;
}
