#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>

/*
 * The judge of single happenings: spawns, signals, deaths, and what the pool
 * tells. It keeps books of its own and believes the pool nothing.
 */
void
sim_note(struct sim *sim, const char *what, int64_t a, int64_t b, int64_t c)
{
	sim->notes[sim->nnotes++ % SIM_NOTES] = (struct sim_note){
	    .at_ms = sim->now_ms, .what = what, .a = a, .b = b, .c = c };
}

static void
print_policy(const struct sim *sim)
{
	const struct pool_policy	*p = &sim->policy;

	fprintf(stderr, "  policy: workers %d..%d cull %d batch %d jitter %lld "
	    "backoff %lld..%lld uptime %lld retries %d surge %d%s\n"
	    "  delay %lld door %lld ready %lld graceful %lld kill %lld "
	    "age %lld+%lld\n", p->min_workers, p->max_workers, (int)p->cull,
	    p->spawn_batch, (long long)p->spawn_jitter,
	    (long long)p->backoff_min, (long long)p->backoff_max,
	    (long long)p->min_uptime, p->boot_retries, p->surge,
	    p->surge_percent ? "%" : "", (long long)p->stop_delay,
	    (long long)p->door, (long long)p->limits.ready,
	    (long long)p->limits.graceful, (long long)p->limits.kill,
	    (long long)p->max_age, (long long)p->max_age_jitter);
}

static void
print_notes(const struct sim *sim)
{
	const struct sim_note	*note;
	unsigned long		 i;

	i = sim->nnotes > SIM_NOTES ? sim->nnotes - SIM_NOTES : 0;
	for (; i < sim->nnotes; i++) {
		note = &sim->notes[i % SIM_NOTES];
		fprintf(stderr, "  %8lld %-16s %6lld %6lld %6lld\n",
		    (long long)note->at_ms, note->what, (long long)note->a,
		    (long long)note->b, (long long)note->c);
	}
}

void
sim_violation(struct sim *sim, const char *format, ...)
{
	va_list	 ap;

	if (sim->violated)
		return;
	sim->violated = true;
	fprintf(stderr, "sim: %s: ", sim->name);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\n  MUSTER_SIM_SEED=%llu, step %lu, now %lld, target "
	    "%d, phase %d\n", (unsigned long long)sim->seed, sim->step,
	    (long long)sim->now_ms, pool_target(sim->pool),
	    (int)pool_phase(sim->pool));
	print_policy(sim);
	fprintf(stderr, "  ms, what, then slot, pid and generation or n:\n");
	print_notes(sim);
}

/* ---- spawns */

/* The least wait after so many failures; a quarter more is the most. */
static int64_t
least_wait(const struct sim *sim, int64_t failures)
{
	int64_t	 wait = sim->policy.backoff_min;

	while (--failures > 0 && wait < sim->policy.backoff_max)
		wait *= 2;
	return wait < sim->policy.backoff_max ? wait : sim->policy.backoff_max;
}

static void
judge_fill(struct sim *sim, const struct act *act, const struct slot_info *slot)
{
	const struct sim_slot	*book = &sim->slots[act->slot];

	if (!slot->open)
		sim_violation(sim, "fills slot %d, a gap", act->slot);
	if (slot->parked || book->parked)
		sim_violation(sim, "fills slot %d, parked", act->slot);
	if (sim->now_ms < book->not_before_ms)
		sim_violation(sim, "fills slot %d at %lld after %d failures, "
		    "not before %lld", act->slot, (long long)sim->now_ms,
		    book->failures, (long long)book->not_before_ms);
}

/* Of those that are asked for, but not forked yet. */
static int
open_successors(struct sim *sim)
{
	struct slot_info	 slot;
	int			 i, n = 0;

	for (i = 0; i < sim->nopen; i++)
		n += !sim->open[i].caretaker &&
		    pool_slot(sim->pool, sim->open[i].slot, &slot) &&
		    slot.child != NULL;
	return n;
}

static void
judge_open(struct sim *sim, const struct act *act)
{
	int	 i;

	for (i = 0; i < sim->nopen; i++)
		if (sim->open[i].slot == act->slot &&
		    sim->open[i].caretaker == act->caretaker)
			sim_violation(sim, "slot %d is asked for twice",
			    act->slot);
}

static void
judge_successor(struct sim *sim, const struct act *act,
    const struct slot_info *slot)
{
	struct slot_info	 other;
	int			 successors = 1 + open_successors(sim), i;

	if (!slot->open)
		sim_violation(sim, "a successor for slot %d, a gap",
		    act->slot);
	if (slot->successor != NULL)
		sim_violation(sim, "a second successor for slot %d", act->slot);
	for (i = 0; pool_slot(sim->pool, i, &other); i++)
		successors += other.successor != NULL;
	if (successors > pool_surge(sim->pool))
		sim_violation(sim, "%d successors, surge is %d", successors,
		    pool_surge(sim->pool));
	sim->successors = successors;
}

static void
judge_requests(struct sim *sim, int64_t max)
{
	const struct pool_policy	*policy = &sim->policy;

	if (policy->max_requests == 0 ? max != 0 :
	    max < policy->max_requests ||
	    max > policy->max_requests + policy->max_requests_jitter)
		sim_violation(sim, "max_requests %lld", (long long)max);
}

void
sim_judge_spawn(struct sim *sim, const struct act *act)
{
	struct slot_info	 slot;

	if (++sim->spawns > sim->policy.spawn_batch)
		sim_violation(sim, "%d spawns a turn", sim->spawns);
	if (sim->now_ms < sim->fork_wait_ms)
		sim_violation(sim, "a fork while forks wait");
	if (pool_phase(sim->pool) >= POOL_DOOR)
		sim_violation(sim, "a spawn behind the door");
	judge_open(sim, act);
	if (act->generation != sim->generation)
		sim_violation(sim, "a spawn of generation %d", act->generation);
	judge_requests(sim, act->max_requests);
	if (!pool_slot(sim->pool, act->slot, &slot))
		sim_violation(sim, "a spawn for slot %d", act->slot);
	else if (act->caretaker &&
	    sim->now_ms < sim->care_wait_ms[act->slot])
		sim_violation(sim, "a caretaker for slot %d before its time",
		    act->slot);
	else if (act->caretaker)
		return;
	else if (slot.child == NULL)
		judge_fill(sim, act, &slot);
	else
		judge_successor(sim, act, &slot);
}

void
sim_judge_hopeless(struct sim *sim, const struct act *act)
{
	bool			 overtaken = act->generation != sim->generation;
	int			 before = sim->generation;
	struct slot_info	 slot;

	sim_note(sim, "no exec", act->slot, act->generation, -1);
	sim->bereft = -1;
	sim->hopeless = true;
	pool_hopeless(sim->pool, act, sim->now_ms);
	sim->hopeless = false;
	if (act->caretaker || overtaken || sim->generation != before ||
	    pool_phase(sim->pool) >= POOL_DOOR ||
	    !pool_slot(sim->pool, act->slot, &slot))
		return;
	if (slot.child == NULL && !slot.parked)
		sim_violation(sim, "slot %d is tried again, for no use",
		    act->slot);
}

/* ---- signals: each once, never a weaker one after a stronger */

static void
told(struct sim *sim, struct sim_proc *proc, enum sim_told how,
    enum child_state state, int64_t limit)
{
	if (proc->told >= how && how != TOLD_KILL)
		sim_violation(sim, "pid %d is told %d after %d",
		    (int)proc->pid, (int)how, (int)proc->told);
	proc->told = how;
	sim_enter(sim, proc, state, limit);
}

/* After a crash: what it was told last. */
static bool
told_again(struct sim_proc *proc, enum child_act signal)
{
	static const enum sim_told	 how[] = { [DO_STOP] = TOLD_STOP,
		[DO_FAST] = TOLD_HARD, [DO_ABORT] = TOLD_HARD,
		[DO_KILL] = TOLD_KILL };
	bool				 again = proc->again &&
					    how[signal] == proc->told;

	proc->again = false;
	return again;
}

void
sim_judge_signal(struct sim *sim, struct sim_proc *proc,
    enum child_act signal)
{
	const struct child_limits	*limits = &sim->policy.limits;

	if (told_again(proc, signal))
		return;
	if (signal == DO_STOP) {
		if (proc->state > CHILD_READY)
			sim_violation(sim, "pid %d leaves already",
			    (int)proc->pid);
		told(sim, proc, TOLD_STOP, CHILD_DRAINING, limits->graceful);
	} else if (signal == DO_FAST) {
		if (pool_phase(sim->pool) < POOL_STOPPING)
			sim_violation(sim, "FAST, but no stop");
		told(sim, proc, TOLD_HARD, CHILD_ENDING, limits->kill);
	} else if (signal == DO_ABORT) {
		if (proc->state != CHILD_ENDING || proc->told >= TOLD_HARD)
			sim_violation(sim, "ABRT, but it is not stale");
		told(sim, proc, TOLD_HARD, CHILD_ENDING, limits->kill);
	} else if (signal == DO_KILL) {
		if (sim->now_ms < proc->due_ms)
			sim_violation(sim, "KILL before its time");
		sim->killed |= !proc->caretaker &&
		    pool_phase(sim->pool) != POOL_RUNNING;
		told(sim, proc, TOLD_KILL, CHILD_KILLED, 1000);
	} else {
		sim_violation(sim, "signal %d", (int)signal);
	}
}

/* ---- deaths */

void
sim_judge_bereft(struct sim *sim, const struct sim_proc *proc)
{
	struct sim_slot		*book = &sim->slots[proc->slot];
	struct slot_info	 slot;
	bool			 failed;

	sim->bereft = -1;
	if (!pool_slot(sim->pool, proc->slot, &slot) ||
	    slot.child != proc->child || slot.successor != NULL)
		return;
	sim->bereft = proc->slot;
	sim->before = *book;
	if (proc->ready_ms != -1 &&
	    sim->now_ms - proc->ready_ms >= sim->policy.min_uptime) {
		book->failures = 0;
		book->quick = false;
		return;
	}
	failed = proc->ready_ms == -1 || book->quick;
	book->quick = true;
	if (failed)
		book->not_before_ms = sim->now_ms +
		    least_wait(sim, ++book->failures);
}

/* ---- what it tells */

static void
judge_wait(struct sim *sim, const struct pool_tell *tell)
{
	int64_t	 least = least_wait(sim, tell->n);

	if (tell->n < 1 || tell->ms < least || tell->ms > least + least / 4)
		sim_violation(sim, "waits %lld ms after %lld failures",
		    (long long)tell->ms, (long long)tell->n);
	if (tell->kind == TELL_FORK_WAIT)
		sim->fork_wait_ms = sim->now_ms + tell->ms;
}

static void
judge_parked(struct sim *sim, const struct pool_tell *tell)
{
	struct sim_slot		*book = &sim->slots[tell->slot];
	struct slot_info	 slot;
	size_t			 i;

	for (i = 0; i < sim->policy.nfatal_codes; i++)
		if (sim->policy.fatal_codes[i] == tell->n)
			break;
	if (sim->hopeless ? tell->n != -1 : i == sim->policy.nfatal_codes)
		sim_violation(sim, "parked by code %lld", (long long)tell->n);
	if (!pool_slot(sim->pool, tell->slot, &slot))
		return;
	if (slot.child != NULL)
		sim_violation(sim, "parked, with a child");
	/* Nothing is held against it when it is tried again. */
	book->open = book->parked = true;
	book->failures = 0;
	book->quick = false;
	book->not_before_ms = 0;
}

/* There will be no other successor, until somebody scales. */
static void
judge_barred(struct sim *sim, const struct pool_tell *tell)
{
	struct slot_info	 slot;
	int			 i;

	if (!pool_slot(sim->pool, tell->slot, &slot) || slot.child == NULL) {
		sim_violation(sim, "barred, with nobody to succeed");
		return;
	}
	for (i = 0; i < sim->nprocs; i++)
		if (sim->procs[i].child == slot.child)
			sim->procs[i].heirless = true;
}

/* ---- renewals */

static void
judge_all_new(struct sim *sim)
{
	struct slot_info	 slot;
	int			 i;

	for (i = 0; pool_slot(sim->pool, i, &slot); i++)
		if (slot.open && !slot.parked && (slot.child == NULL ||
		    child_info(slot.child)->state != CHILD_READY ||
		    child_info(slot.child)->generation != sim->generation))
			sim_violation(sim, "renewed, but for slot %d", i);
}

static void
judge_renew_over(struct sim *sim, const struct pool_tell *tell)
{
	bool	 failed = tell->kind == TELL_RENEW_FAILED;
	bool	 back = failed && sim->proven > 0 &&
		    sim->proven < sim->generation;

	if (!sim->renewing || tell->n != sim->generation)
		sim_violation(sim, "a renewal to %lld is over",
		    (long long)tell->n);
	if (tell->restored != back)
		sim_violation(sim, "went back, or not");
	sim->renewing = false;
	if (back)
		sim->generation = sim->proven;
	/* The slot whose worker failed is not to blame. */
	if (back && sim->bereft == tell->slot)
		sim->slots[tell->slot] = sim->before;
	if (!failed)
		judge_all_new(sim);
}

bool
sim_is_verdict(const struct sim *sim, const struct sim_proc *proc)
{
	return sim->renewing && !proc->caretaker && proc->ready_ms == -1 &&
	    proc->generation == sim->generation &&
	    child_info(proc->child)->why == WHY_NONE &&
	    pool_phase(sim->pool) < POOL_DOOR;
}

static void
judge_alive(struct sim *sim, const struct pool_tell *tell)
{
	int	 i;

	for (i = 0; i < sim->nprocs; i++)
		if (sim->procs[i].pid == tell->child->pid)
			break;
	if (i == sim->nprocs || tell->child->state != CHILD_STARTING ||
	    sim->procs[i].state != CHILD_STARTING ||
	    sim->now_ms < sim->procs[i].alive_ms)
		sim_violation(sim, "pid %d has not lived that long",
		    (int)tell->child->pid);
	else
		sim_book_ready(sim, &sim->procs[i]);
}

/* Is there somebody of a newer generation who serves in its place? */
static void
judge_replaced(struct sim *sim, const struct sim_proc *proc)
{
	struct slot_info	 slot;
	const struct child_info	*info;

	pool_slot(sim->pool, proc->slot, &slot);
	info = slot.child == NULL ? NULL : child_info(slot.child);
	if (info == NULL || info->state != CHILD_READY ||
	    info->generation <= proc->generation)
		sim_violation(sim, "pid %d is renewed away, and nobody "
		    "serves in its place", (int)proc->pid);
}

void
sim_judge_renewed(struct sim *sim)
{
	struct sim_proc	*proc;
	int		 i;

	for (i = 0; i < sim->nprocs; i++) {
		proc = &sim->procs[i];
		if (proc->renewed || proc->caretaker ||
		    child_info(proc->child)->why != WHY_RENEW)
			continue;
		proc->renewed = true;
		if (proc->state == CHILD_READY)
			judge_replaced(sim, proc);
	}
}

static void
judge_gave_up(struct sim *sim)
{
	int64_t	 by = sim->now_ms + sim->policy.limits.kill + SIM_KILL_MS;

	if (sim->any_ready || sim->gave_up)
		sim_violation(sim, "gives up after a success");
	sim->gave_up = true;
	if (by < sim->stop_by_ms)
		sim->stop_by_ms = by;
}

void
sim_judge_tell(struct sim *sim, const struct pool_tell *tell)
{
	static const char *const names[] = {
		[TELL_READY] = "- ready", [TELL_GAVE_UP] = "- gave up",
		[TELL_SLOT_WAIT] = "- slot waits",
		[TELL_SLOT_PARKED] = "- slot parked",
		[TELL_SLOT_BARRED] = "- slot barred",
		[TELL_CARE_WAIT] = "- care waits",
		[TELL_FORK_WAIT] = "- forks wait",
		[TELL_RETIRE] = "- retires",
		[TELL_RENEW_DONE] = "- renewed",
		[TELL_RENEW_FAILED] = "- renew failed",
		[TELL_ALIVE] = "- alive",
		[TELL_SURPRISE] = "- surprise",
		[TELL_LATE] = "- late", [TELL_LEAVING] = "- leaves" };

	sim_note(sim, names[tell->kind], tell->slot,
	    tell->child == NULL ? -1 : tell->child->pid,
	    tell->ms == 0 ? tell->n : tell->ms);
	if (tell->kind == TELL_SLOT_WAIT || tell->kind == TELL_FORK_WAIT)
		judge_wait(sim, tell);
	else if (tell->kind == TELL_SLOT_PARKED)
		judge_parked(sim, tell);
	else if (tell->kind == TELL_SLOT_BARRED)
		judge_barred(sim, tell);
	else if (tell->kind == TELL_CARE_WAIT)
		sim->care_wait_ms[tell->slot] = sim->now_ms + tell->ms;
	else if (tell->kind == TELL_RENEW_DONE ||
	    tell->kind == TELL_RENEW_FAILED)
		judge_renew_over(sim, tell);
	else if (tell->kind == TELL_ALIVE)
		judge_alive(sim, tell);
	else if (tell->kind == TELL_GAVE_UP)
		judge_gave_up(sim);
	else if (tell->kind == TELL_SURPRISE && tell->event != ON_READY &&
	    tell->event != ON_LEAVING && tell->event != ON_STALE)
		sim_violation(sim, "surprised by itself");
	else if (tell->kind == TELL_READY && (sim->told_ready ||
	    pool_ready(sim->pool) == 0))
		sim_violation(sim, "it is not ready, or was before");
	sim->told_ready |= tell->kind == TELL_READY;
}
