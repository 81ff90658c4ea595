/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* * The supervisor's side of the publisher: start, messages, death. It is replaced only after
 * waitpid() has returned it, so two never coexist. A failure before the first readiness ends the
 * program with its exit code; later ones are logged and tried again.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "state.h"

/* At a hand-over or a stop: the publisher flushes for at most 5 s, after this it is stuck. */
#define PUBLISHER_LEAVE_US (15 * US_PER_S)

void
start_publisher(struct supervisor *s, int64_t now)
{
	int fd;
	pid_t pid;

	if (s->publisher.pid > 0 || s->failed || s->stage == STAGE_OVER ||
	    now < s->publisher.backoff.not_before_us)
		return;
	pid = proc_spawn("publisher", &s->start->publisher_user,
	    (int[]){ s->own.read_fd, s->checkers.read_fd, s->spool_lock_fd,
		s->start->output == PUBLISH_TO_STDOUT ? STDOUT_FILENO : -1 },
	    &s->publisher.backoff, now, &fd);
	if (pid == 0) {
		struct publisher_start start = { .config = s->config,
			.output = s->start->output,
			.epoch = s->epoch,
			.epoch_stored = s->epoch_stored,
			.lost_epoch = s->lost_epoch,
			.spool_lock_fd = s->spool_lock_fd,
			.supervisor = s->self,
			.token_key = s->token_key,
			.supervisor_fd = s->own.read_fd,
			.checkers_fd = s->checkers.read_fd,
			.control_fd = fd };

		_exit(publisher_main(&start));
	}
	if (pid < 0)
		return;
	s->publisher.pid = pid;
	s->publisher.fd = fd;
	s->publisher.handing_over = false;
	s->publisher.report.ready = false;
	if (s->hurry)
		order_publisher(s, MESSAGE_NO_FLUSH);
}

void
order_publisher(struct supervisor *s, enum message_type order)
{
	if (s->publisher.fd >= 0 && message_send(s->publisher.fd, order, NULL, 0, -1) < 0)
		log_debug("the publisher does not take orders: %s", strerror(errno));
}

/* With its first report comes the lock of the spool, which the supervisor holds for its life. */
static void
take_lock(struct supervisor *s, int lock_fd)
{
	if (lock_fd < 0)
		return;
	if (s->spool_lock_fd >= 0)
		close(s->spool_lock_fd); /* that of a directory that has gone */
	s->spool_lock_fd = lock_fd;
}

void
read_publisher(struct supervisor *s)
{
	const struct message_report *report;
	struct message m;
	int n, lock_fd;

	while ((n = message_receive(s->publisher.fd, &m, &lock_fd)) > 0) {
		take_lock(s, lock_fd);
		report = message_body(&m, sizeof(*report));
		if (m.type != MESSAGE_REPORT || report == NULL)
			continue;
		s->publisher.report = *report;
		s->epoch_stored |= report->ready;
		s->publisher.last_report_us = util_mono_us();
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close(s->publisher.fd);
	s->publisher.fd = -1;
}

void
publisher_died(struct supervisor *s, int status, int64_t now)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	bool was_ready;
	char how[64];

	if (s->publisher.fd >= 0)
		read_publisher(s);
	if (s->publisher.fd >= 0)
		close(s->publisher.fd);
	was_ready = s->publisher.report.ready;
	s->publisher.fd = -1;
	s->publisher.pid = 0;
	if (code == EXIT_SPOOL_LOST) {
		if (s->epoch_stored) {
			memcpy(s->lost_epoch, s->epoch, sizeof(s->lost_epoch));
			epoch_begin(s);
		}
		log_error("the spool was given up; a new epoch begins: %s", s->epoch);
		proc_backoff_died(&s->publisher.backoff, false, now);
		return;
	}
	if (s->publisher.handing_over)
		return; /* its successor starts at once */
	if ((code == EXIT_FINE && s->stage == STAGE_DRAINING) ||
	    ((code == EXIT_FINE || code == EXIT_OS) && s->start->output == PUBLISH_TO_STDOUT)) {
		/* all is written; or standard output is closed, and there is no spool to keep records */
		if (code != EXIT_FINE)
			s->exit_code = code;
		s->stage = STAGE_OVER;
		return;
	}
	log_error("the publisher %s", proc_describe_exit(status, how, sizeof(how)));
	if (s->stage == STAGE_STARTING && !was_ready) {
		s->failed = true;
		s->exit_code = code > 0 ? code : EXIT_INTERNAL;
	}
	proc_backoff_died(&s->publisher.backoff, was_ready, now);
}

void
kill_stuck_publisher(struct supervisor *s, int64_t now)
{
	bool leaving = s->publisher.handing_over || s->stage >= STAGE_STOPPING;

	/* with --once a slow reader of standard output may take its time */
	if (s->publisher.pid == 0 || !leaving || (s->start->once && !s->hurry)) {
		s->publisher.kill_at_us = 0;
		return;
	}
	if (s->publisher.kill_at_us == 0)
		s->publisher.kill_at_us = now + PUBLISHER_LEAVE_US;
	if (now < s->publisher.kill_at_us)
		return;
	log_error("the publisher does not leave: killed; its successor takes what it left");
	kill(s->publisher.pid, SIGKILL);
	s->publisher.kill_at_us = 0;
}
