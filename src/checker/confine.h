/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Confinement of a checker: what the process can still do after an attacker has taken it over.
 *
 * It cannot start programs or processes, signal or limit others, write, make or remove files, use a
 * terminal, or listen; it can read only what a check needs. Where the kernel lacks seccomp or
 * Landlock, that part is missing, and the permissions of the user remain.
 */
#ifndef WEBMOND_CONFINE_H
#define WEBMOND_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Confine this process, for good. no_new_privs must be set, and no other thread be running.
 * `own_user`: no process that has secrets runs as our user. Then the permissions of files protect
 * those secrets, and all of /etc may be read; otherwise only the files that are named in confine.c.
 * `ca_file` (NULL: none) and `files`, which end with NULL, may be read too, and what takes their
 * places: all that is in their directories. But a directory with `guarded` in it or beneath (NULL:
 * none), a file that only permissions of an own user would protect, is not opened for them: then
 * they may be read as they are, and no longer when they have been replaced. Returns 0; or -1 with
 * errno if the kernel has the means and they failed: then the caller must exit.
 */
int
confine_enter(bool own_user, const char *ca_file, const char *const *files, const char *guarded);

/*
 * Whether a file that the resolver reads, such as /etc/resolv.conf, has been replaced since
 * confine_enter(). This process may read only the old file: a new process is needed. Costs one
 * system call.
 */
bool confine_is_stale(void);

#endif
