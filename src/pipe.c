/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The results pipe. Nothing is fatal here; errno tells the caller.
 */
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util.h"
#include "wire.h"

/* Where the kernel refuses PIPE_SIZE (many pipes of one user), less is slower but not wrong. */
static void
grow(int fd)
{
	for (int size = PIPE_SIZE; size > WIRE_FRAME_MAX; size /= 2)
		if (fcntl(fd, F_SETPIPE_SZ, size) >= 0)
			return;
}

int
pipe_open(int *read_fd, int *write_fd)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	if (fpathconf(fd[1], _PC_PIPE_BUF) < WIRE_FRAME_MAX) {
		close(fd[0]);
		close(fd[1]);
		errno = ENOTSUP;
		return -1;
	}
	grow(fd[1]);
	*read_fd = fd[0];
	*write_fd = fd[1];
	return 0;
}

int
pipe_write(int fd, const void *frame, size_t size)
{
	ssize_t n;

	do
		n = write(fd, frame, size);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)size)
		return 0;
	return n < 0 && errno == EAGAIN ? 1 : -1;
}

bool
pipe_wait_room(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, timeout_ms) == 1 && (p.revents & POLLOUT) != 0;
}

struct pipe_peek {
	int source;
	int copy_read, copy_write; /* the private pipe, empty but in pipe_peek_read() */
	size_t size;
	unsigned char *data;
};

struct pipe_peek *
pipe_peek_new(int read_fd)
{
	struct pipe_peek *peek = xcalloc(1, sizeof(*peek));

	if (pipe_open(&peek->copy_read, &peek->copy_write) < 0) {
		free(peek);
		return NULL;
	}
	peek->source = read_fd;
	peek->size = (size_t)fcntl(peek->copy_write, F_GETPIPE_SZ);
	peek->data = xcalloc(1, peek->size);
	return peek;
}

void
pipe_peek_free(struct pipe_peek *peek)
{
	if (peek == NULL)
		return;
	close(peek->copy_read);
	close(peek->copy_write);
	free(peek->data);
	free(peek);
}

ssize_t
pipe_peek_read(struct pipe_peek *peek, const unsigned char **data, bool *eof)
{
	size_t have = 0;
	ssize_t n;

	*eof = false;
	*data = peek->data;
	do
		n = tee(peek->source, peek->copy_write, peek->size, SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	if (n == 0) {
		*eof = true;
		return 0;
	}
	/* bytes left behind in the copy would come again before the next ones: read all of it */
	while (have < (size_t)n) {
		ssize_t got = read(peek->copy_read, peek->data + have, (size_t)n - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		have += (size_t)got;
	}
	return n;
}

int
pipe_peek_consume(struct pipe_peek *peek, size_t size)
{
	static unsigned char sink[64 * 1024]; /* not peek->data: the caller still reads there */

	while (size > 0) {
		ssize_t n = read(peek->source, sink, size < sizeof(sink) ? size : sizeof(sink));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		size -= (size_t)n;
	}
	return 0;
}
