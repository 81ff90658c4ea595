/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The last trouble with Kafka. Called by the sender and the outputs; nothing is fatal.
 */
#include "trouble.h"

#include <string.h>

#include "log.h"
#include "message.h"

static struct {
	int64_t at_us;
	char line[TROUBLE_SIZE];
} last;

void
trouble_note(const char *line)
{
	last.at_us = util_utc_us();
	util_clean_text(last.line, sizeof(last.line), line, strlen(line));
}

void
trouble_log(struct mistakes *mistakes)
{
	for (size_t i = 0; i < mistakes->count; i++) {
		log_error("%s", mistakes->line[i]);
		trouble_note(mistakes->line[i]);
	}
	mistakes_release(mistakes);
}

int64_t
trouble_last(char *line, size_t size)
{
	util_clean_text(line, size, last.line, strlen(last.line));
	return last.at_us;
}
