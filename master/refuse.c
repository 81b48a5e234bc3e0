#include "master/refuse.h"

#include <linux/filter.h>
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>

#define TCP_FLAGS	13	/* the filter sees the segment from its header */
#define TCP_SYN		0x02
#define TCP_ACK		0x10

static int
drop_syns(int fd)
{
	struct sock_filter	 code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TCP_SYN | TCP_ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TCP_SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
	};
	struct sock_fprog	 program = {
		.len = sizeof(code) / sizeof(code[0]), .filter = code,
	};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
	    sizeof(program));
}

/*
 * A connection has its interface from its SYN, not from the listening socket:
 * those that are there already go on.
 */
static int
look_away(int fd)
{
	int	 nowhere = INT_MAX;

	return setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &nowhere,
	    sizeof(nowhere));
}

int
refuse_syns(int fd)
{
	if (drop_syns(fd) == 0)
		return 0;
	return errno != EPERM || look_away(fd) == -1 ? -1 : 1;
}

int
refuse_undo(int fd)
{
	int	 unused = 0;

	return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused,
	    sizeof(unused));
}
