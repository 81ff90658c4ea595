/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Checkers and publisher: birth, messages, death. A process is replaced only after waitpid() has
 * returned it, so two of a kind never coexist. Failures before the first readiness end the program
 * with their exit code; later ones are logged and tried again.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checker.h"
#include "log.h"
#include "pipe.h"
#include "supervise.h"

/* At a hand-over or a stop the publisher flushes for at most 5 s; so long is stuck. */
#define PUBLISHER_PATIENCE_US (15 * US_PER_S)

/* --- birth ------------------------------------------------------------------------------- */

/*
 * Fork a child that holds `pipe_fd` and a channel to us. Returns its PID with our end in `*fd`, 0
 * in the child with its end there, or -1 when it must wait or something is short.
 */
static pid_t
spawn(const char *role, int pipe_fd, struct proc_backoff *backoff, int64_t now, int *fd)
{
	int ends[2];
	pid_t pid;

	if (now < backoff->not_before_us)
		return -1;
	proc_backoff_started(backoff, now);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		log_error("cannot start the %s: %s", role, strerror(errno));
		proc_backoff_died(backoff, false, now);
		return -1;
	}
	pid = proc_fork(role, (int[]){ ends[1], pipe_fd }, 2);
	if (pid == 0) {
		*fd = ends[1];
		return 0;
	}
	if (pid < 0) {
		log_error("cannot start the %s: fork: %s", role, strerror(errno));
		proc_backoff_died(backoff, false, now);
		close(ends[0]);
	}
	close(ends[1]);
	*fd = ends[0];
	return pid;
}

static void
become(const struct proc_user *user)
{
	if (proc_drop(user) < 0)
		fatal(
		    EXIT_PERMISSION, "cannot become user \"%s\": %s", user->name, strerror(errno));
}

bool
start_checker(struct supervisor *s, struct worker *worker, int64_t now)
{
	struct generation *g = s->generation;
	struct child *c = worker->child;
	char role[32];
	int fd;
	pid_t pid;

	snprintf(role, sizeof(role), "checker %d", worker->index + 1);
	pid = spawn(role, s->pipe_write, &c->backoff, now, &fd);
	if (pid == 0) {
		struct checker_start start = { g->config, fd, s->pipe_write };

		become(&s->start->checker_user);
		proc_follow_parent(s->self);
		_exit(checker_main(&start));
	}
	if (pid < 0)
		return false;
	*c = (struct child){ .pid = pid, .fd = fd, .generation = g, .backoff = c->backoff };
	g->users++;
	worker->retiring = false;
	pool_set_state(&s->pool, worker, WORKER_STARTING, now);
	return true;
}

void
start_publisher(struct supervisor *s, int64_t now)
{
	int fd;
	pid_t pid;

	if (s->publisher.pid > 0 || s->failed || s->stage == STAGE_OVER)
		return;
	pid = spawn("publisher", s->pipe_read, &s->publisher.backoff, now, &fd);
	if (pid == 0) {
		struct publisher_start start = { .config = s->generation->config,
			.output = s->start->output,
			.epoch = s->epoch,
			.lost_epoch = s->lost_epoch,
			.pipe_fd = s->pipe_read,
			.control_fd = fd };

		become(&s->start->publisher_user);
		_exit(publisher_main(&start));
	}
	if (pid < 0)
		return;
	s->publisher.pid = pid;
	s->publisher.fd = fd;
	s->publisher.handing_over = false;
	s->publisher.report.ready = false;
	if (s->hurry)
		order_publisher(s, WIRE_NO_FLUSH);
}

void
resize_pool(struct supervisor *s, int min, int max)
{
	int before = s->pool.count;

	pool_resize(&s->pool, min, max);
	for (int i = before; i < s->pool.count; i++) {
		s->pool.worker[i].child = xcalloc(1, sizeof(struct child));
		s->pool.worker[i].child->fd = -1;
	}
}

/* --- checkers ---------------------------------------------------------------------------- */

void
retire_checker(struct worker *worker)
{
	worker->retiring = true;
	if (worker->state != WORKER_IDLE && worker->state != WORKER_STARTING)
		return;
	if (worker->child->fd >= 0)
		close(worker->child->fd);
	worker->child->fd = -1;
}

void
release_worker(struct supervisor *s, struct worker *worker, int64_t now)
{
	struct child *c = worker->child;

	c->watch = NULL;
	c->why[0] = '\0';
	if (c->pid > 0) {
		pool_set_state(&s->pool, worker, WORKER_IDLE, now);
		if (worker->retiring)
			retire_checker(worker);
		return;
	}
	pool_set_state(&s->pool, worker, WORKER_NONE, now);
	generation_release(c->generation);
	c->generation = NULL;
	s->next_care_us = 0;
}

static void
handle_done(struct supervisor *s, struct worker *worker, const struct wire_done *done, int64_t now)
{
	struct child *c = worker->child;
	struct watch *w = c->watch;

	if (done->leaving)
		worker->retiring = true;
	if (done->type == WIRE_READY && worker->state == WORKER_STARTING) {
		pool_set_state(&s->pool, worker, WORKER_IDLE, now);
	} else if (done->type == WIRE_DONE && worker->state == WORKER_BUSY &&
		   done->seq == c->slot.seq) {
		quarantine_survived(&w->quarantine);
		watch_finished(s, w, done);
		release_worker(s, worker, now);
	}
	if (worker->retiring)
		retire_checker(worker);
}

/*
 * Read what a checker says. After its death the queue is read to the end: a peer that was killed
 * with unread bytes yields one ECONNRESET before what it had sent.
 */
void
read_checker(struct supervisor *s, struct worker *worker, bool to_the_end, int64_t now)
{
	struct child *c = worker->child;
	struct wire_done done;

	while (c->fd >= 0) {
		ssize_t n = recv(c->fd, &done, sizeof(done), MSG_DONTWAIT);

		if (n == (ssize_t)sizeof(done)) {
			/* it reads hostile bytes: what it says may be anything */
			done.error_message[sizeof(done.error_message) - 1] = '\0';
			if ((unsigned)done.error >= ERROR_COUNT)
				done.error = ERROR_LOCAL;
			handle_done(s, worker, &done, now);
			if (!to_the_end)
				return;
		} else if (n < 0 && (errno == EINTR || errno == ECONNRESET)) {
			continue;
		} else if (n < 0 && errno == EAGAIN) {
			return;
		} else {
			close(c->fd);
			c->fd = -1;
		}
	}
}

/* A check ended its checker; a site that does so repeatedly rests. */
static void
quarantine(struct watch *w, int64_t now)
{
	quarantine_crashed(&w->quarantine, now);
	if (quarantine_active(&w->quarantine, now))
		log_error(
		    "site \"%s\": quarantined for %lld s: %d checks in a row ended their checker",
		    w->site->name, (long long)(w->quarantine.rest_us / US_PER_S),
		    w->quarantine.crashes);
}

void
checker_died(struct supervisor *s, struct worker *worker, int status, int64_t now)
{
	struct child *c = worker->child;
	bool expected = worker->retiring || s->stage >= STAGE_STOPPING;
	bool worked = worker->state != WORKER_STARTING;
	char how[64];

	proc_describe_exit(status, how, sizeof(how));
	read_checker(s, worker, true, now);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->pid = 0;
	if (worker->state == WORKER_STARTING && s->stage == STAGE_STARTING) {
		log_error("checker %d %s at its start", worker->index + 1, how);
		s->failed = true;
		s->exit_code = EXIT_OS;
	}
	if (!expected) {
		proc_backoff_died(&c->backoff, worked, now);
		log_warning("checker %d %s", worker->index + 1, how);
	}
	if (worker->state == WORKER_BUSY) {
		if (c->why[0] == '\0')
			snprintf(c->why, sizeof(c->why), "the checker %s", how);
		log_warning("site \"%s\": %s", c->watch->site->name, c->why);
		if (s->stage < STAGE_STOPPING)
			quarantine(c->watch, now);
		pool_set_state(&s->pool, worker, WORKER_OWING, now);
	} else if (worker->state != WORKER_OWING) { /* else when the debt is paid */
		release_worker(s, worker, now);
	}
}

void
kill_overdue(struct supervisor *s, int64_t now)
{
	struct worker *worker;

	while ((worker = pool_overdue(&s->pool, now)) != NULL) {
		struct child *c = worker->child;

		if (!pipe_wait_room(s->pipe_write, 0))
			s->pipe_full_us = now;
		if (now - s->pipe_full_us < WATCHDOG_GRACE_US) {
			/* it waits for the pipe, as everybody does */
			worker->deadline_us = now + WATCHDOG_GRACE_US;
			continue;
		}
		snprintf(c->why, sizeof(c->why),
		    "the checker did not end within %.3g s and was killed",
		    (double)(c->watch->site->timeout_us + WATCHDOG_GRACE_US) / US_PER_S);
		worker->deadline_us = INT64_MAX;
		kill(c->pid, SIGKILL);
	}
}

int64_t
keep_pool(struct supervisor *s, int64_t now)
{
	struct worker *worker = NULL;
	int64_t again = now + US_PER_S;

	if (s->stage > STAGE_RUNNING)
		return INT64_MAX;
	while ((worker = pool_missing_home(&s->pool, worker)) != NULL)
		if (!start_checker(s, worker, now) && worker->child->backoff.not_before_us < again)
			again = worker->child->backoff.not_before_us;
	while ((worker = pool_surplus(&s->pool, now)) != NULL)
		retire_checker(worker);
	for (int i = s->pool.max; i < s->pool.count; i++)
		if (!s->pool.worker[i].retiring && s->pool.worker[i].state != WORKER_NONE)
			retire_checker(&s->pool.worker[i]);
	return again;
}

/* --- publisher --------------------------------------------------------------------------- */

void
order_publisher(struct supervisor *s, enum wire_order order)
{
	if (s->publisher.fd >= 0 &&
	    send(s->publisher.fd, &order, sizeof(order), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("the publisher does not take orders: %s", strerror(errno));
}

void
read_publisher(struct supervisor *s)
{
	struct wire_report report;
	ssize_t n;

	while ((n = recv(s->publisher.fd, &report, sizeof(report), MSG_DONTWAIT)) > 0) {
		if (n != (ssize_t)sizeof(report))
			continue;
		s->publisher.report = report;
		s->epoch_stored |= report.ready;
		s->publisher.heard_us = util_mono_us();
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
			begin_epoch(s);
		}
		log_error("the spool was set aside; a new epoch begins: %s", s->epoch);
		proc_backoff_died(&s->publisher.backoff, false, now);
		return;
	}
	if (s->publisher.handing_over)
		return; /* its successor starts at once */
	if (code == EXIT_FINE &&
	    (s->stage == STAGE_DRAINING || s->start->output == PUBLISH_TO_STDOUT)) {
		/* all is said; or who read our standard output has gone, and nobody wants the rest */
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

	/* with --once a slow reader of standard output has all the time it wants */
	if (s->publisher.pid == 0 || !leaving || (s->start->once && !s->hurry)) {
		s->publisher.patience_us = 0;
		return;
	}
	if (s->publisher.patience_us == 0)
		s->publisher.patience_us = now + PUBLISHER_PATIENCE_US;
	if (now < s->publisher.patience_us)
		return;
	log_error("the publisher does not leave: killed; its successor takes what it left");
	kill(s->publisher.pid, SIGKILL);
	s->publisher.patience_us = 0;
}
