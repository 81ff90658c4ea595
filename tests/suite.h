/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* For unit tests: what each main() ends with. */
#ifndef WEBMOND_TESTS_SUITE_H
#define WEBMOND_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Run all of it. Returns the exit code of the program. */
static inline int
run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	unsetenv("JOURNAL_STREAM"); /* lines begin with their time, whoever runs the tests */
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}

#endif
