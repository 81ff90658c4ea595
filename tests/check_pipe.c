/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* The pipes to the publisher: whole frames or none, and nothing is taken out before its time. */
#include "pipe.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"
#include "util.h"
#include "wire.h"

static struct pipe ends;
static struct pipe_peek *peek;

static void
setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe_open(&ends, PIPE_SIZE), 0);
	peek = pipe_peek_new(ends.read_fd);
	ck_assert_ptr_nonnull(peek);
}

static void
teardown(void)
{
	pipe_peek_free(peek);
	close(ends.read_fd);
	close(ends.write_fd);
}

/* A look into the pipe that shows this many bytes. */
static void
look(struct pipe_view *view, size_t size)
{
	ck_assert_int_eq(pipe_peek_read(peek, view), 0);
	ck_assert_uint_eq(view->size, size);
}

/* What the next look shows. */
static size_t
look_again(struct pipe_view *view)
{
	ck_assert_int_eq(pipe_peek_read(peek, view), 0);
	return view->size;
}

/* Write a block that says who wrote it and how often before. */
static int
write_block(unsigned char *block, size_t size, unsigned char writer, uint32_t number)
{
	memset(block, writer, size);
	memcpy(block + 1, &number, sizeof(number));
	return pipe_write(ends.write_fd, block, size);
}

START_TEST(the_ends_are_closed_on_exec_and_never_block)
{
	ck_assert_int_ne(fcntl(ends.write_fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(fcntl(ends.read_fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_ne(fcntl(ends.write_fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(ends.read_fd, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(peeking_takes_nothing_and_consuming_exactly_that)
{
	unsigned char block[500];
	struct pipe_view view;

	look(&view, 0);
	ck_assert(!view.eof);
	ck_assert_int_eq(write_block(block, sizeof(block), 'a', 7), 0);
	for (int i = 0; i < 3; i++) {
		look(&view, sizeof(block));
		ck_assert_mem_eq(view.data, block, sizeof(block));
	}

	/* what came after the look stays, and a part may be taken */
	ck_assert_int_eq(write_block(block, sizeof(block), 'b', 8), 0);
	ck_assert_int_eq(pipe_peek_consume(peek, sizeof(block)), 0);
	look(&view, sizeof(block));
	ck_assert_mem_eq(view.data, block, sizeof(block));
	ck_assert_int_eq(pipe_peek_consume(peek, 100), 0);
	look(&view, sizeof(block) - 100);
	ck_assert_mem_eq(view.data, block + 100, sizeof(block) - 100);
}
END_TEST

START_TEST(the_end_comes_after_the_last_byte)
{
	unsigned char block[500];
	struct pipe_view view;
	int second = dup(ends.write_fd);

	ck_assert_int_eq(write_block(block, sizeof(block), 'a', 1), 0);
	close(ends.write_fd);
	look(&view, sizeof(block));
	ck_assert(!view.eof);
	ck_assert_int_eq(pipe_peek_consume(peek, sizeof(block)), 0);
	look(&view, 0);
	ck_assert(!view.eof); /* one writer is left */
	close(second);
	look(&view, 0);
	ck_assert(view.eof);
	ends.write_fd = -1;
}
END_TEST

START_TEST(a_full_pipe_takes_whole_blocks_or_none)
{
	unsigned char block[1234];
	struct pipe_view view;
	uint32_t written = 0, seen = 0;
	size_t n;

	while (write_block(block, sizeof(block), 'f', written) == 0)
		written++;
	ck_assert_uint_gt(written, 10);
	ck_assert_int_eq(pipe_write(ends.write_fd, block, sizeof(block)), 1);
	ck_assert(!pipe_wait_room(ends.write_fd, 0));
	while ((n = look_again(&view)) > 0) {
		ck_assert_uint_eq(n % sizeof(block), 0);
		for (size_t at = 0; at < n; at += sizeof(block), seen++)
			ck_assert_mem_eq(view.data + at + 1, &seen, sizeof(seen));
		ck_assert_int_eq(pipe_peek_consume(peek, n), 0);
	}
	ck_assert_uint_eq(seen, written);
	ck_assert(pipe_wait_room(ends.write_fd, 0));
	ck_assert_int_eq(write_block(block, sizeof(block), 'f', written), 0);
}
END_TEST

/* Room comes when something is consumed, and a waiting writer is woken by it. */
START_TEST(a_writer_waits_for_room)
{
	unsigned char block[WIRE_FRAME_MAX];
	struct pipe_view view;
	size_t size;
	pid_t pid;
	int status;

	while (write_block(block, sizeof(block), 'w', 1) == 0)
		;
	pid = fork();
	if (pid == 0)
		_exit(pipe_wait_room(ends.write_fd, -1) &&
			      write_block(block, sizeof(block), 'x', 2) == 0
			  ? 0
			  : 1);
	size = look_again(&view);
	ck_assert_int_eq(pipe_peek_consume(peek, size), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	while ((size = look_again(&view)) > 0) {
		memcpy(block, view.data + size - WIRE_FRAME_MAX, WIRE_FRAME_MAX);
		ck_assert_int_eq(pipe_peek_consume(peek, size), 0);
	}
	ck_assert_uint_eq(block[0], 'x');
}
END_TEST

/* Blocks of several writers never mix, whatever their size, and each writer's stay in order. */
START_TEST(writers_do_not_tear_each_other)
{
	enum {
		WRITERS = 4,
		BLOCKS = 500
	};
	struct pollfd readable = { .fd = ends.read_fd, .events = POLLIN };
	unsigned char whole[WIRE_FRAME_MAX];
	uint32_t seen[WRITERS] = { 0 };
	struct pipe_view view;
	pid_t pids[WRITERS];
	size_t n;

	for (int w = 0; w < WRITERS; w++) {
		pids[w] = fork();
		if (pids[w] != 0)
			continue;
		for (uint32_t i = 0; i < BLOCKS; i++) {
			unsigned char block[WIRE_FRAME_MAX];
			size_t size = 5 + (i * 977 + (uint32_t)w * 331) % (sizeof(block) - 4);
			int full;

			while ((full = write_block(block, size, (unsigned char)w, i)) == 1)
				pipe_wait_room(ends.write_fd, -1);
			if (full != 0)
				_exit(1);
		}
		_exit(0);
	}
	close(ends.write_fd);
	ends.write_fd = -1;
	for (;;) {
		size_t used = 0;

		poll(&readable, 1, -1);
		n = look_again(&view);
		if (n == 0 && view.eof)
			break;
		while (used < n) {
			unsigned char w = view.data[used];
			uint32_t number = w < WRITERS ? seen[w] : 0;
			size_t size = 5 + (number * 977 + w * 331) % (WIRE_FRAME_MAX - 4);

			ck_assert_uint_lt(w, WRITERS);
			if (used + size > n)
				break; /* tee() may cut at a page; the rest comes with the next look */
			memset(whole, w, size);
			memcpy(whole + 1, &number, sizeof(number));
			ck_assert_mem_eq(view.data + used, whole, size);
			seen[w]++;
			used += size;
		}
		ck_assert_int_eq(pipe_peek_consume(peek, used), 0);
	}
	for (int w = 0; w < WRITERS; w++) {
		int status;

		ck_assert_int_eq(waitpid(pids[w], &status, 0), pids[w]);
		ck_assert_int_eq(status, 0);
		ck_assert_uint_eq(seen[w], BLOCKS);
	}
}
END_TEST

/* A reader that is killed between its look and its consuming has taken nothing. */
START_TEST(a_dead_reader_takes_nothing_along)
{
	unsigned char block[700];
	struct pipe_view view;
	int status;
	pid_t pid;

	for (uint32_t i = 0; i < 20; i++)
		ck_assert_int_eq(write_block(block, sizeof(block), 'k', i), 0);
	pid = fork();
	if (pid == 0) {
		struct pipe_peek *own = pipe_peek_new(ends.read_fd);

		if (own == NULL || pipe_peek_read(own, &view) < 0 ||
		    view.size != 20 * sizeof(block))
			_exit(1);
		raise(SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	look(&view, 20 * sizeof(block));
}
END_TEST

/* Its copy has room for less than the pipe holds: all comes, in pieces of whole frames. */
START_TEST(a_small_look_shows_the_beginning)
{
	enum {
		BLOCKS = 100
	};
	unsigned char block[WIRE_FRAME_MAX];
	uint32_t seen = 0, looks = 0;
	struct pipe_view view;

	pipe_peek_free(peek);
	ck_assert_int_ge(fcntl(ends.write_fd, F_SETPIPE_SZ, 4096), 0);
	peek = pipe_peek_new(ends.read_fd);
	ck_assert_int_ge(fcntl(ends.write_fd, F_SETPIPE_SZ, PIPE_SIZE), 0);
	for (uint32_t i = 0; i < BLOCKS; i++)
		ck_assert_int_eq(write_block(block, sizeof(block), 's', i), 0);
	while (look_again(&view) > 0) {
		looks++;
		ck_assert_uint_eq(view.size % sizeof(block), 0);
		for (size_t at = 0; at < view.size; at += sizeof(block), seen++)
			ck_assert_mem_eq(view.data + at + 1, &seen, sizeof(seen));
		ck_assert_int_eq(pipe_peek_consume(peek, view.size), 0);
	}
	ck_assert_uint_eq(seen, BLOCKS);
	ck_assert_uint_gt(looks, 1);
}
END_TEST

/* A process of the same user, with the right to write only. */
START_TEST(nobody_opens_the_other_end)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends.write_fd);
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(open(path, O_RDONLY | O_NONBLOCK), -1);
	ck_assert_int_eq(errno, EACCES);
}
END_TEST

START_TEST(without_a_reader_writing_fails)
{
	unsigned char block[100];

	pipe_peek_free(peek);
	peek = NULL;
	close(ends.read_fd);
	ends.read_fd = -1;
	ck_assert_int_eq(write_block(block, sizeof(block), 'e', 1), -1);
	ck_assert_int_eq(errno, EPIPE);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("pipe");
	TCase *tcase = tcase_create("pipe");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_ends_are_closed_on_exec_and_never_block);
	tcase_add_test(tcase, peeking_takes_nothing_and_consuming_exactly_that);
	tcase_add_test(tcase, the_end_comes_after_the_last_byte);
	tcase_add_test(tcase, a_full_pipe_takes_whole_blocks_or_none);
	tcase_add_test(tcase, a_writer_waits_for_room);
	tcase_add_test(tcase, writers_do_not_tear_each_other);
	tcase_add_test(tcase, a_dead_reader_takes_nothing_along);
	tcase_add_test(tcase, a_small_look_shows_the_beginning);
	tcase_add_test(tcase, nobody_opens_the_other_end);
	tcase_add_test(tcase, without_a_reader_writing_fails);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
