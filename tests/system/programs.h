#ifndef MUSTER_PROGRAMS_H
#define MUSTER_PROGRAMS_H

#include <stdbool.h>

#include "tests/exact/exact.h"
#include "tests/system/rig.h"

/*
 * A real program, as its users start it below muster. In the texts @FIX@ is
 * the folder of fixtures, @DIR@ the test's folder, @ADDR@ the address to
 * listen on, @HOST@ and @PORT@ its parts; {fd:0} and the like are muster's.
 */
enum program_slow {		/* how a request is still open at the stop */
	SLOW_PATH,		/* "/slow..." takes 0.7 s */
	SLOW_READ,		/* "/big" is read slowly: BIG bytes */
	SLOW_BODY,		/* the request's own end comes late */
};

struct program {
	const char		*needs[4];	/* files; else skipped */
	const char		*preset;	/* or NULL */
	const char		*set[6];	/* SECTION.KEY=VALUE */
	const char		*command[16];
	const char		*conf;		/* a template, to @DIR@/conf */
	enum exact_protocol	 protocol;
	bool			 close_only;	/* cannot keep alive */
	int			 cuts;		/* requests lost by each stop */
	bool			 fast;		/* knows no graceful stop */
	const char		*expect;	/* NULL: the path */
	const char		*script;	/* FastCGI */
	enum program_slow	 slow;
};

#define PROGRAM_BIG	(24 << 20)

/* The row's texts with their words put in. Static text, eight at a time. */
const char	*program_text(const char *text);

/* Skip the test where one of these files is missing. */
void	 program_needs(const char *const *needs);

/* Start muster with two such workers, on an address that is the test's own. */
void	 program_start(struct rig *r, const struct program *program);

/* Load on it: clients that are checked exactly, with or without keep-alive. */
struct exact	*program_load(struct rig *r, const struct program *program,
		    bool keep_alive);

/* End the load: fails the test when more than cut was lost, or any refused. */
void	 program_unload(struct exact *exact, int cut, const char *when);

/* A request that stays open across a stop, and its answer: entire, or the
 * test fails. */
int	 program_ask_slowly(struct rig *r, const struct program *program);
void	 program_hear_slowly(const struct program *program, int fd);

/* Nothing of it is left: every process is gone. */
bool	 program_all_gone(void);

/*
 * The whole life: load, one worker more, one fewer, a rolling reload, a
 * worker killed, a graceful stop with a request open.
 */
void	 program_lives(const struct program *program);

/*
 * A helper process of the test (a client): its output in the test's folder.
 * rig_read() reads it, the harness ends it.
 */
pid_t	 program_client(const char *out, const char *const *argv);

#endif
