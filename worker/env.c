#include "worker/env.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "worker/program.h"
#include "worker/worker.h"

#define FIRST_SOCKET	3	/* as sd_listen_fds(3) has it */

/*
 * What is between a process and its starter is not for others: passed on, a
 * program would take sockets that are not there for its own, or report to our
 * service manager in our name. With _ behind it, all that begin like that.
 */
#define NAME(text)	{ text, sizeof(text) - 1 }
static const struct {
	const char	*name;
	size_t		 len;
} between[] = {
	NAME("LISTEN_FDS"), NAME("LISTEN_PID"), NAME("LISTEN_FDNAMES"),
	NAME("LISTEN_PIDFDID"), NAME("NOTIFY_SOCKET"), NAME("WATCHDOG_USEC"),
	NAME("WATCHDOG_PID"), NAME("FDSTORE"), NAME("MUSTER_"),
	NAME("EINHORN_"), NAME("SERVER_STARTER_"), NAME("PUMA_INHERIT_"),
	NAME("NGINX"), NAME("FPM_SOCKETS"), NAME("UNICORN_FD"),
	NAME("GUNICORN_FD"), NAME("GUNICORN_PID"),
};

/* ---- the builder */

/* The name's end in var, at its "=", or NULL. Most differ at once. */
static const char *
behind_name(const char *var, const char *name, size_t len)
{
	return var[0] == name[0] && strncmp(var, name, len) == 0 &&
	    var[len] == '=' ? var + len : NULL;
}

static bool
is_between(const char *var)
{
	const char	*name;
	size_t		 i, len;

	for (i = 0; i < sizeof(between) / sizeof(between[0]); i++) {
		name = between[i].name;
		len = between[i].len;
		if (var[0] == name[0] && strncmp(var, name, len) == 0 &&
		    (name[len - 1] == '_' || var[len] == '='))
			return true;
	}
	return false;
}

/* Room for more of them, and for the NULL. */
static char **
grow(char **list, size_t *room, size_t count)
{
	if (count + 1 < *room)
		return list;
	*room = count * 2 + 32;
	return xreallocarray(list, *room, sizeof(*list));
}

static void
add(struct env *env, char *var)
{
	env->vars = grow(env->vars, &env->room, env->count);
	env->vars[env->count++] = var;
	env->vars[env->count] = NULL;
}

/* Room for "NAME=" and len bytes more, added. Where these are. */
static char *
add_own(struct env *env, const char *name, size_t len)
{
	size_t	 name_len = strlen(name);
	char	*var = xcalloc(1, name_len + 1 + len);

	memcpy(var, name, name_len + 1);
	var[name_len] = '=';
	env_unset(env, name);
	env->own = grow(env->own, &env->own_room, env->nown);
	env->own[env->nown++] = var;
	add(env, var);
	return var + name_len + 1;
}

const char *
env_get(const struct env *env, const char *name)
{
	size_t		 i, len = strlen(name);
	const char	*end;

	for (i = 0; i < env->count; i++) {
		end = behind_name(env->vars[i], name, len);
		if (end != NULL)
			return end + 1;
	}
	return NULL;
}

/* What was our own stays until all is freed: value may lie in it. */
void
env_unset(struct env *env, const char *name)
{
	size_t	 i, kept = 0, len = strlen(name);

	for (i = 0; i < env->count; i++) {
		if (behind_name(env->vars[i], name, len) == NULL)
			env->vars[kept++] = env->vars[i];
	}
	env->count = kept;
	env->vars[kept] = NULL;
}

void
env_set(struct env *env, const char *name, const char *value)
{
	size_t	 len = strlen(value) + 1;

	memcpy(add_own(env, name, len), value, len);
}

char *
env_set_room(struct env *env, const char *name)
{
	return add_own(env, name, ENV_PID_ROOM);
}

static void
set_number(struct env *env, const char *name, int64_t number)
{
	char	 text[24];

	snprintf(text, sizeof(text), "%" PRId64, number);
	env_set(env, name, text);
}

/* Is it to be passed on, by a [env] that starts empty? */
static bool
is_kept(const struct conf *conf, const char *var)
{
	size_t	 i;

	for (i = 0; i < conf->nenv; i++) {
		if (conf->env[i].value == NULL && behind_name(var,
		    conf->env[i].name, strlen(conf->env[i].name)) != NULL)
			return true;
	}
	return false;
}

void
env_init(struct env *env, const struct conf *conf, char *const *base)
{
	size_t	 i;

	*env = (struct env){ 0 };
	env->vars = grow(NULL, &env->room, 0);
	env->vars[0] = NULL;
	for (; base != NULL && *base != NULL; base++) {
		if (is_between(*base))
			continue;
		if (!conf->env_clear || is_kept(conf, *base))
			add(env, *base);
	}
	for (i = 0; i < conf->nenv; i++) {
		if (conf->env[i].value != NULL)
			env_set(env, conf->env[i].name, conf->env[i].value);
	}
}

void
env_free(struct env *env)
{
	size_t	 i;

	for (i = 0; i < env->nown; i++)
		free(env->own[i]);
	free(env->own);
	free(env->vars);
	*env = (struct env){ 0 };
}

/* ---- how a socket's address is written */

/* A Unix socket by its path alone, an abstract one with its @. */
static char *
without_scheme(const char *text)
{
	return xstrdup(strncmp(text, "unix:", 5) == 0 ? text + 5 : text);
}

/* Server::Starter knows all addresses (of v4) by the port alone. */
static char *
starter_address(const char *text)
{
	static const char	 any[] = "0.0.0.0:";
	size_t			 len = sizeof(any) - 1;

	return strncmp(text, any, len) == 0 ? xstrdup(text + len) :
	    without_scheme(text);
}

/* php-fpm compares with inet_ntop(3)'s text: a v6 address has no brackets. */
static char *
fpm_address(const char *text)
{
	const char	*end = strchr(text, ']');

	if (text[0] != '[' || end == NULL)
		return without_scheme(text);
	return xasprintf("%.*s%s", (int)(end - text - 1), text + 1, end + 1);
}

/* ---- the dialects */

struct list {
	const char	*name;		/* of the variable */
	char		*(*address)(const char *text);	/* NULL: fd alone */
	char		 between;	/* two sockets */
	char		 behind;	/* the last, too; or 0 */
};

/* Append "ADDRESS=FD" and what separates it from the next. */
static int
list_add(const struct list *list, char **value, const struct program_boot *boot,
    size_t nr, struct err *err)
{
	char	 forbidden[3] = { list->between, '=', '\0' };
	char	 end[2] = { nr + 1 < boot->nsockets ? list->between :
		    list->behind, '\0' };
	char	*address = NULL, *longer;

	if (list->address != NULL) {
		address = list->address(boot->sockets[nr].text);
		if (address[strcspn(address, forbidden)] != '\0') {
			free(address);
			return err_set(err, "%s cannot tell of %s: it has a "
			    "\"%c\" or a \"=\"", list->name,
			    boot->sockets[nr].text, list->between);
		}
	}
	longer = xasprintf("%s%s%s%zu%s", *value,
	    address != NULL ? address : "", address != NULL ? "=" : "",
	    FIRST_SOCKET + nr, end);
	free(address);
	free(*value);
	*value = longer;
	return 0;
}

static int
tell_list(struct env *env, const struct program_boot *boot,
    const struct list *list, struct err *err)
{
	char	*value = xstrdup("");
	size_t	 i;
	int	 result = 0;

	for (i = 0; i < boot->nsockets && result == 0; i++)
		result = list_add(list, &value, boot, i, err);
	if (result == 0)
		env_set(env, list->name, value);
	free(value);
	return result;
}

/* Without sockets there is nothing to say: an empty list confuses nginx. */
static int
tell_if_any(struct env *env, const struct program_boot *boot,
    const struct list *list, struct err *err)
{
	return boot->nsockets > 0 ? tell_list(env, boot, list, err) : 0;
}

static int
tell_listen_fds(struct env *env, const struct program_boot *boot,
    struct err *err)
{
	char	*names = xstrdup(""), *longer;
	size_t	 i;

	(void)err;
	for (i = 0; i < boot->nsockets; i++) {
		longer = xasprintf("%s%s%s", names, i > 0 ? ":" : "",
		    boot->sockets[i].name);
		free(names);
		names = longer;
	}
	if (boot->nsockets > 0) {
		set_number(env, "LISTEN_FDS", (int64_t)boot->nsockets);
		env_set(env, "LISTEN_FDNAMES", names);
	}
	free(names);
	return 0;
}

static int
tell_einhorn(struct env *env, const struct program_boot *boot,
    struct err *err)
{
	char	 name[40];
	size_t	 i;

	(void)err;
	for (i = 0; i < boot->nsockets; i++) {
		snprintf(name, sizeof(name), "EINHORN_FD_%zu", i);
		set_number(env, name, (int64_t)(FIRST_SOCKET + i));
	}
	set_number(env, "EINHORN_FD_COUNT", (int64_t)boot->nsockets);
	set_number(env, "EINHORN_MASTER_PID", boot->master_pid);
	set_number(env, "EINHORN_CHILD_INDEX", boot->slot);
	if (boot->ack != NULL)
		env_set(env, "EINHORN_SOCK_PATH", boot->ack);
	return 0;
}

/* Without sockets it is there and empty: who looks knows its starter. */
static int
tell_server_starter(struct env *env, const struct program_boot *boot,
    struct err *err)
{
	static const struct list	 list = { "SERVER_STARTER_PORT",
					    starter_address, ';', '\0' };

	set_number(env, "SERVER_STARTER_GENERATION", boot->generation);
	return tell_list(env, boot, &list, err);
}

static int
tell_nginx(struct env *env, const struct program_boot *boot, struct err *err)
{
	static const struct list	 list = { "NGINX", NULL, ';', ';' };

	return tell_if_any(env, boot, &list, err);
}

static int
tell_php_fpm(struct env *env, const struct program_boot *boot,
    struct err *err)
{
	static const struct list	 list = { "FPM_SOCKETS", fpm_address,
					    ',', '\0' };

	return tell_if_any(env, boot, &list, err);
}

static int
tell_unicorn(struct env *env, const struct program_boot *boot,
    struct err *err)
{
	static const struct list	 list = { "UNICORN_FD", NULL, ',', '\0' };

	return tell_if_any(env, boot, &list, err);
}

/* stdin is no row: program.c puts the socket there. */
static const struct {
	enum dialect	  dialect;
	int		(*tell)(struct env *, const struct program_boot *,
			    struct err *);
} dialect_rows[] = {
	{ DIALECT_LISTEN_FDS,		tell_listen_fds },
	{ DIALECT_EINHORN,		tell_einhorn },
	{ DIALECT_SERVER_STARTER,	tell_server_starter },
	{ DIALECT_NGINX,		tell_nginx },
	{ DIALECT_PHP_FPM,		tell_php_fpm },
	{ DIALECT_UNICORN,		tell_unicorn },
};

int
env_contract(struct env *env, const struct program_boot *boot,
    char *pids[ENV_PIDS], struct err *err)
{
	const struct conf_worker	*worker = &boot->conf->worker;
	size_t				 i, count = 0;

	set_number(env, "MUSTER_SLOT", boot->slot);
	set_number(env, "MUSTER_GENERATION", boot->generation);
	env_set(env, "MUSTER_NAME", boot->conf->master.name);
	set_number(env, "MUSTER_MASTER_PID", boot->master_pid);
	if (boot->mail != NULL)
		env_set(env, "NOTIFY_SOCKET", boot->mail);
	if (boot->mail != NULL && worker->watchdog > 0) {
		set_number(env, "WATCHDOG_USEC", worker->watchdog * 1000);
		pids[count++] = env_set_room(env, "WATCHDOG_PID");
	}
	if (worker->sockets & DIALECT_LISTEN_FDS && boot->nsockets > 0)
		pids[count++] = env_set_room(env, "LISTEN_PID");
	pids[count] = NULL;
	for (i = 0; i < sizeof(dialect_rows) / sizeof(dialect_rows[0]); i++) {
		if (worker->sockets & dialect_rows[i].dialect &&
		    dialect_rows[i].tell(env, boot, err) == -1)
			return -1;
	}
	return 0;
}

/* ---- app workers */

void
env_apply(const struct worker_boot *boot)
{
	const struct conf	*conf = boot->conf;
	struct env		 env;

	/* Nothing asked for: a copy would only cost the new process memory. */
	if (!conf->env_clear && conf->nenv == 0)
		return;
	env_init(&env, conf, environ);
	environ = env.vars;
}
