/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The supervisor: one loop that looks at signals, messages and the clock, and decides. It keeps no
 * queue of unwritten records: a site stays in its heap until its frame is in the pipe, and a CLOSE
 * that a dead checker owes is a mark in the pool's table. Failures before the first readiness end
 * the program with their exit code; later ones are logged and tried again.
 */
#include "supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "checker.h"
#include "daemon.h"
#include "log.h"
#include "payload.h"
#include "pipe.h"
#include "pool.h"
#include "schedule.h"
#include "validate.h"
#include "wire.h"

/* A checker has so long after its site's timeout before the watchdog kills it. */
#define WATCHDOG_GRACE_US (2 * US_PER_S)

/* Clocks further apart than this: a step or a suspend, not drift. */
#define CLOCK_STEP_US (100 * US_PER_MS)

/* At a stop: running checks end by themselves; then TERM, then KILL; the publisher has longer. */
#define STOP_CHECKS_US    (5 * US_PER_S)
#define STOP_KILL_US      (7 * US_PER_S)
#define STOP_PUBLISHER_US (30 * US_PER_S)

/* Checkers started at once when the pool grows: forks must not delay the slots of others. */
#define GROW_AT_ONCE 8

/* A configuration with the number of those who still point into it. */
struct generation {
	struct config *config;
	unsigned number;
	int users;
};

/* A site and what is known of it; lives as long as the site is configured. */
struct watch {
	struct timer timer; /* the next slot; first member, see watch_of() */
	const struct site *site;
	uint32_t index;
	uint64_t hash;
	int64_t phase_us;
	int64_t busy_until_us; /* slots due until then passed while a check ran (monotonic) */
	bool running;
	bool removed;     /* no longer configured; freed when its check ends */
	bool clock_moved; /* the slot after this one is the next on the new clock */
	bool slow;
	struct quarantine quarantine;
	enum status status;
	bool known;       /* `status` means something */
	int64_t since_us; /* monotonic: since when not up */
};

/* The supervisor's side of a checker. */
struct child {
	pid_t pid;
	int fd; /* -1: closed, or its end was seen */
	struct generation *generation;
	struct proc_backoff backoff;
	/* its check, while busy or owing */
	struct watch *watch;
	struct slot slot;
	char epoch[WIRE_EPOCH_SIZE];
	char why[128]; /* owing: the message of the record */
};

enum stage {
	STAGE_STARTING,
	STAGE_RUNNING,
	STAGE_STOPPING, /* checks end, checkers leave */
	STAGE_DRAINING, /* the pipe is closed, the publisher finishes */
	STAGE_OVER,
};

struct supervisor {
	const struct supervisor_start *start;
	struct generation *generation;
	struct watch **watches;
	size_t watch_count;
	struct schedule lane[2]; /* normal, slow */
	struct pool pool;
	int pipe_read, pipe_write;
	bool pipe_full;
	char epoch[WIRE_EPOCH_SIZE];
	uint64_t next_seq;
	int64_t clock_offset_us; /* UTC - monotonic */

	struct {
		pid_t pid;
		int fd;
		struct proc_backoff backoff;
		struct wire_report report;
		bool handing_over;
	} publisher;

	struct {
		pid_t pid; /* the validation child; 0: none */
		int fd;
		struct generation *candidate;
		char line[1024];
		size_t line_size;
		bool validated; /* the candidate is good */
		bool again;     /* another HUP came meanwhile */
	} reload;

	enum stage stage;
	int64_t stopping_since_us;
	bool hurry; /* a second TERM */
	int exit_code;
	size_t once_left; /* with --once: sites without a result */
	int64_t next_status_us;
	pid_t self;
};

static volatile sig_atomic_t got_sigchld, got_sighup, got_sigterm;

static void
on_signal(int signal_number)
{
	if (signal_number == SIGCHLD)
		got_sigchld = 1;
	else if (signal_number == SIGHUP)
		got_sighup = 1;
	else
		got_sigterm++;
}

static struct watch *
watch_of(struct timer *t)
{
	return (struct watch *)t;
}

/* --- generations ------------------------------------------------------------------------- */

static struct generation *
generation_new(struct config *config, unsigned number)
{
	struct generation *g = xcalloc(1, sizeof(*g));

	*g = (struct generation){ .config = config, .number = number, .users = 1 };
	return g;
}

static void
generation_release(struct generation *g)
{
	if (g == NULL || --g->users > 0)
		return;
	config_free(g->config);
	free(g);
}

/* --- epoch and slots --------------------------------------------------------------------- */

static void
begin_epoch(struct supervisor *s)
{
	time_t now = time(NULL);
	uint64_t random;
	struct tm tm;
	size_t n;

	util_random(&random, sizeof(random));
	gmtime_r(&now, &tm);
	n = strftime(s->epoch, sizeof(s->epoch), "%Y%m%dT%H%M%SZ", &tm);
	snprintf(s->epoch + n, sizeof(s->epoch) - n, "-%016llx", (unsigned long long)random);
	s->next_seq = 0;
	/* what runs now was opened in the old epoch, which is lost: it gets its record in this one */
	for (int i = 0; i < s->pool.count; i++)
		s->pool.worker[i].child->slot.epoch = NULL;
}

/* The site's first slot after now; the rest of its life follows from it. */
static void
watch_set_next(struct watch *w)
{
	int64_t utc = util_utc_us();

	w->timer.slot_us = schedule_next_slot(utc, w->site->interval_us, w->phase_us);
	w->timer.due_us = util_mono_us() + (w->timer.slot_us - utc);
}

/* On to the slot after this one; slow drift of the clocks is taken up here, step by step. */
static void
watch_advance(struct supervisor *s, struct watch *w)
{
	if (w->clock_moved) {
		w->clock_moved = false;
		watch_set_next(w);
		return;
	}
	w->timer.slot_us = schedule_next_slot(w->timer.slot_us, w->site->interval_us, w->phase_us);
	w->timer.due_us = w->timer.slot_us - s->clock_offset_us;
}

static void
watch_enqueue(struct supervisor *s, struct watch *w)
{
	schedule_insert(&s->lane[w->slow], &w->timer);
}

static void
watch_dequeue(struct supervisor *s, struct watch *w)
{
	schedule_remove(&s->lane[w->slow], &w->timer);
}

static struct watch *
watch_new(const struct site *site, uint32_t index)
{
	struct watch *w = xcalloc(1, sizeof(*w));

	w->site = site;
	w->index = index;
	w->hash = util_hash(site->name);
	w->phase_us = schedule_phase(site->name, site->interval_us);
	return w;
}

/* After a step of the clock or a suspend everybody continues at the next slot on the new clock. */
static void
follow_clock(struct supervisor *s, int64_t now)
{
	int64_t offset = util_utc_us() - now;
	int64_t step = offset - s->clock_offset_us;

	s->clock_offset_us = offset;
	if (s->stage != STAGE_RUNNING || s->start->once || llabs(step) < CLOCK_STEP_US)
		return;
	log_warning("the clock moved by %.1f s: every site continues at its next slot",
	    (double)step / US_PER_S);
	for (size_t i = 0; i < s->watch_count; i++) {
		struct watch *w = s->watches[i];

		if (w->timer.due_us <= now) {
			w->clock_moved = true; /* this slot has come up and gets its record first */
			continue;
		}
		watch_dequeue(s, w);
		watch_set_next(w);
		if (!w->running)
			watch_enqueue(s, w);
	}
}

/* --- frames ------------------------------------------------------------------------------ */

/* Write a frame or note that the pipe is full. */
static bool
put_frame(struct supervisor *s, const unsigned char *frame, size_t size)
{
	int full = pipe_write(s->pipe_write, frame, size);

	if (full < 0)
		log_error("cannot write to the results pipe: %s", strerror(errno));
	s->pipe_full = full != 0;
	return full == 0;
}

static void finish_line(struct supervisor *s, const struct watch *w, const struct wire_done *done);

/* A slot of `w` that never runs, as one frame. False: no room now. */
static bool
put_whole(struct supervisor *s, struct watch *w, const struct slot *template, enum error_type error,
    const char *message)
{
	struct slot slot = *template;
	unsigned char frame[WIRE_FRAME_MAX];
	struct wire_done done = {
		.error = error, .http_status = RESULT_NONE, .elapsed_us = RESULT_NONE
	};
	struct result result;

	slot.epoch = s->epoch;
	slot.seq = s->next_seq;
	result_init(&result);
	result_fail(&result, error, "%s", message);
	if (!put_frame(s, frame,
		payload_frame(frame, WIRE_WHOLE, s->generation->config, w->site, &slot, &result)))
		return false;
	s->next_seq++;
	snprintf(done.error_message, sizeof(done.error_message), "%s", message);
	finish_line(s, w, &done);
	return true;
}

/* Why the slot that comes next for `w` must not run, or ERROR_NONE. */
static enum error_type
why_missed(
    const struct supervisor *s, const struct watch *w, int64_t now, char *message, size_t size)
{
	if (w->timer.due_us <= w->busy_until_us) {
		snprintf(message, size, "the check before was still running");
		return ERROR_MISSED_OVERRUN;
	}
	if (quarantine_active(&w->quarantine, now)) {
		snprintf(message, size,
		    "the last %d checks ended their checker; next try in %lld s",
		    w->quarantine.crashes, (long long)((w->quarantine.until_us - now) / US_PER_S));
		return ERROR_QUARANTINED;
	}
	if (!s->start->once && w->timer.due_us + w->site->interval_us <= now) {
		snprintf(message, size, "no checker was free within %.3g s; see workers.max",
		    (double)w->site->interval_us / US_PER_S);
		return ERROR_MISSED_OVERLOAD;
	}
	if (s->stage != STAGE_RUNNING || w->removed) {
		snprintf(message, size, "%s before the check began",
		    w->removed ? "the site was removed" : "webmond was stopped");
		return ERROR_ABORTED;
	}
	return ERROR_NONE;
}

/* Give every slot of `w` that will never run its record. False: the pipe is full, go on later. */
static bool
record_missed(struct supervisor *s, struct watch *w, int64_t now)
{
	char message[128];
	enum error_type error;

	while (w->timer.due_us <= now &&
	       (error = why_missed(s, w, now, message, sizeof(message))) != ERROR_NONE) {
		struct slot slot = { .slot_us = w->timer.slot_us,
			.started_us = RESULT_NONE,
			.lateness_us = RESULT_NONE };

		if (!put_whole(s, w, &slot, error, message))
			return false;
		watch_advance(s, w);
	}
	return true;
}

/* --- results ----------------------------------------------------------------------------- */

static const char *
describe_duration(int64_t us, char *buffer, size_t size)
{
	long long seconds = us / US_PER_S;

	if (seconds < 120)
		snprintf(buffer, size, "%lld s", seconds);
	else if (seconds < 7200)
		snprintf(buffer, size, "%lld min %lld s", seconds / 60, seconds % 60);
	else
		snprintf(buffer, size, "%lld h %lld min", seconds / 3600, seconds / 60 % 60);
	return buffer;
}

/* A line of the table that --once prints. */
static void
print_row(const struct site *site, const struct wire_done *done)
{
	char code[12] = "-", ms[24] = "-";

	if (done->http_status != RESULT_NONE)
		snprintf(code, sizeof(code), "%d", done->http_status);
	if (done->elapsed_us != RESULT_NONE)
		snprintf(ms, sizeof(ms), "%.1f", (double)done->elapsed_us / US_PER_MS);
	printf("%-24s %-8s %4s %9s  %s%s%s\n", site->name, status_name(result_status(done->error)),
	    code, ms, done->error != ERROR_NONE ? error_type_name(done->error) : "",
	    done->error != ERROR_NONE ? ": " : "", done->error_message);
	fflush(stdout);
}

/* Say it when a site changes its state, once, with the reason and the length of the outage. */
static void
finish_line(struct supervisor *s, const struct watch *const_watch, const struct wire_done *done)
{
	struct watch *w = (struct watch *)const_watch;
	enum status status = result_status(done->error);
	int64_t now = util_mono_us();
	char duration[32];

	if (s->start->once) {
		if (s->start->output == PUBLISH_TO_NOTHING)
			print_row(w->site, done);
		if (status != STATUS_UP)
			s->exit_code = EXIT_NOT_UP;
	} else if (status == STATUS_UP && w->known && w->status != STATUS_UP) {
		log_notice("site \"%s\": up again after %s", w->site->name,
		    describe_duration(now - w->since_us, duration, sizeof(duration)));
	} else if (status != STATUS_UP && (!w->known || w->status != status) &&
		   s->stage == STAGE_RUNNING) {
		log_notice("site \"%s\": %s: %s: %s", w->site->name, status_name(status),
		    error_type_name(done->error), done->error_message);
	}
	if (status != STATUS_UP && (!w->known || w->status == STATUS_UP))
		w->since_us = now;
	w->status = status;
	w->known = true;
}

/* A check of `w` has ended, in whatever way: the site goes on with its next slot. */
static void
watch_finished(struct supervisor *s, struct watch *w, const struct wire_done *done)
{
	finish_line(s, w, done);
	w->running = false;
	w->busy_until_us = util_mono_us();
	w->slow = done->error == ERROR_TIMEOUT || done->elapsed_us > POOL_SLOW_US;
	if (s->start->once)
		s->once_left--;
	if (w->removed)
		free(w);
	else if (!s->start->once)
		watch_enqueue(s, w);
}

/* --- checkers ---------------------------------------------------------------------------- */

static int
make_channel(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd);
}

static bool
start_checker(struct supervisor *s, struct worker *worker, int64_t now)
{
	struct generation *g = s->generation;
	struct child *c = worker->child;
	char role[32];
	int fd[2];
	pid_t pid;

	if (now < c->backoff.not_before_us)
		return false;
	if (make_channel(fd) < 0) {
		log_error("cannot start a checker: %s", strerror(errno));
		proc_backoff_died(&c->backoff, false, now);
		return false;
	}
	snprintf(role, sizeof(role), "checker %d", worker->index + 1);
	pid = proc_fork(role, (int[]){ fd[1], s->pipe_write }, 2);
	if (pid == 0) {
		struct checker_start start = { g->config, fd[1], s->pipe_write };

		if (proc_drop(&s->start->checker_user) < 0)
			fatal(EXIT_PERMISSION, "cannot become user \"%s\": %s",
			    s->start->checker_user.name, strerror(errno));
		proc_follow_parent(s->self);
		_exit(checker_main(&start));
	}
	close(fd[1]);
	if (pid < 0) {
		log_error("cannot start a checker: fork: %s", strerror(errno));
		close(fd[0]);
		proc_backoff_died(&c->backoff, false, now);
		return false;
	}
	*c = (struct child){ .pid = pid, .fd = fd[0], .generation = g, .backoff = c->backoff };
	g->users++;
	proc_backoff_started(&c->backoff, now);
	worker->retiring = false;
	pool_set_state(&s->pool, worker, WORKER_STARTING, now);
	return true;
}

/* Every place in the table has its other side, with a process or without. */
static void
resize_pool(struct supervisor *s, int min, int max)
{
	int before = s->pool.count;

	pool_resize(&s->pool, min, max);
	for (int i = before; i < s->pool.count; i++) {
		s->pool.worker[i].child = xcalloc(1, sizeof(struct child));
		s->pool.worker[i].child->fd = -1;
	}
}

/* Tell a checker to leave: it does so when it next looks at its socket. */
static void
retire_checker(struct worker *worker)
{
	worker->retiring = true;
	if (worker->state != WORKER_IDLE && worker->state != WORKER_STARTING)
		return;
	if (worker->child->fd >= 0)
		close(worker->child->fd);
	worker->child->fd = -1;
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
		if (c->slot.epoch == NULL) {
			snprintf(
			    c->why, sizeof(c->why), "the spool was set aside while the check ran");
			pool_set_state(&s->pool, worker, WORKER_OWING, now);
			return;
		}
		pool_set_state(&s->pool, worker, WORKER_IDLE, now);
		c->watch = NULL;
		quarantine_survived(&w->quarantine);
		watch_finished(s, w, done);
	}
	if (worker->retiring)
		retire_checker(worker);
}

/*
 * Read what a checker says. After its death the queue is read to the end: a peer that was killed
 * with unread bytes yields one ECONNRESET before what it had sent.
 */
static void
read_checker(struct supervisor *s, struct worker *worker, bool to_the_end, int64_t now)
{
	struct child *c = worker->child;
	struct wire_done done;

	while (c->fd >= 0) {
		ssize_t n = recv(c->fd, &done, sizeof(done), MSG_DONTWAIT);

		if (n == (ssize_t)sizeof(done)) {
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

static void
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
		s->exit_code = EXIT_OS;
	}
	if (worker->state == WORKER_BUSY || worker->state == WORKER_OWING) {
		/* the generation is released when the debt is paid */
		if (worker->state == WORKER_BUSY) {
			if (c->why[0] == '\0')
				snprintf(c->why, sizeof(c->why), "the checker %s", how);
			log_warning("site \"%s\": %s", c->watch->site->name, c->why);
			if (s->stage < STAGE_STOPPING)
				quarantine(c->watch, now);
			pool_set_state(&s->pool, worker, WORKER_OWING, now);
		}
	} else {
		pool_set_state(&s->pool, worker, WORKER_NONE, now);
		generation_release(c->generation);
		c->generation = NULL;
	}
	if (!expected) {
		proc_backoff_died(&c->backoff, worked, now);
		log_warning("checker %d %s", worker->index + 1, how);
	}
}

/* Write the record that a checker could not. False: the pipe is full. */
static bool
pay_debt(struct supervisor *s, struct worker *worker, int64_t now)
{
	struct child *c = worker->child;
	struct watch *w = c->watch;
	struct wire_done done = {
		.error = ERROR_ABORTED, .http_status = RESULT_NONE, .elapsed_us = RESULT_NONE
	};
	unsigned char frame[WIRE_FRAME_MAX];
	struct result result;

	if (c->slot.epoch == NULL) {
		if (!put_whole(s, w, &c->slot, ERROR_ABORTED, c->why))
			return false;
	} else {
		result_init(&result);
		result_fail(&result, ERROR_ABORTED, "%s", c->why);
		if (!put_frame(s, frame,
			payload_frame(
			    frame, WIRE_CLOSE, c->generation->config, w->site, &c->slot, &result)))
			return false;
	}
	snprintf(done.error_message, sizeof(done.error_message), "%s", c->why);
	c->watch = NULL;
	c->why[0] = '\0';
	watch_finished(s, w, &done);
	if (c->pid > 0) {
		pool_set_state(&s->pool, worker, WORKER_IDLE, now);
		if (worker->retiring)
			retire_checker(worker);
	} else {
		pool_set_state(&s->pool, worker, WORKER_NONE, now);
		generation_release(c->generation);
		c->generation = NULL;
	}
	return true;
}

static bool
pay_debts(struct supervisor *s, int64_t now)
{
	for (int i = 0; i < s->pool.count; i++)
		if (s->pool.worker[i].state == WORKER_OWING &&
		    !pay_debt(s, &s->pool.worker[i], now))
			return false;
	return true;
}

/* OPEN first, then the job: a slot that was announced gets its record whatever happens next. */
static bool
start_check(struct supervisor *s, struct watch *w, struct worker *worker, int64_t now)
{
	struct child *c = worker->child;
	unsigned char frame[WIRE_FRAME_MAX];
	struct wire_job job = { .site = w->index,
		.seq = s->next_seq,
		.slot_us = w->timer.slot_us,
		.due_us = w->timer.due_us };

	memcpy(c->epoch, s->epoch, sizeof(c->epoch));
	memcpy(job.epoch, s->epoch, sizeof(job.epoch));
	c->slot = (struct slot){ .epoch = c->epoch,
		.seq = job.seq,
		.slot_us = job.slot_us,
		.started_us = job.slot_us + now - job.due_us,
		.lateness_us = now - job.due_us };
	if (!put_frame(s, frame,
		payload_frame(frame, WIRE_OPEN, s->generation->config, w->site, &c->slot, NULL)))
		return false;
	s->next_seq++;
	watch_dequeue(s, w);
	watch_advance(s, w);
	w->running = true;
	c->watch = w;
	c->why[0] = '\0';
	pool_assign(&s->pool, worker, w->slow, now + w->site->timeout_us + WATCHDOG_GRACE_US);
	/* if it died a moment ago the send fails, and waitpid() will tell */
	if (send(c->fd, &job, sizeof(job), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("checker %d does not take work: %s", worker->index + 1, strerror(errno));
	return true;
}

static void
kill_overdue(struct supervisor *s, int64_t now)
{
	struct worker *worker;

	while ((worker = pool_overdue(&s->pool, now)) != NULL) {
		struct child *c = worker->child;

		if (!pipe_wait_room(s->pipe_write, 0)) {
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

static void
keep_pool(struct supervisor *s, int64_t now)
{
	struct worker *worker = NULL;

	if (s->stage > STAGE_RUNNING)
		return;
	while ((worker = pool_missing_home(&s->pool, worker)) != NULL)
		start_checker(s, worker, now);
	while ((worker = pool_surplus(&s->pool, now)) != NULL)
		retire_checker(worker);
	for (int i = s->pool.max; i < s->pool.count; i++)
		if (!s->pool.worker[i].retiring && s->pool.worker[i].state != WORKER_NONE)
			retire_checker(&s->pool.worker[i]);
}

/* --- dispatch ---------------------------------------------------------------------------- */

/* The lane whose turn it is, or NULL when nothing is due or may run. */
static struct schedule *
due_lane(struct supervisor *s, const bool blocked[2], int64_t now)
{
	struct schedule *best = NULL;

	for (int i = 0; i < 2; i++) {
		struct timer *t = schedule_first(&s->lane[i]);

		if (blocked[i] || t == NULL || t->due_us > now)
			continue;
		if (best == NULL || t->due_us < schedule_first(best)->due_us)
			best = &s->lane[i];
	}
	return best;
}

/* Start what is due. Returns when to look again (monotonic). */
static int64_t
dispatch(struct supervisor *s, int64_t now)
{
	bool blocked[2] = { false, false };
	int64_t wake = INT64_MAX;
	struct schedule *lane;

	s->pipe_full = false;
	if (!pay_debts(s, now))
		return wake;
	while ((lane = due_lane(s, blocked, now)) != NULL) {
		struct watch *w = watch_of(schedule_first(lane));
		struct worker *worker;

		watch_dequeue(s, w);
		bool written = record_missed(s, w, now);
		watch_enqueue(s, w);
		if (!written)
			return wake;
		if (w->timer.due_us > now)
			continue;
		worker = pool_choose(&s->pool, w->hash, w->slow);
		if (worker != NULL) {
			if (!start_check(s, w, worker, now))
				return wake;
			continue;
		}
		blocked[w->slow] = true;
		if (w->slow && pool_slow_lane_full(&s->pool))
			continue;
		blocked[0] = blocked[1] = true; /* nobody is idle */
		if (now < w->timer.due_us + POOL_GROW_US) {
			wake = w->timer.due_us + POOL_GROW_US;
		} else {
			while (s->pool.starting < GROW_AT_ONCE &&
			       (worker = pool_grow(&s->pool)) != NULL &&
			       start_checker(s, worker, now))
				;
		}
	}
	for (int i = 0; i < 2; i++) {
		struct timer *t = schedule_first(&s->lane[i]);

		if (t != NULL && !blocked[i] && t->due_us < wake)
			wake = t->due_us;
	}
	return wake;
}

/* At a stop: what is due gets its record too. False: the pipe is full. */
static bool
record_remaining(struct supervisor *s)
{
	for (int i = 0; i < 2; i++) {
		struct timer *t;

		while ((t = schedule_first(&s->lane[i])) != NULL) {
			struct watch *w = watch_of(t);

			watch_dequeue(s, w);
			if (!record_missed(s, w, s->stopping_since_us)) {
				watch_enqueue(s, w);
				return false;
			}
		}
	}
	return true;
}

/* --- publisher --------------------------------------------------------------------------- */

static void
start_publisher(struct supervisor *s, int64_t now)
{
	int fd[2];
	pid_t pid;

	if (s->publisher.pid > 0 || now < s->publisher.backoff.not_before_us)
		return;
	if (make_channel(fd) < 0) {
		log_error("cannot start the publisher: %s", strerror(errno));
		proc_backoff_died(&s->publisher.backoff, false, now);
		return;
	}
	pid = proc_fork("publisher", (int[]){ fd[1], s->pipe_read }, 2);
	if (pid == 0) {
		struct publisher_start start = { .config = s->generation->config,
			.output = s->start->output,
			.epoch = s->epoch,
			.pipe_fd = s->pipe_read,
			.control_fd = fd[1] };

		if (proc_drop(&s->start->publisher_user) < 0)
			fatal(EXIT_PERMISSION, "cannot become user \"%s\": %s",
			    s->start->publisher_user.name, strerror(errno));
		_exit(publisher_main(&start));
	}
	close(fd[1]);
	if (pid < 0) {
		log_error("cannot start the publisher: fork: %s", strerror(errno));
		close(fd[0]);
		proc_backoff_died(&s->publisher.backoff, false, now);
		return;
	}
	s->publisher.pid = pid;
	s->publisher.fd = fd[0];
	s->publisher.handing_over = false;
	s->publisher.report.ready = false;
	proc_backoff_started(&s->publisher.backoff, now);
}

static void
order_publisher(struct supervisor *s, enum wire_order order)
{
	if (s->publisher.fd >= 0 &&
	    send(s->publisher.fd, &order, sizeof(order), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("the publisher does not take orders: %s", strerror(errno));
}

static void
read_publisher(struct supervisor *s)
{
	struct wire_report report;
	ssize_t n;

	while ((n = recv(s->publisher.fd, &report, sizeof(report), MSG_DONTWAIT)) > 0)
		if (n == (ssize_t)sizeof(report))
			s->publisher.report = report;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close(s->publisher.fd);
	s->publisher.fd = -1;
}

static void
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
	if (s->stage == STAGE_DRAINING && code == EXIT_FINE) {
		s->stage = STAGE_OVER;
		return;
	}
	if (s->publisher.handing_over)
		return; /* its successor starts at once */
	if (code == EXIT_SPOOL_LOST) {
		begin_epoch(s);
		log_error("the spool was set aside; a new epoch begins: %s", s->epoch);
		return;
	}
	if (s->start->output == PUBLISH_TO_STDOUT && code == EXIT_FINE) {
		/* who read our standard output has gone: nobody wants the rest; checkers follow us */
		s->stage = STAGE_OVER;
		return;
	}
	log_error("the publisher %s", proc_describe_exit(status, how, sizeof(how)));
	if (s->stage == STAGE_STARTING && !was_ready)
		s->exit_code = code > 0 ? code : EXIT_INTERNAL;
	proc_backoff_died(&s->publisher.backoff, was_ready, now);
}

/* --- reload ------------------------------------------------------------------------------ */

static void
begin_reload(struct supervisor *s)
{
	struct mistakes mistakes = { 0 };
	struct config *config;

	if (s->reload.pid != 0 || s->reload.validated || s->publisher.handing_over) {
		s->reload.again = true;
		return;
	}
	s->reload.again = false;
	systemd_notify("RELOADING=1\nSTATUS=reloading");
	config = config_load(s->generation->config->file, &mistakes);
	for (size_t i = 0; i < mistakes.count; i++)
		log_error("%s", mistakes.line[i]);
	mistakes_release(&mistakes);
	if (config != NULL) {
		s->reload.candidate = generation_new(config, s->generation->number + 1);
		s->reload.line_size = 0;
		s->reload.pid = validate_start(
		    config, &s->start->publisher_user, false, &s->reload.fd);
		if (s->reload.pid > 0)
			return;
		log_error("cannot start the validation: %s", strerror(errno));
		generation_release(s->reload.candidate);
		s->reload.pid = 0;
	}
	log_error("reload failed: the old configuration stays in force");
	systemd_notify("READY=1\nSTATUS=reload failed: the old configuration stays in force");
}

/* What a restart is needed for stays as it was. */
static void
keep_fixed_settings(const struct config *old, struct config *new)
{
	const struct {
		const char *name;
		const char *old;
		const char **new;
	} fixed[] = {
		{ "pid_file", old->pid_file, &new->pid_file },
		{ "spool.dir", old->spool_dir, &new->spool_dir },
		{ "user", old->user, &new->user },
		{ "checker_user", old->checker_user, &new->checker_user },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(fixed); i++) {
		const char *a = fixed[i].old != NULL ? fixed[i].old : "";
		const char *b = *fixed[i].new != NULL ? *fixed[i].new : "";

		if (strcmp(a, b) != 0)
			log_warning("%s: the change takes effect at the next start", fixed[i].name);
	}
	if (old->has_kafka != new->has_kafka)
		log_warning("kafka: adding or removing the section takes effect at the next start");
}

/* What came up for sites that leave gets its record. False: the pipe is full, try again. */
static bool
dismiss_sites(struct supervisor *s, const struct config *config, int64_t now)
{
	for (size_t i = 0; i < s->watch_count; i++) {
		struct watch *w = s->watches[i];

		if (config_find_site(config, w->site->name) >= 0)
			continue;
		w->removed = true;
		watch_dequeue(s, w);
		if (!record_missed(s, w, now)) {
			if (!w->running)
				watch_enqueue(s, w);
			return false;
		}
	}
	return true;
}

/* Take over the sites of `config`: the unchanged ones keep slot, state and running check. */
static void
adopt_sites(struct supervisor *s, const struct config *config, int64_t now)
{
	struct watch **watches = xcalloc(config->site_count, sizeof(struct watch *));
	size_t added = 0, changed = 0, removed = 0;

	for (size_t i = 0; i < s->watch_count; i++) {
		struct watch *w = s->watches[i];
		ssize_t index = config_find_site(config, w->site->name);

		if (index < 0) {
			removed++;
			if (!w->running)
				free(w);
			continue;
		}
		const struct site *site = &config->sites[index];
		bool new_grid = site->interval_us != w->site->interval_us;

		changed += !config_site_equal(site, w->site);
		w->site = site;
		w->index = (uint32_t)index;
		watches[index] = w;
		if (!new_grid)
			continue;
		w->phase_us = schedule_phase(site->name, site->interval_us);
		if (w->timer.due_us > now) {
			watch_dequeue(s, w);
			watch_set_next(w);
			if (!w->running)
				watch_enqueue(s, w);
		}
	}
	for (size_t i = 0; i < config->site_count; i++) {
		if (watches[i] != NULL)
			continue;
		added++;
		watches[i] = watch_new(&config->sites[i], (uint32_t)i);
		watch_set_next(watches[i]);
		watch_enqueue(s, watches[i]);
	}
	free(s->watches);
	s->watches = watches;
	s->watch_count = config->site_count;
	log_notice("reloaded: %zu sites, %zu added, %zu changed, %zu removed", s->watch_count,
	    added, changed, removed);
}

/* The new configuration is good: everybody moves over to it. Tried again while the pipe is full. */
static void
take_over(struct supervisor *s, int64_t now)
{
	struct generation *old = s->generation, *candidate = s->reload.candidate;

	if (candidate == NULL || !dismiss_sites(s, candidate->config, now))
		return;
	s->reload.validated = false;
	s->reload.candidate = NULL;
	keep_fixed_settings(old->config, candidate->config);
	adopt_sites(s, candidate->config, now);
	s->generation = candidate;
	resize_pool(s, candidate->config->workers_min, candidate->config->workers_max);
	for (int i = 0; i < s->pool.count; i++)
		if (s->pool.worker[i].state != WORKER_NONE &&
		    s->pool.worker[i].state != WORKER_OWING)
			retire_checker(&s->pool.worker[i]);
	/* running checks point into the old one: their children hold it */
	generation_release(old);
	s->start->open_log(candidate->config);
	if (s->publisher.pid > 0) {
		s->publisher.handing_over = true;
		order_publisher(s, WIRE_HAND_OVER);
	}
	keep_pool(s, now);
	systemd_notify("READY=1");
	s->next_status_us = 0;
}

static void
finish_validation(struct supervisor *s, int status)
{
	if (s->reload.fd >= 0)
		close(s->reload.fd);
	s->reload.pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FINE) {
		s->reload.validated = true;
		return;
	}
	generation_release(s->reload.candidate);
	s->reload.candidate = NULL;
	log_error("reload failed: the old configuration stays in force");
	systemd_notify("READY=1\nSTATUS=reload failed: the old configuration stays in force");
}

/* The validation's lines go to the log as they are. */
static void
read_validation(struct supervisor *s)
{
	char *end;
	ssize_t n = read(s->reload.fd, s->reload.line + s->reload.line_size,
	    sizeof(s->reload.line) - 1 - s->reload.line_size);

	if (n <= 0) {
		close(s->reload.fd);
		s->reload.fd = -1; /* its exit code comes with SIGCHLD */
		return;
	}
	s->reload.line_size += (size_t)n;
	s->reload.line[s->reload.line_size] = '\0';
	while ((end = strchr(s->reload.line, '\n')) != NULL ||
	       s->reload.line_size == sizeof(s->reload.line) - 1) {
		size_t length = end != NULL ? (size_t)(end - s->reload.line) : s->reload.line_size;

		log_error("%.*s", (int)length, s->reload.line);
		length += end != NULL;
		s->reload.line_size -= length;
		memmove(s->reload.line, s->reload.line + length, s->reload.line_size + 1);
	}
}

/* --- the loop ---------------------------------------------------------------------------- */

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
			finish_validation(s, status);
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
	s->stage = STAGE_STOPPING;
	s->stopping_since_us = now;
}

/* Bring the stop forward. Returns when to look again. */
static int64_t
continue_stop(struct supervisor *s, int64_t now)
{
	int64_t age = now - s->stopping_since_us;
	int alive = 0;

	if (s->stage == STAGE_DRAINING) {
		if (age > STOP_PUBLISHER_US && s->publisher.pid > 0) {
			log_error(
			    "the publisher does not end: killed; what it had not stored is lost");
			kill(s->publisher.pid, SIGKILL);
			s->stage = STAGE_OVER;
			s->exit_code = EXIT_INTERNAL;
		}
		if (age > STOP_PUBLISHER_US)
			s->stage = STAGE_OVER;
		return now + US_PER_S;
	}
	for (int i = 0; i < s->pool.count; i++) {
		struct worker *worker = &s->pool.worker[i];

		if (worker->child->pid == 0)
			continue;
		alive++;
		if (!worker->retiring)
			retire_checker(worker);
		if (age > STOP_KILL_US)
			kill(worker->child->pid, SIGKILL);
		else if (worker->state == WORKER_BUSY && (age > STOP_CHECKS_US || s->hurry))
			kill(worker->child->pid, SIGTERM);
	}
	if (!pay_debts(s, now) || !record_remaining(s) || alive > 0)
		return now + 200 * US_PER_MS;
	close(s->pipe_write);
	s->pipe_write = -1;
	/* a start that failed has nothing to drain */
	s->stage = s->publisher.pid == 0 && s->exit_code != EXIT_FINE ? STAGE_OVER : STAGE_DRAINING;
	if (s->hurry)
		order_publisher(s, WIRE_NO_FLUSH);
	return now + US_PER_S;
}

static void
handle_signals(struct supervisor *s, int64_t now)
{
	static int terms_seen;

	if (got_sigterm != terms_seen) {
		terms_seen = got_sigterm;
		if (s->stage >= STAGE_STOPPING && !s->hurry) {
			s->hurry = true;
			order_publisher(s, WIRE_NO_FLUSH);
		}
		begin_stop(s, now);
	}
	if (got_sigchld)
		reap(s, now);
	if (got_sighup) {
		got_sighup = 0;
		s->reload.again = true;
	}
	if (s->reload.validated && s->stage == STAGE_RUNNING)
		take_over(s, now);
	if (s->reload.again && s->stage == STAGE_RUNNING && !s->start->once)
		begin_reload(s);
}

/* All are up: slots begin now. */
static void
become_ready(struct supervisor *s)
{
	const struct config *config = s->generation->config;
	int64_t now = util_mono_us();

	s->stage = STAGE_RUNNING;
	s->clock_offset_us = util_utc_us() - now;
	if (s->start->once && s->start->output == PUBLISH_TO_NOTHING)
		printf("%-24s %-8s %4s %9s  %s\n", "SITE", "STATUS", "CODE", "MS", "WHY");
	for (size_t i = 0; i < s->watch_count; i++) {
		struct watch *w = s->watches[i];

		watch_set_next(w);
		if (s->start->once) {
			w->timer.due_us = now;
			w->timer.slot_us = now + s->clock_offset_us;
		}
		watch_enqueue(s, w);
	}
	if (s->start->once)
		return;
	log_notice("webmond " VERSION " watches %zu sites with %d to %d checkers; epoch %s",
	    s->watch_count, config->workers_min, config->workers_max, s->epoch);
	daemon_ready();
	systemd_notify("READY=1\nMAINPID=%d", (int)getpid());
}

static void
tell_status(struct supervisor *s, int64_t now)
{
	long long every = systemd_watchdog_us() / 3;
	size_t down = 0;

	if (now < s->next_status_us || s->stage != STAGE_RUNNING || s->start->once)
		return;
	s->next_status_us = now + (every > 0 && every < 5 * US_PER_S ? every : 5 * US_PER_S);
	for (size_t i = 0; i < s->watch_count; i++)
		down += s->watches[i]->known && s->watches[i]->status != STATUS_UP;
	systemd_notify("WATCHDOG=1\nSTATUS=%zu sites, %zu not up, %d of %d checkers busy, "
		       "%s, %llu records waiting",
	    s->watch_count, down, s->pool.busy, s->pool.max,
	    s->publisher.report.delivering ? "delivering" : "Kafka does not take records",
	    (unsigned long long)s->publisher.report.queued);
}

/* Wait for messages, signals and `wake`, and read the messages. */
static void
wait_and_read(struct supervisor *s, int64_t wake, const sigset_t *open_mask)
{
	static struct pollfd *polls;
	static int room;
	int64_t now = util_mono_us();
	struct timespec timeout = { 0 };
	sigset_t blocked;
	int n = 0, worker_start;

	if (polls == NULL || room < s->pool.count + 3) {
		room = s->pool.count + 3;
		polls = xreallocarray(polls, (size_t)room, sizeof(*polls));
	}
	polls[n++] = (struct pollfd){ .fd = s->publisher.fd, .events = POLLIN };
	polls[n++] = (struct pollfd){ .fd = s->reload.pid > 0 ? s->reload.fd : -1,
		.events = POLLIN };
	polls[n++] = (struct pollfd){ .fd = s->pipe_full ? s->pipe_write : -1, .events = POLLOUT };
	worker_start = n;
	for (int i = 0; i < s->pool.count; i++) {
		const struct worker *worker = &s->pool.worker[i];
		bool speaks = worker->state == WORKER_STARTING || worker->state == WORKER_BUSY;

		polls[n++] = (struct pollfd){ .fd = speaks ? worker->child->fd : -1,
			.events = POLLIN };
	}
	if (wake > now) {
		timeout.tv_sec = (wake - now) / US_PER_S;
		timeout.tv_nsec = (wake - now) % US_PER_S * 1000;
	}
	if (ppoll(polls, (nfds_t)n, &timeout, open_mask) <= 0)
		return;
	/* ppoll() delivers no signal when a descriptor is ready: under load none would ever come */
	sigprocmask(SIG_SETMASK, open_mask, &blocked);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	now = util_mono_us();
	if (polls[0].revents != 0)
		read_publisher(s);
	if (polls[1].revents != 0)
		read_validation(s);
	for (int i = worker_start; i < n; i++)
		if (polls[i].revents != 0)
			read_checker(s, &s->pool.worker[i - worker_start], false, now);
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

static int
run(struct supervisor *s, const sigset_t *open_mask)
{
	while (s->stage != STAGE_OVER) {
		int64_t now = util_mono_us();
		int64_t wake = now + US_PER_S; /* backoffs, systemd, the clock */

		handle_signals(s, now);
		if (s->stage == STAGE_STARTING && s->exit_code != EXIT_FINE)
			begin_stop(s, now);
		if (s->stage != STAGE_OVER &&
		    (s->stage < STAGE_DRAINING || s->exit_code == EXIT_FINE))
			start_publisher(s, now);
		keep_pool(s, now);
		if (s->stage == STAGE_STARTING && everyone_ready(s))
			become_ready(s);
		follow_clock(s, now);
		kill_overdue(s, now);
		if (s->stage == STAGE_RUNNING) {
			wake = earliest(wake, dispatch(s, now));
			wake = earliest(wake, pool_next_deadline(&s->pool));
			if (s->start->once && s->once_left == 0)
				begin_stop(s, now);
		}
		if (s->stage >= STAGE_STOPPING && s->stage != STAGE_OVER)
			wake = earliest(wake, continue_stop(s, now));
		tell_status(s, now);
		if (s->stage != STAGE_OVER && !got_sigchld)
			wait_and_read(s, wake, open_mask);
	}
	return s->exit_code;
}

static void
catch_signals(sigset_t *open_mask)
{
	static const int caught[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	/* blocked but in ppoll(): none can slip in between a look at a flag and the wait */
	sigemptyset(&blocked);
	for (size_t i = 0; i < ARRAY_LENGTH(caught); i++) {
		sigaction(caught[i], &action, NULL);
		sigaddset(&blocked, caught[i]);
	}
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	sigemptyset(open_mask);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* With --once SITE…: only these. Returns false after naming one that does not exist. */
static bool
choose_watches(struct supervisor *s)
{
	const struct config *config = s->generation->config;
	char *const *only = s->start->only;
	bool all = !s->start->once || only == NULL || *only == NULL;

	s->watches = xcalloc(config->site_count, sizeof(struct watch *));
	for (size_t i = 0; all && i < config->site_count; i++)
		s->watches[s->watch_count++] = watch_new(&config->sites[i], (uint32_t)i);
	for (; !all && *only != NULL; only++) {
		ssize_t i = config_find_site(config, *only);

		if (i < 0) {
			log_error("no enabled site \"%s\" in \"%s\"", *only, config->file);
			return false;
		}
		s->watches[s->watch_count++] = watch_new(&config->sites[i], (uint32_t)i);
	}
	s->once_left = s->watch_count;
	return true;
}

int
supervisor_main(const struct supervisor_start *start)
{
	struct supervisor s = { .start = start,
		.publisher = { .fd = -1 },
		.generation = generation_new(start->config, 1),
		.self = getpid() };
	sigset_t open_mask;
	int code;

	log_set_role("supervisor");
	proc_set_title("webmond: supervisor");
	if (!choose_watches(&s))
		return EXIT_USAGE;
	if (pipe_open(&s.pipe_read, &s.pipe_write) < 0)
		fatal(EXIT_OS, "cannot create the results pipe: %s", strerror(errno));
	resize_pool(&s, start->config->workers_min, start->config->workers_max);
	begin_epoch(&s);
	catch_signals(&open_mask);
	code = run(&s, &open_mask);
	if (!start->once && code == EXIT_FINE)
		log_notice("stopped");
	return code;
}
