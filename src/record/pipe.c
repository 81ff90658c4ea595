/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* The pipes to the publisher. Nothing is fatal here; errno tells the caller. */
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"
#include "wire.h"

_Static_assert(PIPE_BUF >= WIRE_FRAME_MAX, "a frame is one atomic write");

/* The kernel may refuse it, for a user with many pipes: with less it is slower, but not wrong. */
static void
grow(int fd, int size)
{
	for (; size > WIRE_FRAME_MAX; size /= 2)
		if (fcntl(fd, F_SETPIPE_SZ, size) >= 0)
			return;
}

int
pipe_open(struct pipe *pipe, int size)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	/* else a checker of the same user could open the other end as /proc/self/fd/N */
	fchmod(fd[0], 0);
	grow(fd[1], size);
	*pipe = (struct pipe){ fd[0], fd[1] };
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
	struct pipe copy; /* private; empty, except during pipe_peek_read() */
	size_t size;
	unsigned char *data;
};

struct pipe_peek *
pipe_peek_new(int read_fd)
{
	struct pipe_peek *peek = xcalloc(1, sizeof(*peek));

	if (pipe_open(&peek->copy, fcntl(read_fd, F_GETPIPE_SZ)) < 0) {
		free(peek);
		return NULL;
	}
	peek->source = read_fd;
	peek->size = (size_t)fcntl(peek->copy.write_fd, F_GETPIPE_SZ);
	peek->data = xcalloc(1, peek->size);
	return peek;
}

void
pipe_peek_free(struct pipe_peek *peek)
{
	if (peek == NULL)
		return;
	close(peek->copy.read_fd);
	close(peek->copy.write_fd);
	free(peek->data);
	free(peek);
}

int
pipe_peek_read(struct pipe_peek *peek, struct pipe_view *view)
{
	int waiting = 0;
	ssize_t n;

	*view = (struct pipe_view){ .data = peek->data };
	if (ioctl(peek->source, FIONREAD, &waiting) < 0)
		return -1;
	do
		n = tee(peek->source, peek->copy.write_fd, peek->size, SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return -1;
	view->eof = n == 0;
	/* the copy may be smaller than the pipe: its room is counted in pages, see grow() */
	view->complete = waiting == 0 || n >= waiting;
	/* empty the copy: bytes left in it would come before those of the next call */
	while (n > 0 && view->size < (size_t)n) {
		ssize_t got = read(
		    peek->copy.read_fd, peek->data + view->size, (size_t)n - view->size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		view->size += (size_t)got;
	}
	return 0;
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
