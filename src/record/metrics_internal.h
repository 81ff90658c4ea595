/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What metrics.c, of the sites, and metrics_daemon.c share.
 */
#ifndef WEBMOND_METRICS_INTERNAL_H
#define WEBMOND_METRICS_INTERNAL_H

#include <stdio.h>

#include "line.h"

/* Texts of a line, with escapes: each byte of them may need one. */
#define METRICS_TEXT_MAX 1100

/*
 * The text of a member as the value of a label: quotes and backslashes are escaped. Returns `out`.
 */
const char *
metrics_label(const struct line *line, const char *name, char out[2 * METRICS_TEXT_MAX]);

/* What a metric is. Its samples follow. */
void metrics_head(FILE *f, const char *name, const char *type, const char *help);

/* ` VALUE`, and the end of the line. */
void metrics_value(FILE *f, double value);

/* With these labels, "" or "{…}"; NAN: there is no sample. */
void metrics_sample(FILE *f, const char *name, const char *labels, double value);

/* All of the daemon, from its lines `webmond` and `status`. */
void metrics_daemon(const struct line *webmond, const struct line *status, FILE *f);

#endif
