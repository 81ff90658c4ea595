/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the judge of a topic has found, for people and for programs.
 */
#ifndef WEBMOND_REPORT_H
#define WEBMOND_REPORT_H

#include "judge.h"

/* To standard output, after judge_conclude(). */
void report_text(const struct judge *j, const char *topic);

/* The same as one JSON object in one line. */
void report_json(const struct judge *j, const char *topic);

/* What is wrong, in one line: "3 holes in seq, 1 id with two contents"; "": nothing. */
void report_wrong(const struct judge *j, char *out, size_t size);

/* The name of a row, in both. */
const char *report_name(enum finding finding);

#endif
