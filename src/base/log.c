/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The log. Until log_open() is called everything goes to standard error, so that whoever starts the
 * daemon sees what is wrong. No process waits for the reader of the log: lines that cannot be
 * written at once are lost, and their number is logged later. syslog(3) would wait, so its protocol
 * is implemented here.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

/*
 * Lines a second from one process; the rest is counted only. Enough to see each of a hundred sites
 * that go down together. And lines an hour: 30 MB of the longest, too little to fill a disk before
 * somebody looks.
 */
#define LOG_BURST  200
#define LOG_HOURLY 20000

static const struct {
	const char *name;
	int syslog_priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", LOG_ERR },
	[LOG_LEVEL_WARNING] = { "warning", LOG_WARNING },
	[LOG_LEVEL_NOTICE] = { "notice", LOG_NOTICE },
	[LOG_LEVEL_INFO] = { "info", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
	[LOG_LEVEL_ASKED] = { "notice", LOG_NOTICE },
};

static enum log_destination destination = LOG_TO_STDERR;
static enum log_level threshold = LOG_LEVEL_INFO;
static char role[32] = "";
static bool to_journal;

/* Lines that could not be written since the last one that could. */
static unsigned lost_syslog, lost_stderr;

const char *log_socket = _PATH_LOG;
static int syslog_fd = -1;
static bool stderr_is_own;

static bool
open_syslog(void)
{
	if (syslog_fd < 0)
		syslog_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return syslog_fd >= 0;
}

/*
 * O_NONBLOCK belongs to the open file, which all processes share, also a checker that was taken
 * over: so each process opens its own for a pipe or a terminal. Writing to a regular file never
 * takes long, and for a socket each write has a flag.
 */
static void
own_stderr(void)
{
	struct stat st;
	int fd;

	if (fstat(STDERR_FILENO, &st) < 0 || !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
		return;
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return; /* poll() before each write is all there is then */
	stderr_is_own = true;
	dup2(fd, STDERR_FILENO);
	close(fd);
}

void
log_open(enum log_destination new_destination, enum log_level new_level)
{
	destination = new_destination;
	threshold = new_level;
	if (destination != LOG_TO_SYSLOG)
		own_stderr();
	if (destination != LOG_TO_STDERR)
		open_syslog();
}

void
log_forked(void)
{
	if (stderr_is_own)
		own_stderr();
	if (syslog_fd >= 0)
		close(syslog_fd);
	syslog_fd = -1;
	lost_syslog = lost_stderr = 0; /* the parent logs their number */
}

void
log_detect_journal(void)
{
	to_journal = getenv("JOURNAL_STREAM") != NULL;
}

void
log_set_role(const char *new_role)
{
	snprintf(role, sizeof(role), "%s", new_role);
}

/* As syslog(3) writes it, after RFC 3164. By the path each time: syslogd may have restarted. */
static bool
put_syslog(enum log_level level, const char *text)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	/* most log files show no priority, and grep must find what is wrong */
	bool wrong = level <= LOG_LEVEL_WARNING;
	char line[2048], when[32];
	time_t now = time(NULL);
	struct tm tm;
	int n;

	if (!open_syslog())
		return false;
	strftime(when, sizeof(when), "%b %e %T", localtime_r(&now, &tm));
	n = snprintf(line, sizeof(line), "<%d>%s webmond[%d]: %s%s%s%s%s",
	    LOG_DAEMON | levels[level].syslog_priority, when, (int)getpid(), role,
	    role[0] != '\0' ? ": " : "", wrong ? levels[level].name : "", wrong ? ": " : "", text);
	if (n >= (int)sizeof(line))
		n = sizeof(line) - 1;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", log_socket);
	return sendto(syslog_fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL,
		   (struct sockaddr *)&to, sizeof(to)) == n;
}

static bool
put_stderr(enum log_level level, const char *text)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	const char *separator = role[0] != '\0' ? ": " : "";
	char line[2048], now[UTIL_RFC3339_SIZE];
	ssize_t written;
	int n;

	if (to_journal) {
		n = snprintf(line, sizeof(line), "<%d>%s%s%s\n", levels[level].syslog_priority,
		    role, separator, text);
	} else {
		util_rfc3339(now, util_utc_us());
		n = snprintf(line, sizeof(line), "%s webmond[%d] %s%s%s: %s\n", now, (int)getpid(),
		    role, role[0] != '\0' ? " " : "", levels[level].name, text);
	}
	if (n >= (int)sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	/* one write a line, so that lines of several processes do not mix */
	if (poll(&out, 1, 0) != 1)
		return false;
	written = send(STDERR_FILENO, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (written < 0 && errno == ENOTSOCK)
		written = write(STDERR_FILENO, line, (size_t)n);
	return written > 0;
}

/* Write a line, and before it how many were lost. */
static void
deliver(bool (*put)(enum log_level, const char *), enum log_level level, const char *text,
    unsigned *lost)
{
	char note[80];

	if (*lost > 0) {
		snprintf(note, sizeof(note), "%u line%s missing here: nobody took %s", *lost,
		    *lost == 1 ? " is" : "s are", *lost == 1 ? "it" : "them");
		if (put(LOG_LEVEL_WARNING, note))
			*lost = 0;
	}
	if (*lost > 0 || !put(level, text))
		++*lost;
}

static void
emit(enum log_level level, const char *text)
{
	if (destination != LOG_TO_STDERR)
		deliver(put_syslog, level, text, &lost_syslog);
	if (destination == LOG_TO_STDERR ||
	    (destination == LOG_TO_BOTH && level <= LOG_LEVEL_WARNING))
		deliver(put_stderr, level, text, &lost_stderr);
}

struct window {
	int64_t length_us;
	unsigned limit;
	const char *when;
	int64_t number;
	unsigned count, held;
};

/*
 * Whether a line may be written now. Logs how many were not when the window is over. A flood of
 * notices leaves room for errors.
 */
static bool
within(struct window *w, enum log_level level)
{
	int64_t number = util_mono_us() / w->length_us;

	if (number != w->number) {
		unsigned lost = w->held;

		w->number = number;
		w->count = w->held = 0;
		if (lost > 0) {
			char text[64];

			snprintf(text, sizeof(text), "%u line%s held back%s", lost,
			    lost == 1 ? " was" : "s were", w->when);
			emit(LOG_LEVEL_WARNING, text);
		}
	}
	if (w->count >= w->limit * (level == LOG_LEVEL_ERROR ? 2 : 1)) {
		w->held++;
		return false;
	}
	w->count++;
	return true;
}

static bool
within_limits(enum log_level level)
{
	static struct window second = { .length_us = US_PER_S, .limit = LOG_BURST, .when = "" };
	static struct window hour = {
		.length_us = 3600 * US_PER_S, .limit = LOG_HOURLY, .when = " within an hour"
	};

	return within(&second, level) && within(&hour, level);
}

void
log_write(enum log_level level, const char *format, ...)
{
	int saved = errno;
	char raw[1536], text[1536];
	va_list ap;

	if (level == LOG_LEVEL_ASKED || (level <= threshold && within_limits(level))) {
		va_start(ap, format);
		vsnprintf(raw, sizeof(raw), format, ap);
		va_end(ap);
		/* what a site or a broker says must not forge lines or drive a terminal */
		util_clean_text(text, sizeof(text), raw, strlen(raw));
		emit(level, text);
	}
	errno = saved;
}
