#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "master/ack_line.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken for readiness has to say so. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (ack_line((const char *)data, size) &&
	    (memmem(data, size, "worker:ack", 10) == NULL ||
	    memmem(data, size, "command", 7) == NULL ||
	    memmem(data, size, "pid", 3) == NULL))
		abort();
	return 0;
}
