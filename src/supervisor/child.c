/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The table of children. Called by the supervisor only; nothing is fatal.
 */
#include "child.h"

#include <signal.h>
#include <unistd.h>

#include "util.h"

void
children_add(struct children *all, struct child *c, enum child_role role)
{
	if (all->count == 0)
		all->next_kill_us = INT64_MAX;
	*c = (struct child){ .role = role, .fd = -1, .kill_at_us = INT64_MAX };
	all->child = xreallocarray(all->child, (size_t)all->count + 1, sizeof(struct child *));
	all->child[all->count++] = c;
}

struct child *
children_find(const struct children *all, pid_t pid)
{
	for (int i = 0; i < all->count; i++)
		if (all->child[i]->pid == pid)
			return all->child[i];
	return NULL;
}

void
children_set_kill(struct children *all, struct child *c, int64_t at_us)
{
	c->kill_at_us = at_us;
	if (at_us < all->next_kill_us)
		all->next_kill_us = at_us;
}

void
children_postpone(struct children *all, int64_t until_us)
{
	for (int i = 0; i < all->count; i++)
		if (all->child[i]->kill_at_us < until_us)
			all->child[i]->kill_at_us = until_us;
}

struct child *
children_overdue(struct children *all, int64_t now_us)
{
	if (now_us < all->next_kill_us)
		return NULL;
	all->next_kill_us = INT64_MAX;
	for (int i = 0; i < all->count; i++) {
		struct child *c = all->child[i];

		if (c->kill_at_us <= now_us) {
			all->next_kill_us = now_us; /* there may be more */
			c->kill_at_us = INT64_MAX;
			return c;
		}
		if (c->kill_at_us < all->next_kill_us)
			all->next_kill_us = c->kill_at_us;
	}
	return NULL;
}

void
child_close(struct child *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void
child_signal(const struct child *c, int signal_number)
{
	if (c->pid > 0)
		kill(c->pid, signal_number);
}
