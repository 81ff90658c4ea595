/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The last trouble of this process with Kafka, for whoever asks the daemon. It outlives producers.
 */
#ifndef WEBMOND_TROUBLE_H
#define WEBMOND_TROUBLE_H

#include <stddef.h>
#include <stdint.h>

#include "util.h"

void trouble_note(const char *line);

/* Log all of them, which are noted too, and release them. */
void trouble_log(struct mistakes *mistakes);

/* When it was (UTC), and what, in `line` as clean text; 0: there was none. */
int64_t trouble_last(char *line, size_t size);

#endif
