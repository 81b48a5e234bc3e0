#ifndef MUSTER_TESTS_SIM_H
#define MUSTER_TESTS_SIM_H

#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "master/pool_save.h"

/*
 * A world for the pool: a clock, processes that live, obey or do not, and a
 * judge that looks at the whole after every turn. Who writes a schedule moves
 * the clock, lets the processes do things and wishes things of the pool; the
 * world does the pool's acts in the shell's place.
 */
#define SIM_OPEN	8	/* forks that are made together */
#define SIM_NEVER	INT64_MAX
#define SIM_PROCS	256	/* forks fail beyond that */
#define SIM_SLOTS	256
#define SIM_NOTES	64	/* of the schedule, kept for the report */

/* The longest that a process may take to die of KILL. */
#define SIM_KILL_MS	1500

enum sim_deed { DEED_READY, DEED_TWICE, DEED_LEAVE, DEED_STALE, DEED_REQUESTS,
	DEED_RSS, DEED_EXIT, SIM_DEEDS };

enum sim_told { TOLD_NOTHING, TOLD_STOP, TOLD_HARD, TOLD_KILL };

struct sim_proc {
	pid_t		 pid;
	int		 slot, generation;
	bool		 caretaker;
	struct child	*child;		/* the pool's */
	enum child_state state;		/* what it must be, by our own rules */
	int64_t		 since_ms;	/* in this state */
	int64_t		 due_ms;	/* then KILL is due */
	int64_t		 extended_ms;	/* but not before, by a wish; or -1 */
	int64_t		 away_ms;	/* in this state, not counted */
	int64_t		 alive_ms;	/* then it counts as ready */
	enum sim_told	 told;
	bool		 again;		/* is told once more what it was */
	bool		 renewed;	/* known to be told to go for that */
	struct child_saved saved;	/* as it was when it changed last */
	bool		 retired;	/* asked for a successor, once */
	bool		 heirless;	/* and there can be none */
	int64_t		 born_ms, ready_ms;	/* ready -1: never was */
	int64_t		 at[SIM_DEEDS];	/* what it will do, and when */
	int		 exit_code;
	bool		 hears_stop, hears_hard;
	int64_t		 slow_ms;	/* from the signal to the exit */
};

/* What the judge remembers of a slot. */
struct sim_slot {
	bool		 open;
	bool		 parked;
	int		 failures;	/* at least that many in a row */
	bool		 quick;		/* the last one died young, but ready */
	struct slot_saved saved;
	int64_t		 not_before_ms;	/* to be filled */
};

struct sim_note {
	int64_t		 at_ms;
	const char	*what;
	int64_t		 a, b, c;
};

struct sim {
	struct pool		*pool;
	struct pool_policy	 policy;
	const char		*name;		/* the test, for the report */
	uint64_t		 seed, random;
	int64_t			 now_ms;
	unsigned long		 step;
	bool			 violated;

	struct sim_proc		 procs[SIM_PROCS];
	int			 nprocs;
	int64_t			 care_wait_ms[SIM_SLOTS];
	struct act		 open[SIM_OPEN];	/* forks not made yet */
	int			 nopen;
	struct sim_slot		 slots[SIM_SLOTS];

	/* The schedule's: who is born, how signals are heard, do forks work. */
	void			 (*born)(struct sim *, struct sim_proc *);
	void			 (*heard)(struct sim *, struct sim_proc *);
	bool			 (*fork_works)(struct sim *);
	bool			 (*exec_works)(struct sim *);
	bool			 (*prepare_works)(struct sim *);
	void			*arg;

	/* The judge's memory. */
	bool			 touched;	/* by a fact or a wish */
	bool			 hungry;
	int64_t			 quiet_until_ms;
	int			 spawns;	/* this turn */
	int			 successors;
	int			 generation, last_generation, proven;
	bool			 renewing;
	bool			 hopeless;	/* right now */
	int			 bereft;	/* slot of the last death, -1 */
	struct sim_slot		 before;	/* its books before that */
	bool			 muted;		/* what is told is not meant */
	int64_t			 most_backoff, most_jitter;	/* ever */
	int			 most_workers;
	int			 refusals;
	enum pool_phase		 phase;
	int64_t			 stop_by_ms;
	bool			 fast;
	int64_t			 fork_wait_ms;	/* until */
	bool			 any_ready, told_ready, gave_up, killed;

	struct sim_note		 notes[SIM_NOTES];
	unsigned long		 nnotes;
};

uint64_t	 sim_random(struct sim *sim);
/* From low to high, both included. */
int64_t		 sim_between(struct sim *sim, int64_t low, int64_t high);
bool		 sim_chance(struct sim *sim, int permille);

/* The caller has set the hooks; the world begins with a turn. */
void		 sim_begin(struct sim *sim, const struct pool_policy *policy,
		    int target, uint64_t seed);
void		 sim_end(struct sim *sim);

/* ---- time and turns */

/* The earliest of all deeds and the pool's deadline, or SIM_NEVER. */
int64_t		 sim_next_ms(const struct sim *sim);
/* Let all that is due be done, one process' deed after the other. */
void		 sim_deeds(struct sim *sim);
/* The shell's turn: does what the pool says, then the judge looks. */
void		 sim_turn(struct sim *sim);
/* Turns until the pool is no longer hungry. */
void		 sim_settle(struct sim *sim);
/* As much time passes; the shell was away if shift. */
void		 sim_pass(struct sim *sim, int64_t ms, bool shift);

/* ---- what processes do (sim.c) */

void		 sim_fact(struct sim *sim, struct sim_proc *proc,
		    enum child_event event);
void		 sim_retire(struct sim *sim, struct sim_proc *proc,
		    enum pool_why why);
void		 sim_exit(struct sim *sim, struct sim_proc *proc, int code);
struct sim_proc	*sim_proc_of(struct sim *sim, const struct child *child);
/* In our books it is ready, or in another state from now on. */
void		 sim_book_ready(struct sim *sim, struct sim_proc *proc);
void		 sim_enter(struct sim *sim, struct sim_proc *proc,
		    enum child_state state, int64_t limit);

/* ---- what is wished (wish.c) */

void		 sim_scale(struct sim *sim, int64_t delta);
void		 sim_set_target(struct sim *sim, int64_t target);
void		 sim_undrain(struct sim *sim);
void		 sim_set_policy(struct sim *sim,
		    const struct pool_policy *policy);
void		 sim_extend(struct sim *sim, struct sim_proc *proc,
		    int64_t ms);
/* Save the pool, free it, and go on with one that is made of the rows. */
void		 sim_anew(struct sim *sim, bool again);
/* Take in the rows that have changed. */
void		 sim_mirror(struct sim *sim);
void		 sim_drain(struct sim *sim);
void		 sim_renew(struct sim *sim);
void		 sim_stop(struct sim *sim, bool fast);
void		 sim_caretake(struct sim *sim, int slot);

/* ---- the judge (judge.c, judge_turn.c) */

void		 sim_note(struct sim *sim, const char *what, int64_t a,
		    int64_t b, int64_t c);
/* The first one is reported with the schedule that led to it. */
void		 sim_violation(struct sim *sim, const char *format, ...)
		    __attribute__((format(printf, 2, 3)));
void		 sim_judge_spawn(struct sim *sim, const struct act *act);
void		 sim_judge_hopeless(struct sim *sim, const struct act *act);
/* If it dies now, the renewal has failed. */
bool		 sim_is_verdict(const struct sim *sim,
		    const struct sim_proc *proc);
/* Whom a renewal tells to go. */
void		 sim_judge_renewed(struct sim *sim);
void		 sim_judge_signal(struct sim *sim, struct sim_proc *proc,
		    enum child_act signal);
/* It does not serve its slot any more. */
void		 sim_judge_bereft(struct sim *sim, const struct sim_proc *proc);
void		 sim_judge_tell(struct sim *sim, const struct pool_tell *tell);
/* After a wish that tries parked slots again: none is left. */
void		 sim_judge_tried(struct sim *sim);
void		 sim_judge_turn(struct sim *sim);
/* As many workers serve as are wanted, parked ones apart. */
void		 sim_judge_full(struct sim *sim);
/* Nobody serves who asked for a successor. */
void		 sim_judge_retired(struct sim *sim);

/* ---- schedules (play.c) */

/* The sanitizers cost several times as much: less deep then. */
#if defined(__SANITIZE_ADDRESS__)
#define SIM_SANITIZED	1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_SANITIZED	1
#endif
#endif
#ifndef SIM_SANITIZED
#define SIM_SANITIZED	0
#endif

/* How evil the world is: permille of processes, or of steps. */
struct sim_temper {
	int	 never_ready, dies_early, dies_young, dies_late, fatal;
	int	 leaves, stale, retires, twice;
	int	 deaf;			/* to stop_signal */
	int	 stone;			/* to all but KILL */
	int	 fork_fails, no_exec, unprepared;	/* a fork */
	int	 scale, drain, renew, stop, fast, caretake, jump, shift,
		 burst, target, undrain, policy, extend, anew;
	int	 workers;		/* at most */
	bool	 zero_limits;
};

/*
 * One world of that temper: steps of mischief, a rest in which the pool must
 * become whole, and the end. Returns the steps made, 0 after a violation.
 */
unsigned long	 sim_play(const char *name, const struct sim_temper *temper,
		    uint64_t seed, unsigned long steps);
/*
 * MUSTER_SIM_SEED or a new one, printed so that it can be played again; the
 * steps of the test, by MUSTER_SOAK and MUSTER_SIM_STEPS.
 */
uint64_t	 sim_seed(void);
unsigned long	 sim_steps(unsigned long usual);

#endif
