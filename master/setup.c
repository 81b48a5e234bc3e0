#include "master/setup.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "master/pack.h"
#include "master/state.h"

/* Written down: numbers stay, new ones at the end. */
enum setup_tag {
	TAG_MASTER = 1, TAG_NAME, TAG_PATH,
	TAG_GENERATION, TAG_NR, TAG_CONF, TAG_MEMBER,
	TAG_LISTENER, TAG_SAVED, TAG_FDS, TAG_FOLDER
};

/* More than any configuration has: a damaged length must not cost memory. */
#define MANY	4096

/* ---- writing */

static void
write_generation(struct pack *pack, const struct setup_generation *from)
{
	size_t	 i, opened = pack_open(pack, TAG_GENERATION);

	pack_put(pack, TAG_NR, &from->nr, sizeof(from->nr));
	pack_put(pack, TAG_CONF, from->conf, from->conf_len);
	for (i = 0; i < from->nmembers; i++)
		pack_put(pack, TAG_MEMBER, &from->members[i],
		    sizeof(from->members[i]));
	pack_close(pack, opened);
}

static void
write_listener(struct pack *pack, const struct setup_listener *from)
{
	size_t	 opened = pack_open(pack, TAG_LISTENER);

	pack_put(pack, TAG_SAVED, &from->saved, sizeof(from->saved));
	pack_put(pack, TAG_FDS, from->fds, from->nfds * sizeof(*from->fds));
	pack_close(pack, opened);
}

unsigned char *
setup_write(const struct setup_saved *setup, size_t *len)
{
	struct pack	 pack = { 0 };
	size_t		 i;

	pack_put(&pack, TAG_MASTER, &setup->master, sizeof(setup->master));
	pack_text(&pack, TAG_NAME, setup->name);
	pack_text(&pack, TAG_PATH, setup->path);
	pack_text(&pack, TAG_FOLDER, setup->folder);
	for (i = 0; i < setup->nlisteners; i++)
		write_listener(&pack, &setup->listeners[i]);
	for (i = 0; i < setup->ngenerations; i++)
		write_generation(&pack, &setup->generations[i]);
	*len = pack.len;
	return pack.data;
}

/* ---- reading */

/* Room for one more, zeroed. NULL: there are too many. */
static void *
append(void *list, size_t *count, size_t size)
{
	void	**at = list;

	if (*count == MANY)
		return NULL;
	*at = xreallocarray(*at, *count + 1, size);
	return memset((unsigned char *)*at + (*count)++ * size, 0, size);
}

/* A text without a NUL inside; NULL: it is none. */
static char *
text_of(const struct unpack_field *field)
{
	char	*text;

	if (memchr(field->data, '\0', field->len) != NULL)
		return NULL;
	text = xcalloc(field->len + 1, 1);
	memcpy(text, field->data, field->len);
	return text;
}

static int
read_text(char **to, const struct unpack_field *field)
{
	free(*to);
	return (*to = text_of(field)) == NULL ? -1 : 0;
}

static int
read_member(struct setup_generation *to, const struct unpack_field *field)
{
	struct setup_member	*member;

	member = append(&to->members, &to->nmembers, sizeof(*member));
	if (member == NULL)
		return -1;
	state_fit(member, sizeof(*member), field->data, field->len);
	return memchr(member->name, '\0', sizeof(member->name)) == NULL ?
	    -1 : 0;
}

static int
read_generation(struct setup_saved *setup, const struct unpack_field *from)
{
	struct setup_generation	*to;
	struct unpack_field	 field;
	struct unpack		 unpack;
	int			 status = 0;

	to = append(&setup->generations, &setup->ngenerations, sizeof(*to));
	if (to == NULL)
		return -1;
	unpack_begin(&unpack, from->data, from->len);
	while (status == 0 && unpack_next(&unpack, &field)) {
		if (field.tag == TAG_NR)
			state_fit(&to->nr, sizeof(to->nr), field.data,
			    field.len);
		else if (field.tag == TAG_CONF) {
			status = read_text(&to->conf, &field);
			to->conf_len = field.len;
		} else if (field.tag == TAG_MEMBER)
			status = read_member(to, &field);
	}
	return unpack.bad || to->conf == NULL ? -1 : status;
}

static int
read_fds(struct setup_listener *to, const struct unpack_field *field)
{
	if (to->fds != NULL || field->len % sizeof(*to->fds) != 0)
		return -1;
	if (field->len == 0)
		return 0;
	to->nfds = field->len / sizeof(*to->fds);
	to->fds = xcalloc(to->nfds, sizeof(*to->fds));
	memcpy(to->fds, field->data, field->len);
	return 0;
}

static int
read_listener(struct setup_saved *setup, const struct unpack_field *from)
{
	struct setup_listener	*to;
	struct unpack_field	 field;
	struct unpack		 unpack;
	int			 status = 0;

	to = append(&setup->listeners, &setup->nlisteners, sizeof(*to));
	if (to == NULL)
		return -1;
	unpack_begin(&unpack, from->data, from->len);
	while (status == 0 && unpack_next(&unpack, &field)) {
		if (field.tag == TAG_SAVED)
			state_fit(&to->saved, sizeof(to->saved), field.data,
			    field.len);
		else if (field.tag == TAG_FDS)
			status = read_fds(to, &field);
	}
	if (to->saved.nfds < 0 || (size_t)to->saved.nfds != to->nfds)
		return -1;
	return unpack.bad ? -1 : status;
}

static int
read_field(struct setup_saved *setup, const struct unpack_field *field)
{
	switch (field->tag) {
	case TAG_MASTER:
		state_fit(&setup->master, sizeof(setup->master), field->data,
		    field->len);
		return 0;
	case TAG_NAME:
		return read_text(&setup->name, field);
	case TAG_PATH:
		return read_text(&setup->path, field);
	case TAG_FOLDER:
		return read_text(&setup->folder, field);
	case TAG_GENERATION:
		return read_generation(setup, field);
	case TAG_LISTENER:
		return read_listener(setup, field);
	default:
		return 0;
	}
}

/* ---- does it make sense together? */

static bool
has_listener(const struct setup_saved *setup, uint32_t id)
{
	size_t	 i;

	for (i = 0; i < setup->nlisteners; i++)
		if (setup->listeners[i].saved.id == id)
			return true;
	return false;
}

static bool
members_there(const struct setup_saved *setup,
    const struct setup_generation *generation)
{
	size_t	 i;

	for (i = 0; i < generation->nmembers; i++)
		if (!has_listener(setup, generation->members[i].id))
			return false;
	return true;
}

static int
check(const struct setup_saved *setup, struct err *err)
{
	const struct setup_generation	*list = setup->generations;
	size_t				 i, j;

	for (i = 0; i < setup->nlisteners; i++)
		for (j = 0; j < i; j++)
			if (setup->listeners[i].saved.id ==
			    setup->listeners[j].saved.id)
				return err_set(err, "the setup has a listener "
				    "twice");
	for (i = 0; i < setup->ngenerations; i++) {
		for (j = 0; j < i; j++)
			if (list[i].nr == list[j].nr)
				return err_set(err, "the setup has generation "
				    "%d twice", list[i].nr);
		if (!members_there(setup, &list[i]))
			return err_set(err, "generation %d of the setup names "
			    "a listener that is not there", list[i].nr);
	}
	return 0;
}

struct setup_saved *
setup_read(const unsigned char *data, size_t len, struct err *err)
{
	struct setup_saved	*setup = xcalloc(1, sizeof(*setup));
	struct unpack_field	 field;
	struct unpack		 unpack;
	int			 status = 0;

	unpack_begin(&unpack, data, len);
	while (status == 0 && unpack_next(&unpack, &field))
		status = read_field(setup, &field);
	if (unpack.bad || status == -1)
		status = err_set(err, "the setup is damaged");
	if (status == -1 || check(setup, err) == -1) {
		setup_free(setup);
		return NULL;
	}
	return setup;
}

void
setup_free(struct setup_saved *setup)
{
	size_t	 i;

	if (setup == NULL)
		return;
	for (i = 0; i < setup->ngenerations; i++) {
		free(setup->generations[i].conf);
		free(setup->generations[i].members);
	}
	for (i = 0; i < setup->nlisteners; i++)
		free(setup->listeners[i].fds);
	free(setup->generations);
	free(setup->listeners);
	free(setup->name);
	free(setup->path);
	free(setup->folder);
	free(setup);
}
