/*
 * exact [option ...] ADDR: ask, count, and print one line of KEY=VALUE. The
 * exit code is 0 if nothing was lost or refused, 1 if anything was.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exact/exact.h"

static volatile bool stop;

static void
on_signal(int signo)
{
	(void)signo;
	stop = true;
}

static void __attribute__((noreturn))
usage(void)
{
	fputs("usage: exact [-k] [-p http|echo|fastcgi] [-c CLIENTS] [-t MS]\n"
	    "             [-n REQUESTS] [-i THINK_MS] [-w PATIENCE_MS]\n"
	    "             [-u PATH] [-e BODY] [-s SCRIPT] ADDR\n", stderr);
	exit(64);
}

static enum exact_protocol
protocol(const char *name)
{
	static const char *const names[] = { "http", "echo", "fastcgi" };

	for (int i = 0; i < 3; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum exact_protocol)i;
	usage();
}

static void
option(struct exact_plan *plan, int opt)
{
	switch (opt) {
	case 'k':
		plan->keep_alive = true;
		break;
	case 'p':
		plan->protocol = protocol(optarg);
		break;
	case 'c':
		plan->clients = atoi(optarg);
		break;
	case 't':
		plan->for_ms = atoll(optarg);
		break;
	case 'n':
		plan->requests = strtoull(optarg, NULL, 10);
		break;
	case 'i':
		plan->think_ms = atoi(optarg);
		break;
	case 'w':
		plan->patience_ms = atoi(optarg);
		break;
	case 'u':
		snprintf(plan->path, sizeof(plan->path), "%s", optarg);
		break;
	case 'e':
		snprintf(plan->expect, sizeof(plan->expect), "%s", optarg);
		break;
	case 's':
		snprintf(plan->script, sizeof(plan->script), "%s", optarg);
		break;
	default:
		usage();
	}
}

int
main(int argc, char **argv)
{
	struct exact_plan plan = { .clients = 8 };
	struct exact_counts counts = { 0 };
	int opt;

	while ((opt = getopt(argc, argv, "kp:c:t:n:i:w:u:e:s:")) != -1)
		option(&plan, opt);
	if (optind != argc - 1)
		usage();
	snprintf(plan.addr, sizeof(plan.addr), "%s", argv[optind]);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (exact_run(&plan, &counts, &stop) == -1) {
		perror("exact");
		return 71;
	}
	puts(exact_line(&counts));
	return exact_lost(&counts) + counts.refused > 0;
}
