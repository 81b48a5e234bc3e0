#ifndef MUSTER_EVENTS_H
#define MUSTER_EVENTS_H

/*
 * Every event that the log may hold: one row each with its name, level,
 * fields and meaning. The log refuses a field that its row does not list,
 * and a test holds muster(8) to this table.
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG };

/* X(id, name, level, fields, meaning) */
#define EVENTS(X)							\
X(MASTER_START, "master.start", INFO, "pid version name workers",	\
    "the master begins")						\
X(MASTER_STOP, "master.stop", INFO, "pid code took",			\
    "the master ends with this exit code; took since it was asked to")	\
X(MASTER_AWAY, "master.away", WARN, "for",				\
    "the master did not run for at least this long; it counts against no one")	\
X(MASTER_FAILED, "master.failed", ERROR, "msg code",			\
    "the master cannot go on or start, and why")			\
X(SIGNAL_RECEIVED, "signal.received", INFO,				\
    "signal pid uid effect msg",					\
    "a signal came; who sent it and what it does")			\
X(SIGNAL_IGNORED, "signal.ignored", INFO, "signal pid uid msg",		\
    "a signal came that changes nothing, and why")			\
X(LISTEN_OPEN, "listen.open", INFO, "addr name fd backlog",		\
    "a socket listens")							\
X(LISTEN_KEPT, "listen.kept", INFO, "addr fd",				\
    "a socket that the service manager kept was taken back")		\
X(LISTEN_BACKLOG, "listen.backlog", WARN, "addr backlog limit msg",	\
    "the kernel allows a shorter queue than asked for")			\
X(LISTEN_NOTE, "listen.note", WARN, "addr name fd msg error",		\
    "something about a listening socket that should be known")		\
X(LISTEN_CLOSED, "listen.closed", INFO, "addr name",			\
    "no new connections: a reload removed it, or the last stop has begun")			\
X(POOL_READY, "pool.ready", INFO, "workers target took",		\
    "every first worker was ready or failed once, and one is ready")	\
X(POOL_SCALE, "pool.scale", INFO, "from to asked msg",			\
    "another number of workers is wanted; what limits cut off is said")	\
X(POOL_STOP, "pool.stop", INFO, "mode workers delay",			\
    "the stop begins: graceful or fast")				\
X(POOL_DRAIN, "pool.drain", INFO, "workers",				\
    "all workers are drained, the master stays")			\
X(POOL_FAILED, "pool.failed", ERROR, "slot failures msg",		\
    "no worker ever became ready: the start is given up")		\
X(WORKER_START, "worker.start", INFO, "slot pid gen why",		\
    "a worker was forked, and why it was needed")			\
X(WORKER_READY, "worker.ready", INFO, "slot pid gen took",		\
    "a worker serves; took since its fork")				\
X(WORKER_STOP, "worker.stop", INFO, "slot pid gen signal why",		\
    "a worker was told to stop, and why")				\
X(WORKER_STUCK, "worker.stuck", ERROR, "slot pid gen silent where",	\
    "a worker showed no life for as long as watchdog allows")		\
X(WORKER_KILL, "worker.kill", WARN, "slot pid gen why error",		\
    "a worker's process group was sent KILL")				\
X(WORKER_LATE, "worker.late", WARN, "slot pid gen limit",		\
    "a worker's time limit of this name ran out")			\
X(WORKER_LEAVING, "worker.leaving", INFO, "slot pid gen",		\
    "a worker stops by itself")						\
X(WORKER_RETIRE, "worker.retire", INFO, "slot pid gen why",		\
    "a worker reached a limit; its successor comes first")		\
X(WORKER_EXIT, "worker.exit", INFO,					\
    "slot pid gen code signal core age why cpu rss status error",	\
    "a worker ended as it was told to, or with 0")			\
X(WORKER_DIED, "worker.died", ERROR,					\
    "slot pid gen code signal core age why cpu rss status error",	\
    "a worker ended that nobody had told to")				\
X(WORKER_SURPRISE, "worker.surprise", DEBUG, "slot pid event state",	\
    "a fact that the worker's state does not expect; ignored")		\
X(WORKER_OUTPUT, "worker.output", INFO, "slot pid gen line cut",		\
    "a line that a program printed; cut: so many bytes of it are missing")	\
X(MAIL_REFUSED, "mail.refused", DEBUG, "pid sender uid msg",		\
    "a message in a program's name was not heard; told of once a worker")	\
X(LEFTOVER_KILLED, "leftover.killed", WARN, "slot pid name",		\
    "what an ended program had left behind was sent KILL")		\
X(SLOT_WAIT, "slot.wait", WARN, "slot failures delay msg",		\
    "a slot waits before its next worker")				\
X(SLOT_PARKED, "slot.parked", ERROR, "slot code msg",			\
    "a slot is not filled again until the next scaling")		\
X(SLOT_BARRED, "slot.barred", ERROR, "slot code msg",			\
    "a worker over its limits gets no successor until the next scaling")	\
X(SPAWN_FAILED, "spawn.failed", ERROR, "slot delay msg error",		\
    "a worker could not be forked; tried again after the delay")	\
X(RELOAD_START, "reload.start", INFO, "gen workers why",			\
    "a new configuration is in force; its workers replace the old ones")	\
X(RELOAD_DONE, "reload.done", INFO, "gen took",				\
    "all workers are of this generation")				\
X(RELOAD_FAILED, "reload.failed", ERROR, "gen slot why kept msg",	\
    "the old workers stay, and why; kept = all: so does the old "	\
    "configuration")							\
X(CONFIG_ERROR, "config.error", ERROR, "msg",				\
    "what is wrong with a configuration that was to be reloaded")	\
X(UPGRADE_TRIAL, "upgrade.trial", INFO, "path pid",			\
    "the new binary is tried in a child")				\
X(UPGRADE_EXEC, "upgrade.exec", INFO, "path version",			\
    "the trial went well: the master becomes this binary")		\
X(UPGRADE_DONE, "upgrade.done", INFO, "pid version workers away",	\
    "this binary goes on; away: for so long the loop did not turn")	\
X(UPGRADE_FAILED, "upgrade.failed", ERROR, "path msg",			\
    "the master stays what it was, and why")				\
X(MASTER_CRASHED, "master.crashed", ERROR,				\
    "signal code addr where count workers away msg",			\
    "the master crashed, and goes on in the same process")		\
X(WORKER_STATUS, "worker.status", DEBUG, "slot pid status",		\
    "a program says what it does")					\
X(WORKER_UNUSED, "worker.unused", WARN, "slot pid addr elsewhere msg",	\
    "a ready program does not use the sockets it was given")		\
X(SURVIVOR_FOUND, "survivor.found", INFO, "slot pid gen",		\
    "a worker of a killed master of this name is supervised")		\
X(SURVIVOR_SOCKET, "survivor.socket", INFO, "addr fd",			\
    "a socket was taken over from such a worker")			\
X(SURVIVOR_LEFT, "survivor.left", WARN, "slot pid msg",			\
    "such a worker is not taken over, and why; it goes on by itself")	\
X(SURVIVOR_NONE, "survivor.none", INFO, "name",				\
    "no worker of a killed master of this name was found")		\
X(CONFINE_NOTE, "confine.note", WARN, "slot what error",		\
    "a limit could not be set on a worker, which goes on without it")	\
X(WORKER_FAILED, "worker.failed", ERROR, "slot msg code",		\
    "a worker cannot start, and why")					\
X(ACCEPT_MODE, "accept.mode", WARN, "addr msg",				\
    "the accept mode asked for is not to be had; plain is used")	\
X(ACCEPT_PAUSED, "accept.paused", WARN, "addr for error",		\
    "no descriptor for a new connection; tried again after this time")	\
X(CONN_FAILED, "conn.failed", WARN, "slot peer msg error",		\
    "a connection failed and was closed; no other is touched")		\
X(CONN_CLOSED, "conn.closed", DEBUG, "slot peer why",			\
    "a connection was closed")						\
X(LOG_REOPENED, "log.reopened", INFO, "path", "the log file was opened anew") \
X(LOG_FAILED, "log.failed", ERROR, "path error",			\
    "the log could not be opened anew; the old one stays")		\
X(LOG_LOST, "log.lost", WARN, "lines",					\
    "so many lines could not be written before this one")		\
X(STRANGER_EXIT, "stranger.exit", DEBUG, "pid",				\
    "a child that is no worker was reaped")				\
X(MEMORY_ENDED, "memory.ended", ERROR, "bytes",				\
    "no memory for so many bytes; the process aborts")			\
X(SYSTEMD_NOTE, "systemd.note", WARN, "msg error",			\
    "something between us and the service manager that should be known") \
X(SYSTEMD_IGNORED, "systemd.ignored", DEBUG, "variable value msg",	\
    "a variable of the service manager is not followed, and why")	\
X(STATE_NOTE, "state.note", WARN, "msg fd error",			\
    "something cannot be kept for the case that the master becomes another image") \
X(LOOP_NOTE, "loop.note", WARN, "msg error",				\
    "the event loop met something that should not happen")

#define X(id, name, level, fields, meaning)	EV_##id,
enum event_id { EVENTS(X) EVENT_COUNT };
#undef X

struct event_row {
	const char	*name;
	enum log_level	 level;
	const char	*fields;	/* separated by blanks */
	const char	*meaning;
};

extern const struct event_row event_rows[EVENT_COUNT];

#endif
