#include "master/orders.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "master/proc.h"
#include "master/sigq.h"

/* More than the pipe holds: what comes meanwhile is the next turn's. */
#define RECORDS_A_TURN	4096

/*
 * A HUP from the kernel, or one that comes when the terminal is gone, is a
 * hang-up; TTIN, TTOU and WINCH of a terminal are job control and resizes.
 */
enum effect
orders_effect(const struct orders_context *context, int kind, bool by_kernel)
{
	enum effect	 effect;

	if (kind >= CONF_SIGNALS)
		return EFFECT_NONE;
	effect = context->effects[kind];
	if (kind == CONF_HUP && (by_kernel || (context->had_terminal &&
	    !context->has_terminal())))
		return effect == EFFECT_IGNORE ? effect : EFFECT_STOP;
	if (by_kernel && (kind == CONF_TTIN || kind == CONF_TTOU ||
	    kind == CONF_WINCH))
		return EFFECT_IGNORE;
	if (kind == CONF_WINCH && effect == EFFECT_DRAIN &&
	    context->had_terminal)
		return EFFECT_IGNORE;
	return effect;
}

/* ---- the log */

#define DESCRIBED	192	/* a signal and its sender, in words */

static bool
same(const struct sigq_record *a, const struct sigq_record *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void
describe(const struct sigq_record *record, unsigned times, char *out,
    size_t size)
{
	char	 name[32], count[32] = "";

	if (times > 1)
		snprintf(count, sizeof(count), ", %u times", times);
	if (record->code == SI_KERNEL) {
		snprintf(out, size, "SIG%s from the kernel%s",
		    sigq_name((enum sigq_kind)record->kind), count);
		return;
	}
	if (record->pid == 0) {
		snprintf(out, size, "SIG%s from outside our pid namespace%s",
		    sigq_name((enum sigq_kind)record->kind), count);
		return;
	}
	proc_name(record->pid, name, sizeof(name));
	snprintf(out, size, "SIG%s from pid %d (%s) uid %u%s",
	    sigq_name((enum sigq_kind)record->kind), record->pid,
	    name[0] == '\0' ? "?" : name, (unsigned)record->uid, count);
}

/* Who sent it, as a field; the kernel has no pid, and its uid is nobody's. */
static struct log_field
sender(const struct sigq_record *record, const char *field)
{
	if (record->code == SI_KERNEL)
		return log_str(field, NULL);
	return log_int(field, strcmp(field, "pid") == 0 ? record->pid :
	    record->uid);
}

static void
tell_scale(const struct sigq_record *record, const char *text)
{
	bool	 ok = sigq_value_ok(record);
	char	 msg[DESCRIBED + 64];

	if (ok)
		snprintf(msg, sizeof(msg), "%s, value %d", text,
		    record->value);
	else
		snprintf(msg, sizeof(msg), record->code == SI_QUEUE ?
		    "%s: its value is not from -10000 to 10000" :
		    "%s: it has no value", text);
	log_event(ok ? EV_SIGNAL_RECEIVED : EV_SIGNAL_IGNORED,
	    log_str("signal", "RTMIN+1"), log_int("pid", record->pid),
	    log_int("uid", record->uid), log_str("msg", msg));
}

static const char *
why_ignored(const struct orders_context *context,
    const struct sigq_record *record)
{
	if (record->code == SI_KERNEL)
		return "a terminal's job control or resize";
	if (context->effects[record->kind] != EFFECT_IGNORE)
		return "on a terminal it means a resize";
	return "so it is configured";
}

static void
tell(const struct orders_context *context, const struct sigq_record *record,
    unsigned times)
{
	bool		 by_kernel = record->code == SI_KERNEL;
	const char	*name;
	enum effect	 effect;
	size_t		 len;
	char		 msg[DESCRIBED];

	if (record->kind == SIGQ_CHLD)
		return;
	describe(record, times, msg, sizeof(msg));
	if (record->kind == SIGQ_SCALE) {
		tell_scale(record, msg);
		return;
	}
	name = sigq_name((enum sigq_kind)record->kind);
	effect = orders_effect(context, record->kind, by_kernel);
	if (effect == EFFECT_IGNORE) {
		len = strlen(msg);
		snprintf(msg + len, sizeof(msg) - len, ": %s",
		    why_ignored(context, record));
		log_event(EV_SIGNAL_IGNORED, log_str("signal", name),
		    sender(record, "pid"), sender(record, "uid"),
		    log_str("msg", msg));
	}
	else
		log_event(EV_SIGNAL_RECEIVED, log_str("signal", name),
		    sender(record, "pid"), sender(record, "uid"),
		    log_str("effect", effect_name(effect)),
		    log_str("msg", msg));
}

/* Runs of equal records are one line: a storm of signals is none of lines. */
static void
tell_records(const struct orders_context *context)
{
	struct sigq_record	 record, last;
	unsigned		 times = 0, most = RECORDS_A_TURN;

	while (most-- > 0 && sigq_next(&record)) {
		if (times > 0 && same(&record, &last)) {
			times++;
			continue;
		}
		if (times > 0)
			tell(context, &last, times);
		last = record;
		times = 1;
	}
	if (times > 0)
		tell(context, &last, times);
}

/* ---- the orders */

static void
count(struct orders *orders, enum effect effect, unsigned times)
{
	unsigned	 ignored = 0;
	unsigned	*counts[EFFECT_COUNT] = {
		[EFFECT_STOP] = &orders->stops,
		[EFFECT_FAST_STOP] = &orders->fast_stops,
		[EFFECT_RELOAD] = &orders->reloads,
		[EFFECT_UPGRADE] = &orders->upgrades,
		[EFFECT_REOPEN] = &orders->reopens,
		[EFFECT_DRAIN] = &orders->drains,
	};

	if (effect == EFFECT_SCALE_UP || effect == EFFECT_SCALE_DOWN) {
		orders->scale += effect == EFFECT_SCALE_UP ? (int64_t)times :
		    -(int64_t)times;
		orders->scaled = true;
		return;
	}
	*(counts[effect] == NULL ? &ignored : counts[effect]) += times;
}

void
orders_take(const struct orders_context *context, struct orders *orders)
{
	struct sigq_taken	 taken;
	int			 kind;

	memset(orders, 0, sizeof(*orders));
	/*
	 * Records first: a signal that comes after its counter was taken
	 * must leave its record in the pipe, to wake the loop again.
	 */
	tell_records(context);
	sigq_take(&taken);
	for (kind = 0; kind < CONF_SIGNALS; kind++) {
		if (taken.sent[kind] > 0)
			count(orders, orders_effect(context, kind, false),
			    taken.sent[kind]);
		if (taken.kernel[kind] > 0)
			count(orders, orders_effect(context, kind, true),
			    taken.kernel[kind]);
	}
	orders->deaths = taken.sent[SIGQ_CHLD] + taken.kernel[SIGQ_CHLD];
	orders->scale += taken.scale;
	orders->scaled |= taken.scales > 0;
}
