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

/* `lacking`: what a start lacks, as far as it is known, and the code that it would have. */
static int
check_all(const struct config *config, const struct validation *what, struct mistakes *lacking,
    int lacking_code, int fd)
{
	struct mistakes mistakes = { 0 };
	char said[PUBLISHER_REASON_SIZE], clean[PUBLISHER_REASON_SIZE];
	int code;

	checker_validate_site(&config->defaults, &config->defaults, &mistakes);
	for (size_t i = 0; i < config->site_count + config->disabled_count; i++)
		checker_validate_site(&config->sites[i], &config->defaults, &mistakes);
	if (config->has_kafka)
		publisher_check_config(config, &mistakes);
	code = preflight_as_user(config, &what->needed, lacking);
	print(&config->mistakes, fd);
	print(&mistakes, fd);
	print(lacking, fd);
	if (config->mistakes.count + mistakes.count > 0)
		code = EXIT_CONFIG;
	else if (lacking_code != EXIT_FINE)
		code = lacking_code;
	if (code == EXIT_FINE && what->network && config->has_kafka) {
		if (publisher_find_topic(config, FIND_TOPIC_MS, said, sizeof(said)) < 0)
			code = EXIT_UNAVAILABLE;
		util_clean_text(clean, sizeof(clean), said, strlen(said));
		dprintf(fd, code == EXIT_FINE ? "%s" : "kafka: %s\n", clean);
	}
	mistakes_release(&mistakes);
	return code;
}

/* In the child. */
static _Noreturn void
validate(const struct config *config, const struct proc_user *user, const struct validation *what,
    pid_t parent, int fd)
{
	struct mistakes lacking = { 0 };
	sigset_t none;
	int code = preflight_as_starter(config, &what->needed, &lacking);

	if (proc_drop(user) < 0) {
		dprintf(fd, "cannot become user \"%s\": %s\n", user->name, strerror(errno));
		_exit(EXIT_PERMISSION);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	proc_follow_parent(parent);
	_exit(check_all(config, what, &lacking, code, fd));
}

/* As fork(2), with the reading end in `*fd`, the writing end in the child. `keep`: -1, or one more. */
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
validate_start(const struct config *config, const struct proc_user *user,
    const struct validation *what, int *fd)
{
	pid_t parent = getpid(), pid = fork_validator(-1, fd);

	if (pid == 0)
		validate(config, user, what, parent, *fd);
	return pid;
}

pid_t
validate_start_file(const char *path, struct config_share *share, const struct proc_user *user,
    const struct validation *what, int *fd)
{
	struct config *config;
	pid_t parent = getpid(), pid;

	if (config_share_open(share) < 0)
		return -1;
	pid = fork_validator(share->fd, fd);
	if (pid == 0) {
		config = config_share_load(share, path);
		if (config == NULL) {
			dprintf(*fd, "no memory to read the configuration: %s\n", strerror(errno));
			_exit(EXIT_OS);
		}
		validate(config, user, what, parent, *fd);
	}
	if (pid < 0)
		config_share_close(share);
	return pid;
}

int
validate_run(const struct config *config, const struct proc_user *user, struct validation *what)
{
	char buffer[4096], why[128];
	size_t kept = 0;
	int fd, status;
	ssize_t n;
	pid_t pid = validate_start(config, user, what, &fd);

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
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
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
