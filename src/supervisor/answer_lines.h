/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The lines of answers, see control.h: each writes one, of at most REPLY_LINE_MAX bytes.
 */
#ifndef WEBMOND_ANSWER_LINES_H
#define WEBMOND_ANSWER_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "writer.h"

struct question;
struct site_state;
struct supervisor;

void answer_status(const struct supervisor *s, struct writer *w, int64_t now);
void answer_site(const struct supervisor *s, const struct site_state *state, struct writer *w);
void answer_setting(const char *key, const char *value, struct writer *w);
void answer_mistake(const char *text, size_t size, struct writer *w);
void answer_reload(const struct question *q, struct writer *w);

/* The i-th result, counted from the last one; returns false: there are no more. */
bool answer_result(const struct site_state *state, size_t i, struct writer *w);

#endif
