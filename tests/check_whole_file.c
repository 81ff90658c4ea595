/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Files that are replaced as a whole: no part is ever seen, no link is followed, nothing is left.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "scratch.h"
#include "suite.h"
#include "util.h"
#include "whole_file.h"

static char path[128];

static void
write_text(const char *text)
{
	struct whole_file f;

	ck_assert_int_eq(whole_file_open(&f, path), 0);
	fputs(text, f.out);
	ck_assert_int_eq(whole_file_close(&f), 0);
}

static void
holds(const char *name, const char *wanted)
{
	char text[64] = "";
	FILE *f = fopen(path_in_dir(name), "r");

	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	ck_assert_str_eq(text, wanted);
}

static int
count_files(void)
{
	DIR *d = opendir(dir);
	int count = -2; /* . and .. */

	while (readdir(d) != NULL)
		count++;
	closedir(d);
	return count;
}

static void
setup(void)
{
	make_dir();
	snprintf(path, sizeof(path), "%s", path_in_dir("x.prom"));
}

START_TEST(the_old_one_is_there_until_the_new_one_is_whole)
{
	struct whole_file f;
	struct stat st;

	umask(027);
	write_text("one");
	ck_assert_int_eq(whole_file_open(&f, path), 0);
	fputs("two", f.out);
	fflush(f.out);
	holds("x.prom", "one");
	ck_assert_int_eq(whole_file_close(&f), 0);
	holds("x.prom", "two");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(who_was_killed_leaves_nothing_for_ever)
{
	static struct whole_file f; /* never closed, and no leak */

	ck_assert_int_eq(whole_file_open(&f, path), 0);
	fputs("half", f.out);
	fflush(f.out);
	ck_assert_int_eq(count_files(), 1);
	write_text("whole");
	ck_assert_int_eq(count_files(), 1);
	holds("x.prom", "whole");
	whole_file_remove(path);
	ck_assert_int_eq(count_files(), 0);
	whole_file_remove(path); /* there is none */
	fclose(f.out);
}
END_TEST

START_TEST(no_link_is_followed)
{
	char link[128];

	write_file("precious", "precious", 0600);
	ck_assert_int_eq(symlink("precious", path), 0);
	snprintf(link, sizeof(link), "%s", path_in_dir(".x.prom.new"));
	ck_assert_int_eq(symlink("precious", link), 0);
	write_text("metrics");
	holds("precious", "precious");
	holds("x.prom", "metrics");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("precious", path), 0);
	whole_file_remove(path);
	holds("precious", "precious");
	ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(a_full_disk_leaves_the_old_one)
{
	struct whole_file f;

	write_text("old");
	ck_assert_int_eq(whole_file_open(&f, path), 0);
	fclose(f.out);
	f.out = fopen("/dev/full", "w");
	ck_assert_ptr_nonnull(f.out);
	fputs("new", f.out);
	ck_assert_int_eq(whole_file_close(&f), -1);
	ck_assert_int_eq(errno, ENOSPC);
	holds("x.prom", "old");
	ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(what_is_wrong_with_a_place_is_told)
{
	struct whole_file f;
	char reason[512];

	ck_assert_int_eq(whole_file_check(path, reason, sizeof(reason)), 0);
	ck_assert_int_eq(count_files(), 0); /* it only looks */
	ck_assert_int_eq(mkdir(path, 0755), 0);
	ck_assert_int_eq(whole_file_check(path, reason, sizeof(reason)), -1);
	ck_assert_ptr_nonnull(strstr(reason, "name a file in it"));
	ck_assert_int_eq(whole_file_open(&f, path), 0);
	ck_assert_int_eq(whole_file_close(&f), -1);
	snprintf(path, sizeof(path), "%s", path_in_dir("no/x.prom"));
	ck_assert_int_eq(whole_file_check(path, reason, sizeof(reason)), -1);
	ck_assert_ptr_nonnull(strstr(reason, "make the directory"));
	ck_assert_int_eq(whole_file_open(&f, path), -1);
	ck_assert_int_eq(errno, ENOENT);
	write_file("file", "", 0644);
	snprintf(path, sizeof(path), "%s", path_in_dir("file/x.prom"));
	ck_assert_int_eq(whole_file_check(path, reason, sizeof(reason)), -1);
	if (geteuid() == 0)
		return; /* who may write everywhere */
	ck_assert_int_eq(chmod(dir, 0500), 0);
	snprintf(path, sizeof(path), "%s", path_in_dir("x.prom"));
	ck_assert_int_eq(whole_file_check(path, reason, sizeof(reason)), -1);
	ck_assert_ptr_nonnull(strstr(reason, "must be able to make files there"));
	ck_assert_int_eq(chmod(dir, 0700), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("whole_file");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, remove_dir);
	tcase_add_test(tc, the_old_one_is_there_until_the_new_one_is_whole);
	tcase_add_test(tc, who_was_killed_leaves_nothing_for_ever);
	tcase_add_test(tc, no_link_is_followed);
	tcase_add_test(tc, a_full_disk_leaves_the_old_one);
	tcase_add_test(tc, what_is_wrong_with_a_place_is_told);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
