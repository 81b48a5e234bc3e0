#ifndef MUSTER_CONF_H
#define MUSTER_CONF_H

#include <sys/types.h>
#include <sys/resource.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/addr.h"
#include "common/err.h"
#include "common/log.h"

/*
 * The configuration: read once into a fresh struct, checked as a whole,
 * immutable from then on. Every value comes from one row of conf_keys.c and
 * knows where it was set. Durations are in ms, sizes in bytes.
 */
/* The slots that accept = reuseport can steer to: steer.h says why. */
#define CONF_REUSEPORT_SLOTS	2000

enum conf_accept { ACCEPT_AUTO, ACCEPT_SHARED, ACCEPT_EXCLUSIVE,
	ACCEPT_REUSEPORT };
enum conf_cull { CULL_OLDEST, CULL_NEWEST, CULL_IDLEST };

/* What a signal to the master does; [signals] may say otherwise. */
enum effect { EFFECT_NONE, EFFECT_STOP, EFFECT_FAST_STOP, EFFECT_RELOAD,
	EFFECT_UPGRADE, EFFECT_REOPEN, EFFECT_SCALE_UP, EFFECT_SCALE_DOWN,
	EFFECT_DRAIN, EFFECT_IGNORE, EFFECT_COUNT };

/* The signals that [signals] may map, in the order of its keys. */
enum conf_signal { CONF_HUP, CONF_INT, CONF_TERM, CONF_QUIT, CONF_TTIN,
	CONF_TTOU, CONF_USR1, CONF_USR2, CONF_WINCH, CONF_SIGNALS };

enum cpus_mode { CPUS_ANY, CPUS_AUTO, CPUS_SET };

/* What a program does to be taken as ready. */
enum ready_mode { READY_AUTO, READY_NOTIFY, READY_ALIVE };

/* What workers do once their master was killed. */
enum master_death { MASTER_DEATH_DRAIN, MASTER_DEATH_SERVE,
	MASTER_DEATH_KILL };

/* The ways to tell a program of its sockets: bits of conf_worker.sockets. */
enum dialect {
	DIALECT_LISTEN_FDS	= 1 << 0,
	DIALECT_EINHORN		= 1 << 1,
	DIALECT_SERVER_STARTER	= 1 << 2,
	DIALECT_NGINX		= 1 << 3,
	DIALECT_PHP_FPM		= 1 << 4,
	DIALECT_UNICORN		= 1 << 5,
	DIALECT_STDIN		= 1 << 6,
};

struct conf_surge {
	int	 number;	/* of workers, or a percent of the target */
	bool	 percent;
};

struct conf_ready {
	enum ready_mode	 mode;
	int64_t		 alive;	/* ms; auto: 1000; notify: -1, never by age */
};

struct conf_limit {
	bool	 set;
	rlim_t	 soft, hard;	/* RLIM_INFINITY for unlimited */
};

struct conf_env_var {
	char	*name;
	char	*value;		/* NULL: pass ours on */
};

/* user and group, looked up once, before the first fork. */
struct conf_ids {
	bool	 user_set, group_set;
	uid_t	 uid;
	gid_t	 gid;
	gid_t	*groups;	/* supplementary, with user_set */
	int	 ngroups;
};

struct conf_master {
	char		*name;
	bool		 name_is_pid;	/* muster-PID, not configured */
	char		*pidfile;	/* NULL: none */
	bool		 daemon;
	char		*user, *group;	/* NULL: unchanged */
	struct conf_ids	 ids;
	int		 umask;		/* -1: unchanged */
	char		*chdir;		/* NULL: stay */
	char		*log;		/* stderr, syslog or a path */
	enum log_level	 log_level;
	enum log_format	 log_format;
};

struct conf_listen {
	struct addr	*bind;
	size_t		 nbind;
	bool		 bind_given;	/* else the default, or LISTEN_FDS */
	int		 backlog;
	enum conf_accept accept;
	int64_t		 defer_accept;	/* 0: off */
	bool		 nonblock, nodelay, keepalive;
	int		 unix_mode;
	char		*unix_user, *unix_group;
	uid_t		 unix_uid;	/* (uid_t)-1: unchanged */
	gid_t		 unix_gid;	/* (gid_t)-1: unchanged */
};

struct conf_pool {
	int		 workers;	/* auto is resolved when loaded */
	int		 min_workers, max_workers;
	enum conf_cull	 cull;
	int		 spawn_batch;
	int64_t		 spawn_jitter, backoff_min, backoff_max, min_uptime;
	int		 boot_retries;
	struct conf_surge surge;
};

struct conf_worker {
	char		*app;
	char		**command;	/* ends with NULL; NULL: the app */
	size_t		 ncommand;
	char		*preset;	/* NULL: none; its values are ours now */
	int		 stop_signal, fast_signal;	/* fast 0: derived */
	int		 reopen_signal;	/* 0: none */
	struct conf_ready ready;
	int64_t		 stop_delay, ready_timeout, graceful_timeout;
	int64_t		 kill_timeout, upgrade_timeout, watchdog;
	bool		 watchdog_required;
	int		 max_connections;	/* 0: by nofile */
	int		*fatal_exit_codes;
	size_t		 nfatal_exit_codes;
	int64_t		 max_requests, max_requests_jitter;
	int64_t		 max_age, max_age_jitter;
	int64_t		 max_rss;
	enum master_death on_master_death;
	bool		 capture_output;
	unsigned int	 sockets;	/* enum dialect, or-ed; 0: none */
	bool		 nice_set, oom_set;
	int		 nice, oom_score_adj;
	enum cpus_mode	 cpus_mode;
	cpu_set_t	 cpus;			/* CPUS_SET */
	bool		 no_new_privs;
};

struct conf_echo {
	int64_t		 max_line;	/* without the ending; 0: no limit */
	int64_t		 idle_timeout;	/* 0: none */
	char		*fault_word;	/* NULL: none */
};

struct conf {
	struct conf_master	 master;
	struct conf_listen	 listen;
	struct conf_pool	 pool;
	struct conf_worker	 worker;
	enum effect		 signals[CONF_SIGNALS];
	struct conf_limit	 limits[RLIM_NLIMITS];
	bool			 env_clear;
	struct conf_env_var	*env;
	size_t			 nenv;
	struct conf_echo	 echo;
	struct conf_origins	*origins;	/* private to conf.c */
};

/*
 * Where the values come from, weakest first: the defaults, the preset, the
 * file, the command line. settings are the command line's: rows of
 * "section.key" and value, with the option's own spelling for messages
 * ("--workers").
 */
struct conf_setting {
	const char	*key;		/* "pool.workers", "app echo.max_line" */
	const char	*value;		/* log_level: also "more", "less" */
	const char	*origin;	/* "-w", "--workers", "--set" */
};

struct conf_source {
	const char			*file;	/* NULL: none */
	const struct conf_setting	*settings;
	size_t				 nsettings;
	const char			*folder; /* of relative paths; NULL:
						    the working folder */
	bool				 programs; /* the command's has to be
						    there; else seen later */
};

/* A deep copy, for a reload; conf_source_free() takes no other. */
struct conf_source *conf_source_copy(const struct conf_source *source);
void		 conf_source_free(struct conf_source *source);

/*
 * Errors, all of them, those of the file first, in its order. Each is a whole
 * line to print as it is: "FILE:LINE: message", or "muster: message" for what
 * is no file's.
 */
struct conf_errors {
	char	**lines;	/* owned */
	size_t	  count;
	bool	  usage;	/* the first is the command line's: exit 64 */
};

/*
 * Load, look up names, check as a whole. Returns what conf_free() frees, or
 * NULL with every error in errors, which conf_errors_free() empties.
 */
struct conf	*conf_load(const struct conf_source *source,
		    struct conf_errors *errors);
void		 conf_free(struct conf *conf);

/*
 * The configuration in effect as text for conf_load_text(): every value that
 * is set, as it was resolved (presets applied, auto a number, names that have
 * our pid as they are), without comments. Owned; len without its NUL.
 */
char		*conf_print(const struct conf *conf, size_t *len);

/*
 * Load such a text again: nothing but it and the defaults, and what the
 * system says of users and groups. lenient skips keys that are not known, as
 * of another version. NULL with errors as for conf_load().
 */
struct conf	*conf_load_text(const char *text, size_t len, bool lenient,
		    struct conf_errors *errors);

/* Are the workers programs, or the built-in app? */
bool		 conf_is_program(const struct conf *conf);

/* A name that was not configured has our pid in it: after a fork, the new. */
void		 conf_name_after_pid(struct conf *conf);
void		 conf_errors_free(struct conf_errors *errors);

/* As a loadable INI file, each value with its origin in a comment. */
void		 conf_dump(const struct conf *conf, FILE *out);

/* When a changed key takes effect at a reload. */
enum conf_class { CLASS_LIVE, CLASS_RESPAWN, CLASS_RESTART };

/*
 * One row of the table in conf_keys.c, for those who print it: help, manual
 * and sample file are held against it. Sections of free names (env, limits,
 * signals) have their rows too.
 */
struct conf_key_info {
	const char	*section, *key;
	const char	*type;		/* "duration", "size", "bool", ... */
	const char	*fallback;	/* the default as text; NULL: unset */
	const char	*unit;		/* "ms s m h d", "k m g", "" */
	const char	*help;		/* one sentence */
	enum conf_class	 reload;
};
size_t		 conf_key_count(void);
void		 conf_key_info(size_t nr, struct conf_key_info *out);

/*
 * Hand each key whose value differs to each (NULL: only count them), with the
 * class that this change has; returns how many. All of [env]'s variables are
 * one key, and so are all addresses. A preset is seen by its effects alone.
 */
typedef void	 conf_diff_fn(void *arg, const struct conf_key_info *key);
size_t		 conf_diff(const struct conf *a, const struct conf *b,
		    conf_diff_fn *each, void *arg);

/*
 * What the key "pool.workers" takes, "a number (1 to 10000, or auto)", cut to
 * size. 0, or -1 if there is no such key.
 */
int		 conf_key_takes(const char *name, char *out, size_t size);

/* fast_signal as it applies: TERM where stop_signal is QUIT, else QUIT. */
int		 conf_fast_signal(const struct conf_worker *worker);

const char	*effect_name(enum effect effect);

#endif
