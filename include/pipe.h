/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The two pipes to the publisher: the supervisor writes to one, all checkers share the other.
 *
 * The supervisor creates them before its first fork and keeps both ends, so what is in them
 * outlives any other process. O_NONBLOCK belongs to the open file description, which forked
 * processes share: a checker that was taken over can clear it for the other checkers, which then
 * wait in write(2) instead of poll(2), but not for the supervisor, whose write end no other process
 * has.
 */
#ifndef WEBMOND_PIPE_H
#define WEBMOND_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* In bytes: the most that an unprivileged process gets (/proc/sys/fs/pipe-max-size). */
#define PIPE_SIZE (1024 * 1024)

/*
 * Size of the supervisor's pipe. While the publisher stands still, this pipe must become full
 * before that of the checkers: then no new checks begin, and there is still room for the CLOSE of
 * each check that has begun, which is not much larger than its OPEN. Otherwise checkers would
 * block.
 */
#define PIPE_SIZE_OPEN (PIPE_SIZE / 4)

/* -1: closed. */
struct pipe {
	int read_fd, write_fd;
};

/*
 * Create a pipe, close-on-exec, with room for `size` bytes or as many as the kernel allows. No
 * process can open its ends by their names in /proc. Returns 0, or -1 with errno.
 */
int pipe_open(struct pipe *pipe, int size);

/*
 * Write a frame of `size` <= WIRE_FRAME_MAX bytes, all of it or nothing. Returns 0; 1 when there is
 * no room now; -1 with errno.
 */
int pipe_write(int fd, const void *frame, size_t size);

/* Wait for room for a frame, up to `timeout_ms` (-1: for ever). Returns whether there is room. */
bool pipe_wait_room(int fd, int timeout_ms);

struct pipe_peek;

/*
 * Prepare to look into a pipe without taking anything out: tee(2) copies its content into a private
 * pipe. Returns NULL with errno. The caller keeps `read_fd` open.
 */
struct pipe_peek *pipe_peek_new(int read_fd);
void pipe_peek_free(struct pipe_peek *peek);

/* What was in the pipe. The bytes are valid until the next pipe_peek_read(). */
struct pipe_view {
	const unsigned char *data;
	size_t size;
	bool eof;      /* all writers have gone, and nothing is left */
	bool complete; /* this is all that had been written when the call began */
};

/*
 * Copy what is in the pipe. Returns 0 with it in `*view`, or -1 with errno. The same bytes come
 * again until they are consumed.
 */
int pipe_peek_read(struct pipe_peek *peek, struct pipe_view *view);

/* Take exactly the first `size` bytes out of the pipe. Returns 0, or -1 with errno. */
int pipe_peek_consume(struct pipe_peek *peek, size_t size);

#endif
