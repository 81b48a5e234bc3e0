#include "common/conf_table.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cpus.h"
#include "common/mem.h"

/* What the system has to say: users, groups, the working folder, CPUs. */

static void
report_key(struct conf_load *load, const char *section, const char *name,
    const char *text)
{
	const struct conf_key	*key = conf_key_by_name(section, name);

	conf_report(load, &load->conf->origins->keys[conf_key_nr(key)], key,
	    "%s", text);
}

/* An id in digits: what a name may not be. (uid_t)-1 means "unchanged". */
static bool
numeric_id(const char *text, unsigned int *id)
{
	int64_t	 number;

	if (value_parse_number(text, 0, UINT_MAX - 1, &number) != VALUE_OK)
		return false;
	*id = (unsigned int)number;
	return true;
}

static void
no_such(struct conf_load *load, const char *section, const char *key,
    const char *kind, const char *name)
{
	char	 quoted[QUOTE_SIZE], text[QUOTE_SIZE + 32];

	snprintf(text, sizeof(text), "there is no %s %s", kind,
	    conf_quote(name, quoted));
	report_key(load, section, key, text);
}

static bool
find_group(struct conf_load *load, const char *section, const char *key,
    const char *name, gid_t *gid)
{
	struct group	*group;

	if ((group = getgrnam(name)) != NULL)
		*gid = group->gr_gid;
	else if (!numeric_id(name, gid)) {
		no_such(load, section, key, "group", name);
		return false;
	}
	return true;
}

/* The groups of a user, with those of the passwd file's gid. */
static void
find_groups(struct conf_ids *ids, const struct passwd *user)
{
	int	 room = 32;

	do {
		ids->ngroups = room;
		ids->groups = xreallocarray(ids->groups, (size_t)room,
		    sizeof(*ids->groups));
		room *= 2;
	} while (getgrouplist(user->pw_name, ids->gid, ids->groups,
	    &ids->ngroups) == -1 && room <= 1 << 17);
}

static void
resolve_user(struct conf_load *load)
{
	struct conf_master	*master = &load->conf->master;
	struct conf_ids		*ids = &master->ids;
	struct passwd		*user;

	if ((user = getpwnam(master->user)) == NULL &&
	    numeric_id(master->user, &ids->uid))
		user = getpwuid(ids->uid);
	else if (user == NULL) {
		no_such(load, "master", "user", "user", master->user);
		return;
	}
	ids->user_set = true;
	if (user == NULL && !ids->group_set) {
		report_key(load, "master", "user",
		    "has no entry in passwd: group is needed, too");
		return;
	}
	if (user != NULL)
		ids->uid = user->pw_uid;
	if (!ids->group_set)
		ids->gid = user->pw_gid;
	ids->group_set = true;
	if (user != NULL)
		find_groups(ids, user);
	else {
		ids->groups = xcalloc(1, sizeof(*ids->groups));
		ids->groups[0] = ids->gid;
		ids->ngroups = 1;
	}
}

static void
resolve_unix_owner(struct conf_load *load)
{
	struct conf_listen	*listen = &load->conf->listen;
	struct passwd		*user;

	if (listen->unix_group != NULL)
		find_group(load, "listen", "unix_group", listen->unix_group,
		    &listen->unix_gid);
	if (listen->unix_user == NULL)
		return;
	if ((user = getpwnam(listen->unix_user)) != NULL)
		listen->unix_uid = user->pw_uid;
	else if (!numeric_id(listen->unix_user, &listen->unix_uid))
		no_such(load, "listen", "unix_user", "user",
		    listen->unix_user);
}

char *
conf_absolute(const char *folder, const char *path)
{
	char	*cwd = NULL, *absolute;

	if (*path == '/')
		return xstrdup(path);
	if (folder == NULL && (folder = cwd = getcwd(NULL, 0)) == NULL)
		return NULL;
	absolute = xasprintf("%s/%s", strcmp(folder, "/") == 0 ? "" : folder,
	    path);
	free(cwd);
	return absolute;
}

/* A relative path means what it meant to the caller, before any chdir. */
static void
make_absolute(struct conf_load *load, const char *key, char **path)
{
	char	*absolute;

	if (*path == NULL)
		return;
	if ((absolute = conf_absolute(load->folder, *path)) == NULL) {
		report_key(load, "master", key,
		    "is relative, and there is no working folder");
		return;
	}
	free(*path);
	*path = absolute;
}

static void
resolve_workers(struct conf_pool *pool)
{
	if (pool->workers != 0)
		return;
	pool->workers = cpus_usable();
	if (pool->workers > pool->max_workers)
		pool->workers = pool->max_workers;
	if (pool->workers < pool->min_workers)
		pool->workers = pool->min_workers;
}

void
conf_name_after_pid(struct conf *conf)
{
	if (!conf->master.name_is_pid)
		return;
	free(conf->master.name);
	conf->master.name = xasprintf("muster-%d", (int)getpid());
}

void
conf_resolve(struct conf_load *load)
{
	struct conf_master	*master = &load->conf->master;

	master->name_is_pid = master->name == NULL;
	conf_name_after_pid(load->conf);
	if (master->group != NULL)
		master->ids.group_set = find_group(load, "master", "group",
		    master->group, &master->ids.gid);
	if (master->user != NULL)
		resolve_user(load);
	resolve_unix_owner(load);
	make_absolute(load, "pidfile", &master->pidfile);
	make_absolute(load, "chdir", &master->chdir);
	if (strcmp(master->log, "stderr") != 0 &&
	    strcmp(master->log, "syslog") != 0)
		make_absolute(load, "log", &master->log);
	resolve_workers(&load->conf->pool);
}
