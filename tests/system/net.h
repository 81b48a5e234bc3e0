#ifndef MUSTER_NET_H
#define MUSTER_NET_H

/*
 * Begin to connect to an address as the log writes it: "127.0.0.1:80",
 * "[::1]:80", "unix:/x", "unix:@x"; all addresses ("0.0.0.0", "[::]") mean
 * the loopback. A non-blocking descriptor, or -1 with errno. source picks
 * one of many loopback addresses to come from, so that closed connections do
 * not use up the ports; 0 leaves it to the kernel.
 */
int	net_connect(const char *addr, unsigned source);

/* A listening or merely bound TCP socket on a free port of the loopback. */
int	net_listen(int backlog);
int	net_bind(void);
int	net_port(int fd);

#endif
