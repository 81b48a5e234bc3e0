#include "worker/conn_priv.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "worker/beat.h"

static void
conn_sent(struct conn *conn, size_t len)
{
	beat_sent(conn->conns->options.beat, len);
	conn_touch(conn);
}

/* Keep what the socket did not take: iov from its byte off on. */
static void
conn_store(struct conn *conn, const struct iovec *iov, size_t count,
    size_t off)
{
	size_t	 i, total = 0, len;
	char	*out;

	for (i = 0; i < count; i++)
		total += iov[i].iov_len;
	if (total == off)
		return;
	if ((out = malloc(total - off)) == NULL) {
		conn_log_failed(conn, "no memory for its answers", errno);
		conn_break(conn, "failed");
		return;
	}
	conn->out = out;
	conn->out_off = 0;
	conn->out_len = total - off;
	for (i = 0; i < count; i++) {
		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		len = iov[i].iov_len - off;
		memcpy(out, (char *)iov[i].iov_base + off, len);
		out += len;
		off = 0;
	}
}

/* Send at once what can be; nothing was unsent before. */
static void
conn_send(struct conn *conn, struct iovec *iov, size_t count)
{
	struct msghdr	 msg = { .msg_iov = iov, .msg_iovlen = count };
	ssize_t		 n;

	do {
		if (count == 1)
			n = send(conn->fd, iov->iov_base, iov->iov_len,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
		else
			n = sendmsg(conn->fd, &msg,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && errno != EAGAIN) {
		conn_error(conn, "cannot write");
		return;
	}
	if (n > 0)
		conn_sent(conn, (size_t)n);
	conn_store(conn, iov, count, n > 0 ? (size_t)n : 0);
}

void
conn_flush(struct conn *conn)
{
	ssize_t	 n;

	n = send(conn->fd, conn->out + conn->out_off, conn->out_len,
	    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n == -1) {
		if (errno != EAGAIN && errno != EINTR)
			conn_error(conn, "cannot write");
		return;
	}
	conn_sent(conn, (size_t)n);
	conn->out_off += (size_t)n;
	conn->out_len -= (size_t)n;
	if (conn->out_len == 0) {
		free(conn->out);
		conn->out = NULL;
	}
}

static void
conn_unhold(struct conn *conn)
{
	free(conn->held);
	conn->held = NULL;
	conn->held_len = conn->held_size = 0;
}

void
conn_reply(struct conn *conn, const char *data, size_t len, uint64_t requests)
{
	struct iovec	 iov[2];
	size_t		 count = 0;

	assert(conn->out_len == 0);
	if (conn->held_len > 0)
		iov[count++] = (struct iovec){ conn->held, conn->held_len };
	iov[count++] = (struct iovec){ (void *)(uintptr_t)data, len };
	conn_send(conn, iov, count);
	conn_unhold(conn);
	beat_served(conn->conns->options.beat, requests);
}

/* Last words go behind what is unsent. */
static void
conn_append(struct conn *conn, const char *words, size_t len)
{
	struct iovec	 iov[2];
	char		*old = conn->out;

	iov[0] = (struct iovec){ old + conn->out_off, conn->out_len };
	iov[1] = (struct iovec){ (void *)(uintptr_t)words, len };
	conn_store(conn, iov, 2, 0);
	if (conn->out != old)
		free(old);
}

void
conn_finish(struct conn *conn, const char *words)
{
	struct iovec	 iov = { (void *)(uintptr_t)words, strlen(words) };

	conn_unhold(conn);
	if (conn->why != NULL)
		return;
	if (conn->out_len > 0)
		conn_append(conn, words, iov.iov_len);
	else
		conn_send(conn, &iov, 1);
	conn->finishing = true;
}
