#ifndef MUSTER_ERR_H
#define MUSTER_ERR_H

/*
 * One line of text for a caller who reports it elsewhere: what was attempted,
 * on what, and why it failed. No newline, no program name.
 */
struct err {
	char	text[512];
};

/* Set the text; a longer one is cut. Both return -1, for "return err_set()". */
int	err_set(struct err *err, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

/* The same with ": " and strerror(errno) behind it; errno is kept. */
int	err_sys(struct err *err, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));

#endif
