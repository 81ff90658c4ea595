/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* For unit tests that are the supervisor of a publisher: its reports. */
#ifndef WEBMOND_TESTS_REPORTS_H
#define WEBMOND_TESTS_REPORTS_H

#include <check.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

/* The next one; false: none comes within `timeout_ms`, or it has ended. */
static inline bool
read_report(int control, struct message_report *report, int timeout_ms)
{
	struct pollfd p = { .fd = control, .events = POLLIN };
	struct message m;
	int descriptor;

	if (poll(&p, 1, timeout_ms) != 1 || message_receive(control, &m, &descriptor) != 1)
		return false;
	if (descriptor >= 0)
		close(descriptor);
	ck_assert_uint_eq(m.type, MESSAGE_REPORT);
	ck_assert_ptr_nonnull(message_body(&m, sizeof(*report)));
	memcpy(report, m.body, sizeof(*report));
	return true;
}

#endif
