/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The supervisor's side of the publisher: start, messages, death. It is replaced only after
 * waitpid() has returned it, so two never coexist. A failure before the first readiness ends the
 * program with its exit code; later ones are logged and tried again.
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "state.h"

/* At a hand-over or a stop: the publisher flushes for at most 5 s, after this it is stuck. */
#define PUBLISHER_LEAVE_US (15 * US_PER_S)

void
start_publisher(struct supervisor *s, int64_t now)
{
	struct child *c = &s->publisher.child;
	int fd;
	pid_t pid;

	if (c->pid > 0 || s->stop.start_failed || s->stage == STAGE_OVER ||
	    now < c->backoff.not_before_us)
		return;
	pid = proc_spawn("publisher", &s->start->publisher_user,
	    (int[]){ s->pipes.own.read_fd, s->pipes.checkers.read_fd, s->publisher.spool_lock_fd,
		s->start->output == PUBLISH_TO_STDOUT ? STDOUT_FILENO : -1 },
	    &c->backoff, now, &fd, NULL);
	if (pid == 0) {
		struct publisher_start start = { .config = s->config,
			.output = s->start->output,
			.in_group = in_group(s),
			.epoch = s->epoch.name,
			.epoch_stored = s->publisher.epoch_stored,
			.lost_epoch = s->publisher.lost_epoch,
			.spool_lock_fd = s->publisher.spool_lock_fd,
			.supervisor = s->self,
			.token_key = s->pipes.token_key,
			.supervisor_fd = s->pipes.own.read_fd,
			.checkers_fd = s->pipes.checkers.read_fd,
			.control_fd = fd };

		_exit(publisher_main(&start));
	}
	if (pid < 0)
		return;
	c->pid = pid;
	c->fd = fd;
	shards_new_publisher(s);
	s->publisher.handing_over = false;
	s->publisher.report.ready = false;
	if (s->stop.hurry)
		order_publisher(s, MESSAGE_NO_FLUSH);
}

void
order_publisher(struct supervisor *s, enum message_type order)
{
	const struct child *c = &s->publisher.child;

	if (c->fd >= 0 && message_send(c->fd, order, NULL, 0, -1) < 0)
		log_debug("the publisher does not take orders: %s", strerror(errno));
}

bool
publisher_hangs(const struct supervisor *s, int64_t now)
{
	return s->publisher.child.pid > 0 && s->publisher.report.ready &&
	       now - s->publisher.last_report_us >= PUBLISHER_SILENT_US;
}

bool
ask_publisher(struct supervisor *s, const char *request, size_t size, int client_fd, int64_t now)
{
	return s->publisher.child.fd >= 0 && s->publisher.report.ready &&
	       !s->publisher.handing_over && !publisher_hangs(s, now) &&
	       message_send(s->publisher.child.fd, MESSAGE_ASK, request, size, client_fd) == 0;
}

void
replace_publisher(struct supervisor *s)
{
	if (s->publisher.child.pid == 0)
		return;
	s->publisher.handing_over = true;
	order_publisher(s, MESSAGE_HAND_OVER);
}

/* Its first report brings the lock of the spool, which the supervisor holds for its life. */
static void
take_lock(struct supervisor *s, int lock_fd)
{
	if (lock_fd < 0)
		return;
	if (s->publisher.spool_lock_fd >= 0)
		close(s->publisher.spool_lock_fd); /* of a directory that no longer exists */
	s->publisher.spool_lock_fd = lock_fd;
}

/* Rates are those of the last one to two such times. */
#define SAMPLE_US (10 * US_PER_S)

static void
take_report(struct supervisor *s, const struct message_report *report, int64_t now)
{
	struct publisher_sample *sample = s->publisher.sample;

	if (s->publisher.delivering_us == 0 || report->delivering != s->publisher.report.delivering)
		s->publisher.delivering_us = now;
	if (report->delivered < sample[1].delivered) /* a new publisher counts anew */
		sample[0] = sample[1] = (struct publisher_sample){ 0 };
	if (now - sample[1].at_us >= SAMPLE_US) {
		sample[0] = sample[1];
		sample[1] = (struct publisher_sample){ now, report->delivered, report->queued };
	}
	s->publisher.report = *report;
}

/* A hung supervisor sends none, and so keeps no shard. */
#define ALIVE_US US_PER_S

void
tell_publisher(struct supervisor *s, int64_t now)
{
	int64_t given;

	if (!in_group(s) || s->publisher.child.fd < 0)
		return;
	while ((given = shards_given(s, now)) >= 0) {
		const struct message_shard shard = { (uint32_t)given };

		if (message_send(s->publisher.child.fd, MESSAGE_GIVEN, &shard, sizeof(shard), -1) <
		    0)
			log_debug("the publisher is not told of a shard: %s", strerror(errno));
	}
	if (now < s->publisher.next_alive_us)
		return;
	s->publisher.next_alive_us = now + ALIVE_US;
	order_publisher(s, MESSAGE_ALIVE);
}

void
read_publisher(struct supervisor *s, struct child *c, int64_t now)
{
	const struct message_report *report;
	struct message m;
	int n, lock_fd;

	if (c->fd < 0)
		return;
	while ((n = message_receive(c->fd, &m, &lock_fd)) > 0) {
		take_lock(s, lock_fd);
		report = message_body(&m, sizeof(*report));
		if (m.type != MESSAGE_REPORT || report == NULL) {
			/* one that hands over has the sites of another configuration */
			if (!s->publisher.handing_over)
				shards_message(s, &m, now);
			continue;
		}
		take_report(s, report, now);
		s->publisher.epoch_stored |= report->ready;
		s->publisher.last_report_us = now;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		child_close(c);
}

/* Its spool is damaged or gone: what comes now belongs to a new epoch. */
static void
lose_epoch(struct supervisor *s)
{
	if (s->publisher.epoch_stored) {
		memcpy(s->publisher.lost_epoch, s->epoch.name, sizeof(s->publisher.lost_epoch));
		s->publisher.epoch_stored = false;
		epoch_begin(s);
	}
	log_error("the spool was given up; a new epoch begins: %s", s->epoch.name);
}

void
publisher_died(struct supervisor *s, struct child *c, int status, int64_t now)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	bool was_ready;
	char how[64];

	read_publisher(s, c, now);
	child_close(c);
	was_ready = s->publisher.report.ready;
	if (code == EXIT_SPOOL_LOST) {
		lose_epoch(s);
		proc_backoff_died(&c->backoff, false, now);
		return;
	}
	if (s->publisher.handing_over)
		return; /* its successor starts at once */
	if ((code == EXIT_FINE && s->stage == STAGE_DRAINING) ||
	    ((code == EXIT_FINE || code == EXIT_OS) && s->start->output == PUBLISH_TO_STDOUT)) {
		/* all is written; or standard output is closed, and no spool keeps the records */
		s->publisher.exit_code = code;
		s->publisher.finished = true;
		return;
	}
	log_error("the publisher %s", proc_describe_exit(status, how, sizeof(how)));
	if (s->stage == STAGE_STARTING && !was_ready)
		s->publisher.exit_code = code > 0 ? code : EXIT_INTERNAL;
	proc_backoff_died(&c->backoff, was_ready, now);
}

void
limit_publisher(struct supervisor *s, int64_t now)
{
	struct child *c = &s->publisher.child;
	bool leaving = s->publisher.handing_over || s->stage >= STAGE_STOPPING;

	/* with --once a slow reader of standard output may take its time */
	if (c->pid == 0 || !leaving || (s->start->once && !s->stop.hurry))
		children_set_kill(&s->children, c, INT64_MAX);
	else if (c->kill_at_us == INT64_MAX)
		children_set_kill(&s->children, c, now + PUBLISHER_LEAVE_US);
}

bool
publisher_is_overdue(struct supervisor *s, struct child *c, int64_t now)
{
	(void)s, (void)c, (void)now;
	log_error("the publisher does not leave: killed; its successor takes what it left");
	return true;
}
