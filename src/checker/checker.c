/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The checker process. It reads hostile bytes, so it holds as little as possible: the configuration
 * (with the headers of all sites, but not the keys of Kafka), one socket to the supervisor, the
 * write end of the checkers' pipe, the rights of its own user, and of those only what a check
 * needs.
 */
#include "checker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "confine.h"
#include "log.h"
#include "payload.h"
#include "pipe.h"
#include "probe.h"
#include "proc.h"
#include "wire.h"

static volatile sig_atomic_t terminated;

static void
on_sigterm(int signal_number)
{
	(void)signal_number;
	terminated = 1;
	probe_abort();
}

/* A full pipe is back-pressure: wait. -1: it has no reader any more. */
static int
publish(int fd, const unsigned char *frame, size_t size)
{
	int full;

	while ((full = pipe_write(fd, frame, size)) == 1)
		pipe_wait_room(fd, -1);
	return full;
}

static int
report(int fd, const struct wire_done *done)
{
	return send(fd, done, sizeof(*done), MSG_NOSIGNAL) == (ssize_t)sizeof(*done) ? 0 : -1;
}

/* Get ready for jobs. Returns NULL, logged, when that is impossible. */
static struct probe *
get_ready(const struct checker_start *start)
{
	struct sigaction action = { .sa_handler = on_sigterm }; /* no SA_RESTART: waits must end */
	const struct config *config = start->config;
	struct probe *probe;
	sigset_t none;

	sigaction(SIGTERM, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);

	probe = probe_new(config->sites, config->site_count);
	if (probe == NULL) {
		log_error("cannot initialise libcurl");
		return NULL;
	}
	if (confine_enter(start->own_user, probe_ca_file(probe), config->files,
		config->kafka_properties_file) < 0) {
		log_error("cannot confine itself: %s", strerror(errno));
		probe_free(probe);
		return NULL;
	}
	if (config->needs_ca)
		probe_load_ca(probe, NULL);
	for (const char *const *file = config->ca_files; start->home && *file != NULL; file++)
		probe_load_ca(probe, *file);
	return probe;
}

/*
 * Check `site`, and again while it is `down` and has retries. The result is that of the last
 * attempt. Returns how long it took, in microseconds.
 */
static int64_t
run_attempts(struct probe *probe, const struct site *site, struct result *result)
{
	enum error_type first = ERROR_NONE;
	int64_t busy_us = 0;
	int attempts = 1;

	for (;; attempts++) {
		probe_run(probe, site, result);
		busy_us += result->elapsed_us;
		if (attempts > site->retries || result_status(result->error) != STATUS_DOWN)
			break;
		if (attempts == 1)
			first = result->error;
		/* after SIGTERM the next attempt ends at once, as `aborted` */
		busy_us += probe_pause(site->retry_delay_us);
	}
	if (site->retries > 0)
		result->attempts = attempts;
	result->first_error = first;
	return busy_us;
}

/*
 * Run the check of a job, unless its lease is over: this process, or the whole host, was stopped
 * for so long that another member of the group may have begun the slot. Returns how long it took,
 * in microseconds; RESULT_NONE: it did not begin.
 */
static int64_t
run_check(const struct checker_start *start, struct probe *probe, const struct wire_job *job,
    struct result *result)
{
	int64_t busy_us;

	if (job->lease_us != 0 && util_boot_us() >= job->lease_us) {
		result_init(result);
		result_fail(result, ERROR_ABORTED, WIRE_LEASE_ENDED);
		return RESULT_NONE;
	}
	busy_us = run_attempts(probe, &start->config->sites[job->site], result);
	if (result_status(result->error) == STATUS_DOWN && confine_is_stale())
		result_fail(result, ERROR_LOCAL,
		    "files in /etc by which names are looked up were replaced meanwhile");
	busy_us += probe_judge_vantage(probe, start->config, result);
	if (job->lease_us != 0 && result->error == ERROR_ABORTED)
		result_fail(result, ERROR_ABORTED,
		    "webmond was stopped, or gave the shard away, while the check ran");
	return busy_us;
}

/* Run a job and report the result, first to the publisher. -1: the other end is closed. */
static int
run_job(const struct checker_start *start, struct probe *probe, const struct wire_job *job,
    struct wire_done *done)
{
	const struct site *site = &start->config->sites[job->site];
	struct slot slot = { .epoch = job->epoch,
		.seq = job->seq,
		.slot_us = job->slot_us,
		.interval_us = job->interval_us,
		.lateness_us = util_mono_us() - job->due_us,
		.alone = job->alone,
		.ordinal = job->ordinal,
		.token = job->token };
	struct result result;
	int64_t busy_us = run_check(start, probe, job, &result);
	unsigned char frame[WIRE_FRAME_MAX];
	size_t size;

	if (busy_us == RESULT_NONE)
		slot.lateness_us = RESULT_NONE;
	size = payload_frame(frame, WIRE_CLOSE, start->config, site, &slot, &result, NULL);
	if (publish(start->pipe_fd, frame, size) < 0)
		return -1;
	*done = (struct wire_done){ .type = WIRE_DONE,
		.leaving = terminated || probe_is_worn(probe),
		.seq = job->seq,
		.error = result.error,
		.http_status = result.http_status,
		.elapsed_us = result.elapsed_us,
		.busy_us = busy_us,
		.ended_us = util_mono_us(),
		.chain_expires_us = result.chain_expires_us };
	memcpy(done->phase_us, result.phase_us, sizeof(done->phase_us));
	util_clean_text(done->error_message, sizeof(done->error_message), result.error_message,
	    strlen(result.error_message));
	return report(start->job_fd, done);
}

int
checker_main(const struct checker_start *start)
{
	struct wire_done done = { .type = WIRE_READY };
	struct probe *probe = get_ready(start);
	struct wire_job job;

	if (probe == NULL)
		return EXIT_OS;
	if (report(start->job_fd, &done) < 0)
		return EXIT_FINE;

	/*
	 * A SIGTERM just before recv() is not lost: the supervisor sends it to an idle checker only
	 * when it stops, and the end of the socket follows.
	 */
	while (!terminated &&
	       recv(start->job_fd, &job, sizeof(job), MSG_PEEK) == (ssize_t)sizeof(job)) {
		if (confine_is_stale()) {
			/* the job stays in the socket: another checker will have it */
			log_notice("files in /etc by which names are looked up were replaced: "
				   "another checker reads the new ones");
			break;
		}
		/* the supervisor may have taken it back just now */
		if (recv(start->job_fd, &job, sizeof(job), MSG_DONTWAIT) == (ssize_t)sizeof(job) &&
		    (run_job(start, probe, &job, &done) < 0 || done.leaving))
			break;
	}
	probe_free(probe);
	return EXIT_FINE;
}
