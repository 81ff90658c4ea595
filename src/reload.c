/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * From HUP to the new configuration: parse and validate aside, then everybody moves over. On any
 * mistake the old one stays in force. Nothing is fatal.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"
#include "log.h"
#include "supervise.h"
#include "validate.h"

static void
refuse(struct supervisor *s)
{
	generation_release(s->reload.candidate);
	s->reload.candidate = NULL;
	log_error("reload failed: the old configuration stays in force");
	systemd_notify("READY=1\nSTATUS=reload failed: the old configuration stays in force");
}

void
begin_reload(struct supervisor *s)
{
	struct mistakes mistakes = { 0 };
	struct config *config;
	pid_t pid;

	s->reload.again = s->reload.pid != 0 || s->reload.validated || s->publisher.handing_over;
	if (s->reload.again)
		return; /* one at a time; those that come meanwhile are one */
	systemd_notify("RELOADING=1\nSTATUS=reloading");
	config = config_load(s->generation->config->file, &mistakes);
	for (size_t i = 0; i < mistakes.count; i++)
		log_error("%s", mistakes.line[i]);
	mistakes_release(&mistakes);
	if (config == NULL) {
		refuse(s);
		return;
	}
	s->reload.candidate = generation_new(config);
	s->reload.line_size = 0;
	pid = validate_start(config, &s->start->publisher_user, false, &s->reload.fd);
	if (pid > 0) {
		s->reload.pid = pid;
		return;
	}
	log_error("cannot start the validation: %s", strerror(errno));
	refuse(s);
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
				watch_free(s, w);
			continue;
		}
		const struct site *site = &config->sites[index];
		bool new_grid = site->interval_us != w->site->interval_us;

		changed += !config_site_equal(site, w->site);
		watch_set_site(w, site, (uint32_t)index);
		watches[index] = w;
		if (new_grid && w->timer.due_us > now) {
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

void
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
	systemd_notify("READY=1");
	s->next_status_us = s->next_care_us = 0;
}

void
finish_validation(struct supervisor *s, int status)
{
	if (s->reload.fd >= 0)
		close(s->reload.fd);
	s->reload.pid = 0;
	s->reload.validated = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FINE;
	if (!s->reload.validated)
		refuse(s);
}

/* Its lines go to the log as they are. */
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

		log_error("%.*s", (int)length, s->reload.line);
		length += end != NULL;
		s->reload.line_size -= length;
		memmove(s->reload.line, s->reload.line + length, s->reload.line_size + 1);
	}
}
