#include "master/systemd_priv.h"

#include <sys/socket.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

const char *const systemd_names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC",
	"WATCHDOG_PID", "FDSTORE", NULL };

/* ---- timers */

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	systemd_send(arg);
}

/* No ping from a pool that hangs: the manager then does what its unit says. */
static void
on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	struct systemd	*s = arg;

	(void)fd;
	(void)what;
	if (s->healthy(s->arg)) {
		s->ailing = false;
		s->ping = true;
		systemd_send(s);
		return;
	}
	if (!s->ailing)
		log_event(EV_SYSTEMD_NOTE, log_str("msg",
		    "a deadline of the pool is overdue: the service "
		    "manager's watchdog gets no sign of life"));
	s->ailing = true;
}

/* ---- what the environment says */

static void
ignore(const char *variable, const char *value, const char *why)
{
	log_event(EV_SYSTEMD_IGNORED, log_str("variable", variable),
	    log_str("value", value), log_str("msg", why));
}

/* The number of a variable; 0: not set, or none. */
static int64_t
number_of(const char *variable)
{
	const char	*value = getenv(variable);
	char		*end;
	long long	 n;

	if (value == NULL)
		return 0;
	errno = 0;
	n = strtoll(value, &end, 10);
	if (errno != 0 || *value < '0' || *value > '9' || *end != '\0') {
		ignore(variable, value, "it is no number");
		return 0;
	}
	return n;
}

static bool
parse_address(struct systemd *s, const char *value)
{
	size_t	 len = strlen(value);

	if (strncmp(value, "vsock:", 6) == 0) {
		ignore("NOTIFY_SOCKET", value, "only Unix sockets are spoken");
		return false;
	}
	if ((*value != '/' && *value != '@') || len < 2 ||
	    len >= sizeof(s->to.sun_path)) {
		ignore("NOTIFY_SOCKET", value, "it is no Unix address");
		return false;
	}
	s->to.sun_family = AF_UNIX;
	memcpy(s->to.sun_path, value, len);
	s->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (*value == '@')
		s->to.sun_path[0] = '\0';
	else
		s->to_len++;
	return true;
}

static bool
open_socket(struct systemd *s)
{
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd != -1)
		return true;
	log_event(EV_SYSTEMD_NOTE, log_str("msg",
	    "cannot speak to the service manager"), log_errno());
	return false;
}

/* Half of what is allowed, as sd_watchdog_enabled(3) advises; 0: none. */
static int64_t
watchdog_ms(void)
{
	int64_t	 usec = number_of("WATCHDOG_USEC");
	int64_t	 pid = number_of("WATCHDOG_PID");

	if (usec <= 0 || (pid != 0 && pid != getpid()))
		return 0;
	return usec < 4000 ? 1 : usec / 2000;
}

static bool
start_timers(struct systemd *s, struct event_base *base, int priority,
    bool now)
{
	int64_t		 ms = watchdog_ms();
	struct timeval	 half = clock_timeval(ms);

	s->again = event_new(base, -1, 0, on_again, s);
	if (s->again == NULL || event_priority_set(s->again, priority) == -1)
		return false;
	if (ms == 0)
		return true;
	s->watchdog = event_new(base, -1, EV_PERSIST, on_watchdog, s);
	if (s->watchdog == NULL ||
	    event_priority_set(s->watchdog, priority) == -1 ||
	    event_add(s->watchdog, &half) == -1)
		return false;
	if (now)
		event_active(s->watchdog, EV_TIMEOUT, 1);
	return true;
}

static struct systemd *
build(struct event_base *base, int priority, bool again,
    systemd_healthy_fn *healthy, void *arg)
{
	const char	*address = getenv("NOTIFY_SOCKET");
	int64_t		 limit = number_of("FDSTORE");
	struct systemd	*s;

	if (address == NULL || *address == '\0')
		return NULL;
	s = xcalloc(1, sizeof(*s));
	s->fd = -1;
	s->healthy = healthy;
	s->arg = arg;
	s->store_limit = limit > STORE_MAX ? STORE_MAX : (int)limit;
	if (parse_address(s, address) && open_socket(s) &&
	    start_timers(s, base, priority, again))
		return s;
	systemd_free(s);
	return NULL;
}

struct systemd *
systemd_new(struct event_base *base, int priority, bool again,
    systemd_healthy_fn *healthy, void *arg)
{
	struct systemd	*s = build(base, priority, again, healthy, arg);

	for (size_t i = 0; systemd_names[i] != NULL; i++)
		unsetenv(systemd_names[i]);
	return s;
}

void
systemd_free(struct systemd *s)
{
	if (s == NULL)
		return;
	if (s->again != NULL)
		systemd_send(s);
	systemd_forget(s);
	if (s->again != NULL)
		event_free(s->again);
	if (s->watchdog != NULL)
		event_free(s->watchdog);
	if (s->fd != -1)
		close(s->fd);
	free(s);
}

/* ---- what is said */

/* A pair that still waits, and was a whole reload, makes way for the next. */
static void
say(struct systemd *s, enum phase phase)
{
	s->phase = phase;
	if (phase == PHASE_RELOADING && s->nsaid >= 2 &&
	    s->said[s->nsaid - 2].phase == PHASE_RELOADING)
		s->nsaid -= 2;
	s->said[s->nsaid++] = (struct said){ phase, clock_now_us() };
	systemd_send(s);
}

void
systemd_main_pid(struct systemd *s)
{
	if (s != NULL)
		s->tells_pid = true;
}

void
systemd_ready(struct systemd *s)
{
	if (s != NULL && s->phase != PHASE_READY && s->phase != PHASE_STOPPING)
		say(s, PHASE_READY);
}

void
systemd_reloading(struct systemd *s)
{
	if (s != NULL && s->phase != PHASE_RELOADING &&
	    s->phase != PHASE_STOPPING)
		say(s, PHASE_RELOADING);
}

void
systemd_stopping(struct systemd *s)
{
	if (s != NULL && s->phase != PHASE_STOPPING)
		say(s, PHASE_STOPPING);
}

void
systemd_status(struct systemd *s, const char *fmt, ...)
{
	char	 text[sizeof(s->status)];
	va_list	 ap;

	if (s == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* A second line would be another message than a status. */
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	if (strcmp(text, s->status) == 0)
		return;
	strcpy(s->status, text);
	s->status_waits = true;
	systemd_send(s);
}

void
systemd_extend(struct systemd *s, int64_t usec)
{
	if (s == NULL || usec <= 0)
		return;
	s->extend = usec;
	systemd_send(s);
}
