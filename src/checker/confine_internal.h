/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the parts of the confinement share.
 *
 *   confine.c        files, memory, the terminal
 *   confine_calls.c  system calls
 */
#ifndef WEBMOND_CONFINE_INTERNAL_H
#define WEBMOND_CONFINE_INTERNAL_H

#include <stdbool.h>

/* Whether the kernel can, and the tables are for this machine. */
bool confine_can_restrict_calls(void);

/* Deny system calls, for good. Returns 0, or -1 with errno. */
int confine_restrict_calls(void);

#endif
