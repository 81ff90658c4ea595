/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The daemon, with checkers that a site can take over: all of it as it is, linked so that a check
 * comes by here first (-Wl,--wrap). By the name of the site the checker then does what an attacker
 * would, behind the wall that it has built itself. If nothing of it works the check goes on, and the
 * site is `up`; else the record says what worked.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"
#include "util.h"

void __real_probe_run(struct probe *probe, const struct site *site, struct result *result);
void __wrap_probe_run(struct probe *probe, const struct site *site, struct result *result);
size_t __real_util_clean_text(char *out, size_t size, const char *in, size_t in_size);
size_t __wrap_util_clean_text(char *out, size_t size, const char *in, size_t in_size);

/* Others with our user have PIDs near ours. */
#define NEAR 200

static bool dirty; /* what is said is not cleaned any more */

static int
stop_everybody(const struct site *site)
{
	(void)site;
	return (kill(-1, SIGSTOP) == 0) + (kill(0, SIGSTOP) == 0) + (kill(getppid(), SIGTERM) == 0);
}

static int
choke_neighbours(const struct site *site)
{
	int worked = 0;

	(void)site;
	for (pid_t pid = getpid() - NEAR; pid < getpid() + NEAR; pid++) {
		if (pid <= 1 || pid == getpid())
			continue;
		worked += prlimit(pid, RLIMIT_NOFILE, &(struct rlimit){ 0, 0 }, NULL) == 0;
		worked += setpriority(PRIO_PROCESS, (id_t)pid, 19) == 0;
		worked += ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
		worked += kill(pid, SIGKILL) == 0;
	}
	return worked;
}

/* What is left behind holds the pipe open for ever. */
static int
leave_children(const struct site *site)
{
	pid_t pid;

	(void)site;
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	return pid > 0;
}

static int
run_program(const struct site *site)
{
	(void)site;
	execl("/bin/sh", "sh", "-c", "sleep 1000", (char *)NULL);
	return errno != EPERM;
}

/* Files and directories, one a line, are in the body of the request. */
static int
touch_files(const struct site *site)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC,
		O_RDWR | O_TMPFILE };
	char names[4096], fresh[4096], *name, *rest = names;
	int worked = 0;

	snprintf(names, sizeof(names), "%s", site->body != NULL ? site->body : "");
	while ((name = strsep(&rest, "\n")) != NULL) {
		for (size_t i = 0; i < ARRAY_LENGTH(flags); i++)
			worked += open(name, flags[i] | O_CLOEXEC, 0600) >= 0;
		snprintf(fresh, sizeof(fresh), "%s/forged", name);
		worked += open(fresh, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0;
		worked += (truncate(name, 0) == 0) + (unlink(name) == 0) + (rmdir(name) == 0);
		worked += chmod(name, 0666) == 0;
	}
	return worked;
}

static int
print_record(const struct site *site)
{
	(void)site;
	dprintf(STDOUT_FILENO, "{\"forged\":\"on standard output\"}\n");
	return 0;
}

static int
use_terminal(const struct site *site)
{
	int worked = open("/dev/tty", O_RDWR | O_CLOEXEC) >= 0;

	(void)site;
	for (int fd = 0; fd < 64; fd++)
		worked += ioctl(fd, TIOCSTI, "x") == 0 || ioctl(fd, TIOCSCTTY, 0) == 0;
	return worked;
}

/* In the message of the check, past the function that would clean it. */
static int
draw(const struct site *site)
{
	(void)site;
	dirty = true;
	return 1;
}

static const struct {
	const char *site;
	int (*act)(const struct site *site); /* how much of it worked */
	const char *what;
} deeds[] = {
	{ "evil-signals", stop_everybody, "others are stopped" },
	{ "evil-limits", choke_neighbours, "others are choked" },
	{ "evil-fork", leave_children, "a child is left behind" },
	{ "evil-exec", run_program, "a program is run" },
	{ "evil-files", touch_files, "files are touched" },
	{ "evil-stdout", print_record, "" },
	{ "evil-terminal", use_terminal, "the terminal is used" },
	{ "evil-words", draw, "\x1b]0;forged\a\nforged up 200 1.0 \xe2\x80\xaex\xe2\x80\xac" },
};

void
__wrap_probe_run(struct probe *probe, const struct site *site, struct result *result)
{
	int worked = 0;
	const char *what = "";

	for (size_t i = 0; i < ARRAY_LENGTH(deeds); i++) {
		if (strcmp(site->name, deeds[i].site) == 0) {
			what = deeds[i].what;
			worked = deeds[i].act(site);
		}
	}
	__real_probe_run(probe, site, result);
	if (worked > 0)
		result_fail(result, ERROR_LOCAL, "%s", what);
}

size_t
__wrap_util_clean_text(char *out, size_t size, const char *in, size_t in_size)
{
	if (!dirty || in_size >= size)
		return __real_util_clean_text(out, size, in, in_size);
	memcpy(out, in, in_size);
	out[in_size] = '\0';
	return in_size;
}
