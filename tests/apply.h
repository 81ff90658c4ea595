/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* For tests of the spool: a frame is applied as the publisher applies it. */
#ifndef WEBMOND_TESTS_APPLY_H
#define WEBMOND_TESTS_APPLY_H

#include "spool.h"

static inline enum spool_status
apply_frame(struct spool *s, const struct frame *frame, const unsigned char *raw, size_t size)
{
	enum spool_status status = SPOOL_OK;

	if (frame->type == WIRE_OPEN || frame->type == WIRE_SINGLE)
		status = spool_begin_slot(s, frame, raw, size);
	if (status == SPOOL_OK && (frame->type == WIRE_CLOSE || frame->type == WIRE_SINGLE))
		status = spool_end_slot(s, frame);
	return status;
}

#endif
