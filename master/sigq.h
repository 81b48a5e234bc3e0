#ifndef MUSTER_SIGQ_H
#define MUSTER_SIGQ_H

#include <sys/types.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"

/*
 * The master's signals (signal(7), sigaction(2)). A handler raises a counter
 * and queues a record into a non-blocking pipe, nothing else (but that a storm
 * of real-time signals is left to the kernel for a while). The counters say
 * what is to be done and cannot overflow in practice; the records wake the
 * loop and say who sent it, as far as the pipe has room.
 *
 * The counters are global because handlers have no argument: one process has
 * one set of signal dispositions.
 */
enum sigq_kind {
	SIGQ_HUP = CONF_HUP, SIGQ_INT = CONF_INT, SIGQ_TERM = CONF_TERM,
	SIGQ_QUIT = CONF_QUIT, SIGQ_TTIN = CONF_TTIN, SIGQ_TTOU = CONF_TTOU,
	SIGQ_USR1 = CONF_USR1, SIGQ_USR2 = CONF_USR2, SIGQ_WINCH = CONF_WINCH,
	SIGQ_CHLD, SIGQ_SCALE, SIGQ_KINDS
};

struct sigq_record {
	int32_t	 kind;		/* enum sigq_kind */
	int32_t	 code;		/* si_code */
	int32_t	 pid, uid;	/* 0 when the kernel sent it */
	int32_t	 value;		/* SIGRTMIN+1 */
};

/* What came since the last sigq_take(). */
struct sigq_taken {
	unsigned	 sent[SIGQ_KINDS];	/* by processes */
	unsigned	 kernel[SIGQ_KINDS];	/* by the kernel: a terminal */
	unsigned	 scales;	/* SIGRTMIN+1 with a valid value */
	int64_t		 scale;		/* and the sum of their values */
};

/* The bounds of a value that SIGRTMIN+1 may carry. */
#define SIGQ_VALUE_MAX	10000

/*
 * Default dispositions for all that our starter ignored; then ignore PIPE and
 * XFSZ: a reader that left and a full disk are errors, not ends. Before
 * anything is written that matters, the log above all.
 */
void		 sigq_ignore(void);

/* Make the pipe, install the handlers, open the mask. -1 with err. */
int		 sigq_open(struct err *err);
void		 sigq_close(void);

/* Readable when signals came. */
int		 sigq_fd(void);
/* The next record. False: none left. */
bool		 sigq_next(struct sigq_record *record);
/* Take all counters, by exchange: what comes meanwhile is the next turn's. */
void		 sigq_take(struct sigq_taken *taken);
/* May this record count as a scaling? Else it has no value or a silly one. */
bool		 sigq_value_ok(const struct sigq_record *record);

/* "TERM", "RTMIN+1". */
const char	*sigq_name(enum sigq_kind kind);

/*
 * Around fork(2): block all signals but those that report a fault of our own
 * (SEGV, BUS, FPE, ILL, ABRT), and open the mask again. In the child, while
 * still blocked: default dispositions, so that no signal that hits it early
 * runs our handler and writes into the master's pipe.
 */
void		 sigq_block(sigset_t *old);
void		 sigq_unblock(const sigset_t *old);
void		 sigq_forget(void);

#endif
