#include "master/logs.h"

#include <stdio.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"

int
logs_open(const struct conf *conf, bool detached, struct err *err)
{
	const struct conf_master	*master = &conf->master;
	struct log_options		 options = { master->log, "muster",
					    master->log_level,
					    master->log_format };

	if (detached && strcmp(master->log, "stderr") == 0)
		options.target = "syslog";
	if (log_open(&options, err) == -1)
		return -1;
	if (log_fd() == -1)
		fprintf(stderr, "muster: cannot reach syslog: what is logged "
		    "is lost, and counted, until it is there\n");
	return 0;
}

bool
logs_differ(const struct conf *a, const struct conf *b)
{
	return strcmp(a->master.log, b->master.log) != 0 ||
	    a->master.log_level != b->master.log_level ||
	    a->master.log_format != b->master.log_format;
}
