/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * From HUP to the new configuration: a child reads and validates it, then all processes change over
 * to it. On any mistake the old one stays in force. Nothing is fatal.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "log.h"
#include "state.h"
#include "validate.h"

/* It compiles patterns and reads keys; a hundred thousand sites take seconds. */
#define VALIDATION_MAX_US (120 * US_PER_S)

/* How many mistakes are logged: after more, the rate limit would hold back other messages. */
#define LINES_MAX 100

/* A line for the log, and for the program that asked for the reload. */
static void __attribute__((format(printf, 2, 3)))
complain(struct supervisor *s, const char *format, ...)
{
	char *said = s->reload.complaints, *line;
	va_list ap;

	va_start(ap, format);
	line = xvasprintf(format, ap);
	va_end(ap);
	log_error("%s", line);
	s->reload.complaints = xasprintf("%s%s\n", said != NULL ? said : "", line);
	free(line);
	free(said);
}

/* The reload is over: whoever asked for it gets all complaints. */
static void
tell_outcome(struct supervisor *s, bool accepted)
{
	free(s->reload.verdict);
	s->reload.verdict = s->reload.complaints != NULL ? s->reload.complaints : xstrdup("");
	s->reload.complaints = NULL;
	s->reload.accepted = accepted;
	s->reload.ended = s->reload.begun;
}

static void
refuse(struct supervisor *s)
{
	static const char outcome[] = "reload failed: the old configuration stays in force";

	config_share_close(&s->reload.share);
	log_error("%s", outcome);
	tell_outcome(s, false);
	systemd_notify("READY=1\nSTATUS=%s", outcome);
}

/*
 * What a reload cannot change: paths that are held open, users, whether there is a spool, and what
 * the other members of a group know this one by.
 */
static bool
needs_restart(struct supervisor *s, const struct config *old, const struct config *new)
{
	const bool grouped = old->kafka_group != NULL && new->kafka_group != NULL;
	const struct {
		const char *name, *old, *new;
	} fixed[] = {
		{ "pid_file", old->pid_file, new->pid_file },
		{ "spool.dir", old->spool_dir, new->spool_dir },
		{ "user", old->user, new->user },
		{ "checker_user", old->checker_user, new->checker_user },
		{ "kafka", old->has_kafka ? "" : NULL, new->has_kafka ? "" : NULL },
		{ "kafka.group", old->kafka_group, new->kafka_group },
		{ "kafka.topic", grouped ? old->kafka_topic : NULL,
		    grouped ? new->kafka_topic : NULL },
		{ "instance", grouped ? old->instance : NULL, grouped ? new->instance : NULL },
	};
	bool changed = false;

	for (size_t i = 0; i < ARRAY_LENGTH(fixed); i++) {
		const char *a = fixed[i].old, *b = fixed[i].new;

		if (a == b || (a != NULL && b != NULL && strcmp(a, b) == 0))
			continue;
		complain(s, "%s: %s has changed: that needs a restart", new->file, fixed[i].name);
		changed = true;
	}
	return changed;
}

void
request_reload(struct supervisor *s)
{
	s->reload.requested = true;
}

void
begin_reload(struct supervisor *s, int64_t now)
{
	/* what else a start needs is held already */
	const struct validation what = { .checker = &s->start->checker_user,
		.publisher = &s->start->publisher_user,
		.needed = { .descriptors = true, .metrics = true } };
	struct child *c = &s->reload.child;
	int fd;
	pid_t pid;

	/* one at a time; all that are requested meanwhile are one */
	if (!s->reload.requested || s->stage != STAGE_RUNNING || s->start->once || c->pid > 0 ||
	    s->publisher.handing_over)
		return;
	s->reload.requested = false;
	s->reload.begun++;
	systemd_notify("RELOADING=1\nSTATUS=reloading");
	pid = validate_start_file(s->config, &s->reload.share, &what, &fd);
	if (pid < 0) {
		complain(s, "cannot start the validation: %s", strerror(errno));
		refuse(s);
		return;
	}
	c->pid = pid;
	c->fd = fd;
	children_set_kill(&s->children, c, now + VALIDATION_MAX_US);
	s->reload.line_size = 0;
	s->reload.lines = 0;
}

static void
take_over(struct supervisor *s, struct config *config, int64_t now)
{
	struct config *old = s->config;
	char outcome[128];

	sites_adopt(s, config, now, outcome, sizeof(outcome));
	s->config = config_hold(config);
	resize_pool(s, config->workers_min, config->workers_max);
	retire_all_checkers(s, now);
	config_release(old); /* running checks and removed sites still hold it */
	s->start->open_log(config);
	if (s->start->output == PUBLISH_TO_KAFKA)
		replace_publisher(s);
	tell_outcome(s, true);
	systemd_notify("READY=1");
	status_changed(s);
}

/* The configuration that the child has read and found good, or NULL. */
static struct config *
take_config(struct supervisor *s, int status)
{
	struct config *config;
	char how[64];

	if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_FINE) {
		if (s->reload.lines == 0)
			complain(
			    s, "the validation %s", proc_describe_exit(status, how, sizeof(how)));
		return NULL;
	}
	config = config_share_take(&s->reload.share);
	if (config == NULL)
		complain(s, "no memory for the new configuration: %s", strerror(errno));
	return config;
}

/* Its lines go to the log, except those that show parts of the file to a terminal. */
static void
log_line(struct supervisor *s, const char *line, size_t length)
{
	if (strncmp(line, CONFIG_SHOWN, strlen(CONFIG_SHOWN)) != 0 && s->reload.lines++ < LINES_MAX)
		complain(s, "%.*s", (int)length, line);
}

void
read_validation(struct supervisor *s, struct child *c, int64_t now)
{
	char *line = s->reload.line, *end;
	ssize_t n = read(
	    c->fd, line + s->reload.line_size, sizeof(s->reload.line) - 1 - s->reload.line_size);

	(void)now;
	if (n <= 0) {
		child_close(c); /* its exit code comes with SIGCHLD */
		return;
	}
	s->reload.line_size += (size_t)n;
	line[s->reload.line_size] = '\0';
	while ((end = strchr(line, '\n')) != NULL ||
	       s->reload.line_size == sizeof(s->reload.line) - 1) {
		size_t length = end != NULL ? (size_t)(end - line) : s->reload.line_size;

		log_line(s, line, length);
		length += end != NULL;
		s->reload.line_size -= length;
		memmove(line, line + length, s->reload.line_size + 1);
	}
}

void
validation_died(struct supervisor *s, struct child *c, int status, int64_t now)
{
	struct config *config;

	/* all that it wrote is there; a child of its own may hold the other end still */
	if (c->fd >= 0)
		fcntl(c->fd, F_SETFL, O_NONBLOCK);
	while (c->fd >= 0)
		read_validation(s, c, now);
	children_set_kill(&s->children, c, INT64_MAX);
	if (s->reload.lines > LINES_MAX)
		complain(s, "%d more lines like these; webmond -t prints them all",
		    s->reload.lines - LINES_MAX);
	/* what a file changes is known only if it has no mistakes */
	config = take_config(s, status);
	if (config != NULL && s->stage == STAGE_RUNNING && !needs_restart(s, s->config, config)) {
		config_share_close(&s->reload.share);
		take_over(s, config, now);
		return;
	}
	config_free(config);
	refuse(s);
}

void
stop_validation(struct supervisor *s, int64_t now)
{
	if (s->reload.child.pid > 0)
		children_set_kill(&s->children, &s->reload.child, now);
}

bool
validation_is_overdue(struct supervisor *s, struct child *c, int64_t now)
{
	(void)c, (void)now;
	complain(s, "the validation of the new configuration %s and was killed",
	    s->stage == STAGE_RUNNING ? "took too long" : "had not ended at the stop");
	return true;
}
