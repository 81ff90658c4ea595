/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The loop of the supervisor: signals, messages, the clock; and how it starts and stops. Failures
 * before the first readiness end the program with their exit code; later ones are logged and tried
 * again.
 */
#include "supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "log.h"
#include "state.h"

/* At a stop: running checks end by themselves; then TERM, then KILL; the publisher has longer. */
#define STOP_CHECKS_US (5 * US_PER_S)
#define STOP_KILL_US   (7 * US_PER_S)
#define STOP_MAX_US    (60 * US_PER_S)

/* The loop turns every second. If it did not, this machine ran nothing, checkers included. */
#define OVERSLEPT_US (1500 * US_PER_MS)

/* The longest that a message of a checker waits while no site waits for a checker. */
#define LISTEN_US (100 * US_PER_MS)

/* USR1 is answered no more often than this. */
#define ANSWER_EVERY_US US_PER_S

static volatile sig_atomic_t got_sigchld, got_sighup, got_sigterm, got_sigusr1;

static void
on_signal(int signal_number)
{
	if (signal_number == SIGCHLD)
		got_sigchld = 1;
	else if (signal_number == SIGHUP)
		got_sighup = 1;
	else if (signal_number == SIGUSR1)
		got_sigusr1 = 1;
	else
		got_sigterm++;
}

/* What each kind of child can do to the loop. */
static const struct {
	void (*died)(struct supervisor *s, struct child *c, int status, int64_t now);
	/* its time is over: whether it is to be killed */
	bool (*is_overdue)(struct supervisor *s, struct child *c, int64_t now);
} roles[] = {
	[CHILD_PUBLISHER] = { publisher_died, publisher_is_overdue },
	[CHILD_VALIDATION] = { validation_died, validation_is_overdue },
	[CHILD_METRICS] = { metrics_file_died, metrics_file_is_overdue },
	[CHILD_CHECKER] = { checker_died, checker_is_overdue },
};

static void
reap(struct supervisor *s, int64_t now)
{
	int status;
	pid_t pid;

	got_sigchld = 0; /* this first: a child that dies from here on raises it again */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *c = children_find(&s->children, pid);

		if (c == NULL)
			continue;
		c->pid = 0;
		roles[c->role].died(s, c, status, now);
	}
}

static void
kill_overdue(struct supervisor *s, int64_t now)
{
	struct child *c;

	if (now - s->last_turn_us > OVERSLEPT_US)
		children_postpone(&s->children, now + WATCHDOG_GRACE_US);
	s->last_turn_us = now;
	while ((c = children_overdue(&s->children, now)) != NULL)
		if (roles[c->role].is_overdue(s, c, now))
			child_signal(c, SIGKILL);
}

/* --- stop -------------------------------------------------------------------------------- */

static void
begin_stop(struct supervisor *s, int64_t now)
{
	if (s->stage >= STAGE_STOPPING)
		return;
	if (s->stage == STAGE_RUNNING && !s->start->once)
		log_notice("stopping");
	systemd_notify("STOPPING=1");
	/* at the start no slot has begun, so a publisher that fails has lost none */
	s->stop.start_failed = s->stage == STAGE_STARTING;
	s->stage = STAGE_STOPPING;
	s->stop.since_us = now;
	stop_validation(s, now);
	stop_metrics_file(s, now);
}

/* The checkers leave. Returns how many are still there. */
static int
stop_checkers(struct supervisor *s, int64_t now)
{
	int64_t age = now - s->stop.since_us;
	int alive = 0;

	retire_all_checkers(s, now);
	for (int i = 0; i < s->pool.count; i++) {
		const struct worker *worker = &s->pool.worker[i];

		alive += worker->checker->child.pid > 0;
		if (age > STOP_KILL_US)
			child_signal(&worker->checker->child, SIGKILL);
		else if (worker->state == WORKER_BUSY && (age > STOP_CHECKS_US || s->stop.hurry))
			child_signal(&worker->checker->child, SIGTERM);
	}
	return alive;
}

/* Bring the stop forward. Returns when to look again. */
static int64_t
continue_stop(struct supervisor *s, int64_t now)
{
	int alive;

	if (now - s->stop.since_us > STOP_MAX_US && (!s->start->once || s->stop.hurry)) {
		log_error("stopping takes too long: what the publisher has not stored is lost");
		child_signal(&s->publisher.child, SIGKILL);
		s->stop.exit_code = EXIT_INTERNAL;
		s->stage = STAGE_OVER;
	}
	if (s->stage == STAGE_DRAINING && s->publisher.child.pid == 0 && s->stop.start_failed)
		s->stage = STAGE_OVER; /* a start that failed has nothing to drain */
	if (s->stage >= STAGE_DRAINING)
		return now + US_PER_S;
	alive = stop_checkers(s, now);
	abandon_waiting(s);
	if (!flush_pending_closes(s, now) || !record_remaining(s, s->stop.since_us) || alive > 0 ||
	    !settle(s, now))
		return now + 200 * US_PER_MS;
	pipes_close(s);
	s->stage = STAGE_DRAINING;
	return now;
}

/* --- loop -------------------------------------------------------------------------------- */

static void
handle_signals(struct supervisor *s, int64_t now)
{
	static int terms_seen;

	if (got_sigterm != terms_seen) {
		terms_seen = got_sigterm;
		if (s->stage >= STAGE_STOPPING && !s->stop.hurry) {
			s->stop.hurry = true;
			order_publisher(s, MESSAGE_NO_FLUSH);
		}
		begin_stop(s, now);
	}
	if (got_sigchld)
		reap(s, now);
	if (s->publisher.finished)
		s->stage = STAGE_OVER;
	if (s->stage == STAGE_STARTING &&
	    (s->publisher.exit_code != EXIT_FINE || s->checkers.exit_code != EXIT_FINE))
		begin_stop(s, now);
	if (got_sigusr1 && now >= s->next_answer_us) {
		got_sigusr1 = 0;
		s->next_answer_us = now + ANSWER_EVERY_US;
		log_status(s, now);
	}
	if (got_sighup) {
		got_sighup = 0;
		request_reload(s);
	}
	begin_reload(s, now);
}

/* All processes are ready: slots begin now. */
static void
become_ready(struct supervisor *s)
{
	size_t sites = s->sites.count;

	s->stage = STAGE_RUNNING;
	if (s->start->once)
		once_begin(s);
	sites_start(s, util_mono_us());
	if (s->start->once)
		return;
	log_notice("webmond " VERSION " watches %zu site%s with %d to %d checkers; epoch %s", sites,
	    util_plural(sites), s->config->workers_min, s->config->workers_max, s->epoch.name);
	daemon_tell_starter(EXIT_FINE);
	systemd_notify("READY=1\nMAINPID=%d", (int)getpid());
}

static bool
everyone_ready(const struct supervisor *s)
{
	return s->publisher.report.ready && s->pool.idle >= s->pool.min;
}

static int64_t
earliest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Slots that are due. Returns when to look again. */
static int64_t
run_sites(struct supervisor *s, int64_t now)
{
	int64_t wake;

	requeue_stalled(s, now); /* at a stop the queues end by themselves */
	wake = dispatch(s, now);
	if (s->pool.busy > 0)
		wake = earliest(wake, now + (s->pool.queued > 0 ? POOL_STALL_US : LISTEN_US));
	if (s->start->once && once_is_over(s))
		begin_stop(s, now);
	return wake;
}

static void
run(struct supervisor *s, const sigset_t *open_mask)
{
	while (s->stage != STAGE_OVER) {
		int64_t now = util_mono_us();
		int64_t wake = now + US_PER_S; /* systemd, the clock */

		handle_signals(s, now);
		sites_follow_clock(s);
		now = util_mono_us(); /* a reload takes time */
		limit_publisher(s, now);
		start_publisher(s, now);
		tell_publisher(s, now);
		maintain_pool(s, now);
		if (s->stage == STAGE_STARTING && everyone_ready(s))
			become_ready(s);
		kill_overdue(s, now);
		pipes_begin_turn(s);
		if (s->stage == STAGE_RUNNING)
			wake = earliest(wake, run_sites(s, now));
		if (s->stage >= STAGE_STOPPING && s->stage != STAGE_OVER)
			wake = earliest(wake, continue_stop(s, now));
		if (sites_sweep(s))
			wake = now;
		tell_status(s, now);
		wake = earliest(wake, control_serve(s, now));
		wake = earliest(wake, metrics_file_serve(s, now));
		wake = earliest(wake, s->children.next_kill_us);
		if (s->stage <= STAGE_RUNNING)
			wake = earliest(wake, s->checkers.next_maintenance_us);
		if (s->publisher.child.pid == 0 && !s->stop.start_failed)
			wake = earliest(wake, s->publisher.child.backoff.not_before_us);
		if (s->stage != STAGE_OVER && !got_sigchld)
			wait_and_read(s, wake, open_mask);
	}
}

/* --- start ------------------------------------------------------------------------------- */

static void
catch_signals(sigset_t *open_mask)
{
	static const int caught[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGUSR1 };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	/* blocked except in ppoll(): none can come between the test of a flag and the wait */
	sigemptyset(&blocked);
	for (size_t i = 0; i < ARRAY_LENGTH(caught); i++) {
		sigaction(caught[i], &action, NULL);
		sigaddset(&blocked, caught[i]);
	}
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	sigemptyset(open_mask);
}

/* As many as are allowed. */
static void
raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* The first of several reasons; with --once also whether all sites are up. */
static int
exit_code(const struct supervisor *s)
{
	const int codes[] = { s->stop.exit_code, s->once.exit_code, s->publisher.exit_code,
		s->checkers.exit_code };

	for (size_t i = 0; i < ARRAY_LENGTH(codes); i++)
		if (codes[i] != EXIT_FINE)
			return codes[i];
	if (s->start->once && status_now(s).with[STATUS_UP] < s->sites.count)
		return EXIT_NOT_UP;
	return EXIT_FINE;
}

int
supervisor_main(const struct supervisor_start *start)
{
	static struct supervisor s; /* what it holds at the end is no leak */
	sigset_t open_mask;
	int code;

	log_set_role("supervisor");
	proc_set_title("webmond: supervisor");
	s.start = start;
	s.self = getpid();
	s.started_us = util_mono_us();
	s.config = config_hold(start->config);
	s.publisher.spool_lock_fd = s.reload.share.fd = -1;
	shards_begin(&s);
	if (!sites_choose(&s))
		return EXIT_USAGE;
	raise_descriptors();
	if (pipes_open(&s) < 0)
		fatal(EXIT_OS, "cannot create a pipe: %s", strerror(errno));
	children_add(&s.children, &s.publisher.child, CHILD_PUBLISHER);
	children_add(&s.children, &s.reload.child, CHILD_VALIDATION);
	children_add(&s.children, &s.metrics.child, CHILD_METRICS);
	resize_pool(&s, start->config->workers_min, start->config->workers_max);
	epoch_begin(&s);
	control_open(&s);
	catch_signals(&open_mask);
	run(&s, &open_mask);
	control_close(&s);
	once_end(&s);
	code = exit_code(&s);
	if (!start->once && code == EXIT_FINE)
		log_notice("stopped");
	return code;
}
