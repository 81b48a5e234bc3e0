#include "common/conf_table.h"

#include <string.h>

/*
 * THE table: every key of the configuration, one row each. Loading, --dump,
 * --help and the tests over muster.conf(5) and etc/muster.ini go by it.
 */
#define DAY_MS		INT64_C(86400000)
#define LONG_MS		(1000 * DAY_MS)	/* the longest duration */
#define MANY		INT64_C(1000000000000)
#define MANY_BYTES	(INT64_C(1) << 50)

#define AT(field)	offsetof(struct conf, field)

static const struct value_word level_words[] = {
	{ "error", LOG_LEVEL_ERROR }, { "warn", LOG_LEVEL_WARN },
	{ "info", LOG_LEVEL_INFO }, { "debug", LOG_LEVEL_DEBUG }, { NULL, 0 }
};
static const struct value_word format_words[] = {
	{ "text", LOG_TEXT }, { "json", LOG_JSON }, { NULL, 0 }
};
static const struct value_word accept_words[] = {
	{ "auto", ACCEPT_AUTO }, { "shared", ACCEPT_SHARED },
	{ "exclusive", ACCEPT_EXCLUSIVE }, { "reuseport", ACCEPT_REUSEPORT },
	{ NULL, 0 }
};
static const struct value_word cull_words[] = {
	{ "oldest", CULL_OLDEST }, { "newest", CULL_NEWEST },
	{ "idlest", CULL_IDLEST }, { NULL, 0 }
};
static const struct value_word death_words[] = {
	{ "drain", MASTER_DEATH_DRAIN }, { "serve", MASTER_DEATH_SERVE },
	{ "kill", MASTER_DEATH_KILL }, { NULL, 0 }
};
static const struct value_word effect_words[] = {
	{ "stop", EFFECT_STOP }, { "fast-stop", EFFECT_FAST_STOP },
	{ "reload", EFFECT_RELOAD }, { "upgrade", EFFECT_UPGRADE },
	{ "reopen", EFFECT_REOPEN }, { "scale-up", EFFECT_SCALE_UP },
	{ "scale-down", EFFECT_SCALE_DOWN }, { "drain", EFFECT_DRAIN },
	{ "ignore", EFFECT_IGNORE }, { NULL, 0 }
};

const char *const conf_apps[] = { "echo", NULL };

/* Rows by type; R is the reload class without its CLASS_. */
#define ROW(s, k, t, d, R, ...)						\
	{ .section = s, .key = k, .type = t, .fallback = d,		\
	    .reload = CLASS_##R, __VA_ARGS__ }
#define BOOL(s, k, f, d, R, h)						\
	ROW(s, k, TYPE_BOOL, d, R, .offset = AT(f), .help = h)
#define INT(s, k, f, d, lo, hi, R, h)					\
	ROW(s, k, TYPE_INT, d, R, .offset = AT(f), .min = lo, .max = hi, \
	    .help = h)
#define COUNT(s, k, f, d, R, h)						\
	ROW(s, k, TYPE_COUNT, d, R, .offset = AT(f), .max = MANY, .help = h)
#define OPTION(s, k, f, flag, lo, hi, R, h)				\
	ROW(s, k, TYPE_OPTION, NULL, R, .offset = AT(f), .aux = AT(flag), \
	    .min = lo, .max = hi, .help = h)
#define SIZE(s, k, f, d, hi, R, h)					\
	ROW(s, k, TYPE_SIZE, d, R, .offset = AT(f), .max = hi, .help = h)
#define TIME(s, k, f, d, R, h)						\
	ROW(s, k, TYPE_DURATION, d, R, .offset = AT(f), .max = LONG_MS,	\
	    .help = h)
#define WORD(s, k, f, w, d, R, h)					\
	ROW(s, k, TYPE_WORD, d, R, .offset = AT(f), .words = w, .help = h)
#define TEXT(s, k, t, f, d, R, h)					\
	ROW(s, k, t, d, R, .offset = AT(f), .help = h)
#define SIGNAL(name, d, h)						\
	WORD("signals", #name, signals[CONF_##name], effect_words, d, LIVE, h)
#define LIMIT(k, name, h)						\
	ROW("limits", k, TYPE_LIMIT, NULL, RESPAWN,			\
	    .offset = AT(limits[RLIMIT_##name]), .help = h)

const struct conf_key conf_keys[] = {
TEXT("master", "name", TYPE_NAME, master.name, NULL, RESTART,
    "name of this instance, in process titles and logs; muster-PID if unset"),
TEXT("master", "pidfile", TYPE_PATH, master.pidfile, NULL, RESTART,
    "file that holds the master's pid"),
BOOL("master", "daemon", master.daemon, "no", RESTART,
    "go to the background once the pool is ready"),
TEXT("master", "user", TYPE_USER, master.user, NULL, RESPAWN,
    "user that the workers run as, a name or a number"),
TEXT("master", "group", TYPE_GROUP, master.group, NULL, RESPAWN,
    "group that the workers run as; the user's own if only user is set"),
ROW("master", "umask", TYPE_MODE, NULL, RESPAWN, .offset = AT(master.umask),
    .max = 0777, .help = "mask of the permissions of new files"),
TEXT("master", "chdir", TYPE_PATH, master.chdir, NULL, RESTART,
    "folder to work in"),
TEXT("master", "log", TYPE_PATH, master.log, "stderr", LIVE,
    "where log lines go: stderr, syslog or a file"),
WORD("master", "log_level", master.log_level, level_words, "info", LIVE,
    "the least important events that are logged"),
WORD("master", "log_format", master.log_format, format_words, "text", LIVE,
    "the form of log lines"),

ROW("listen", "bind", TYPE_ADDRESS, "127.0.0.1:8000", LIVE,
    .help = "address to listen on; repeatable"),
INT("listen", "backlog", listen.backlog, "2048", 1, 1000000, LIVE,
    "connections that may wait for a worker, per socket"),
WORD("listen", "accept", listen.accept, accept_words, "auto", RESPAWN,
    "how workers share a socket; auto is exclusive, for programs shared"),
TIME("listen", "defer_accept", listen.defer_accept, "0", LIVE,
    "wait this long for a client's first bytes before a worker is told"),
BOOL("listen", "nonblock", listen.nonblock, "yes", LIVE,
    "sockets are non-blocking; no is for programs that want them blocking"),
BOOL("listen", "nodelay", listen.nodelay, "yes", LIVE,
    "send small answers at once (TCP_NODELAY)"),
BOOL("listen", "keepalive", listen.keepalive, "no", LIVE,
    "probe silent peers (SO_KEEPALIVE)"),
ROW("listen", "unix_mode", TYPE_MODE, "0666", RESTART,
    .offset = AT(listen.unix_mode), .max = 0777,
    .help = "permissions of Unix sockets"),
TEXT("listen", "unix_user", TYPE_USER, listen.unix_user, NULL, RESTART,
    "owner of Unix sockets, a name or a number"),
TEXT("listen", "unix_group", TYPE_GROUP, listen.unix_group, NULL, RESTART,
    "group of Unix sockets, a name or a number"),

ROW("pool", "workers", TYPE_WORKERS, "2", LIVE, .offset = AT(pool.workers),
    .min = 1, .max = 10000,
    .help = "workers to keep; auto is one per CPU this process may use"),
INT("pool", "min_workers", pool.min_workers, "1", 1, 10000, LIVE,
    "scaling down ends here"),
INT("pool", "max_workers", pool.max_workers, "10000", 1, 10000, LIVE,
    "scaling up ends here"),
WORD("pool", "cull", pool.cull, cull_words, "oldest", LIVE,
    "which worker leaves when the pool shrinks"),
INT("pool", "spawn_batch", pool.spawn_batch, "16", 1, 10000, LIVE,
    "forks in one turn of the master's loop"),
TIME("pool", "spawn_jitter", pool.spawn_jitter, "0", LIVE,
    "spread starts at random over this time"),
TIME("pool", "backoff_min", pool.backoff_min, "1s", LIVE,
    "pause after a slot's first failure; it doubles with each"),
TIME("pool", "backoff_max", pool.backoff_max, "60s", LIVE,
    "the longest pause after failures"),
TIME("pool", "min_uptime", pool.min_uptime, "1s", LIVE,
    "a worker that served for less, twice in a row, has failed"),
INT("pool", "boot_retries", pool.boot_retries, "3", 1, 1000, LIVE,
    "failures of a slot, before any worker was ready, that end the start"),
ROW("pool", "surge", TYPE_SURGE, "1", LIVE, .offset = AT(pool.surge),
    .min = 1, .max = 10000,
    .help = "workers replaced at a time, a number or a percent rounded up"),

TEXT("worker", "app", TYPE_APP, worker.app, "echo", RESPAWN,
    "what workers run"),
ROW("worker", "command", TYPE_COMMAND, NULL, RESPAWN,
    .offset = AT(worker.command), .aux = AT(worker.ncommand),
    .help = "program that workers run in place of an app"),
TEXT("worker", "preset", TYPE_PRESET, worker.preset, NULL, RESPAWN,
    "defaults that suit a known program"),
ROW("worker", "stop_signal", TYPE_STOP_SIGNAL, "TERM", RESPAWN,
    .offset = AT(worker.stop_signal),
    .help = "signal that asks a worker to finish and leave"),
ROW("worker", "fast_signal", TYPE_STOP_SIGNAL, NULL, RESPAWN,
    .offset = AT(worker.fast_signal),
    .help = "signal of a fast stop; QUIT, or TERM where stop_signal is QUIT"),
ROW("worker", "reopen_signal", TYPE_SIGNAL, "none", RESPAWN,
    .offset = AT(worker.reopen_signal),
    .help = "signal that makes a program reopen its logs"),
TIME("worker", "stop_delay", worker.stop_delay, "0", LIVE,
    "go on serving this long after a stop was asked for"),
ROW("worker", "ready", TYPE_READY, "auto", RESPAWN,
    .offset = AT(worker.ready), .max = LONG_MS,
    .help = "what makes a program ready; auto is alive:1s, or READY=1"),
TIME("worker", "ready_timeout", worker.ready_timeout, "60s", LIVE,
    "a worker not ready by then is killed; 0: never"),
TIME("worker", "graceful_timeout", worker.graceful_timeout, "30s", LIVE,
    "how long a stopping worker may finish before it is killed; 0: at once"),
TIME("worker", "kill_timeout", worker.kill_timeout, "5s", LIVE,
    "how long a worker told to leave fast may take; 0: killed at once"),
TIME("worker", "upgrade_timeout", worker.upgrade_timeout, "10s", LIVE,
    "how long a new master may take to prove itself before an upgrade"),
TIME("worker", "watchdog", worker.watchdog, "30s", RESPAWN,
    "a worker that shows no life for so long is replaced; 0: off"),
BOOL("worker", "watchdog_required", worker.watchdog_required, "no", RESPAWN,
    "a program is held to watchdog before its first WATCHDOG=1, too"),
INT("worker", "max_connections", worker.max_connections, "0", 0, 1000000,
    RESPAWN, "connections that a worker holds at most; 0: by its nofile"),
ROW("worker", "fatal_exit_codes", TYPE_CODES, "78", LIVE,
    .offset = AT(worker.fatal_exit_codes),
    .aux = AT(worker.nfatal_exit_codes), .max = 255,
    .help = "exit codes after which a slot is parked"),
COUNT("worker", "max_requests", worker.max_requests, "0", RESPAWN,
    "requests after which a worker is replaced; 0: never"),
COUNT("worker", "max_requests_jitter", worker.max_requests_jitter, "0",
    RESPAWN, "up to so many requests more, at random"),
TIME("worker", "max_age", worker.max_age, "0", LIVE,
    "age at which a worker is replaced; 0: never"),
TIME("worker", "max_age_jitter", worker.max_age_jitter, "0", LIVE,
    "up to so much older, at random"),
SIZE("worker", "max_rss", worker.max_rss, "0", MANY_BYTES, LIVE,
    "resident memory at which a worker is replaced; 0: never"),
WORD("worker", "on_master_death", worker.on_master_death, death_words,
    "drain", RESPAWN, "what workers do once the master was killed"),
BOOL("worker", "capture_output", worker.capture_output, "yes", RESPAWN,
    "log what a program writes to stdout and stderr"),
ROW("worker", "sockets", TYPE_SOCKETS, "listen-fds", RESPAWN,
    .offset = AT(worker.sockets),
    .help = "how a program is told of its sockets; some break with two ways"),
OPTION("worker", "nice", worker.nice, worker.nice_set, -20, 19, RESPAWN,
    "scheduling priority of workers"),
OPTION("worker", "oom_score_adj", worker.oom_score_adj, worker.oom_set,
    -1000, 1000, RESPAWN, "how likely the kernel's OOM killer takes a worker"),
ROW("worker", "cpu_affinity", TYPE_CPUS, "any", RESPAWN,
    .offset = AT(worker.cpus_mode), .aux = AT(worker.cpus),
    .max = CPU_SETSIZE - 1,
    .help = "CPUs that workers run on; auto is one CPU a slot"),
BOOL("worker", "no_new_privs", worker.no_new_privs, "no", RESPAWN,
    "workers can gain no privileges by exec"),

SIGNAL(HUP, "reload", "what HUP to the master does"),
SIGNAL(INT, "stop", "what INT to the master does"),
SIGNAL(TERM, "stop", "what TERM to the master does"),
SIGNAL(QUIT, "fast-stop", "what QUIT to the master does"),
SIGNAL(TTIN, "scale-up", "what TTIN to the master does"),
SIGNAL(TTOU, "scale-down", "what TTOU to the master does"),
SIGNAL(USR1, "reopen", "what USR1 to the master does"),
SIGNAL(USR2, "upgrade", "what USR2 to the master does"),
SIGNAL(WINCH, "drain", "what WINCH to the master does, when detached"),

LIMIT("as", AS, "address space in bytes"),
LIMIT("core", CORE, "size of a core dump in bytes"),
LIMIT("cpu", CPU, "CPU time in seconds"),
LIMIT("data", DATA, "data segment in bytes"),
LIMIT("fsize", FSIZE, "size of a file written, in bytes"),
LIMIT("locks", LOCKS, "file locks; Linux ignores it"),
LIMIT("memlock", MEMLOCK, "locked memory in bytes"),
LIMIT("msgqueue", MSGQUEUE, "POSIX message queues in bytes"),
LIMIT("nice", NICE, "ceiling of the nice value, as 20 - nice"),
LIMIT("nofile", NOFILE, "open descriptors"),
LIMIT("nproc", NPROC, "processes of the user"),
LIMIT("rss", RSS, "resident memory in bytes; Linux ignores it"),
LIMIT("rtprio", RTPRIO, "ceiling of the real-time priority"),
LIMIT("rttime", RTTIME, "real-time CPU use without a pause, in us"),
LIMIT("sigpending", SIGPENDING, "queued signals of the user"),
LIMIT("stack", STACK, "stack in bytes"),

BOOL("env", "clear", env_clear, "no", RESPAWN,
    "start from an empty environment"),
ROW("env", "NAME", TYPE_ENV, NULL, RESPAWN,
    .help = "a variable for the workers; without a value ours is passed on"),

SIZE("app echo", "max_line", echo.max_line, "64k", INT64_C(1) << 30, RESPAWN,
    "the longest line, without its ending; 0: no limit"),
TIME("app echo", "idle_timeout", echo.idle_timeout, "0", RESPAWN,
    "close a connection that is silent for so long; 0: never"),
TEXT("app echo", "fault_word", TYPE_TEXT, echo.fault_word, NULL, RESPAWN,
    "a line that is this word fails on purpose, for trying it out"),
};

const size_t conf_nkeys = sizeof(conf_keys) / sizeof(conf_keys[0]);

const struct conf_key *
conf_key_by_name(const char *section, const char *key)
{
	const struct conf_key	*row, *any = NULL;

	for (row = conf_keys; row < conf_keys + conf_nkeys; row++) {
		if (strcmp(row->section, section) != 0)
			continue;
		if (row->type == TYPE_ENV)
			any = row;
		else if (strcmp(row->key, key) == 0)
			return row;
	}
	return any;
}

bool
conf_section_known(const char *section)
{
	for (size_t i = 0; i < conf_nkeys; i++)
		if (strcmp(conf_keys[i].section, section) == 0)
			return true;
	return false;
}

size_t
conf_key_nr(const struct conf_key *key)
{
	return (size_t)(key - conf_keys);
}

size_t
conf_key_count(void)
{
	return conf_nkeys;
}

void
conf_key_info(size_t nr, struct conf_key_info *out)
{
	const struct conf_key	*key = &conf_keys[nr];

	*out = (struct conf_key_info){
		.section = key->section,
		.key = key->key,
		.type = conf_type_name(key),
		.fallback = key->fallback,
		.unit = conf_type_unit(key),
		.help = key->help,
		.reload = key->reload,
	};
}

int
conf_key_takes(const char *name, char *out, size_t size)
{
	size_t	 len;

	for (size_t i = 0; i < conf_nkeys; i++) {
		len = strlen(conf_keys[i].section);
		if (strncmp(name, conf_keys[i].section, len) == 0 &&
		    name[len] == '.' &&
		    strcmp(name + len + 1, conf_keys[i].key) == 0) {
			conf_type_takes(&conf_keys[i], out, size);
			return 0;
		}
	}
	return -1;
}

bool
conf_is_program(const struct conf *conf)
{
	return conf->worker.ncommand > 0;
}

const char *
effect_name(enum effect effect)
{
	for (size_t i = 0; effect_words[i].word != NULL; i++)
		if (effect_words[i].value == (int)effect)
			return effect_words[i].word;
	return "none";
}
