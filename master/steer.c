#include "master/steer.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

static int
count_ready(const bool *ready, int count)
{
	int	 n = 0;

	for (int i = 0; i < count; i++)
		n += ready[i];
	return n;
}

/*
 * With n sockets ready, draw A from 0 to n - 1. Most often socket A is ready;
 * each one below n that is not, a hole, stands for one from n on that is. So
 * the program is as short as can be, and every ready socket has one number.
 *
 * random and not rxhash, which is 0 where nobody computed it.
 */
size_t
steer_program(const bool *ready, int count, struct sock_filter *out,
    size_t max)
{
	int	 n = count_ready(ready, count), high = n;
	size_t	 len = 0;

	if (n == 0 || max < 3)
		return 0;
	out[len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
	    (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM));
	out[len++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MOD | BPF_K,
	    (uint32_t)n);
	for (int i = 0; i < n; i++) {
		if (ready[i])
			continue;
		if (len + 3 > max)
			return 0;
		while (!ready[high])
			high++;
		out[len++] = (struct sock_filter)BPF_JUMP(
		    BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)i, 0, 1);
		out[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
		    (uint32_t)high++);
	}
	out[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	return len;
}

int
steer_attach(int fd, const bool *ready, int count)
{
	struct sock_filter	 code[STEER_PROGRAM_MAX];
	struct sock_fprog	 program = { .filter = code };
	size_t			 len;

	if (count_ready(ready, count) == 0)
		return 0;
	len = steer_program(ready, count, code, STEER_PROGRAM_MAX);
	if (len == 0) {
		errno = E2BIG;
		return -1;
	}
	program.len = (unsigned short)len;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
	    sizeof(program));
}
