/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Children: what they inherit and what not, whose rights they have, when they are started again. */
#include "proc.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"
#include "util.h"

static int
exit_code_of(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* The first line of a file in /proc/self, zeros as blanks. */
static const char *
proc_file(const char *name)
{
	static char text[4096];
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	return text;
}

/* --- birth ------------------------------------------------------------------------------- */

/* The open descriptors above standard error, as "5 8 ". */
static void
list_descriptors(char *out, size_t size)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	out[0] = '\0';
	for (int fd = STDERR_FILENO + 1; fd < 256 && n < size; fd++)
		if (fd != dirfd(dir) && fcntl(fd, F_GETFD) >= 0)
			n += (size_t)snprintf(out + n, size - n, "%d ", fd);
	closedir(dir);
}

START_TEST(only_what_is_given_stays_open)
{
	char expected[64], seen[4096];
	int fds[8], keep[2];
	pid_t pid;

	for (size_t i = 0; i < ARRAY_LENGTH(fds); i++)
		fds[i] = open("/dev/null", O_RDONLY);
	keep[0] = fds[5];
	keep[1] = fds[2];
	snprintf(expected, sizeof(expected), "%d %d ", fds[2], fds[5]);
	pid = proc_fork("child", keep, 2);
	if (pid == 0) {
		list_descriptors(seen, sizeof(seen));
		_exit(strcmp(seen, expected) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(exit_code_of(pid), 0);

	pid = proc_fork("child", NULL, 0);
	if (pid == 0) {
		list_descriptors(seen, sizeof(seen));
		_exit(seen[0] == '\0' && fcntl(STDERR_FILENO, F_GETFD) >= 0 ? 0 : 1);
	}
	ck_assert_int_eq(exit_code_of(pid), 0);
	/* the parent has lost nothing */
	for (size_t i = 0; i < ARRAY_LENGTH(fds); i++)
		ck_assert_int_ge(fcntl(fds[i], F_GETFD), 0);
}
END_TEST

static bool
is_null(int fd)
{
	struct stat st, null;

	return fstat(fd, &st) == 0 && stat("/dev/null", &null) == 0 && st.st_rdev == null.st_rdev;
}

START_TEST(standard_output_is_given_too)
{
	static const int out = STDOUT_FILENO;
	int ends[2];
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	for (int prints = 0; prints < 2; prints++) {
		pid = fork();
		if (pid == 0) {
			dup2(ends[0], STDIN_FILENO);
			dup2(ends[1], STDOUT_FILENO);
			dup2(ends[1], STDERR_FILENO);
			pid = proc_fork("child", &out, (size_t)prints);
			if (pid == 0)
				_exit(is_null(0) && is_null(1) == !prints && !is_null(2) ? 0 : 1);
			_exit(exit_code_of(pid));
		}
		ck_assert_int_eq(exit_code_of(pid), 0);
	}
	close(ends[0]);
	close(ends[1]);
}
END_TEST

/*
 * Become who sits at a terminal: its session, its descriptors. Returns the terminal's other side.
 */
static int
sit_down(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), fd;

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || setsid() < 0)
		return -1;
	fd = open(ptsname(master), O_RDWR);
	return fd >= 0 && dup2(fd, 0) == 0 && dup2(fd, 1) == 1 && dup2(fd, 2) == 2 ? master : -1;
}

/* Ways to the terminal, by somebody who has no rights. */
static int
count_ways_to_terminal(void)
{
	int tty = open("/dev/tty", O_RDWR), ways = tty >= 0;

	for (int fd = 0; fd <= 2; fd++)
		ways += ioctl(fd, TIOCSTI, "x") == 0;
	return ways + (ioctl(2, TIOCSCTTY, 0) == 0) +
	       (ioctl(2, TIOCSPGRP, &(pid_t){ getpid() }) == 0);
}

START_TEST(no_child_has_a_terminal)
{
	struct proc_user user;
	pid_t pid;

	if (geteuid() != 0 || proc_find_user("nobody", &user) < 0)
		user = (struct proc_user){ .drop = false };
	pid = fork();
	if (pid == 0) {
		if (sit_down() < 0 || isatty(0) != 1 || open("/dev/tty", O_RDWR) < 0)
			_exit(1);
		pid = proc_fork("child", NULL, 0);
		if (pid == 0) {
			if (proc_drop(&user) < 0)
				_exit(2);
			_exit(10 + count_ways_to_terminal());
		}
		_exit(exit_code_of(pid));
	}
	ck_assert_int_eq(exit_code_of(pid), 10);
}
END_TEST

static void
on_signal(int number)
{
	(void)number;
}

static int
handler_of(int number, void (*expected)(int))
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler == expected;
}

START_TEST(signals_start_anew)
{
	static const int handled[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGUSR2,
		SIGALRM };
	sigset_t mask, before, after;
	pid_t pid;

	for (size_t i = 0; i < ARRAY_LENGTH(handled); i++)
		signal(handled[i], on_signal);
	sigemptyset(&before);
	sigaddset(&before, SIGUSR1);
	sigprocmask(SIG_SETMASK, &before, NULL);
	pid = proc_fork("child", NULL, 0);
	if (pid == 0) {
		int bad = 0;

		sigprocmask(SIG_SETMASK, NULL, &mask);
		for (int number = 1; number < 32; number++)
			bad += sigismember(&mask, number) != (number == SIGTERM);
		bad += !handler_of(SIGTERM, SIG_DFL) || !handler_of(SIGCHLD, SIG_DFL) ||
		       !handler_of(SIGUSR2, SIG_DFL) || !handler_of(SIGALRM, SIG_DFL);
		bad += !handler_of(SIGUSR1, SIG_IGN) || !handler_of(SIGINT, SIG_IGN) ||
		       !handler_of(SIGHUP, SIG_IGN) || !handler_of(SIGPIPE, SIG_IGN) ||
		       !handler_of(SIGXFSZ, SIG_IGN);
		_exit(bad);
	}
	ck_assert_int_eq(exit_code_of(pid), 0);
	sigprocmask(SIG_SETMASK, NULL, &after);
	for (int number = 1; number < 32; number++)
		ck_assert_int_eq(sigismember(&after, number), sigismember(&before, number));
	ck_assert(handler_of(SIGTERM, on_signal));
}
END_TEST

START_TEST(the_title_names_the_role)
{
	pid_t pid = proc_fork("checker 3", NULL, 0);

	if (pid == 0) {
		if (strncmp(proc_file("cmdline"), "webmond: checker 3 ", 19) != 0)
			_exit(1);
		if (strcmp(proc_file("comm"), "webmond\n") != 0)
			_exit(2);
		/* what lay there is still in use */
		_exit(getenv("PATH") != NULL && getenv("HOME") != getenv("PATH") ? 0 : 3);
	}
	ck_assert_int_eq(exit_code_of(pid), 0);
	ck_assert_ptr_null(strstr(proc_file("cmdline"), "checker 3"));
}
END_TEST

START_TEST(a_title_never_runs_over)
{
	char before[4096], text[2000];
	size_t room;

	snprintf(before, sizeof(before), "%s", proc_file("cmdline"));
	memset(text, 't', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	proc_set_title("webmond: %s", text);
	room = strlen(proc_file("cmdline"));
	ck_assert_uint_gt(room, 9);
	proc_set_title("webmond: x");
	ck_assert_int_eq(strncmp(proc_file("cmdline"), "webmond: x ", 11), 0);
	ck_assert_ptr_null(strstr(proc_file("cmdline"), "t")); /* nothing of the old one */
}
END_TEST

/* --- rights ------------------------------------------------------------------------------ */

START_TEST(users_are_found)
{
	struct proc_user user;

	ck_assert_int_eq(proc_find_user("root", &user), 0);
	ck_assert(user.drop);
	ck_assert_uint_eq(user.uid, 0);
	ck_assert_str_eq(user.name, "root");
	ck_assert_int_eq(proc_find_user("no such user", &user), -1);
}
END_TEST

/* Whether a line like "NoNewPrivs:\t1" is in our status. */
static bool
status_says(const char *line)
{
	return strstr(proc_file("status"), line) != NULL;
}

START_TEST(who_is_not_root_stays_and_gets_no_more)
{
	struct proc_user user = { .drop = false };
	pid_t pid = fork();

	if (pid == 0) {
		uid_t uid = getuid();

		if (proc_drop(&user) < 0)
			_exit(1);
		_exit(getuid() == uid && prctl(PR_GET_DUMPABLE) == 0 &&
			      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
			  ? 0
			  : 2);
	}
	ck_assert_int_eq(exit_code_of(pid), 0);
}
END_TEST

static int
count_object(struct dl_phdr_info *info, size_t size, void *count)
{
	(void)info, (void)size;
	++*(int *)count;
	return 0;
}

static int
loaded_objects(void)
{
	int count = 0;

	dl_iterate_phdr(count_object, &count);
	return count;
}

START_TEST(root_becomes_another_for_good)
{
	struct proc_user user;
	pid_t pid;

	if (geteuid() != 0 || proc_find_user("nobody", &user) < 0)
		return; /* only root can; the tests run as root too */
	pid = fork();
	if (pid == 0) {
		static const gid_t many[] = { 0, 1, 2, 3 };
		uid_t uid[3];
		gid_t gid[3], groups[64];
		int count, loaded = loaded_objects();

		setgroups(ARRAY_LENGTH(many), many);
		if (proc_drop(&user) < 0)
			_exit(1);
		if (loaded_objects() != loaded)
			_exit(7); /* what each child loads it has for itself */
		getresuid(&uid[0], &uid[1], &uid[2]);
		getresgid(&gid[0], &gid[1], &gid[2]);
		for (int i = 0; i < 3; i++)
			if (uid[i] != user.uid || gid[i] != user.gid)
				_exit(2);
		count = getgroups(ARRAY_LENGTH(groups), groups);
		for (int i = 0; i < count; i++)
			if (groups[i] < 4)
				_exit(3);
		if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0)
			_exit(4);
		if (!status_says("NoNewPrivs:\t1") || !status_says("CapEff:\t0000000000000000"))
			_exit(5);
		_exit(prctl(PR_GET_DUMPABLE) == 0 ? 0 : 6);
	}
	ck_assert_int_eq(exit_code_of(pid), 0);
}
END_TEST

START_TEST(root_keeps_what_a_supervisor_needs)
{
	struct proc_user user;
	pid_t pid = fork(), child;
	int status;

	if (pid == 0) {
		if (proc_limit_root() < 0)
			_exit(1);
		/* who is not root has none, and keeps none */
		if (geteuid() != 0)
			_exit(status_says("CapPrm:\t0000000000000000") ? 0 : 2);
		if (!status_says("CapPrm:\t00000000000000e4") ||
		    !status_says("CapEff:\t00000000000000e4"))
			_exit(3);
		if (proc_find_user("nobody", &user) < 0)
			_exit(0);
		child = fork();
		if (child == 0) {
			if (proc_drop(&user) < 0)
				_exit(1);
			for (;;)
				pause();
		}
		/* it goes by our signal, whoever it has become by then */
		if (kill(child, SIGKILL) < 0 || waitpid(child, &status, 0) != child)
			_exit(4);
		_exit(WIFSIGNALED(status) ? 0 : 5);
	}
	ck_assert_int_eq(exit_code_of(pid), 0);
}
END_TEST

START_TEST(who_may_not_change_fails)
{
	struct proc_user nobody, root = { .drop = true, .name = "root" };
	pid_t pid = fork();

	if (pid == 0) {
		if (geteuid() == 0 && (proc_find_user("nobody", &nobody) < 0 ||
					  setgid(nobody.gid) < 0 || setuid(nobody.uid) < 0))
			_exit(1);
		_exit(proc_drop(&root) == -1 && errno == EPERM ? 0 : 2);
	}
	ck_assert_int_eq(exit_code_of(pid), 0);
}
END_TEST

/* --- death ------------------------------------------------------------------------------- */

START_TEST(children_follow_their_parent)
{
	int ready[2], alive[2];
	char byte;
	pid_t parent;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(alive), 0);
	parent = fork();
	if (parent == 0) {
		pid_t self = getpid();
		pid_t child = fork();

		if (child == 0) {
			signal(SIGTERM, SIG_DFL); /* libcheck's handler would end the test */
			proc_follow_parent(self);
			if (write(ready[1], "x", 1) != 1)
				_exit(1);
			for (;;)
				pause();
		}
		/* leaves only when the child has said that it follows */
		_exit(read(ready[0], &byte, 1) == 1 ? 0 : 1);
	}
	close(alive[1]);
	ck_assert_int_eq(exit_code_of(parent), 0);
	/* the end of the last writer: the child has gone, without anybody's help */
	ck_assert_int_eq(read(alive[0], &byte, 1), 0);
}
END_TEST

START_TEST(a_child_of_the_dead_leaves_at_once)
{
	pid_t pid = fork();

	if (pid == 0) {
		proc_follow_parent(getpid()); /* surely not the parent */
		_exit(1);
	}
	ck_assert_int_eq(exit_code_of(pid), EXIT_FINE);
}
END_TEST

START_TEST(ends_are_described)
{
	char buffer[64];
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(71);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_str_eq(proc_describe_exit(status, buffer, sizeof(buffer)), "exited with code 71");
	pid = fork();
	if (pid == 0)
		raise(SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_str_eq(
	    proc_describe_exit(status, buffer, sizeof(buffer)), "was killed by signal 9 (Killed)");
	ck_assert_str_eq(proc_describe_exit(status, buffer, 10), "was kille");
}
END_TEST

START_TEST(who_keeps_dying_waits_longer)
{
	static const int64_t broken_ms[] = { 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600,
		51200, 60000, 60000, 60000 };
	static const int64_t worked_ms[] = { 100, 200, 400, 800, 1000, 1000, 1000 };
	struct proc_backoff b = { 0 };
	int64_t now = 1000 * US_PER_S;

	for (size_t i = 0; i < ARRAY_LENGTH(broken_ms); i++) {
		b.started_us = now;
		now += US_PER_S;
		proc_backoff_died(&b, false, now);
		ck_assert_int_eq(b.not_before_us - now, broken_ms[i] * US_PER_MS);
		now = b.not_before_us;
	}
	/* it was at work: within a second, whatever was before */
	b.started_us = now;
	proc_backoff_died(&b, true, now);
	ck_assert_int_eq(b.delay_us, US_PER_S);

	/* a life of exactly a minute is not long enough to start anew, a longer one is */
	b.delay_us = 60 * US_PER_S;
	b.started_us = now;
	proc_backoff_died(&b, false, now + 60 * US_PER_S);
	ck_assert_int_eq(b.delay_us, 60 * US_PER_S);
	b.started_us = now;
	proc_backoff_died(&b, false, now + 60 * US_PER_S + 1);
	ck_assert_int_eq(b.delay_us, 100 * US_PER_MS);

	b = (struct proc_backoff){ 0 };
	for (size_t i = 0; i < ARRAY_LENGTH(worked_ms); i++) {
		b.started_us = now;
		now += US_PER_S;
		proc_backoff_died(&b, true, now);
		ck_assert_int_eq(b.not_before_us - now, worked_ms[i] * US_PER_MS);
		now = b.not_before_us;
	}
}
END_TEST

int
main(int argc, char **argv)
{
	Suite *suite = suite_create("proc");
	TCase *tcase = tcase_create("proc");

	proc_init_title(argc, argv);
	tcase_add_test(tcase, only_what_is_given_stays_open);
	tcase_add_test(tcase, standard_output_is_given_too);
	tcase_add_test(tcase, no_child_has_a_terminal);
	tcase_add_test(tcase, signals_start_anew);
	tcase_add_test(tcase, the_title_names_the_role);
	tcase_add_test(tcase, a_title_never_runs_over);
	tcase_add_test(tcase, users_are_found);
	tcase_add_test(tcase, who_is_not_root_stays_and_gets_no_more);
	tcase_add_test(tcase, root_becomes_another_for_good);
	tcase_add_test(tcase, root_keeps_what_a_supervisor_needs);
	tcase_add_test(tcase, who_may_not_change_fails);
	tcase_add_test(tcase, children_follow_their_parent);
	tcase_add_test(tcase, a_child_of_the_dead_leaves_at_once);
	tcase_add_test(tcase, ends_are_described);
	tcase_add_test(tcase, who_keeps_dying_waits_longer);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
