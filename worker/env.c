#include "worker/env.h"

#include <stdlib.h>

#include "common/mem.h"
#include "worker/worker.h"

/* Empty it, but for those that are to be passed on. */
static int
env_clear(const struct conf *conf)
{
	const char	*old;
	char		**kept;
	int		 result = 0;
	size_t		 i;

	kept = xcalloc(conf->nenv + 1, sizeof(*kept));
	for (i = 0; i < conf->nenv; i++) {
		if (conf->env[i].value == NULL &&
		    (old = getenv(conf->env[i].name)) != NULL)
			kept[i] = xstrdup(old);
	}
	clearenv();
	for (i = 0; i < conf->nenv; i++) {
		if (kept[i] == NULL)
			continue;
		if (setenv(conf->env[i].name, kept[i], 1) == -1)
			result = -1;
		free(kept[i]);
	}
	free(kept);
	return result;
}

int
env_apply(const struct worker_boot *boot)
{
	const struct conf	*conf = boot->conf;
	size_t			 i;

	if (conf->env_clear && env_clear(conf) == -1)
		return -1;
	for (i = 0; i < conf->nenv; i++) {
		if (conf->env[i].value != NULL && setenv(conf->env[i].name,
		    conf->env[i].value, 1) == -1)
			return -1;
	}
	return 0;
}
