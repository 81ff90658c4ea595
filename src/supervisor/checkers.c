/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The supervisor's side of the checkers: start, messages, death. A process is replaced only after
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

/* --- leaving ----------------------------------------------------------------------------- */

/* An idle checker finds the end of its socket; a busy one when it has become idle. */
static void
dismiss(struct supervisor *s, struct worker *worker, int64_t now)
{
	child_close(&worker->checker->child);
	children_set_kill(&s->children, &worker->checker->child, now + LEAVE_US);
}

/* Tell it to leave, which it does when it next reads its socket. */
static void
retire_checker(struct supervisor *s, struct worker *worker, int64_t now)
{
	if (worker->state == WORKER_NONE || worker->retiring)
		return;
	worker->retiring = true;
	if (worker->state != WORKER_BUSY)
		dismiss(s, worker, now);
}

void
retire_all_checkers(struct supervisor *s, int64_t now)
{
	for (int i = 0; i < s->pool.count; i++)
		retire_checker(s, &s->pool.worker[i], now);
}

/* --- start ------------------------------------------------------------------------------- */

/* In the new process. */
static _Noreturn void
become_checker(struct supervisor *s, const struct worker *worker, int fd)
{
	const struct proc_user *user = &s->start->checker_user;
	struct checker_start start = { .config = s->config,
		.job_fd = fd,
		.pipe_fd = s->pipes.checkers.write_fd,
		.home = worker->index < s->pool.min,
		.own_user = user->drop && user->uid != s->start->publisher_user.uid };

	forget_tokens(s);
	proc_follow_parent(s->self);
	_exit(checker_main(&start));
}

bool
start_checker(struct supervisor *s, struct worker *worker, int64_t now)
{
	struct checker *c = worker->checker;
	char role[32];
	int fd;
	pid_t pid;

	if (now < c->child.backoff.not_before_us)
		return false;
	snprintf(role, sizeof(role), "checker %d", worker->index + 1);
	pid = proc_spawn(role, &s->start->checker_user,
	    (int[]){ s->pipes.checkers.write_fd, -1, -1, -1 }, &c->child.backoff, now, &fd,
	    &c->job_fd);
	if (pid == 0)
		become_checker(s, worker, fd);
	if (pid < 0)
		return false;
	c->child.pid = pid;
	c->child.fd = fd;
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
		struct checker *c = s->pool.worker[i].checker = xcalloc(1, sizeof(*c));

		c->index = i;
		STAILQ_INIT(&c->checks);
		children_add(&s->children, &c->child, CHILD_CHECKER);
	}
	s->checkers.next_maintenance_us = 0;
}

void
maintain_pool(struct supervisor *s, int64_t now)
{
	struct worker *worker = NULL;
	int64_t again = now + US_PER_S;
	int started = 0;

	if (now < s->checkers.next_maintenance_us || s->stage > STAGE_RUNNING)
		return;
	while ((worker = pool_vacant(&s->pool, s->pool.min, worker)) != NULL) {
		if (started == START_AT_ONCE) {
			again = now;
			break;
		}
		if (start_checker(s, worker, now))
			started++;
		else if (worker->checker->child.backoff.not_before_us < again)
			again = worker->checker->child.backoff.not_before_us;
	}
	while ((worker = pool_surplus(&s->pool, now)) != NULL)
		retire_checker(s, worker, now);
	for (int i = s->pool.max; i < s->pool.count; i++)
		retire_checker(s, &s->pool.worker[i], now);
	s->checkers.next_maintenance_us = again;
}

/* --- checks ------------------------------------------------------------------------------ */

/* It has become ready, or has no check left. */
static void
become_idle(struct supervisor *s, struct worker *worker, int64_t now)
{
	pool_set_state(&s->pool, worker, WORKER_IDLE, now);
	children_set_kill(&s->children, &worker->checker->child, INT64_MAX);
	if (worker->retiring)
		dismiss(s, worker, now);
}

static bool
send_job(const struct checker *c, const struct check *check)
{
	return send(c->child.fd, &check->job, sizeof(check->job), MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

/* The first check of its list runs from now on. */
static void
begin_first(struct supervisor *s, struct checker *c, int64_t now)
{
	struct check *check = STAILQ_FIRST(&c->checks);

	check->begun_us = now;
	children_set_kill(&s->children, &c->child,
	    now + site_longest_us(check->config, check->site) + WATCHDOG_GRACE_US);
}

bool
assign_check(struct supervisor *s, struct check *check, struct worker *worker, int64_t now)
{
	struct checker *c = worker->checker;

	if (!send_job(c, check)) {
		/* its socket is full; or it has just died, or has shut its socket */
		log_debug("checker %d takes no work: %s", worker->index + 1, strerror(errno));
		if (worker->state == WORKER_BUSY && errno == EAGAIN)
			worker->queued_us = POOL_QUEUE_US;
		else
			child_signal(&c->child, SIGKILL);
		wait_first(s, check);
		return false;
	}
	site_assigned(check->state, worker->index);
	STAILQ_INSERT_TAIL(&c->checks, check, next);
	pool_assign(&s->pool, worker, check->state->slow, check->expected_us, now);
	if (STAILQ_FIRST(&c->checks) == check)
		begin_first(s, c, now);
	return true;
}

/*
 * Take out of its socket the jobs that a checker has not read, and mark their checks. Each job is
 * read by one of us: none is run and taken back as well. Those that we get need not be the last
 * ones: the checker may read one between two of ours.
 */
static void
take_unread(const struct checker *c)
{
	struct wire_job job = { 0 };
	struct check *check;
	ssize_t n;

	/* once ECONNRESET, if we have closed our end with a message of the checker in it */
	while ((n = recv(c->job_fd, &job, sizeof(job), MSG_DONTWAIT)) > 0 ||
	       (n < 0 && errno == ECONNRESET)) {
		STAILQ_FOREACH (check, &c->checks, next)
			check->unread |= check->job.token == job.token;
	}
	explicit_bzero(&job, sizeof(job)); /* see forget_tokens() */
}

/*
 * Take back the checks that a checker has not begun; they wait for another one.
 *
 * A checker that is alive keeps its first check if it has begun none: it is stuck, and the watchdog
 * will end it. A dead checker keeps at most its first check, as the one that ended it: checks run
 * one at a time, so it cannot have begun a second one.
 */
static void
reclaim(struct supervisor *s, struct worker *worker, bool alive, int64_t now)
{
	struct checker *c = worker->checker;
	struct checks had = STAILQ_HEAD_INITIALIZER(had);
	struct check *first = STAILQ_FIRST(&c->checks), *check;
	bool none_begun = true;

	take_unread(c);
	STAILQ_FOREACH (check, &c->checks, next) {
		check->unread &= check->why[0] == '\0';
		none_begun &= check->unread;
	}
	if (alive && none_begun && first != NULL) {
		first->unread = false;
		if (!send_job(c, first))
			child_signal(&c->child, SIGKILL);
	}
	STAILQ_CONCAT(&had, &c->checks);
	while ((check = STAILQ_FIRST(&had)) != NULL) {
		STAILQ_REMOVE_HEAD(&had, next);
		if (!check->unread && (alive || check == first)) {
			STAILQ_INSERT_TAIL(&c->checks, check, next);
		} else {
			pool_reclaim(&s->pool, worker);
			wait_last(s, check);
		}
	}
	if (alive && STAILQ_FIRST(&c->checks) != first)
		begin_first(s, c, now);
}

void
requeue_stalled(struct supervisor *s, int64_t now)
{
	struct worker *worker = NULL;

	if (s->pool.queued == 0)
		return;
	while ((worker = pool_stalled(&s->pool, worker, now)) != NULL)
		reclaim(s, worker, true, now);
}

/* --- messages ---------------------------------------------------------------------------- */

bool
checker_may_speak(const struct supervisor *s, const struct checker *c)
{
	enum worker_state state = s->pool.worker[c->index].state;

	return state == WORKER_STARTING || state == WORKER_BUSY;
}

/* The last second of year 9999: a certificate can say no more. */
#define CERTIFICATE_MAX_US (INT64_C(253402300799) * US_PER_S)

/* The checker may have been taken over: every field may hold anything. */
static void
sanitise(struct wire_done *done, int64_t now)
{
	char text[sizeof(done->error_message)];

	memcpy(text, done->error_message, sizeof(text));
	util_clean_text(
	    done->error_message, sizeof(done->error_message), text, strnlen(text, sizeof(text)));
	if ((unsigned)done->error >= ERROR_COUNT)
		done->error = ERROR_LOCAL;
	if (done->ended_us > now)
		done->ended_us = now;
	if (done->http_status < 100 || done->http_status > 999)
		done->http_status = RESULT_NONE;
	if (done->chain_expires_us < 0 || done->chain_expires_us > CERTIFICATE_MAX_US)
		done->chain_expires_us = RESULT_NONE;
}

/* Returns false for a message that no honest checker sends. */
static bool
handle_done(struct supervisor *s, struct worker *worker, struct wire_done *done, int64_t now)
{
	struct checker *c = worker->checker;
	struct check *check = STAILQ_FIRST(&c->checks);

	sanitise(done, now);
	if (done->type == WIRE_READY && worker->state == WORKER_STARTING) {
		become_idle(s, worker, now);
		return true;
	}
	if (done->type != WIRE_DONE || check == NULL || done->seq != check->job.seq)
		return false;
	STAILQ_REMOVE_HEAD(&c->checks, next);
	site_survived(check->state);
	site_finished(s, check->state, done, now);
	site_remember(
	    s, check->state, check->job.slot_us, check->begun_us - check->job.due_us, done, now);
	if (done->leaving) {
		worker->retiring = true;
		reclaim(s, worker, false, now);
	}
	if (STAILQ_EMPTY(&c->checks)) {
		become_idle(s, worker, now);
		if (done->leaving)
			children_set_kill(&s->children, &c->child, now + LEFT_US);
	} else {
		pool_next(&s->pool, worker, check->expected_us, now);
		begin_first(s, c, now);
	}
	check_free(check);
	return true;
}

/*
 * Read all of its messages, after its death too. One that shuts its socket or sends nonsense is
 * killed.
 */
void
read_checker(struct supervisor *s, struct child *child, int64_t now)
{
	struct worker *worker = &s->pool.worker[checker_of(child)->index];
	struct wire_done done;

	while (child->fd >= 0) {
		ssize_t n = recv(child->fd, &done, sizeof(done), MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN)
			return;
		if ((n < 0 && errno == EINTR) ||
		    (n == (ssize_t)sizeof(done) && handle_done(s, worker, &done, now)))
			continue;
		if (n > 0)
			log_warning(
			    "checker %d sent an invalid message: killed", worker->index + 1);
		child_close(child);
		child_signal(child, SIGKILL);
	}
}

/* --- death ------------------------------------------------------------------------------- */

void
checker_died(struct supervisor *s, struct child *child, int status, int64_t now)
{
	struct checker *c = checker_of(child);
	struct worker *worker = &s->pool.worker[c->index];
	struct check *check;
	char how[64];

	proc_describe_exit(status, how, sizeof(how));
	read_checker(s, child, now); /* its last message may be that it leaves */
	reclaim(s, worker, false, now);
	child_close(child);
	close(c->job_fd);
	if (worker->state == WORKER_STARTING && s->stage == STAGE_STARTING) {
		log_error("checker %d %s at its start", worker->index + 1, how);
		s->checkers.exit_code = EXIT_OS;
	}
	if (!worker->retiring && s->stage < STAGE_STOPPING) {
		proc_backoff_died(&child->backoff, worker->state != WORKER_STARTING, now);
		log_warning("checker %d %s", worker->index + 1, how);
	}
	if ((check = STAILQ_FIRST(&c->checks)) != NULL) {
		STAILQ_REMOVE_HEAD(&c->checks, next);
		if (check->why[0] == '\0')
			snprintf(check->why, sizeof(check->why), "the checker %s", how);
		log_warning("site \"%s\": %s", check->state->site->name, check->why);
		if (s->stage < STAGE_STOPPING)
			site_crashed(check->state, now);
		add_pending_close(s, check);
	}
	pool_set_state(&s->pool, worker, WORKER_NONE, now);
	children_set_kill(&s->children, child, INT64_MAX);
	config_release(c->config);
	c->config = NULL;
	s->checkers.next_maintenance_us = 0;
}

/*
 * Whether a checker is late because the pipe is full. A hostile checker can keep it full, so the
 * excuse holds only until the publisher has emptied the pipe twice: by then every honest checker
 * that waits has found room.
 */
static bool
waits_for_pipe(struct supervisor *s, struct check *check, int64_t now)
{
	uint64_t taken = s->publisher.report.taken;

	if (checkers_pipe_has_room(s, now) && now - s->pipes.full_us >= WATCHDOG_GRACE_US)
		return false;
	if (!check->excused || taken < check->taken) { /* a new publisher counts anew */
		check->excused = true;
		check->taken = taken;
	}
	return taken - check->taken < 2 * PIPE_SIZE;
}

bool
checker_is_overdue(struct supervisor *s, struct child *child, int64_t now)
{
	struct checker *c = checker_of(child);
	struct check *check = STAILQ_FIRST(&c->checks);

	if (check == NULL) {
		log_warning("checker %d does not leave: killed", c->index + 1);
		return true;
	}
	if (waits_for_pipe(s, check, now)) {
		children_set_kill(&s->children, child, now + WATCHDOG_GRACE_US);
		return false;
	}
	snprintf(check->why, sizeof(check->why),
	    "the checker did not end within %.3g s and was killed",
	    (double)(site_longest_us(check->config, check->site) + WATCHDOG_GRACE_US) / US_PER_S);
	return true;
}
