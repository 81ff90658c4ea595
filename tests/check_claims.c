/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* A job is run by the checker or taken back by the supervisor, never both, never neither. */
#include "claims.h"

#include <check.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

START_TEST(each_job_is_taken_once)
{
	struct claims *claims = claims_new();

	ck_assert(claims_take(claims, 1));
	ck_assert(!claims_take(claims, 1));
	ck_assert(claims_take(claims, 2));
	claims_free(claims);
}
END_TEST

START_TEST(what_is_taken_back_is_not_run)
{
	struct claims *claims = claims_new();

	ck_assert(claims_take(claims, 1));
	ck_assert_uint_eq(claims_revoke(claims, 4), 1);
	for (uint64_t number = 2; number <= 4; number++)
		ck_assert(!claims_take(claims, number));
	ck_assert(claims_take(claims, 5)); /* sent afterwards */
	ck_assert_uint_eq(claims_revoke(claims, 5), 5);
	ck_assert_uint_eq(claims_revoke(claims, 5), 5);
	claims_free(claims);
}
END_TEST

struct job {
	uint64_t number;
	int id;
};

/* A checker runs what it can, while the supervisor takes back as often as it can. */
START_TEST(each_job_runs_once_in_the_end)
{
	enum {
		JOBS = 20000,
		LINE = 8
	};
	struct claims *claims = claims_new();
	unsigned char *ran = mmap(
	    NULL, JOBS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct job line[LINE], job;
	int ends[2], in_line = 0, next = 0, revoked = 0, status;
	uint64_t sent = 0;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		while (read(ends[0], &job, sizeof(job)) == (ssize_t)sizeof(job))
			if (claims_take(claims, job.number))
				ran[job.id]++;
		_exit(0);
	}
	claims_hide(claims);
	while (next < JOBS || in_line > 0) {
		uint64_t taken;
		int left = 0;

		while (in_line < LINE && next < JOBS)
			line[in_line++].id = next++;
		for (int i = 0; i < in_line; i++) {
			line[i].number = ++sent;
			ck_assert_int_eq(
			    write(ends[1], &line[i], sizeof(line[i])), sizeof(line[i]));
		}
		taken = claims_revoke(claims, sent);
		for (int i = 0; i < in_line; i++)
			if (line[i].number > taken)
				line[left++] = line[i];
		revoked += left;
		in_line = left;
	}
	close(ends[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_gt(revoked, 0);
	for (int i = 0; i < JOBS; i++)
		ck_assert_msg(ran[i] == 1, "job %d ran %d times", i, ran[i]);
	close(ends[0]);
	munmap(ran, JOBS);
	claims_free(claims);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("claims");
	TCase *tcase = tcase_create("claims");

	tcase_add_test(tcase, each_job_is_taken_once);
	tcase_add_test(tcase, what_is_taken_back_is_not_run);
	tcase_add_test(tcase, each_job_runs_once_in_the_end);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
