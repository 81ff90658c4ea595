/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * For unit tests of the supervisor: its state without a process. Frames are read out of its pipe,
 * jobs out of the sockets of its checkers, and the clock is what the test says.
 */
#ifndef WEBMOND_TESTS_SUPERVISED_H
#define WEBMOND_TESTS_SUPERVISED_H

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scratch.h"
#include "supervisor/state.h"

/* The clocks begin here: a slot of every interval that divides 1,000 s, but for the phase. */
#define CLOCK_START (1000000 * US_PER_S)

static struct supervisor s;
static struct supervisor_start start = { .output = PUBLISH_TO_KAFKA };

/* A configuration of `sites`, in libconfig's words. */
static inline struct config *
make_config(const char *sites)
{
	char text[4096];
	struct config *config;

	snprintf(text, sizeof(text), "sites = ( %s );", sites);
	config = config_load(write_file("webmond.conf", text, 0644));
	ck_assert_uint_eq(config->mistakes.count, 0);
	return config;
}

/* A checker that is ready, without a process: the test reads its jobs. */
static inline void
add_checker(int i)
{
	struct checker *c = s.pool.worker[i].checker;
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	c->child.fd = ends[0];
	c->job_fd = ends[1];
	c->config = config_hold(s.config);
	pool_set_state(&s.pool, &s.pool.worker[i], WORKER_IDLE, CLOCK_START);
}

/*
 * The supervisor at CLOCK_START with these sites, and `checkers` of at most `max`; in a group, if
 * it is not NULL.
 */
static inline void
begin_in(const char *group, const char *sites, int checkers, int max)
{
	make_dir();
	s = (struct supervisor){ .start = &start, .stage = STAGE_RUNNING, .self = getpid() };
	s.config = config_hold(make_config(sites));
	s.config->kafka_group = group;
	shards_begin(&s);
	s.publisher.spool_lock_fd = s.reload.share.fd = -1;
	ck_assert(sites_choose(&s));
	ck_assert_int_eq(pipes_open(&s), 0);
	children_add(&s.children, &s.publisher.child, CHILD_PUBLISHER);
	children_add(&s.children, &s.reload.child, CHILD_VALIDATION);
	resize_pool(&s, checkers > 0 ? checkers : 1, max);
	for (int i = 0; i < checkers; i++)
		add_checker(i);
	epoch_begin(&s);
	sites_start(&s, CLOCK_START);
}

static inline void
begin(const char *sites, int checkers, int max)
{
	begin_in(NULL, sites, checkers, max);
}

static inline void
end(void)
{
	remove_dir();
}

/* The next frame in the pipe; false: there is none. Its texts are valid until the next call. */
static inline bool
next_frame(struct frame *frame)
{
	static unsigned char data[2 * PIPE_SIZE_OPEN];
	static size_t size, used;
	ssize_t n;

	if (used == size) {
		n = read(s.pipes.own.read_fd, data, sizeof(data));
		used = 0;
		size = n > 0 ? (size_t)n : 0;
		if (size == 0)
			return false;
	}
	n = wire_decode(data + used, size - used, frame);
	ck_assert_int_gt(n, 0);
	used += (size_t)n;
	return true;
}

static inline void
expect_frame(enum wire_type type, uint64_t seq)
{
	struct frame frame;

	ck_assert(next_frame(&frame));
	ck_assert_int_eq(frame.type, type);
	ck_assert_uint_eq(frame.seq, seq);
	ck_assert_str_eq(frame.epoch, s.epoch.name);
}

/* A frame that closes a slot with this error. */
static inline void
expect_end(enum wire_type type, uint64_t seq, enum error_type error)
{
	struct wire_outcome outcome;
	struct frame frame;

	ck_assert(next_frame(&frame));
	ck_assert_int_eq(frame.type, type);
	ck_assert_uint_eq(frame.seq, seq);
	ck_assert(payload_outcome(&frame, &outcome));
	ck_assert_int_eq(outcome.result.error, error);
}

static inline void
expect_no_frame(void)
{
	struct frame frame;

	ck_assert(!next_frame(&frame));
}

/* Bytes that are no frame, until the pipe has no room; and out again. */
static inline void
fill_pipe(void)
{
	static const unsigned char bytes[WIRE_FRAME_MAX];

	while (pipe_write(s.pipes.own.write_fd, bytes, sizeof(bytes)) == 0)
		;
}

static inline void
empty_pipe(void)
{
	unsigned char bytes[WIRE_FRAME_MAX];

	while (read(s.pipes.own.read_fd, bytes, sizeof(bytes)) > 0)
		;
}

/* The seq of the next job that a checker finds, or -1. */
static inline int64_t
next_job(int checker)
{
	struct wire_job job;
	ssize_t n = recv(s.pool.worker[checker].checker->job_fd, &job, sizeof(job), MSG_DONTWAIT);

	return n == (ssize_t)sizeof(job) ? (int64_t)job.seq : -1;
}

/* A checker reports that a check of `took_us` is over. */
static inline void
report_done(int checker, uint64_t seq, enum error_type error, int64_t took_us, int64_t now)
{
	struct checker *c = s.pool.worker[checker].checker;
	struct wire_done done = { .type = WIRE_DONE,
		.seq = seq,
		.error = error,
		.http_status = 200,
		.elapsed_us = took_us,
		.busy_us = took_us,
		.ended_us = now };

	ck_assert_int_eq(send(c->job_fd, &done, sizeof(done), 0), sizeof(done));
	read_checker(&s, &c->child, now);
}

/* It dies by SIGKILL. */
static inline void
die(int checker, int64_t now)
{
	checker_died(&s, &s.pool.worker[checker].checker->child, 9, now);
}

static inline struct site_state *
site_number(size_t i)
{
	ck_assert_uint_lt(i, s.sites.count);
	return s.sites.all[i];
}

#endif
