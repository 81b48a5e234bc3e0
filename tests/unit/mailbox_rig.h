#ifndef MUSTER_TEST_MAILBOX_RIG_H
#define MUSTER_TEST_MAILBOX_RIG_H

#include <sys/types.h>

#include "common/notify.h"
#include "master/mailbox.h"

/* What the tests of mailboxes share: a loop, a room, and what was said. */
enum { STRANGER = 4711 };	/* a uid that is neither root's nor ours */

extern struct event_base	*mail_base;
extern struct mailroom		*mail_room;
extern int			 mail_said, mail_ready, mail_done;	/* how often */
extern pid_t			 mail_said_by;
extern char			 mail_status[NOTIFY_MAX];	/* the last one */
extern struct mailbox		*mail_to_close;	/* by what is said next */

void		 mailbox_rig_setup(void);
void		 mailbox_rig_teardown(void);

struct mailbox	*mail_box_of(pid_t worker, uid_t uid);

/* Hear all that is there. */
void		 mail_listen(void);

/* A socket that sends to address, as a program does; -1: it cannot. */
int		 mail_connect(const char *address);
void		 mail_say(const char *address, const char *text);
void		 mail_say_ready(const char *address);

/* A process that does this in a group of its own, and what becomes of it. */
pid_t		 mail_child(void (*work)(const char *), const char *address);
void		 mail_pause(const char *address);
/* It has ended, but is not reaped: proc(5) still tells of it. */
void		 mail_await_end(pid_t pid);
void		 mail_reap(pid_t pid);

#endif
