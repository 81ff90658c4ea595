/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Going to the background with a starter that knows the outcome; one at a time; systemd. */
#include "daemon.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture.h"
#include "log.h"
#include "proc.h"
#include "scratch.h"
#include "suite.h"
#include "util.h"

static void
setup(void)
{
	capture_start();
	make_dir();
}

static const char *
read_file(const char *name)
{
	static char text[256];
	FILE *f = fopen(path_in_dir(name), "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static int
exit_code_of(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* --- the starter ------------------------------------------------------------------------- */

/* What a daemon says about itself. */
struct about {
	pid_t pid, session, parent;
	char cwd[64];
	bool null_in, null_out;
	ino_t error;
};

static bool
is_null(int fd)
{
	struct stat st, null;

	return fstat(fd, &st) == 0 && stat("/dev/null", &null) == 0 && st.st_rdev == null.st_rdev;
}

/*
 * Start a daemon that says `words` on standard error and then sends `code`, or dies (-1). It tells
 * about itself and waits until we have read that. Returns the exit code of the starter.
 */
static int
start(bool keep_stderr, const char *words, int code, struct about *about)
{
	int pair[2], outcome;
	pid_t starter;
	char byte;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	starter = fork();
	if (starter == 0) {
		struct about own = { 0 };
		struct stat st;

		close(pair[0]);
		if (daemon_detach(keep_stderr) < 0)
			_exit(1);
		if (words != NULL)
			log_error("%s", words);
		own.pid = getpid();
		own.session = getsid(0);
		own.null_in = is_null(STDIN_FILENO);
		own.null_out = is_null(STDOUT_FILENO);
		if (fstat(STDERR_FILENO, &st) == 0)
			own.error = st.st_ino;
		if (getcwd(own.cwd, sizeof(own.cwd)) == NULL)
			_exit(1);
		if (code >= 0) {
			daemon_tell_starter(code);
			daemon_tell_starter(99); /* too late: nothing happens */
		}
		send(pair[1], &own, sizeof(own), 0);
		(void)!read(pair[1], &byte, 1);
		_exit(0);
	}
	close(pair[1]);
	if (code >= 0)
		outcome = exit_code_of(starter); /* while the daemon lives */
	ck_assert_int_eq(recv(pair[0], about, sizeof(*about), 0), sizeof(*about));
	close(pair[0]);
	if (code < 0)
		outcome = exit_code_of(starter);
	return outcome;
}

START_TEST(the_starter_leaves_when_the_daemon_is_ready)
{
	struct about about;

	ck_assert_int_eq(start(false, NULL, 0, &about), 0);
	ck_assert_int_ne(about.session, getsid(0));
	ck_assert_int_ne(about.session, about.pid); /* never a controlling terminal */
	ck_assert_str_eq(about.cwd, "/");
	ck_assert(about.null_in);
	ck_assert(about.null_out);
}
END_TEST

START_TEST(the_starter_fails_as_the_daemon_does)
{
	struct about about;

	ck_assert_int_eq(start(false, NULL, EXIT_CANNOT_CREATE, &about), EXIT_CANNOT_CREATE);
	ck_assert_int_eq(start(false, NULL, EXIT_RUNNING, &about), EXIT_RUNNING);
}
END_TEST

START_TEST(a_daemon_that_dies_early_is_noticed)
{
	struct about about;

	ck_assert_int_eq(start(false, NULL, -1, &about), EXIT_INTERNAL);
	ck_assert_int_eq(count_of(captured(), "the daemon ended before it was ready"), 1);
}
END_TEST

/* What goes wrong is seen by who started it, but the daemon does not hold on to his terminal. */
START_TEST(the_starter_passes_on_what_is_said)
{
	struct about about;
	struct stat ours;

	ck_assert_int_eq(fstat(STDERR_FILENO, &ours), 0);
	ck_assert_int_eq(start(false, "no disk", EXIT_CANNOT_CREATE, &about), EXIT_CANNOT_CREATE);
	ck_assert_int_eq(count_of(captured(), "error: no disk\n"), 1);
	ck_assert_uint_ne(about.error, ours.st_ino);

	capture_forget();
	ck_assert_int_eq(start(true, "log is here", 0, &about), 0);
	ck_assert_int_eq(count_of(captured(), "error: log is here\n"), 1);
	ck_assert_uint_eq(about.error, ours.st_ino);
}
END_TEST

START_TEST(without_a_starter_nothing_happens)
{
	daemon_tell_starter(EXIT_FINE);
	daemon_tell_starter(EXIT_INTERNAL);
	ck_assert_str_eq(captured(), "");
}
END_TEST

/* --- what was inherited ------------------------------------------------------------------ */

START_TEST(descriptors_0_to_2_exist)
{
	pid_t pid = fork();

	if (pid == 0) {
		close_range(0, ~0U, 0);
		daemon_sanitize_descriptors();
		for (int fd = 0; fd <= 2; fd++)
			if (!is_null(fd))
				_exit(1);
		if (fcntl(3, F_GETFD) >= 0)
			_exit(2); /* one too many */
		_exit(0);
	}
	ck_assert_int_eq(exit_code_of(pid), 0);

	pid = fork();
	if (pid == 0) {
		struct stat before, after;

		if (fstat(STDERR_FILENO, &before) < 0)
			_exit(1);
		close(STDIN_FILENO);
		daemon_sanitize_descriptors();
		if (!is_null(STDIN_FILENO) || fstat(STDERR_FILENO, &after) < 0)
			_exit(2);
		_exit(before.st_ino == after.st_ino ? 0 : 3); /* what was there stays */
	}
	ck_assert_int_eq(exit_code_of(pid), 0);
}
END_TEST

START_TEST(the_environment_is_forgotten)
{
	setenv("https_proxy", "http://evil.example/", 1);
	setenv("SSLKEYLOGFILE", "/tmp/keys", 1);
	setenv("LD_PRELOAD_X", "x", 1);
	umask(0);
	daemon_sanitize();
	ck_assert_str_eq(environ[0], "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
	ck_assert_ptr_null(environ[1]);
	ck_assert_int_eq(umask(0), 027);
}
END_TEST

/* --- the PID file ------------------------------------------------------------------------ */

/* pidfile_acquire() in another process, which keeps the lock until `*hold` is closed. */
static int
acquire_elsewhere(const char *path, int *hold, pid_t *pid)
{
	int fds[2], answer[2];
	unsigned char code;

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(pipe(answer), 0);
	*pid = fork();
	if (*pid == 0) {
		close(fds[1]);
		code = (unsigned char)pidfile_acquire(path);
		(void)!write(answer[1], &code, 1);
		(void)!read(fds[0], &code, 1);
		_exit(0);
	}
	close(fds[0]);
	ck_assert_int_eq(read(answer[0], &code, 1), 1);
	close(answer[0]);
	close(answer[1]);
	*hold = fds[1];
	return code;
}

START_TEST(a_pid_file_says_who)
{
	char expected[32];
	struct stat st;

	umask(0);
	ck_assert_int_eq(pidfile_acquire(path_in_dir("pid")), EXIT_FINE);
	snprintf(expected, sizeof(expected), "%d\n", (int)getpid());
	ck_assert_str_eq(read_file("pid"), expected);
	ck_assert_int_eq(stat(path_in_dir("pid"), &st), 0);
	/* who could write it could have anything killed */
	ck_assert_int_eq(st.st_mode & 07777, 0644);
	pidfile_remove();
	ck_assert_int_eq(access(path_in_dir("pid"), F_OK), -1);
	pidfile_remove(); /* again: nothing happens */
}
END_TEST

START_TEST(the_second_one_learns_who_was_first)
{
	char expected[64];
	pid_t first, second;
	int hold, other;

	ck_assert_int_eq(acquire_elsewhere(path_in_dir("pid"), &hold, &first), EXIT_FINE);
	ck_assert_int_eq(acquire_elsewhere(path_in_dir("pid"), &other, &second), EXIT_RUNNING);
	snprintf(expected, sizeof(expected), "already running with PID %d ", (int)first);
	ck_assert_int_eq(count_of(captured(), expected), 1);
	close(other);
	ck_assert_int_eq(exit_code_of(second), 0);

	/*
	 * the first is untouched by that, and its end is the end of the lock, with or without file
	 */
	snprintf(expected, sizeof(expected), "%d\n", (int)first);
	ck_assert_str_eq(read_file("pid"), expected);
	kill(first, SIGKILL);
	ck_assert_int_eq(waitpid(first, NULL, 0), first);
	close(hold);
	ck_assert_int_eq(pidfile_acquire(path_in_dir("pid")), EXIT_FINE);
	pidfile_remove();
}
END_TEST

START_TEST(a_stale_pid_file_is_taken_over)
{
	char expected[32];

	write_file("pid", "4194304\n", 0666);
	ck_assert_int_eq(pidfile_acquire(path_in_dir("pid")), EXIT_FINE);
	snprintf(expected, sizeof(expected), "%d\n", (int)getpid());
	ck_assert_str_eq(read_file("pid"), expected);
	pidfile_remove();
}
END_TEST

/* The file is removed by its owner just when the next one waits for it. */
START_TEST(a_removed_pid_file_is_no_lock)
{
	pid_t first, second;
	int hold, other;

	ck_assert_int_eq(acquire_elsewhere(path_in_dir("pid"), &hold, &first), EXIT_FINE);
	ck_assert_int_eq(unlink(path_in_dir("pid")), 0);
	ck_assert_int_eq(acquire_elsewhere(path_in_dir("pid"), &other, &second), EXIT_FINE);
	ck_assert_int_eq(access(path_in_dir("pid"), F_OK), 0);
	close(hold);
	close(other);
	ck_assert_int_eq(exit_code_of(first), 0);
	ck_assert_int_eq(exit_code_of(second), 0);
}
END_TEST

START_TEST(a_pid_file_is_not_followed)
{
	char target[128];

	write_file("precious", "data", 0644);
	snprintf(target, sizeof(target), "%s", path_in_dir("precious"));
	ck_assert_int_eq(symlink(target, path_in_dir("pid")), 0);
	ck_assert_int_eq(pidfile_acquire(path_in_dir("pid")), EXIT_CANNOT_CREATE);
	ck_assert_str_eq(read_file("precious"), "data");
	ck_assert_int_eq(count_of(captured(), "cannot write the PID file"), 1);

	capture_forget();
	ck_assert_int_eq(pidfile_acquire(path_in_dir("no/such/dir")), EXIT_CANNOT_CREATE);
	ck_assert_int_eq(count_of(captured(), "No such file or directory"), 1);
	ck_assert_int_eq(pidfile_acquire(dir), EXIT_CANNOT_CREATE);
}
END_TEST

/* A typo, a link that somebody made in a directory that others may write: nothing is touched. */
START_TEST(only_a_pid_file_is_taken_for_one)
{
	static const struct {
		const char *text;
		mode_t mode;
		uid_t owner;
		bool linked;
	} cases[] = {
		{ "root:*:20000:0:99999:7:::\n", 0600, 0, false },
		{ "12345678901234567\n", 0600, 0, false },
		{ "1\n", 0600, 0, true },
		{ "1\n", 0600, 65534, false },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char other[128];
		struct stat st;

		write_file("pid", cases[i].text, cases[i].mode);
		snprintf(other, sizeof(other), "%s", path_in_dir("other"));
		if (cases[i].linked)
			ck_assert_int_eq(link(path_in_dir("pid"), other), 0);
		if (cases[i].owner != 0 &&
		    chown(path_in_dir("pid"), cases[i].owner, cases[i].owner) < 0)
			continue; /* only root can */
		capture_forget();
		ck_assert_int_eq(pidfile_acquire(path_in_dir("pid")), EXIT_CANNOT_CREATE);
		ck_assert_int_eq(count_of(captured(), "is no PID file of this user's"), 1);
		ck_assert_str_eq(read_file("pid"), cases[i].text);
		ck_assert_int_eq(stat(path_in_dir("pid"), &st), 0);
		ck_assert_int_eq(st.st_mode & 07777, cases[i].mode);
		ck_assert_int_eq(unlink(path_in_dir("pid")), 0);
		unlink(other);
	}
	/* nor is a FIFO one */
	ck_assert_int_eq(mkfifo(path_in_dir("pid"), 0600), 0);
	ck_assert_int_eq(pidfile_acquire(path_in_dir("pid")), EXIT_CANNOT_CREATE);
}
END_TEST

/* --- systemd ----------------------------------------------------------------------------- */

/* A socket as systemd's, with `name` ("@": abstract) in the environment. */
static int
listen_at(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ck_assert_uint_lt(length, sizeof(address.sun_path));
	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
	    0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

START_TEST(systemd_is_told)
{
	bool abstract = _i == 1;
	char name[160], message[256];
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "%s%s", abstract ? "@" : "", path_in_dir("notify"));
	fd = listen_at(name);
	setenv("WATCHDOG_USEC", "30000000", 1);
	daemon_sanitize();
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	systemd_notify("STATUS=%d sites\nREADY=1", 7);
	n = recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT);
	ck_assert_int_gt(n, 0);
	message[n] = '\0';
	ck_assert_str_eq(message, "STATUS=7 sites\nREADY=1");
	ck_assert_int_eq(systemd_watchdog_us(), 30000000);
	close(fd);
	/* it has gone: nobody cares */
	systemd_notify("WATCHDOG=1");
	ck_assert_str_eq(captured(), "");
}
END_TEST

START_TEST(without_systemd_nothing_is_told)
{
	setenv("WATCHDOG_USEC", "30000000", 1);
	unsetenv("NOTIFY_SOCKET");
	daemon_sanitize();
	systemd_notify("READY=1");
	ck_assert_int_eq(systemd_watchdog_us(), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("daemon");
	TCase *tcase = tcase_create("daemon");

	tcase_add_checked_fixture(tcase, setup, remove_dir);
	tcase_add_test(tcase, the_starter_leaves_when_the_daemon_is_ready);
	tcase_add_test(tcase, the_starter_fails_as_the_daemon_does);
	tcase_add_test(tcase, a_daemon_that_dies_early_is_noticed);
	tcase_add_test(tcase, the_starter_passes_on_what_is_said);
	tcase_add_test(tcase, without_a_starter_nothing_happens);
	tcase_add_test(tcase, descriptors_0_to_2_exist);
	tcase_add_test(tcase, the_environment_is_forgotten);
	tcase_add_test(tcase, a_pid_file_says_who);
	tcase_add_test(tcase, the_second_one_learns_who_was_first);
	tcase_add_test(tcase, a_stale_pid_file_is_taken_over);
	tcase_add_test(tcase, a_removed_pid_file_is_no_lock);
	tcase_add_test(tcase, a_pid_file_is_not_followed);
	tcase_add_test(tcase, only_a_pid_file_is_taken_for_one);
	tcase_add_loop_test(tcase, systemd_is_told, 0, 2);
	tcase_add_test(tcase, without_systemd_nothing_is_told);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
