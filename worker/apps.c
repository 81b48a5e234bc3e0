#include "worker/app.h"

#include <string.h>

extern const struct app app_echo;

static const struct app *const apps[] = {
	&app_echo,
};

const struct app *
app_find(const char *name)
{
	size_t	 i;

	for (i = 0; i < sizeof(apps) / sizeof(apps[0]); i++) {
		if (strcmp(apps[i]->name, name) == 0)
			return apps[i];
	}
	return NULL;
}
