/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The log: syslog or standard error, tagged with the role of the process.
 *
 * Lines are lower case, without a full stop, with the subject in quotes or first; errno is
 * preserved by every function. Lines beyond LOG_BURST a second, or LOG_HOURLY an hour, are counted
 * only (see log.c), so that no failure can flood the log. No function waits for the reader of the
 * log: lines that cannot be written at once are lost, and the next line comes after their number.
 */
#ifndef WEBMOND_LOG_H
#define WEBMOND_LOG_H

#include <stdlib.h>

enum log_destination {
	LOG_TO_STDERR,
	LOG_TO_SYSLOG,
	LOG_TO_BOTH, /* syslog, and warnings and errors also to standard error */
};

/* From quiet to chatty; the configuration's `log.level` names them. */
enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_ASKED, /* a notice that somebody asked for: no level and no limit holds it back */
};

/*
 * Choose destination and level; may be called again (reload). Before the first call everything
 * from LOG_LEVEL_INFO up goes to standard error.
 */
void log_open(enum log_destination destination, enum log_level level);

/*
 * In a child, before its descriptors are closed and its rights are dropped: close the parent's
 * socket to syslogd, and open a standard error of its own.
 */
void log_forked(void);

/* Where syslogd listens: /dev/log; a test sets its own. */
extern const char *log_socket;

/*
 * Look whether systemd's journal reads standard error; then lines begin with their priority as
 * "<3>" (sd-daemon(3)) instead of the time. Before the environment is cleared.
 */
void log_detect_journal(void);

/* Tag the lines of this process: "supervisor", "checker 3". Copied. */
void log_set_role(const char *role);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_asked(...)   log_write(LOG_LEVEL_ASKED, __VA_ARGS__)

/* As log_error(), then exit with `code` (see exit.h). For top layers only. */
#define fatal(code, ...) (log_error(__VA_ARGS__), exit(code))

#endif
