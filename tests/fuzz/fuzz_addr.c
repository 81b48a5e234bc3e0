#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/addr.h"
#include "common/mem.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parses, prints; what was printed parses to the same again. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct addr	 addr, again;
	struct err	 err;
	char		*text = xcalloc(1, size + 1), *printed;

	memcpy(text, data, size);
	if (addr_parse(text, &addr, &err) == 0) {
		printed = addr_print(&addr);
		if (addr_parse(printed, &again, &err) == -1 ||
		    strcmp(addr.name, again.name) != 0 ||
		    strcmp(addr.text, again.text) != 0 ||
		    addr.kind != again.kind || addr.port != again.port)
			abort();
		addr_free(&again);
		addr_free(&addr);
		free(printed);
	} else if (*err.text == '\0' || strchr(err.text, '\n') != NULL)
		abort();
	free(text);
	return 0;
}
