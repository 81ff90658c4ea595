/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* * From HUP to the new configuration: a child reads and validates it, then all processes change over
 * to it. On any mistake the old one stays in force. Nothing is fatal.
 */
#include <errno.h>
#include <signal.h>
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

/* The reload is over: leave one line, and all complaints after it. */
static void
tell_outcome(struct supervisor *s, const char *outcome)
{
	char *text = xasprintf(
	    "%s\n%s", outcome, s->reload.complaints != NULL ? s->reload.complaints : "");

	outcome_leave(text);
	free(text);
	free(s->reload.complaints);
	s->reload.complaints = NULL;
}

static void
refuse(struct supervisor *s)
{
	static const char outcome[] = "reload failed: the old configuration stays in force";

	config_share_close(&s->reload.share);
	log_error("%s", outcome);
	tell_outcome(s, outcome);
	systemd_notify("READY=1\nSTATUS=%s", outcome);
}

/* What a reload cannot change: paths that are held open, users, whether there is a spool. */
static bool
needs_restart(struct supervisor *s, const struct config *old, const struct config *new)
{
	const struct {
		const char *name, *old, *new;
	} fixed[] = {
		{ "pid_file", old->pid_file, new->pid_file },
		{ "spool.dir", old->spool_dir, new->spool_dir },
		{ "user", old->user, new->user },
		{ "checker_user", old->checker_user, new->checker_user },
		{ "kafka", old->has_kafka ? "" : NULL, new->has_kafka ? "" : NULL },
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
begin_reload(struct supervisor *s, int64_t now)
{
	/* what else a start needs is held already */
	const struct validation what = { .checker = &s->start->checker_user,
		.publisher = &s->start->publisher_user,
		.needed = { .descriptors = true } };
	pid_t pid;

	s->reload.again = s->reload.pid > 0 || s->publisher.handing_over;
	if (s->reload.again)
		return;   /* one at a time; all that come meanwhile are one */
	outcome_forget(); /* before the file is read: a request from now on is another one */
	systemd_notify("RELOADING=1\nSTATUS=reloading");
	pid = validate_start_file(s->config->file, &s->reload.share, &what, &s->reload.fd);
	if (pid < 0) {
		complain(s, "cannot start the validation: %s", strerror(errno));
		refuse(s);
		return;
	}
	s->reload.pid = pid;
	s->reload.since_us = now;
	s->reload.line_size = 0;
	s->reload.lines = 0;
}

static struct site_state *
find_removed_in(const struct checks *checks, const char *name)
{
	struct check *check;

	STAILQ_FOREACH(check, checks, next)
	if (check->state->removed != NULL && strcmp(check->state->site->name, name) == 0)
		return check->state;
	return NULL;
}

/* The state of a site that was removed, and whose check has not ended. */
static struct site_state *
find_removed(const struct supervisor *s, const char *name)
{
	struct site_state *state = find_removed_in(&s->waiting, name);

	if (state == NULL)
		state = find_removed_in(&s->pending_closes, name);
	for (int i = 0; i < s->pool.count && state == NULL; i++)
		state = find_removed_in(&s->pool.worker[i].child->checks, name);
	return state;
}

/* Take over the sites of `config`: the unchanged ones keep slot, state and running check. */
static void
adopt_sites(struct supervisor *s, const struct config *config, int64_t now, char *outcome,
    size_t outcome_size)
{
	struct site_state **sites = xcalloc(config->site_count, sizeof(struct site_state *));
	size_t added = 0, changed = 0, removed = 0;

	for (size_t i = 0; i < s->site_count; i++) {
		struct site_state *state = s->sites[i];
		ssize_t index = config_find_site(config, state->site->name);

		if (index < 0) {
			removed++;
			site_remove(s, state, now);
			continue;
		}
		changed += !config_site_equal(&config->sites[index], state->site);
		state->site = &config->sites[index];
		state->index = (uint32_t)index;
		sites[index] = state;
		if (state->interval_us != state->site->interval_us)
			site_restart(s, state, now);
	}
	for (size_t i = 0; i < config->site_count; i++) {
		const struct site *site = &config->sites[i];
		struct site_state *state;

		if (sites[i] != NULL)
			continue;
		added++;
		state = find_removed(s, site->name);
		if (state == NULL) {
			state = site_new(site, (uint32_t)i);
		} else {
			config_release(state->removed);
			state->removed = NULL;
			state->site = site;
			state->index = (uint32_t)i;
		}
		sites[i] = state;
		site_restart(s, state, now);
	}
	free(s->sites);
	s->sites = sites;
	s->site_count = config->site_count;
	snprintf(outcome, outcome_size, "reloaded: %zu site%s, %zu added, %zu changed, %zu removed",
	    s->site_count, util_plural(s->site_count), added, changed, removed);
	log_notice("%s", outcome);
}

static void
take_over(struct supervisor *s, struct config *config, int64_t now)
{
	struct config *old = s->config;
	char outcome[128];

	adopt_sites(s, config, now, outcome, sizeof(outcome));
	s->config = config_hold(config);
	resize_pool(s, config->workers_min, config->workers_max);
	for (int i = 0; i < s->pool.count; i++)
		if (s->pool.worker[i].state != WORKER_NONE && !s->pool.worker[i].retiring)
			retire_checker(s, &s->pool.worker[i], now);
	/* running checks and removed sites still hold it */
	config_release(old);
	s->start->open_log(config);
	if (s->publisher.pid > 0 && s->start->output == PUBLISH_TO_KAFKA) {
		s->publisher.handing_over = true;
		order_publisher(s, MESSAGE_HAND_OVER);
	}
	tell_outcome(s, outcome);
	systemd_notify("READY=1");
	s->next_status_us = s->next_maintenance_us = 0;
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

void
finish_validation(struct supervisor *s, int status, int64_t now)
{
	struct config *config;

	while (s->reload.fd >= 0)
		read_validation(s);
	s->reload.pid = 0;
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
limit_validation(struct supervisor *s, int64_t now)
{
	if (s->reload.pid == 0 ||
	    (s->stage == STAGE_RUNNING && now < s->reload.since_us + VALIDATION_MAX_US))
		return;
	complain(s, "the validation of the new configuration does not end: killed");
	kill(s->reload.pid, SIGKILL);
	s->reload.since_us = INT64_MAX - VALIDATION_MAX_US; /* once */
}

/* Its lines go to the log, except those that show parts of the file to a terminal. */
void
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

		if (strncmp(s->reload.line, CONFIG_SHOWN, strlen(CONFIG_SHOWN)) != 0 &&
		    s->reload.lines++ < LINES_MAX)
			complain(s, "%.*s", (int)length, s->reload.line);
		length += end != NULL;
		s->reload.line_size -= length;
		memmove(s->reload.line, s->reload.line + length, s->reload.line_size + 1);
	}
}
