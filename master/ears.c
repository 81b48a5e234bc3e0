#include "master/ears.h"

#include <sys/epoll.h>
#include <stdlib.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/mem.h"

struct ears {
	int		 epoll;
	int		 a_turn;
	struct event	*readable;
	ears_fn		*serve;
	void		(*done)(void *);
	void		*arg;
};

/*
 * One at a time: what serve drops is then never among those still to come,
 * and the kernel puts who was served at the end of its queue.
 */
static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct ears		*ears = arg;
	struct epoll_event	 ev;
	int			 i;

	(void)what;
	for (i = 0; i < ears->a_turn && epoll_wait(fd, &ev, 1, 0) == 1; i++)
		ears->serve(ears->arg, ev.data.ptr);
	if (i > 0 && ears->done != NULL)
		ears->done(ears->arg);
}

struct ears *
ears_new(struct event_base *base, int priority, int a_turn, ears_fn *serve,
    void (*done)(void *), void *arg, struct err *err)
{
	struct ears	*ears = xcalloc(1, sizeof(*ears));

	*ears = (struct ears){ .a_turn = a_turn, .serve = serve, .done = done,
	    .arg = arg, .epoll = epoll_create1(EPOLL_CLOEXEC) };
	if (ears->epoll == -1) {
		err_sys(err, "cannot listen to workers");
		goto fail;
	}
	ears->readable = event_new(base, ears->epoll, EV_READ | EV_PERSIST,
	    on_readable, ears);
	if (ears->readable == NULL ||
	    event_priority_set(ears->readable, priority) == -1 ||
	    event_add(ears->readable, NULL) == -1) {
		err_set(err, "cannot watch for workers");
		goto fail;
	}
	return ears;
fail:
	ears_free(ears);
	return NULL;
}

void
ears_free(struct ears *ears)
{
	if (ears == NULL)
		return;
	if (ears->readable != NULL)
		event_free(ears->readable);
	if (ears->epoll != -1)
		close(ears->epoll);
	free(ears);
}

int
ears_add(struct ears *ears, int fd, void *who)
{
	struct epoll_event	 ev = { .events = EPOLLIN, .data.ptr = who };

	return epoll_ctl(ears->epoll, EPOLL_CTL_ADD, fd, &ev);
}

void
ears_drop(struct ears *ears, int fd)
{
	epoll_ctl(ears->epoll, EPOLL_CTL_DEL, fd, NULL);
}
