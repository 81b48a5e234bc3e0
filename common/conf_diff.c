#include "common/conf_table.h"

#include <stdlib.h>
#include <string.h>

/* What a reload would change, key by key. */

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* In the same order: it is that of the descriptors, too. */
static bool
same_binds(const struct conf_listen *a, const struct conf_listen *b)
{
	char	*one, *other;
	bool	 same = a->nbind == b->nbind && a->bind_given == b->bind_given;

	for (size_t i = 0; same && i < a->nbind; i++) {
		one = addr_print(&a->bind[i]);
		other = addr_print(&b->bind[i]);
		same = strcmp(one, other) == 0;
		free(one);
		free(other);
	}
	return same;
}

static bool
has_variable(const struct conf *conf, const struct conf_env_var *var)
{
	for (size_t i = 0; i < conf->nenv; i++)
		if (strcmp(conf->env[i].name, var->name) == 0)
			return same_text(conf->env[i].value, var->value);
	return false;
}

/* A name is there but once: as many, and each of a in b, is the same. */
static bool
same_env(const struct conf *a, const struct conf *b)
{
	if (a->nenv != b->nenv)
		return false;
	for (size_t i = 0; i < a->nenv; i++)
		if (!has_variable(b, &a->env[i]))
			return false;
	return true;
}

static bool
same_value(const struct conf_key *key, const struct conf *a,
    const struct conf *b)
{
	char	*one, *other;
	bool	 same;

	if (key->type == TYPE_ADDRESS)
		return same_binds(&a->listen, &b->listen);
	if (key->type == TYPE_ENV)
		return same_env(a, b);
	if (key->type == TYPE_PRESET ||
	    (key->type == TYPE_APP && conf_is_program(a) &&
	    conf_is_program(b)))
		return true;
	/* Unset, it is derived. */
	if (key->offset == offsetof(struct conf, worker.fast_signal))
		return conf_fast_signal(&a->worker) ==
		    conf_fast_signal(&b->worker);
	one = conf_type_get(key, a);
	other = conf_type_get(key, b);
	same = same_text(one, other);
	free(one);
	free(other);
	return same;
}

/* Sockets of a group are made as such: none can join or leave it. */
static enum conf_class
class_of(const struct conf_key *key, const struct conf *a,
    const struct conf *b)
{
	if (key->offset == offsetof(struct conf, listen.accept) &&
	    (a->listen.accept == ACCEPT_REUSEPORT ||
	    b->listen.accept == ACCEPT_REUSEPORT))
		return CLASS_RESTART;
	return key->reload;
}

size_t
conf_diff(const struct conf *a, const struct conf *b, conf_diff_fn *each,
    void *arg)
{
	struct conf_key_info	 info;
	size_t			 count = 0;

	for (size_t i = 0; i < conf_nkeys; i++) {
		if (same_value(&conf_keys[i], a, b))
			continue;
		count++;
		conf_key_info(i, &info);
		info.reload = class_of(&conf_keys[i], a, b);
		if (each != NULL)
			each(arg, &info);
	}
	return count;
}
