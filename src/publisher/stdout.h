/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The outputs that need no Kafka.
 */
#ifndef WEBMOND_STDOUT_H
#define WEBMOND_STDOUT_H

#include "output.h"

/* One JSON object a line, on standard output. */
extern const struct output output_stdout;

/* Every record is taken and forgotten. */
extern const struct output output_nothing;

#endif
