/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * From HUP to the new configuration: a child reads and validates it, then everybody moves over. On
 * any mistake the old one stays in force. Nothing is fatal.
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

/* So many mistakes are logged: the rate limit would hold back what comes after more of them. */
#define LINES_MAX 100

/* In the log, and for who asked for the reload. */
static void __attribute__((format(printf, 2, 3)))
complain(struct supervisor *s, const char *format, ...)
{
	char *said = s->reload.said, *line;
	va_list ap;

	va_start(ap, format);
	line = xvasprintf(format, ap);
	va_end(ap);
	log_error("%s", line);
	s->reload.said = xasprintf("%s%s\n", said != NULL ? said : "", line);
	free(line);
	free(said);
}

/* The reload is over: one line, and behind it what there was to complain of. */
static void
tell_outcome(struct supervisor *s, const char *outcome)
{
	char *text = xasprintf("%s\n%s", outcome, s->reload.said != NULL ? s->reload.said : "");

	outcome_leave(text);
	free(text);
	free(s->reload.said);
	s->reload.said = NULL;
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

/* What a reload cannot change: paths and users that processes hold, or had rights for once. */
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
	/* the rest of a start's needs is in our hands already */
	const struct validation what = { .needed = { .descriptors = true } };
	pid_t pid;

	s->reload.again = s->reload.pid > 0 || s->publisher.handing_over;
	if (s->reload.again)
		return;   /* one at a time; those that come meanwhile are one */
	outcome_forget(); /* before the file is read: who asks from now on asks for another one */
	systemd_notify("RELOADING=1\nSTATUS=reloading");
	pid = validate_start_file(
	    s->config->file, &s->reload.share, &s->start->publisher_user, &what, &s->reload.fd);
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

static struct watch *
find_leaving_in(const struct checks *checks, const char *name)
{
	struct check *check;

	STAILQ_FOREACH(check, checks, next)
	if (check->watch->leaving != NULL && strcmp(check->watch->site->name, name) == 0)
		return check->watch;
	return NULL;
}

/* A site that was removed while its check runs, and is back before that has ended. */
static struct watch *
find_leaving(const struct supervisor *s, const char *name)
{
	struct watch *w = find_leaving_in(&s->waiting, name);

	if (w == NULL)
		w = find_leaving_in(&s->owed, name);
	for (int i = 0; i < s->pool.count && w == NULL; i++)
		w = find_leaving_in(&s->pool.worker[i].child->checks, name);
	return w;
}

/* Take over the sites of `config`: the unchanged ones keep slot, state and running check. */
static void
adopt_sites(struct supervisor *s, const struct config *config, int64_t now, char *outcome,
    size_t outcome_size)
{
	struct watch **watches = xcalloc(config->site_count, sizeof(struct watch *));
	size_t added = 0, changed = 0, removed = 0;

	for (size_t i = 0; i < s->watch_count; i++) {
		struct watch *w = s->watches[i];
		ssize_t index = config_find_site(config, w->site->name);

		if (index < 0) {
			removed++;
			watch_leave(s, w, now);
			continue;
		}
		changed += !config_site_equal(&config->sites[index], w->site);
		w->site = &config->sites[index];
		w->index = (uint32_t)index;
		watches[index] = w;
		if (w->interval_us != w->site->interval_us)
			watch_restart(s, w, now);
	}
	for (size_t i = 0; i < config->site_count; i++) {
		const struct site *site = &config->sites[i];
		struct watch *w;

		if (watches[i] != NULL)
			continue;
		added++;
		w = find_leaving(s, site->name);
		if (w == NULL) {
			w = watch_new(site, (uint32_t)i);
		} else {
			config_release(w->leaving);
			w->leaving = NULL;
			w->site = site;
			w->index = (uint32_t)i;
		}
		watches[i] = w;
		watch_restart(s, w, now);
	}
	free(s->watches);
	s->watches = watches;
	s->watch_count = config->site_count;
	snprintf(outcome, outcome_size, "reloaded: %zu site%s, %zu added, %zu changed, %zu removed",
	    s->watch_count, util_plural(s->watch_count), added, changed, removed);
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
	/* running checks and sites that leave point into the old one: they hold it */
	config_release(old);
	s->start->open_log(config);
	if (s->publisher.pid > 0 && s->start->output == PUBLISH_TO_KAFKA) {
		s->publisher.handing_over = true;
		order_publisher(s, WIRE_HAND_OVER);
	}
	tell_outcome(s, outcome);
	systemd_notify("READY=1");
	s->next_status_us = s->next_care_us = 0;
}

/* What the child has read and found good, or NULL. */
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
	/* only of a file without mistakes is known what it changes */
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

/* Its lines go to the log as they are, but for those that show a terminal what the file holds. */
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
