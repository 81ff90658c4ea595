/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the parts of the wall share; see sandbox.h for the wall as others see it.
 *
 *   sandbox.c        files, memory, the terminal
 *   sandbox_calls.c  system calls
 */
#ifndef WEBMOND_SANDBOX_INTERNAL_H
#define WEBMOND_SANDBOX_INTERNAL_H

#include <stdbool.h>

/* Whether the kernel can, and the tables are for this machine. */
bool sandbox_can_restrict_calls(void);

/* Deny system calls, for good. Returns 0, or -1 with errno. */
int sandbox_restrict_calls(void);

#endif
