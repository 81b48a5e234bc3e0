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
enum sigq_kind {		/* written down: their numbers stay */
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

/*
 * What the handlers raise. It may lie in memory that outlives an exec
 * (mirror.h): what came only grows, and what the loop has taken is noted
 * beside it, but for stops. These count as taken only once the pool that
 * stops is written down (struct sigq_noted goes into the same row), so that a
 * crash in between neither loses a stop nor makes two of one.
 */
#define SIGQ_ROOM	16

struct sigq_counters {		/* fixed by the format of the state */
	_Atomic int64_t		 scale_sum;	/* of SIGRTMIN+1, not taken */
	_Atomic uint32_t	 scales, valid;	/* of them: all, that count */
	struct {			/* [0] by processes, [1] the kernel */
		_Atomic uint32_t came[2], taken[2];
	} kinds[SIGQ_ROOM];
};

struct sigq_noted {
	uint32_t	 taken[SIGQ_ROOM][2];
};

/* What an image before this one left to do. */
struct sigq_pending {
	uint32_t	 came[SIGQ_ROOM][2];
	int64_t		 scale_sum;
	uint32_t	 scales;	/* with a value that counts */
};

/* Make the pipe, install the handlers, open the mask. -1 with err. */
int		 sigq_open(struct err *err);
/*
 * The same after an exec, with the pipe from before. All signals are blocked
 * until then; what came meanwhile is delivered now.
 */
int		 sigq_reopen(const int fds[2], struct err *err);
/* Are these such a pipe? 0, or -1 with err. */
int		 sigq_check(const int fds[2], struct err *err);
/* Both ends of the pipe; [0] is readable when signals came. -1: not open. */
int		 sigq_fds(int out[2]);

/*
 * What is left to do of counters that an image before this one wrote. False:
 * absurd ones were left out.
 */
bool		 sigq_left(const struct sigq_counters *counters,
		    const struct sigq_noted *noted,
		    struct sigq_pending *pending);

/* Count in this memory from now on; NULL: in our own, as at the start. */
void		 sigq_move(struct sigq_counters *counters);
/* Add what is pending, to be taken in the next turn. */
void		 sigq_restore(const struct sigq_pending *pending);
/*
 * The kinds (1 << kind) that stop us; a hang-up by the kernel always does. At
 * the start INT, TERM and QUIT.
 */
void		 sigq_set_stops(uint32_t kinds);
/* All that was taken so far, for the pool's row. */
void		 sigq_noted(struct sigq_noted *out);
void		 sigq_close(void);

/* The next record. False: none left. */
bool		 sigq_next(struct sigq_record *record);
/* Take all counters: what comes meanwhile is the next turn's. */
void		 sigq_take(struct sigq_taken *taken);
/* May this record count as a scaling? Else it has no value or a silly one. */
bool		 sigq_value_ok(const struct sigq_record *record);

/* "TERM", "RTMIN+1". */
const char	*sigq_name(enum sigq_kind kind);

/* Those that report a fault of our own: heal.h has their handler. */
#define SIGQ_FAULTS	5
extern const int	 sigq_faults[SIGQ_FAULTS];

/*
 * Around fork(2): block all signals but those of sigq_faults, and open the mask again. In the child, while
 * still blocked: default dispositions, so that no signal that hits it early
 * runs our handler and writes into the master's pipe.
 */
void		 sigq_block(sigset_t *old);
void		 sigq_unblock(const sigset_t *old);
void		 sigq_forget(void);

#endif
