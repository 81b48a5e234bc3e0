#ifndef MUSTER_EXACT_H
#define MUSTER_EXACT_H

/*
 * The exact load client: several clients at once, each of which asks, checks
 * the answer byte for byte and asks again, and a count for every way in which
 * that can go. One process, one epoll set, no memory but the clients'.
 *
 * What is a loss? A connection that the system accepted and whose request was
 * not answered, entirely and correctly: reset, unanswered, wrong, late. On a
 * connection that has been used before, an end that comes when no byte of
 * the answer did is the race every keep-alive client must expect (RFC 9112,
 * 9.3.1): it counts as raced, and the same request is asked once more, on a
 * fresh connection, where nothing is forgiven.
 */
#include <sys/types.h>
#include <stdbool.h>
#include <stdint.h>

#define EXACT_CLIENTS	1024	/* at most */

enum exact_protocol {
	EXACT_HTTP,		/* GET; the answer is 200 */
	EXACT_ECHO,		/* a line, that comes back */
	EXACT_FASTCGI,		/* the same, told to a FastCGI responder */
};

struct exact_plan {
	char		 addr[128];	/* as net_connect() takes it */
	enum exact_protocol protocol;
	bool		 keep_alive;	/* many requests a connection */
	int		 clients;	/* 0: 1 */
	int		 think_ms;	/* between two requests of a client */
	int		 patience_ms;	/* for an answer; 0: 8000 */
	int64_t		 for_ms;	/* 0: no such end */
	uint64_t	 requests;	/* begun in all; 0: no such end */
	char		 path[64];	/* before the id: "" asks for "/ID" */
	char		 expect[128];	/* the body; "": the path asked for */
	char		 script[256];	/* FastCGI: SCRIPT_FILENAME */
};

/* Of requests, each counted once, but for those that were raced. */
struct exact_counts {
	uint64_t	connections;	/* made */
	uint64_t	ok;
	uint64_t	raced;		/* see above; asked again */
	uint64_t	refused;	/* could not connect */
	uint64_t	reset;		/* ECONNRESET, EPIPE and the like */
	uint64_t	unanswered;	/* the end came before the answer's */
	uint64_t	wrong;		/* another answer */
	uint64_t	late;		/* none in time */
	uint64_t	pid;		/* of the process that counts */
	char		first[160];	/* the first loss, described */
};

/* reset, unanswered, wrong and late. */
uint64_t	exact_lost(const struct exact_counts *counts);

/* "ok=1 ... lost=0", with first="..." if there is one. Static text. */
const char	*exact_line(const struct exact_counts *counts);

/*
 * Ask as planned until the plan ends or *stop; requests under way are then
 * answered first, connections under way are left. counts is written as it
 * goes, and may be shared memory. -1 with errno without an epoll set.
 */
int	exact_run(const struct exact_plan *plan, struct exact_counts *counts,
	    const volatile bool *stop);

/*
 * The same in a child process: it ends with us. exact_start() returns NULL
 * with errno; exact_stop() waits for the end (at most the patience, then the
 * process is killed and its requests are late) and frees.
 */
struct exact;

struct exact		*exact_start(const struct exact_plan *plan);
struct exact_counts	 exact_now(const struct exact *exact);
struct exact_counts	 exact_stop(struct exact *exact);

/* ---- protocol.c */

#define EXACT_ROOM	65536	/* an answer may be so long */

enum exact_verdict {
	EXACT_MORE,		/* not yet all */
	EXACT_DONE,		/* and the connection goes on */
	EXACT_LAST,		/* done, and it will be closed */
	EXACT_WRONG,
};

/* Write the request with this id; its length (room is enough for each). */
size_t	exact_request(const struct exact_plan *plan, uint64_t id, char *buf,
	    size_t size);

/* Judge what has come so far of the answer; *why says what is wrong. */
enum exact_verdict exact_judge(const struct exact_plan *plan, uint64_t id,
	    const char *buf, size_t len, bool ended, const char **why);

#endif
