/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The results pipe: one, shared by all writers, peeked by the publisher.
 *
 * The supervisor creates it before its first fork and keeps both ends, so the death of any other
 * process takes nothing away. The write end is non-blocking for everybody (O_NONBLOCK belongs to
 * the open file description, which is shared over fork).
 */
#ifndef WEBMOND_PIPE_H
#define WEBMOND_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Room asked for; the most an unprivileged process gets (/proc/sys/fs/pipe-max-size). */
#define PIPE_SIZE (1024 * 1024)

/*
 * Create the pipe, close-on-exec, as large as PIPE_SIZE or as the kernel allows. Returns 0, or -1
 * with errno (ENOTSUP: PIPE_BUF is smaller than a frame may be).
 */
int pipe_open(int *read_fd, int *write_fd);

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

/*
 * Copy what waits in the pipe. Returns the number of bytes, and their start in `*data` (valid until
 * the next pipe_peek_read()); 0 with `*eof` set when all writers have gone and nothing is left; 0
 * when nothing waits; -1 with errno. The same bytes come again until they are consumed.
 */
ssize_t pipe_peek_read(struct pipe_peek *peek, const unsigned char **data, bool *eof);

/* Take exactly the first `size` bytes out of the pipe. Returns 0, or -1 with errno. */
int pipe_peek_consume(struct pipe_peek *peek, size_t size);

#endif
