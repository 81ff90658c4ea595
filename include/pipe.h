/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The pipes to the publisher: one of the supervisor, one that all checkers share.
 *
 * The supervisor creates them before its first fork and keeps both ends, so the death of any other
 * process takes nothing away. O_NONBLOCK belongs to the open file description, which is shared over
 * fork: a checker in foreign hands can take it from the other checkers, which then wait in write(2)
 * instead of poll(2), but not from the supervisor, whose write end no other process has.
 */
#ifndef WEBMOND_PIPE_H
#define WEBMOND_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Room asked for; the most an unprivileged process gets (/proc/sys/fs/pipe-max-size). */
#define PIPE_SIZE (1024 * 1024)

/*
 * The supervisor's: it is full before the other one, as a CLOSE is not much larger than its OPEN. If
 * it had more room, in a standstill of the publisher each check would hold a checker with its verdict.
 */
#define PIPE_SIZE_OPEN (PIPE_SIZE / 4)

/* -1: closed. */
struct pipe {
	int read_fd, write_fd;
};

/*
 * Create a pipe, close-on-exec, with room for `size` bytes or as many as the kernel allows, that
 * nobody can open by its name in /proc. Returns 0, or -1 with errno (ENOTSUP: PIPE_BUF is smaller than a frame may
 * be).
 */
int pipe_open(struct pipe *pipe, int size);

/*
 * Write a whole frame or nothing. Returns 0; 1 when there is no room now; -1 with errno.
 * `size` <= WIRE_FRAME_MAX.
 */
int pipe_write(int fd, const void *frame, size_t size);

/* Wait until there is room for a frame, at most `timeout_ms` (-1: for ever). Whether there is. */
bool pipe_wait_room(int fd, int timeout_ms);

struct pipe_peek;

/*
 * Look into the pipe without taking anything out: a copy by tee(2) into a private pipe, which
 * pipe_peek() empties each time. Returns NULL with errno.
 */
struct pipe_peek *pipe_peek_new(int read_fd);
void pipe_peek_free(struct pipe_peek *peek);

/* What a look into the pipe showed. The bytes are valid until the next one. */
struct pipe_view {
	const unsigned char *data;
	size_t size;
	bool eof;   /* all writers have gone, and nothing is left */
	bool whole; /* it is all that had been written when the look began */
};

/*
 * Copy what waits in the pipe. Returns 0 with what was seen in `*view`, or -1 with errno. The same
 * bytes come again until they are consumed.
 */
int pipe_peek_read(struct pipe_peek *peek, struct pipe_view *view);

/* Take exactly the first `size` bytes out of the pipe. Returns 0, or -1 with errno. */
int pipe_peek_consume(struct pipe_peek *peek, size_t size);

#endif
