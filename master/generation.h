#ifndef MUSTER_GENERATION_H
#define MUSTER_GENERATION_H

#include <stdbool.h>

struct conf;
struct listener_set;

/*
 * What the workers of one generation were started with: a configuration and
 * the sockets that they inherit. A reload makes a new one; an old one lives
 * as long as a worker of it does, so that each worker is stopped, watched and
 * judged by the configuration it was started with.
 */
struct generation {
	int			 nr;
	struct conf		*conf;		/* owned */
	struct listener_set	*sockets;	/* a hold on it */
	bool			 proven;	/* a worker of it was ready */
	int			 workers;	/* alive */
	struct generation	*next;		/* the one before it */
};

struct generations;

struct generations	*generations_new(void);
void			 generations_free(struct generations *all);

/* A new one, in force from now on. Takes over conf and the hold on sockets. */
struct generation	*generations_add(struct generations *all, int nr,
			    struct conf *conf, struct listener_set *sockets);

/* The one in force: what new workers are started with. */
struct generation	*generations_now(const struct generations *all);

/*
 * The one of this number. One that is gone is answered with the one in force:
 * never NULL, once one was added.
 */
struct generation	*generations_of(const struct generations *all, int nr);

/* Back to an older one: a reload came to nothing. */
void			 generations_go_back(struct generations *all, int nr);

/* A worker of this generation began, ended; the latter may free it. */
void			 generations_born(struct generations *all, int nr);
void			 generations_died(struct generations *all, int nr);

/* A worker of it was ready. True: it was the first. */
bool			 generations_proved(struct generations *all, int nr);

/*
 * Put those aside that nobody needs any more: they are none of all from now
 * on. True: there were some. Then, when that is written down, free them: it
 * closes their sockets. True: there were some.
 */
bool			 generations_prune(struct generations *all);
bool			 generations_bury(struct generations *all);

/* All, the newest first. */
struct generation	*generations_first(const struct generations *all);

#endif
