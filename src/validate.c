/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The validation child, for -t, -T, every start and every reload.
 */
#include "validate.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checker.h"
#include "publisher.h"

/* How long -T waits for Kafka: TLS and SASL to a distant broker take a second or two. */
#define FIND_TOPIC_MS 10000

static void
print(const struct mistakes *mistakes, int fd)
{
	for (size_t i = 0; i < mistakes->count; i++)
		dprintf(fd, "%s\n", mistakes->line[i]);
}

static int
wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* Become `user`, for what is left of this process. */
static void
become(const struct proc_user *user, int fd)
{
	if (proc_drop(user) < 0) {
		dprintf(fd, "cannot become user \"%s\": %s\n", user->name, strerror(errno));
		_exit(EXIT_PERMISSION);
	}
}

/* End when the parent does, by `signal_number`. To be called again after become(). */
static void
follow(pid_t parent, int signal_number)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0);
	if (getppid() != parent)
		_exit(EXIT_INTERNAL);
}

static int
check_sites(const struct config *config, int fd)
{
	struct mistakes mistakes = { 0 };

	checker_validate_site(&config->defaults, &config->defaults, &mistakes);
	for (size_t i = 0; i < config->site_count + config->disabled_count; i++)
		checker_validate_site(&config->sites[i], &config->defaults, &mistakes);
	checker_validate_vantage(config, &mistakes);
	print(&mistakes, fd);
	return mistakes.count > 0 ? EXIT_CONFIG : EXIT_FINE;
}

/* In a child of its own: this process has to become somebody else. Returns its exit code. */
static int
check_sites_as(const struct proc_user *checker, const struct config *config, int fd)
{
	pid_t self = getpid(), pid = fork();
	char why[128];
	int status;

	if (pid < 0) {
		dprintf(fd, "cannot start the validation: %s\n", strerror(errno));
		return EXIT_OS;
	}
	if (pid == 0) {
		become(checker, fd);
		follow(self, SIGKILL); /* also when it has been stopped */
		_exit(check_sites(config, fd));
	}
	status = wait_for(pid);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	dprintf(fd, "the validation %s\n", proc_describe_exit(status, why, sizeof(why)));
	return EXIT_INTERNAL;
}

/*
 * `lacking`: what a start lacks, as far as it is known. `code`: what that or the mistakes so far
 * lead to.
 */
static int
check_publisher(const struct config *config, const struct validation *what,
    struct mistakes *lacking, int code, int fd)
{
	struct mistakes mistakes = { 0 };
	char said[PUBLISHER_REASON_SIZE], clean[PUBLISHER_REASON_SIZE];
	int spool_code;

	if (config->has_kafka)
		publisher_check_config(config, &mistakes);
	spool_code = preflight_as_user(config, &what->needed, lacking);
	print(&mistakes, fd);
	print(lacking, fd);
	if (mistakes.count > 0)
		code = EXIT_CONFIG;
	else if (code == EXIT_FINE)
		code = spool_code;
	if (code == EXIT_FINE && what->network && config->has_kafka) {
		if (publisher_find_topic(config, FIND_TOPIC_MS, said, sizeof(said)) < 0)
			code = EXIT_UNAVAILABLE;
		util_clean_text(clean, sizeof(clean), said, strlen(said));
		dprintf(fd, code == EXIT_FINE ? "%s" : "kafka: %s\n", clean);
	}
	return code;
}

/* In the child. */
static _Noreturn void
validate(const struct config *config, const struct validation *what, pid_t parent, int fd)
{
	struct mistakes lacking = { 0 };
	int code = preflight_as_starter(config, &what->needed, &lacking), sites_code;

	follow(parent, SIGTERM);
	print(&config->mistakes, fd);
	sites_code = check_sites_as(what->checker, config, fd);
	if (sites_code != EXIT_FINE && sites_code != EXIT_CONFIG)
		_exit(sites_code);
	become(what->publisher, fd);
	follow(parent, SIGTERM);
	if (config->mistakes.count > 0 || sites_code == EXIT_CONFIG)
		code = EXIT_CONFIG;
	_exit(check_publisher(config, what, &lacking, code, fd));
}

/*
 * As fork(2), with the reading end in `*fd`, the writing end in the child. `keep`: -1, or one more.
 */
static pid_t
fork_validator(int keep, int *fd)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid = proc_fork("validator", (int[]){ ends[1], keep }, 2);
	*fd = ends[pid == 0];
	if (pid == 0)
		return 0;
	close(ends[1]);
	if (pid < 0)
		close(ends[0]);
	return pid;
}

pid_t
validate_start_file(
    const struct config *before, struct config_share *share, const struct validation *what, int *fd)
{
	struct config *config;
	pid_t parent = getpid(), pid;

	if (config_share_open(share) < 0)
		return -1;
	pid = fork_validator(share->fd, fd);
	if (pid == 0) {
		config = config_share_load(share, before->file);
		if (config == NULL) {
			dprintf(*fd, "no memory to read the configuration: %s\n", strerror(errno));
			_exit(EXIT_OS);
		}
		config_compare(config, before);
		validate(config, what, parent, *fd);
	}
	if (pid < 0)
		config_share_close(share);
	return pid;
}

int
validate_run(const struct config *config, struct validation *what)
{
	char buffer[4096], why[128];
	size_t kept = 0;
	int fd, status;
	ssize_t n;
	pid_t self = getpid(), pid = fork_validator(-1, &fd);

	if (pid == 0)
		validate(config, what, self, fd);
	if (pid < 0) {
		fprintf(stderr, "cannot start the validation: %s\n", strerror(errno));
		return EXIT_OS;
	}
	while (
	    (n = read(fd, buffer + kept, sizeof(buffer) - kept)) > 0 || (n < 0 && errno == EINTR)) {
		kept += n > 0 ? (size_t)n : 0;
		if (kept == sizeof(buffer)) {
			fwrite(buffer, 1, kept, stderr);
			kept = 0;
		}
	}
	close(fd);
	status = wait_for(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FINE) {
		snprintf(what->found, sizeof(what->found), "%.*s", (int)kept, buffer);
		return EXIT_FINE;
	}
	fwrite(buffer, 1, kept, stderr);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "the validation %s\n", proc_describe_exit(status, why, sizeof(why)));
	return EXIT_INTERNAL;
}
