/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Processes: birth, descriptors, rights, names.
 */
#ifndef WEBMOND_PROC_H
#define WEBMOND_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "exit.h"

/* The rights a process takes for good. */
struct proc_user {
	bool drop; /* false: stay who we are (not started as root) */
	/* a checker: it has no groups but its own, and is killed first when memory is short */
	bool exposed;
	uid_t uid;
	gid_t gid;
	char name[33];
};

/* Look up `name`. Returns 0, or -1 when there is no such user (or errno on a failure). */
int proc_find_user(const char *name, struct proc_user *user);

/*
 * Become `user` for good: groups, gid, uid, proof that there is no way back, no_new_privs, not
 * dumpable; the kernel prefers an exposed one when it must kill for memory. Returns 0, or -1 with
 * errno; the caller must exit then.
 */
int proc_drop(const struct proc_user *user);

/*
 * Of root's capabilities keep those by which the supervisor can give its children other users, kill
 * them, and read the configuration. Returns 0, or -1 with errno.
 */
int proc_limit_root(void);

/* Remember where argv lies, so that proc_set_title() can write there. Once, first in main(). */
void proc_init_title(int argc, char **argv);

/* What ps(1) shows: "webmond: checker 3". */
void proc_set_title(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * fork(2) for a child of the supervisor, with all that every child does first: a session without a
 * terminal, default signal dispositions, SIGINT, SIGHUP, SIGUSR1 and SIGPIPE ignored, SIGTERM
 * blocked, only standard error and `keep` open, /dev/null for standard input, and for standard
 * output if that is not in `keep`; the log tagged with `role` and the title set to it. Returns as
 * fork(2) does.
 */
pid_t proc_fork(const char *role, const int *keep, size_t keep_count);

/*
 * How long to wait before the next start of a process that keeps dying: 0.1 s, then doubled. One
 * that dies before it has `worked` is broken and waits up to 60 s; one that has worked was probably
 * killed and waits up to 1 s. After a life of more than 60 s the wait begins anew. Start from
 * zeros.
 */
struct proc_backoff {
	int64_t delay_us;
	int64_t started_us;
	int64_t not_before_us;
};

void proc_backoff_died(struct proc_backoff *b, bool worked, int64_t mono_us);

/* Descriptors of ours that a child can keep. */
#define PROC_KEEP_MAX 4

/*
 * Fork a child that holds `keep` (-1: none), and a channel to us (SOCK_SEQPACKET), and has become
 * `user`, or ended. Returns its PID with our end in `*fd`, and the child's in `*peer_fd` if that is
 * not NULL, to be closed like ours; 0 in the child with its end in `*fd`; or -1
 * when something is short; then that is logged, and counts as a death.
 */
pid_t proc_spawn(const char *role, const struct proc_user *user, const int keep[PROC_KEEP_MAX],
    struct proc_backoff *backoff, int64_t now, int *fd, int *peer_fd);

/*
 * Have SIGTERM sent when the parent dies. Setting uids clears it, so call it after proc_drop().
 * Exits if the parent is gone already.
 */
void proc_follow_parent(pid_t parent);

/*
 * What follows the sentence that the file `path` cannot be read: it is not root who reads it, but
 * our user; "" if that is not why. In `buffer`, or static.
 */
const char *proc_name_reader(const char *path, char *buffer, size_t size);

/* "was killed by signal 9 (Killed)", "exited with code 71", for the log. */
const char *proc_describe_exit(int wait_status, char *buffer, size_t size);

#endif
