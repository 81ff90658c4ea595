/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the supervisor waits for. Called by the loop only.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "log.h"
#include "state.h"

/* The longest that a signal waits. */
#define SIGNALS_US (10 * US_PER_MS)

/* Who reads what children write. */
static void (*const readers[])(struct supervisor *s, struct child *c, int64_t now) = {
	[CHILD_PUBLISHER] = read_publisher,
	[CHILD_VALIDATION] = read_validation,
	[CHILD_CHECKER] = read_checker,
};

/* What ppoll() waits for, and whose it is. Descriptors in front of `loud` end the wait. */
struct poll_set {
	struct pollfd *poll;
	struct child **child; /* NULL: nothing is to be read */
	int count, loud, room;
	int control, control_end; /* where those of the control socket are */
};

static void
poll_add(struct poll_set *set, int fd, short events, struct child *child)
{
	if (fd < 0)
		return;
	if (set->count == set->room) {
		set->room = set->room > 0 ? 2 * set->room : 64;
		set->poll = xreallocarray(set->poll, (size_t)set->room, sizeof(*set->poll));
		set->child = xreallocarray(set->child, (size_t)set->room, sizeof(struct child *));
	}
	set->child[set->count] = child;
	set->poll[set->count++] = (struct pollfd){ .fd = fd, .events = events };
}

/*
 * While no site waits for a checker, messages of checkers are read when the loop turns anyway: each
 * wake-up costs as much as ten messages. While checks are queued, a checker will be free when the
 * queues are next looked at.
 */
static bool
listens_to_checkers(const struct supervisor *s)
{
	return (s->site_waits && s->pool.queued == 0) || s->pool.starting > 0 ||
	       s->stage != STAGE_RUNNING || s->start->once;
}

static void
fill_poll_set(struct supervisor *s, struct poll_set *set, int64_t now)
{
	struct pollfd control[CONTROL_CLIENTS + 1];

	set->count = 0;
	poll_add(set, s->pipes.own_full ? s->pipes.own.write_fd : -1, POLLOUT, NULL);
	poll_add(set, s->publisher.child.fd, POLLIN, &s->publisher.child);
	poll_add(set, s->reload.child.fd, POLLIN, &s->reload.child);
	set->control = set->count;
	for (int i = control_polls(s, control, now) - 1; i >= 0; i--)
		poll_add(set, control[i].fd, control[i].events, NULL);
	set->loud = set->control_end = set->count;
	for (int i = 0; i < s->pool.count; i++) {
		struct checker *c = s->pool.worker[i].checker;

		if (checker_may_speak(s, c))
			poll_add(set, c->child.fd, POLLIN, &c->child);
	}
	if (listens_to_checkers(s))
		set->loud = set->count;
}

/* ppoll() delivers no signal when a descriptor is ready: under load none would ever come. */
static void
let_signals_in(const sigset_t *open_mask, int64_t now)
{
	static int64_t last_us;
	sigset_t blocked;

	if (now <= last_us + SIGNALS_US)
		return;
	last_us = now;
	sigprocmask(SIG_SETMASK, open_mask, &blocked);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
}

void
wait_and_read(struct supervisor *s, int64_t wake, const sigset_t *open_mask)
{
	static struct poll_set set;
	int64_t now = util_mono_us();
	int64_t wait_us = wake > now ? wake - now : 0;
	struct timespec timeout = { wait_us / US_PER_S, wait_us % US_PER_S * 1000 };
	int ready;

	fill_poll_set(s, &set, now);
	ready = ppoll(set.poll, (nfds_t)set.loud, &timeout, open_mask);
	if (ready < 0 && errno == EINVAL)
		fatal(EXIT_OS, "the limit of descriptors was lowered below their number");
	if (set.loud < set.count &&
	    poll(set.poll + set.loud, (nfds_t)(set.count - set.loud), 0) > 0)
		ready = 1;
	if (ready <= 0)
		return;
	now = util_mono_us();
	let_signals_in(open_mask, now);
	for (int i = set.control; i < set.control_end; i++)
		if (set.poll[i].revents != 0)
			control_wake(s);
	for (int i = 0; i < set.count; i++)
		if (set.poll[i].revents != 0 && set.child[i] != NULL)
			readers[set.child[i]->role](s, set.child[i], now);
}
