/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* * The supervisor's side of the checkers: start, messages, death. A process is replaced only after
 * waitpid() has returned it. Failures before the first readiness end the program with their exit
 * code; later ones are logged and tried again.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checker.h"
#include "log.h"
#include "state.h"

/* For an idle checker that was told to leave; it needs much less. */
#define LEAVE_US (10 * US_PER_S)

/* For one that has reported that it leaves: a hostile one could report that and stay. */
#define LEFT_US (2 * US_PER_S)

/* Checkers started in one turn of the loop, half a millisecond each. */
#define START_AT_ONCE 8

/* The loop turns every second. If it did not, this machine ran nothing, checkers included. */
#define OVERSLEPT_US (1500 * US_PER_MS)

/* --- start ------------------------------------------------------------------------------- */

static void
forget_tokens_of(struct checks *checks)
{
	for (struct check *c = STAILQ_FIRST(checks); c != NULL; c = STAILQ_NEXT(c, next))
		explicit_bzero(&c->job, sizeof(c->job));
}

/* What returned functions left on the stack; those that make frames need 16 KB. */
__attribute__((noinline)) static void
wipe_stack(void)
{
	unsigned char below[64 * 1024];

	explicit_bzero(below, sizeof(below));
}

/* * In a new checker, which is a copy of the supervisor and may come into foreign hands: it must not
 * know the tokens of open slots, nor the key that makes them.
 */
static void
forget_tokens(struct supervisor *s)
{
	wipe_stack();
	explicit_bzero(s->token_key, sizeof(s->token_key));
	forget_tokens_of(&s->waiting);
	forget_tokens_of(&s->pending_closes);
	for (int i = 0; i < s->pool.count; i++)
		forget_tokens_of(&s->pool.worker[i].child->checks);
}

bool
start_checker(struct supervisor *s, struct worker *worker, int64_t now)
{
	struct child *c = worker->child;
	struct claims *claims;
	char role[32];
	int fd;
	pid_t pid;

	if (now < c->backoff.not_before_us)
		return false;
	claims = claims_new();
	if (claims == NULL) {
		log_error("cannot start a checker: %s", strerror(errno));
		proc_backoff_died(&c->backoff, false, now);
		return false;
	}
	snprintf(role, sizeof(role), "checker %d", worker->index + 1);
	pid = proc_spawn(role, &s->start->checker_user, (int[]){ s->checkers.write_fd, -1, -1, -1 },
	    &c->backoff, now, &fd);
	if (pid == 0) {
		const struct proc_user *user = &s->start->checker_user;
		struct checker_start start = { .config = s->config,
			.job_fd = fd,
			.pipe_fd = s->checkers.write_fd,
			.own_user = user->drop && user->uid != s->start->publisher_user.uid,
			.claims = claims };

		forget_tokens(s);
		proc_follow_parent(s->self);
		_exit(checker_main(&start));
	}
	if (pid < 0) {
		claims_free(claims);
		return false;
	}
	claims_hide(claims);
	c->pid = pid;
	c->fd = fd;
	c->claims = claims;
	c->jobs = 0;
	c->config = config_hold(s->config);
	worker->retiring = false;
	pool_set_state(&s->pool, worker, WORKER_STARTING, now);
	return true;
}

void
resize_pool(struct supervisor *s, int min, int max)
{
	int before = s->pool.count;

	pool_resize(&s->pool, min, max);
	for (int i = before; i < s->pool.count; i++) {
		struct child *c = s->pool.worker[i].child = xcalloc(1, sizeof(*c));

		c->fd = -1;
		STAILQ_INIT(&c->checks);
	}
}

/* --- checkers ---------------------------------------------------------------------------- */

static void
close_channel(struct child *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void
retire_checker(struct supervisor *s, struct worker *worker, int64_t now)
{
	worker->retiring = true;
	if (worker->state == WORKER_IDLE || worker->state == WORKER_STARTING) {
		close_channel(worker->child);
		pool_set_deadline(&s->pool, worker, now + LEAVE_US);
	}
}

static bool
send_job(struct child *c, struct wire_job *job)
{
	job->number = c->jobs + 1;
	if (send(c->fd, job, sizeof(*job), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return false;
	c->jobs++;
	return true;
}

bool
assign_check(struct supervisor *s, struct check *check, struct worker *worker, int64_t now)
{
	struct child *c = worker->child;

	if (!send_job(c, &check->job)) {
		/* its socket is full; or it has just died, or has shut its socket */
		log_debug("checker %d takes no work: %s", worker->index + 1, strerror(errno));
		if (worker->state == WORKER_BUSY && errno == EAGAIN)
			worker->queued_us = POOL_QUEUE_US;
		else
			kill(c->pid, SIGKILL);
		STAILQ_INSERT_HEAD(&s->waiting, check, next);
		return false;
	}
	if (STAILQ_EMPTY(&c->checks))
		check->begun_us = now;
	check->state->last_worker = worker->index;
	STAILQ_INSERT_TAIL(&c->checks, check, next);
	pool_assign(&s->pool, worker, check->state->slow, check->expected_us,
	    check->site->timeout_us + WATCHDOG_GRACE_US, now);
	return true;
}

/* * Take back the checks that a checker has not begun; they wait for another one.
 *
 * The first check of a checker that is alive stays, begun or not: if it was not begun, the checker
 * is stuck, and the watchdog will end it. A dead checker keeps at most its first check, as the one
 * that ended it: checks run one at a time, so it cannot have begun a second one.
*/
static void
reclaim(struct supervisor *s, struct worker *worker, bool alive)
{
	struct child *c = worker->child;
	struct checks had = STAILQ_HEAD_INITIALIZER(had);
	uint64_t taken = claims_revoke(c->claims, c->jobs);
	struct check *check;

	STAILQ_CONCAT(&had, &c->checks);
	while ((check = STAILQ_FIRST(&had)) != NULL) {
		bool begun = check->job.number <= taken || check->why[0] != '\0';
		bool stays = STAILQ_EMPTY(&c->checks) ? alive || begun : alive && begun;

		STAILQ_REMOVE_HEAD(&had, next);
		if (stays) {
			STAILQ_INSERT_TAIL(&c->checks, check, next);
			if (!begun && !send_job(c, &check->job))
				kill(c->pid, SIGKILL);
		} else {
			pool_reclaim(&s->pool, worker);
			check->begun_us = RESULT_NONE;
			STAILQ_INSERT_TAIL(&s->waiting, check, next);
		}
	}
}

void
requeue_stalled(struct supervisor *s, int64_t now)
{
	struct worker *worker = NULL;

	if (s->pool.queued == 0)
		return;
	while ((worker = pool_stalled(&s->pool, worker, now)) != NULL)
		reclaim(s, worker, true);
}

/* It has become ready, or has no check left. */
static void
release_checker(struct supervisor *s, struct worker *worker, int64_t now)
{
	pool_set_state(&s->pool, worker, WORKER_IDLE, now);
	if (worker->retiring)
		retire_checker(s, worker, now);
}

/* Returns false for a message that no honest checker sends. */
static bool
handle_done(struct supervisor *s, struct worker *worker, struct wire_done *done, int64_t now)
{
	struct child *c = worker->child;
	struct check *check = STAILQ_FIRST(&c->checks), *running;
	char said[sizeof(done->error_message)];

	/* it may be in foreign hands: every field may hold anything */
	memcpy(said, done->error_message, sizeof(said));
	util_clean_text(
	    done->error_message, sizeof(done->error_message), said, strnlen(said, sizeof(said)));
	if ((unsigned)done->error >= ERROR_COUNT)
		done->error = ERROR_LOCAL;
	if (done->ended_us > now)
		done->ended_us = now;
	if (done->type == WIRE_READY && worker->state == WORKER_STARTING) {
		release_checker(s, worker, now);
		return true;
	}
	if (done->type != WIRE_DONE || check == NULL || done->seq != check->job.seq)
		return false;
	STAILQ_REMOVE_HEAD(&c->checks, next);
	quarantine_survived(&check->state->quarantine);
	site_finished(s, check->state, done);
	if (done->leaving) {
		worker->retiring = true;
		reclaim(s, worker, false);
	}
	running = STAILQ_FIRST(&c->checks);
	if (running == NULL) {
		release_checker(s, worker, now);
		if (done->leaving)
			pool_set_deadline(&s->pool, worker, now + LEFT_US);
	} else {
		running->begun_us = now;
		pool_next(&s->pool, worker, check->expected_us,
		    running->site->timeout_us + WATCHDOG_GRACE_US, now);
	}
	check_free(check);
	return true;
}

/* * Read all of its messages, after its death too: a socket whose peer was killed with unread bytes
 * yields one ECONNRESET before the messages. One that shuts its socket or sends nonsense is killed.
 */
void
read_checker(struct supervisor *s, struct worker *worker, int64_t now)
{
	struct child *c = worker->child;
	struct wire_done done;

	while (c->fd >= 0) {
		ssize_t n = recv(c->fd, &done, sizeof(done), MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if ((n < 0 && (errno == EINTR || errno == ECONNRESET)) ||
		    (n == (ssize_t)sizeof(done) && handle_done(s, worker, &done, now)))
			continue;
		if (n > 0)
			log_warning("checker %d says what nobody asked for", worker->index + 1);
		close_channel(c);
		if (c->pid > 0)
			kill(c->pid, SIGKILL);
	}
}

/* A check ended its checker; a site that does so repeatedly is not checked for some time. */
static void
quarantine(struct site_state *w, int64_t now)
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
	struct check *check;
	char how[64];

	proc_describe_exit(status, how, sizeof(how));
	c->pid = 0;
	read_checker(s, worker, now); /* its last message may be that it leaves */
	reclaim(s, worker, false);
	close_channel(c);
	claims_free(c->claims);
	c->claims = NULL;
	if (worker->state == WORKER_STARTING && s->stage == STAGE_STARTING) {
		log_error("checker %d %s at its start", worker->index + 1, how);
		s->failed = true;
		s->exit_code = EXIT_OS;
	}
	if (!worker->retiring && s->stage < STAGE_STOPPING) {
		proc_backoff_died(&c->backoff, worker->state != WORKER_STARTING, now);
		log_warning("checker %d %s", worker->index + 1, how);
	}
	if ((check = STAILQ_FIRST(&c->checks)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->checks, next);
		if (check->why[0] == '\0')
			snprintf(check->why, sizeof(check->why), "the checker %s", how);
		log_warning("site \"%s\": %s", check->state->site->name, check->why);
		if (s->stage < STAGE_STOPPING)
			quarantine(check->state, now);
		STAILQ_INSERT_TAIL(&s->pending_closes, check, next);
	}
	pool_set_state(&s->pool, worker, WORKER_NONE, now);
	config_release(c->config);
	c->config = NULL;
	s->next_maintenance_us = 0;
}

/* * Whether a checker is late because the pipe is full. A hostile checker can keep it full, so the
 * excuse holds only until the publisher has emptied the pipe twice: by then every honest checker
 * that waits has found room.
*/
static bool
waits_for_pipe(struct supervisor *s, struct check *check, int64_t now)
{
	uint64_t taken = s->publisher.report.taken;

	if (!pipe_wait_room(s->checkers.write_fd, 0))
		s->pipe_full_us = now;
	if (now - s->pipe_full_us >= WATCHDOG_GRACE_US)
		return false;
	if (!check->excused || taken < check->taken) { /* a new publisher counts anew */
		check->excused = true;
		check->taken = taken;
	}
	return taken - check->taken < 2 * PIPE_SIZE;
}

void
kill_overdue(struct supervisor *s, int64_t now)
{
	struct worker *worker;

	if (now - s->last_watchdog_us > OVERSLEPT_US)
		pool_postpone(&s->pool, now + WATCHDOG_GRACE_US);
	s->last_watchdog_us = now;
	while ((worker = pool_overdue(&s->pool, now)) != NULL) {
		struct check *check = STAILQ_FIRST(&worker->child->checks);

		if (check == NULL) {
			log_warning("checker %d does not leave: killed", worker->index + 1);
			worker->deadline_us = INT64_MAX;
			kill(worker->child->pid, SIGKILL);
			continue;
		}
		if (waits_for_pipe(s, check, now)) {
			worker->deadline_us = now + WATCHDOG_GRACE_US;
			continue;
		}
		snprintf(check->why, sizeof(check->why),
		    "the checker did not end within %.3g s and was killed",
		    (double)(check->site->timeout_us + WATCHDOG_GRACE_US) / US_PER_S);
		worker->deadline_us = INT64_MAX;
		kill(worker->child->pid, SIGKILL);
	}
}

int64_t
maintain_pool(struct supervisor *s, int64_t now)
{
	struct worker *worker = NULL;
	int64_t again = now + US_PER_S;
	int started = 0;

	if (s->stage > STAGE_RUNNING)
		return INT64_MAX;
	while ((worker = pool_vacant(&s->pool, s->pool.min, worker)) != NULL) {
		if (started == START_AT_ONCE) {
			again = now;
			break;
		}
		if (start_checker(s, worker, now))
			started++;
		else if (worker->child->backoff.not_before_us < again)
			again = worker->child->backoff.not_before_us;
	}
	while ((worker = pool_surplus(&s->pool, now)) != NULL)
		retire_checker(s, worker, now);
	for (int i = s->pool.max; i < s->pool.count; i++)
		if (!s->pool.worker[i].retiring && s->pool.worker[i].state != WORKER_NONE)
			retire_checker(s, &s->pool.worker[i], now);
	return again;
}
