/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The log. Until log_open() is called everything goes to standard error, so that a starter's
 * mistakes are seen by who started it.
 */
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "util.h"

/*
 * At most this many lines a second from one process, then a count of what was held back: enough
 * for a hundred sites that go down together to be seen one by one, too little to fill a disk.
 */
#define LOG_BURST 200

static const struct {
	const char *name;
	int syslog_priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", LOG_ERR },
	[LOG_LEVEL_WARNING] = { "warning", LOG_WARNING },
	[LOG_LEVEL_NOTICE] = { "notice", LOG_NOTICE },
	[LOG_LEVEL_INFO] = { "info", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};

static enum log_destination destination = LOG_TO_STDERR;
static enum log_level threshold = LOG_LEVEL_INFO;
static char role[32] = "";
static bool to_journal;

void
log_open(enum log_destination new_destination, enum log_level new_level)
{
	destination = new_destination;
	threshold = new_level;
	if (destination != LOG_TO_STDERR)
		openlog("webmond", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void
log_forked(void)
{
	if (destination == LOG_TO_STDERR)
		return;
	closelog();
	openlog("webmond", LOG_PID, LOG_DAEMON);
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

static void
emit(enum log_level level, const char *text)
{
	const char *separator = role[0] != '\0' ? ": " : "";

	if (destination != LOG_TO_STDERR) {
		/* most files of syslogd show no priority; what is wrong must be found by grep */
		bool wrong = level <= LOG_LEVEL_WARNING;

		syslog(levels[level].syslog_priority, "%s%s%s%s%s", role, separator,
		    wrong ? levels[level].name : "", wrong ? ": " : "", text);
		if (destination == LOG_TO_SYSLOG || level > LOG_LEVEL_WARNING)
			return;
	}

	char line[2048], now[UTIL_RFC3339_SIZE];
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
	/* one write a line, so that lines of several processes do not mix; a full or closed log
	 * must not stop the daemon */
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };
	if (poll(&out, 1, 0) == 1 && write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

/*
 * Whether a line may pass now; reports what was held back when the flood is over. A flood of
 * notices leaves room for errors.
 */
static bool
within_burst(enum log_level level)
{
	static int64_t second;
	static unsigned count, held;
	int64_t now = util_mono_us() / US_PER_S;

	if (now != second) {
		unsigned lost = held;

		second = now;
		count = held = 0;
		if (lost > 0) {
			char text[64];

			snprintf(text, sizeof(text), "%u line%s held back", lost,
			    lost == 1 ? " was" : "s were");
			emit(LOG_LEVEL_WARNING, text);
		}
	}
	if (count >= LOG_BURST * (level == LOG_LEVEL_ERROR ? 2 : 1)) {
		held++;
		return false;
	}
	count++;
	return true;
}

static void __attribute__((format(printf, 2, 0)))
write_line(enum log_level level, const char *format, va_list ap)
{
	int saved = errno;
	char raw[1536], text[1536];

	if (level <= threshold && within_burst(level)) {
		vsnprintf(raw, sizeof(raw), format, ap);
		/* what a site or a broker says must not forge lines or drive a terminal */
		util_clean_text(text, sizeof(text), raw, strlen(raw));
		emit(level, text);
	}
	errno = saved;
}

#define DEFINE_LEVEL(function, level)                                                              \
	void function(const char *format, ...)                                                     \
	{                                                                                          \
		va_list ap;                                                                        \
                                                                                                   \
		va_start(ap, format);                                                              \
		write_line(level, format, ap);                                                     \
		va_end(ap);                                                                        \
	}

DEFINE_LEVEL(log_error, LOG_LEVEL_ERROR)
DEFINE_LEVEL(log_warning, LOG_LEVEL_WARNING)
DEFINE_LEVEL(log_notice, LOG_LEVEL_NOTICE)
DEFINE_LEVEL(log_info, LOG_LEVEL_INFO)
DEFINE_LEVEL(log_debug, LOG_LEVEL_DEBUG)

void
log_asked(const char *format, ...)
{
	char raw[1536], text[1536];
	int saved = errno;
	va_list ap;

	va_start(ap, format);
	vsnprintf(raw, sizeof(raw), format, ap);
	va_end(ap);
	util_clean_text(text, sizeof(text), raw, strlen(raw));
	emit(LOG_LEVEL_NOTICE, text);
	errno = saved;
}

void
fatal(int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	write_line(LOG_LEVEL_ERROR, format, ap);
	va_end(ap);
	exit(code);
}
