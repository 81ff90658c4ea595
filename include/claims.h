/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Who has a job: the checker that it was sent to, or the supervisor, which wants it back because
 * the one before takes too long. One number in memory that both share says up to where jobs are
 * settled, and whoever moves it on has the job; no lock, no message, and no moment at which both
 * have it.
 *
 * Jobs of a checker are numbered 1, 2, 3 … in the order in which they are sent. The checker may be
 * in foreign hands: what it writes here concerns its own jobs only.
 */
#ifndef WEBMOND_CLAIMS_H
#define WEBMOND_CLAIMS_H

#include <stdbool.h>
#include <stdint.h>

struct claims;

/* Made before the checker is forked. Returns NULL with errno. */
struct claims *claims_new(void);
void claims_free(struct claims *claims);

/* In the supervisor, when the checker was forked: children that come later do not see it. */
void claims_hide(struct claims *claims);

/* The checker takes a job that it has read. False: it was taken back, and is not to be run. */
bool claims_take(struct claims *claims, uint64_t number);

/*
 * Take back all up to `last`, the last that was sent, that the checker has not taken. Returns the
 * number of the last that it has.
 */
uint64_t claims_revoke(struct claims *claims, uint64_t last);

#endif
