/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* The table of children: whose PID it is, and who is killed when. */
#include "supervisor/child.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"
#include "util.h"

START_TEST(a_child_is_found_by_its_pid)
{
	struct children all = { 0 };
	struct child child[3];

	for (int i = 0; i < 3; i++) {
		children_add(&all, &child[i], i == 0 ? CHILD_PUBLISHER : CHILD_CHECKER);
		ck_assert_int_eq(child[i].fd, -1);
		ck_assert_int_eq(child[i].pid, 0);
	}
	child[1].pid = 1001;
	child[2].pid = 1002;
	ck_assert_ptr_eq(children_find(&all, 1002), &child[2]);
	ck_assert_ptr_null(children_find(&all, 1003));
	ck_assert_int_eq(child[0].role, CHILD_PUBLISHER);
	free(all.child);
}
END_TEST

START_TEST(each_is_killed_at_its_time_and_once)
{
	struct children all = { 0 };
	struct child child[3];

	for (int i = 0; i < 3; i++)
		children_add(&all, &child[i], CHILD_CHECKER);
	ck_assert_int_eq(all.next_kill_us, INT64_MAX);
	ck_assert_ptr_null(children_overdue(&all, INT64_MAX - 1));
	children_set_kill(&all, &child[0], 500);
	children_set_kill(&all, &child[1], 300);
	ck_assert_int_eq(all.next_kill_us, 300);
	ck_assert_ptr_null(children_overdue(&all, 299));
	ck_assert_ptr_eq(children_overdue(&all, 300), &child[1]);
	ck_assert_ptr_null(children_overdue(&all, 300)); /* its end comes with waitpid(2) */
	ck_assert_int_eq(all.next_kill_us, 500);
	children_set_kill(&all, &child[2], 400);
	children_postpone(&all, 450); /* the machine ran nobody */
	ck_assert_ptr_null(children_overdue(&all, 449));
	ck_assert_ptr_eq(children_overdue(&all, 450), &child[2]);
	children_set_kill(&all, &child[0], INT64_MAX); /* it has done what was asked */
	ck_assert_ptr_null(children_overdue(&all, 500));
	ck_assert_int_eq(all.next_kill_us, INT64_MAX);
	free(all.child);
}
END_TEST

/* Whatever times are set and moved: those that a look at all finds, and no others. */
START_TEST(nobody_is_forgotten)
{
	struct children all = { 0 };
	struct child child[20];

	srand(5);
	for (int i = 0; i < 20; i++)
		children_add(&all, &child[i], CHILD_CHECKER);
	for (int64_t now = 0; now < 20000; now++) {
		struct child *c = &child[rand() % 20], *late;
		int due = 0;

		children_set_kill(&all, c, rand() % 4 == 0 ? INT64_MAX : now + rand() % 100);
		if (rand() % 50 == 0)
			children_postpone(&all, now + 10);
		for (int i = 0; i < 20; i++)
			due += child[i].kill_at_us <= now;
		while ((late = children_overdue(&all, now)) != NULL) {
			ck_assert_int_eq(late->kill_at_us, INT64_MAX);
			due--;
		}
		ck_assert_int_eq(due, 0);
	}
	free(all.child);
}
END_TEST

START_TEST(a_signal_reaches_a_process_and_no_group)
{
	struct children all = { 0 };
	struct child child;
	int ends[2], status;
	char byte;

	children_add(&all, &child, CHILD_CHECKER);
	child_signal(&child, SIGKILL); /* there is none: not everybody with our group */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	child.fd = ends[0];
	child.pid = fork();
	if (child.pid == 0) {
		pause();
		_exit(0);
	}
	child_signal(&child, SIGKILL);
	ck_assert_int_eq(waitpid(child.pid, &status, 0), child.pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	child_close(&child);
	ck_assert_int_eq(child.fd, -1);
	ck_assert_int_eq(recv(ends[1], &byte, 1, 0), 0);
	child_close(&child); /* again: nothing */
	close(ends[1]);
	free(all.child);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("child");
	TCase *tcase = tcase_create("child");

	tcase_add_test(tcase, a_child_is_found_by_its_pid);
	tcase_add_test(tcase, each_is_killed_at_its_time_and_once);
	tcase_add_test(tcase, nobody_is_forgotten);
	tcase_add_test(tcase, a_signal_reaches_a_process_and_no_group);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
