/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Detaching, the PID file, systemd. Called by main and the supervisor; the starter's side of
 * daemon_detach() ends the process.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "proc.h"
#include "util.h"

static int starter_fd = -1;
static int pidfile_fd = -1;
static char *pidfile_path;
static char *notify_socket;
static long long watchdog_us;

void
daemon_sanitize_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void
daemon_sanitize(void)
{
	sigset_t later;
	const char *s;

	if ((s = getenv("NOTIFY_SOCKET")) != NULL)
		notify_socket = xstrdup(s);
	if ((s = getenv("WATCHDOG_USEC")) != NULL)
		watchdog_us = strtoll(s, NULL, 10);
	log_detect_journal();
	/* a signal that comes too early stays pending until the supervisor unblocks it */
	sigemptyset(&later);
	sigaddset(&later, SIGHUP);
	sigaddset(&later, SIGUSR1);
	sigprocmask(SIG_BLOCK, &later, NULL);
	signal(SIGCHLD, SIG_DFL); /* ignoring it may be inherited, and makes waitpid() useless */
	/* both are reported by errno too, which can be handled */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }); /* there are secrets in memory */
	clearenv();
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	umask(027);
}

/* The starter: passes on what the daemon writes to standard error, and exits with its code. */
static _Noreturn void
wait_for_daemon(int code_fd, int error_fd, pid_t child)
{
	unsigned char code = EXIT_INTERNAL;
	char text[4096];
	ssize_t n, said;

	for (;;) {
		struct pollfd polls[] = { { .fd = code_fd, .events = POLLIN },
			{ .fd = error_fd, .events = POLLIN } };

		if (poll(polls, ARRAY_LENGTH(polls), -1) < 0)
			continue;
		/* first what was written before the code was sent */
		said = polls[1].revents != 0 ? read(error_fd, text, sizeof(text)) : 0;
		if (said > 0 && write(STDERR_FILENO, text, (size_t)said) == said)
			continue;
		if (polls[1].revents != 0)
			error_fd = -1;
		if (polls[0].revents == 0)
			continue;
		n = read(code_fd, &code, 1);
		if (n == 1)
			_exit(code);
		if (n == 0)
			break;
	}
	waitpid(child, NULL, 0);
	log_error("the daemon ended before it was ready");
	_exit(EXIT_INTERNAL);
}

int
daemon_detach(bool keep_stderr)
{
	int code[2], error[2] = { -1, -1 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t child;

	if (null < 0 || pipe2(code, O_CLOEXEC) < 0 || (!keep_stderr && pipe2(error, O_CLOEXEC) < 0))
		return -1;
	child = fork();
	if (child < 0)
		return -1;
	if (child > 0) {
		close(code[1]);
		if (!keep_stderr)
			close(error[1]);
		wait_for_daemon(code[0], error[0], child);
	}
	close(code[0]);
	starter_fd = code[1];
	if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    (!keep_stderr && dup2(error[1], STDERR_FILENO) < 0) || setsid() < 0)
		return -1;
	close(null);
	if (!keep_stderr) {
		close(error[0]);
		close(error[1]);
	}
	/* a second fork: never a session leader, so never a controlling terminal */
	child = fork();
	if (child < 0)
		return -1;
	if (child > 0)
		_exit(0);
	return chdir("/");
}

void
daemon_tell_starter(int exit_code)
{
	unsigned char code = (unsigned char)exit_code;

	if (starter_fd < 0)
		return;
	if (write(starter_fd, &code, 1) < 0)
		log_debug("the starter is gone");
	close(starter_fd);
	starter_fd = -1;
}

/* Whether the file is ours alone and empty or a PID: pid_file may be mistyped, or a link. */
static bool
is_pid_file(int fd)
{
	char text[17] = "";
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink <= 1 &&
	       st.st_uid == geteuid() && st.st_size < (off_t)sizeof(text) &&
	       pread(fd, text, sizeof(text) - 1, 0) == st.st_size &&
	       strspn(text, "0123456789\n") == (size_t)st.st_size;
}

/* Open and lock the file at `path`. Its owner may remove it between the two: then try again. */
static int
open_locked(const char *path)
{
	struct stat opened, named;

	for (int tries = 0; tries < 10; tries++) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

		if (fd < 0)
			return -1;
		if (!is_pid_file(fd)) {
			log_error("\"%s\" exists and is no PID file of this user's: remove it, or "
				  "name another file in pid_file",
			    path);
			close(fd);
			errno = EEXIST;
			return -1;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			char pid[16] = "?";
			ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

			pid[n > 0 ? n : 1] = '\0';
			pid[strcspn(pid, "\n")] = '\0';
			if (atoi(pid) > 0 && kill(atoi(pid), 0) < 0 && errno == ESRCH &&
			    tries < 9) {
				/*
				 * only a child that was forked just now holds it still, and will
				 * close it
				 */
				close(fd);
				usleep(100000);
				continue;
			}
			log_error("already running with PID %s (it holds \"%s\")", pid, path);
			close(fd);
			errno = EWOULDBLOCK;
			return -1;
		}
		if (fstat(fd, &opened) == 0 && stat(path, &named) == 0 &&
		    opened.st_ino == named.st_ino && opened.st_dev == named.st_dev)
			return fd;
		close(fd);
	}
	errno = EAGAIN;
	return -1;
}

int
pidfile_acquire(const char *path)
{
	pidfile_fd = open_locked(path);
	if (pidfile_fd < 0 && (errno == EWOULDBLOCK || errno == EEXIST))
		return errno == EWOULDBLOCK ? EXIT_RUNNING : EXIT_CANNOT_CREATE;
	if (pidfile_fd < 0 || fchmod(pidfile_fd, 0644) < 0 || ftruncate(pidfile_fd, 0) < 0 ||
	    dprintf(pidfile_fd, "%d\n", (int)getpid()) < 0) {
		log_error("cannot write the PID file \"%s\": %s (see pid_file in webmond.conf(5))",
		    path, strerror(errno));
		return EXIT_CANNOT_CREATE;
	}
	pidfile_path = xstrdup(path);
	return EXIT_FINE;
}

int
pidfile_check(const char *path, char *reason, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int why = fd < 0 ? errno : 0;
	char *directory = util_directory_of(path);

	if (fd >= 0)
		close(fd);
	if (why == ENOENT)
		why = faccessat(AT_FDCWD, directory[0] != '\0' ? directory : ".", W_OK | X_OK,
			  AT_EACCESS) < 0
			  ? errno
			  : 0;
	if (why == ENOENT)
		snprintf(reason, size, "there is no directory \"%s\"; make it: mkdir -p \"%s\"",
		    directory, directory);
	else if (why != 0)
		snprintf(reason, size, "cannot write \"%s\": %s; %sname another file", path,
		    strerror(why), geteuid() == 0 ? "" : "start as root, or ");
	free(directory);
	return why == 0 ? 0 : -1;
}

void
pidfile_remove(void)
{
	if (pidfile_path == NULL)
		return;
	unlink(pidfile_path);
	close(pidfile_fd);
	free(pidfile_path);
	pidfile_path = NULL;
}

void
systemd_notify(const char *format, ...)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char message[512];
	size_t length;
	va_list ap;
	int fd;

	if (notify_socket == NULL || (length = strlen(notify_socket)) >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, notify_socket, length);
	if (address.sun_path[0] == '@')
		address.sun_path[0] = '\0'; /* an abstract socket */
	va_start(ap, format);
	vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&address,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
}

bool
systemd_listens(void)
{
	return notify_socket != NULL;
}

long long
systemd_watchdog_us(void)
{
	return notify_socket != NULL ? watchdog_us : 0;
}
