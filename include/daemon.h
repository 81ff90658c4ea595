/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What makes a process a daemon: detaching with a starter that knows the outcome, the locked PID
 * file, a clean environment, and systemd's notifications.
 */
#ifndef WEBMOND_DAEMON_H
#define WEBMOND_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

/* Make sure that descriptors 0 to 2 exist, so that no other file gets one of these numbers. */
void daemon_sanitize_descriptors(void);

/*
 * Clear the environment (proxies, SSLKEYLOGFILE, locale …), after reading what systemd has put
 * there; umask 027; no core files; a broken pipe or a limit of the file size is errno, not a
 * signal; HUP and USR1 are blocked.
 */
void daemon_sanitize(void);

/*
 * Go to the background, in a session of its own, with /dev/null for standard input and output. The
 * starter stays until daemon_tell_starter() and exits with that code, or until the death of the
 * daemon. Unless `keep_stderr` (the log goes there), standard error leads to the starter, which
 * passes it on while it lives, so that no child holds the terminal or the pipe of the caller.
 * Returns 0 in the daemon, or -1 with errno.
 */
int daemon_detach(bool keep_stderr);

/* EXIT_FINE: ready. Only the first one counts; without a starter nothing happens. */
void daemon_tell_starter(int exit_code);

/*
 * Create or open `path`, lock it and write our PID. Returns 0, or an exit code after logging why:
 * EXIT_RUNNING (somebody holds it; says who), EXIT_CANNOT_CREATE. The lock lives as long as the
 * process; children close it.
 */
int pidfile_acquire(const char *path);

/*
 * Whether pidfile_acquire() would work, now or when a running daemon has ended. Changes nothing and
 * locks nothing. Returns 0, or -1 with what is wrong and its cure in `reason`.
 */
int pidfile_check(const char *path, char *reason, size_t size);

/* Remove the file, while still holding the lock. */
void pidfile_remove(void);

/*
 * One sd_notify(3) message, "READY=1"; without systemd nothing happens. Never blocks, never fails.
 */
void systemd_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether systemd receives them. */
bool systemd_listens(void);

/* How often systemd expects "WATCHDOG=1", in microseconds; 0: not at all. */
long long systemd_watchdog_us(void);

#endif
