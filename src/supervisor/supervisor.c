/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* * The loop of the supervisor: signals, messages, the clock; and how it starts and stops. Failures
 * before the first readiness end the program with their exit code; later ones are logged and tried
 * again.
 */
#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

/* The longest that a signal waits. */
#define SIGNALS_US (10 * US_PER_MS)

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

static void
reap(struct supervisor *s, int64_t now)
{
	int status;
	pid_t pid;

	got_sigchld = 0; /* this first: a child that dies from here on raises it again */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == s->publisher.pid) {
			publisher_died(s, status, now);
			continue;
		}
		if (pid == s->reload.pid) {
			finish_validation(s, status, now);
			continue;
		}
		for (int i = 0; i < s->pool.count; i++)
			if (s->pool.worker[i].child->pid == pid)
				checker_died(s, &s->pool.worker[i], status, now);
	}
}

static void
begin_stop(struct supervisor *s, int64_t now)
{
	if (s->stage >= STAGE_STOPPING)
		return;
	if (s->stage == STAGE_RUNNING && !s->start->once)
		log_notice("stopping");
	systemd_notify("STOPPING=1");
	if (s->stage == STAGE_STARTING)
		s->failed = true; /* no slot has begun, so a publisher that fails has lost none */
	s->stage = STAGE_STOPPING;
	s->stopping_since_us = now;
}

/* Bring the stop forward. Returns when to look again. */
static int64_t
continue_stop(struct supervisor *s, int64_t now)
{
	int64_t age = now - s->stopping_since_us;
	int alive = 0;

	if (age > STOP_MAX_US && (!s->start->once || s->hurry)) {
		log_error("stopping takes too long: what the publisher has not stored is lost");
		if (s->publisher.pid > 0)
			kill(s->publisher.pid, SIGKILL);
		s->exit_code = EXIT_INTERNAL;
		s->stage = STAGE_OVER;
	}
	if (s->stage == STAGE_DRAINING && s->publisher.pid == 0 && s->failed)
		s->stage = STAGE_OVER; /* a start that failed has nothing to drain */
	if (s->stage >= STAGE_DRAINING)
		return now + US_PER_S;
	for (int i = 0; i < s->pool.count; i++) {
		struct worker *worker = &s->pool.worker[i];

		if (worker->child->pid == 0)
			continue;
		alive++;
		if (!worker->retiring)
			retire_checker(s, worker, now);
		if (age > STOP_KILL_US)
			kill(worker->child->pid, SIGKILL);
		else if (worker->state == WORKER_BUSY && (age > STOP_CHECKS_US || s->hurry))
			kill(worker->child->pid, SIGTERM);
	}
	abandon_waiting(s);
	if (!flush_pending_closes(s) || !record_remaining(s) || alive > 0 || !settle(s))
		return now + 200 * US_PER_MS;
	close(s->own.write_fd);
	close(s->checkers.write_fd);
	s->own.write_fd = s->checkers.write_fd = -1;
	s->stage = STAGE_DRAINING;
	return now;
}

static void
handle_signals(struct supervisor *s, int64_t now)
{
	static int terms_seen;

	if (got_sigterm != terms_seen) {
		terms_seen = got_sigterm;
		if (s->stage >= STAGE_STOPPING && !s->hurry) {
			s->hurry = true;
			order_publisher(s, MESSAGE_NO_FLUSH);
		}
		begin_stop(s, now);
	}
	if (got_sigchld)
		reap(s, now);
	if (got_sigusr1 && now >= s->next_answer_us) {
		got_sigusr1 = 0;
		s->next_answer_us = now + ANSWER_EVERY_US;
		log_status(s, now);
	}
	if (got_sighup) {
		got_sighup = 0;
		s->reload.again = true;
	}
	if (s->reload.again && s->stage == STAGE_RUNNING && !s->start->once)
		begin_reload(s, now);
}

/* All processes are ready: slots begin now. */
static void
become_ready(struct supervisor *s)
{
	const struct config *config = s->config;
	int64_t now = util_mono_us();

	s->stage = STAGE_RUNNING;
	if (s->start->once)
		once_begin(s);
	for (size_t i = 0; i < s->site_count; i++) {
		struct site_state *state = s->sites[i];

		site_restart(s, state, now);
		if (s->start->once) {
			site_dequeue(s, state);
			state->timer.due_us = state->timer.priority_us = now;
			state->timer.slot_us = now + s->clock_offset_us;
			site_enqueue(s, state);
		}
	}
	if (s->start->once)
		return;
	log_notice("webmond " VERSION " watches %zu site%s with %d to %d checkers; epoch %s",
	    s->site_count, util_plural(s->site_count), config->workers_min, config->workers_max,
	    s->epoch);
	daemon_tell_starter(EXIT_FINE);
	systemd_notify("READY=1\nMAINPID=%d", (int)getpid());
}

/* Wait for messages, signals and `wake`, and read the messages. */
static void
wait_and_read(struct supervisor *s, int64_t wake, const sigset_t *open_mask)
{
	static struct pollfd *polls;
	static struct worker **speakers; /* of polls[FIRST_SPEAKER] and later */
	static int room;
	static int64_t signals_us;
	enum {
		PUBLISHER,
		VALIDATION,
		PIPE,
		FIRST_SPEAKER
	};
	int64_t now = util_mono_us();
	struct timespec timeout = { 0 };
	sigset_t blocked;
	bool listening;
	int n = 0, ready;

	if (polls == NULL || room < s->pool.count) {
		room = s->pool.count;
		polls = xreallocarray(polls, FIRST_SPEAKER + (size_t)room, sizeof(*polls));
		speakers = xreallocarray(speakers, (size_t)room, sizeof(*speakers));
	}
	polls[PUBLISHER] = (struct pollfd){ .fd = s->publisher.fd, .events = POLLIN };
	polls[VALIDATION] = (struct pollfd){ .fd = s->reload.pid > 0 ? s->reload.fd : -1,
		.events = POLLIN };
	polls[PIPE] = (struct pollfd){ .fd = s->own_full ? s->own.write_fd : -1,
		.events = POLLOUT };
	for (int i = 0; i < s->pool.count; i++) {
		struct worker *worker = &s->pool.worker[i];

		if (worker->state != WORKER_STARTING && worker->state != WORKER_BUSY)
			continue;
		speakers[n] = worker;
		polls[FIRST_SPEAKER + n++] = (struct pollfd){ .fd = worker->child->fd,
			.events = POLLIN };
	}
	if (wake > now) {
		timeout.tv_sec = (wake - now) / US_PER_S;
		timeout.tv_nsec = (wake - now) % US_PER_S * 1000;
	}
	/* while checks are queued a checker will be free when the queues are next looked at */
	listening = (s->listening && s->pool.queued == 0) || s->pool.starting > 0 ||
		    s->stage != STAGE_RUNNING || s->start->once;
	ready = ppoll(polls, (nfds_t)(FIRST_SPEAKER + (listening ? n : 0)), &timeout, open_mask);
	if (ready < 0 && errno == EINVAL)
		fatal(EXIT_OS, "the limit of descriptors was lowered below their number");
	if (!listening && poll(polls + FIRST_SPEAKER, (nfds_t)n, 0) > 0)
		ready = 1;
	if (ready <= 0)
		return;
	now = util_mono_us();
	/* ppoll() delivers no signal when a descriptor is ready: under load none would ever come */
	if (now > signals_us + SIGNALS_US) {
		signals_us = now;
		sigprocmask(SIG_SETMASK, open_mask, &blocked);
		sigprocmask(SIG_SETMASK, &blocked, NULL);
	}
	if (polls[PUBLISHER].revents != 0)
		read_publisher(s);
	if (polls[VALIDATION].revents != 0)
		read_validation(s);
	for (int i = 0; i < n; i++)
		if (polls[FIRST_SPEAKER + i].revents != 0)
			read_checker(s, speakers[i], now);
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

static void
run(struct supervisor *s, const sigset_t *open_mask)
{
	while (s->stage != STAGE_OVER) {
		int64_t now = util_mono_us();
		int64_t wake = now + US_PER_S; /* systemd, the clock */

		handle_signals(s, now);
		follow_clock(s);
		now = util_mono_us(); /* a reload takes time */
		if (s->stage == STAGE_STARTING && s->failed)
			begin_stop(s, now);
		kill_stuck_publisher(s, now);
		limit_validation(s, now);
		start_publisher(s, now);
		if (now >= s->next_maintenance_us)
			s->next_maintenance_us = maintain_pool(s, now);
		if (s->stage == STAGE_STARTING && everyone_ready(s))
			become_ready(s);
		kill_overdue(s, now);
		s->own_full = false; /* else dispatch() or continue_stop() will note it again */
		if (s->stage == STAGE_RUNNING) {
			requeue_stalled(s, now); /* at a stop the lines end by themselves */
			wake = earliest(wake, dispatch(s, now));
			wake = earliest(wake, s->pool.next_deadline_us);
			if (s->pool.busy > 0)
				wake = earliest(
				    wake, now + (s->pool.queued > 0 ? POOL_STALL_US : LISTEN_US));
			if (s->start->once && once_is_over(s))
				begin_stop(s, now);
		}
		if (s->stage >= STAGE_STOPPING && s->stage != STAGE_OVER)
			wake = earliest(wake, continue_stop(s, now));
		tell_status(s, now);
		wake = earliest(wake, s->next_maintenance_us);
		if (s->publisher.pid == 0)
			wake = earliest(wake, s->publisher.backoff.not_before_us);
		if (s->stage != STAGE_OVER && !got_sigchld)
			wait_and_read(s, wake, open_mask);
	}
}

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

/* With --once SITE…: only these. Returns false after naming one that does not exist. */
static bool
choose_sites(struct supervisor *s)
{
	const struct config *config = s->config;
	char *const *only = s->start->only;
	bool all = !s->start->once || only == NULL || *only == NULL;

	s->sites = xcalloc(config->site_count, sizeof(struct site_state *));
	for (size_t i = 0; all && i < config->site_count; i++)
		s->sites[s->site_count++] = site_new(&config->sites[i], (uint32_t)i);
	for (; !all && *only != NULL; only++) {
		ssize_t i = config_find_site(config, *only);

		if (i < 0) {
			log_error("no enabled site \"%s\" in \"%s\"", *only, config->file);
			return false;
		}
		s->sites[s->site_count++] = site_new(&config->sites[i], (uint32_t)i);
	}
	return true;
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
	s.config = config_hold(start->config);
	s.publisher.fd = s.spool_lock_fd = s.reload.share.fd = -1;
	s.self = getpid();
	if (!choose_sites(&s))
		return EXIT_USAGE;
	raise_descriptors();
	if (pipe_open(&s.own, PIPE_SIZE_OPEN) < 0 || pipe_open(&s.checkers, PIPE_SIZE) < 0)
		fatal(EXIT_OS, "cannot create a pipe: %s", strerror(errno));
	util_random(s.token_key, sizeof(s.token_key));
	resize_pool(&s, start->config->workers_min, start->config->workers_max);
	STAILQ_INIT(&s.waiting);
	STAILQ_INIT(&s.pending_closes);
	epoch_begin(&s);
	catch_signals(&open_mask);
	run(&s, &open_mask);
	once_end(&s);
	code = s.exit_code;
	if (start->once && code == EXIT_FINE && tally_sites(&s).with[STATUS_UP] < s.site_count)
		code = EXIT_NOT_UP;
	if (!start->once && code == EXIT_FINE)
		log_notice("stopped");
	return code;
}
