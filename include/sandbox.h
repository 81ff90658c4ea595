/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The wall around a process that reads what strangers send: what it keeps when it is no longer ours.
 *
 * Within it there are no other programs and processes, no signals and limits for others, no files
 * to write, make or remove, no terminal, no listening; what can be read is what a check needs. Where
 * the kernel lacks seccomp or Landlock the wall is lower, and the rights of the user remain.
 */
#ifndef WEBMOND_SANDBOX_H
#define WEBMOND_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Go behind the wall, for good; no_new_privs must be set, and no other thread be running. `alone`:
 * no process with secrets has our user, so that the permissions of files keep those, and all of
 * /etc may be read; else only what is named here. `readable`: more files, with what else is in their
 * directories; a NULL ends them. Returns 0, or -1 with errno when what the kernel has did not work:
 * then the caller must exit.
 */
int sandbox_enter(bool alone, const char *const readable[]);

/*
 * Whether a file that names are looked up by has been replaced since sandbox_enter(), so that it
 * cannot be read any more: only a process that enters anew can. Costs a system call.
 */
bool sandbox_is_stale(void);

/* What the kernel lacks, as "Landlock and seccomp"; NULL: nothing. */
const char *sandbox_missing(void);

#endif
