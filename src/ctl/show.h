/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Lines of answers as people read them.
 */
#ifndef WEBMOND_SHOW_H
#define WEBMOND_SHOW_H

#include <stdbool.h>

#include "client.h"

/* The screen of `status`. */
void show_status(const struct line *line);

/* One line of it. */
void show_status_briefly(const struct line *line);

/* Whether records get out, and none were lost. */
bool status_is_good(const struct line *line);

/* The head of the table of sites, and a row. */
void show_sites_head(void);
void show_site(const struct line *line);

#endif
