/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the daemon answers to `status` and `sites`, in the text format of Prometheus: for
 * webmondctl(8) and for metrics_file.
 */
#ifndef WEBMOND_METRICS_H
#define WEBMOND_METRICS_H

#include <stdio.h>

#include "line.h"

/*
 * Samples of one metric must stand together, so all is kept until it is printed. Start from zeros.
 */
struct metrics {
	char *webmond, *status; /* the lines */
	size_t webmond_size, status_size;
	time_t now;
	struct metrics_site *site;
	size_t count, room;
};

/* Keep what a line says. Lines of other types are ignored. */
void metrics_add(struct metrics *m, const struct line *line);

/* All of it; whether it could be written, `f` knows. */
void metrics_print(const struct metrics *m, FILE *f);

void metrics_free(struct metrics *m);

#endif
