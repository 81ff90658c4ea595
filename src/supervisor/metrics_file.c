/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * metrics_file, for the textfile collector of node_exporter. A child of its own writes it: it has
 * all that is known as it was at the fork, and its own time for it, however many sites there are
 * and however slow the disk is. It has the rights of the publisher's user: with those of root a
 * link in a directory of somebody else could lead it anywhere. Nothing is fatal.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "answer_lines.h"
#include "log.h"
#include "metrics.h"
#include "reply.h"
#include "state.h"
#include "whole_file.h"

#define EVERY_US (15 * US_PER_S)
#define LIMIT_US (60 * US_PER_S) /* a disk can be that slow */

/* It can wait for the processes that check. */
#define NICE 10

/* --- in the child ------------------------------------------------------------------------ */

static void
add_line(struct metrics *m, const char *text, const struct writer *w, time_t now)
{
	const struct line line = { text, (size_t)(w->at - text) - 1, now };

	metrics_add(m, &line);
}

/* What a client of the control socket is answered. */
static void
collect(const struct supervisor *s, struct metrics *m)
{
	const time_t now = time(NULL);
	char text[REPLY_LINE_MAX];
	struct writer w = { text, text + sizeof(text) };

	reply_first(&w, s->config);
	add_line(m, text, &w, now);
	w.at = text;
	answer_status(s, &w, util_mono_us());
	add_line(m, text, &w, now);
	for (size_t i = 0; i < s->sites.count; i++) {
		w.at = text;
		answer_site(s, s->sites.all[i], &w);
		add_line(m, text, &w, now);
	}
}

static int
write_file(const struct supervisor *s, const char *path)
{
	struct metrics metrics = { 0 };
	struct whole_file f;
	int code;

	code = whole_file_open(&f, path);
	if (code == 0) {
		collect(s, &metrics);
		metrics_print(&metrics, f.out);
		code = whole_file_close(&f);
	}
	/* said once: it is tried again and again */
	if (code < 0 && !s->metrics.failing)
		log_warning(
		    "metrics_file: cannot write \"%s\": %s; trying again", path, strerror(errno));
	return code == 0 ? EXIT_FINE : EXIT_CANNOT_CREATE;
}

/* `old`: to be removed, `path`: to be written; NULL: nothing. */
static int
in_child(const struct supervisor *s, const char *old, const char *path)
{
	sigset_t none;

	if (proc_drop(&s->start->publisher_user) < 0) {
		log_error("cannot become user \"%s\": %s", s->start->publisher_user.name,
		    strerror(errno));
		return EXIT_PERMISSION;
	}
	(void)!nice(NICE);
	umask(022); /* node_exporter is somebody else */
	if (old != NULL)
		whole_file_remove(old);
	if (path == NULL)
		return EXIT_FINE;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	proc_follow_parent(s->self);
	return write_file(s, path);
}

/* --- in the supervisor ------------------------------------------------------------------- */

static void
start_writer(struct supervisor *s, const char *old, const char *path, int64_t now)
{
	struct child *c = &s->metrics.child;

	history_share(true);
	c->pid = proc_fork("metrics writer", NULL, 0);
	history_share(false);
	if (c->pid == 0)
		_exit(in_child(s, old, path));
	if (c->pid > 0) {
		children_set_kill(&s->children, c, now + LIMIT_US);
		return;
	}
	c->pid = 0;
	if (!s->metrics.failing)
		log_warning(
		    "metrics_file: cannot start who writes it: %s; trying again", strerror(errno));
	s->metrics.failing = true;
}

int64_t
metrics_file_serve(struct supervisor *s, int64_t now)
{
	const char *path = s->stage == STAGE_RUNNING ? s->config->metrics_file : NULL;
	char *old = s->metrics.path;
	bool moved;

	if (s->stage == STAGE_STARTING || s->start->once || s->metrics.child.pid > 0)
		return INT64_MAX;           /* its end wakes the loop */
	if (s->metrics.config != s->config) /* also to tell of what a reload has changed */
		s->metrics.next_us = now;
	s->metrics.config = s->config;
	if (path == NULL && old == NULL)
		return INT64_MAX;
	if (path != NULL && now < s->metrics.next_us)
		return s->metrics.next_us;
	s->metrics.next_us = now + EVERY_US;
	moved = old != NULL && (path == NULL || strcmp(old, path) != 0);
	start_writer(s, moved ? old : NULL, path, now);
	s->metrics.path = path != NULL ? xstrdup(path) : NULL;
	free(old);
	return s->metrics.next_us;
}

void
metrics_file_died(struct supervisor *s, struct child *c, int status, int64_t now)
{
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FINE;
	char how[64];

	(void)now;
	children_set_kill(&s->children, c, INT64_MAX);
	if (s->stage != STAGE_RUNNING)
		return;
	if (good && s->metrics.failing)
		log_notice("metrics_file: written again");
	else if (WIFSIGNALED(status) && !s->metrics.failing)
		log_warning("metrics_file: who writes it %s; trying again",
		    proc_describe_exit(status, how, sizeof(how)));
	s->metrics.failing = !good;
}

bool
metrics_file_is_overdue(struct supervisor *s, struct child *c, int64_t now)
{
	(void)s, (void)c, (void)now;
	return true;
}

void
stop_metrics_file(struct supervisor *s, int64_t now)
{
	if (s->metrics.child.pid > 0)
		children_set_kill(&s->children, &s->metrics.child, now);
}
