/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* The files of sites: what is read, what is refused, and that no sentence shows what is in them. */
#include "checker/files.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratch.h"
#include "suite.h"

#define CANARY "canary-3e0c"

static struct site site;
static struct file files[FILE_COUNT];
static struct file_fault fault;
static char path[128];

static void
tear_down(void)
{
	files_forget(files);
	remove_dir();
}

static void
write_bytes(const char *text, size_t size, mode_t mode)
{
	FILE *f;

	snprintf(path, sizeof(path), "%s", write_file("file", "", mode));
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, size, f), size);
	ck_assert_int_eq(fclose(f), 0);
}

static int
read_files(void)
{
	files_forget(files);
	return files_read(files, &site, &fault);
}

static void
assert_fault(const char *key, const char *words)
{
	ck_assert_int_eq(read_files(), -1);
	ck_assert_str_eq(fault.key, key);
	ck_assert_msg(strstr(fault.text, words) != NULL, "%s", fault.text);
	ck_assert_ptr_nonnull(strstr(fault.text, path));
	ck_assert_ptr_null(strstr(fault.text, CANARY));
}

START_TEST(a_site_without_files_reads_none)
{
	ck_assert_int_eq(read_files(), 0);
	/* nor one that does not use what `defaults` name */
	site.password_file = site.token_file = "/nowhere";
	ck_assert_int_eq(read_files(), 0);
	site.auth = AUTH_BASIC;
	ck_assert_int_eq(read_files(), -1);
}
END_TEST

START_TEST(a_line_break_at_the_end_does_not_count)
{
	static const char *const texts[] = { "secret", "secret\n", "secret\r\n" };

	site.auth = AUTH_BEARER;
	site.token_file = path;
	for (size_t i = 0; i < 3; i++) {
		write_bytes(texts[i], strlen(texts[i]), 0600);
		ck_assert_int_eq(read_files(), 0);
		ck_assert_str_eq(files[FILE_TOKEN].text, "secret");
		ck_assert_uint_eq(files[FILE_TOKEN].size, 6);
	}
}
END_TEST

START_TEST(secrets_that_cannot_be_meant)
{
	static const struct {
		const char *text;
		size_t size;
	} bad[] = { { CANARY "\n\n", 13 }, { CANARY "\nx", 13 }, { CANARY "\0x", 13 },
		{ CANARY "\tx", 13 }, { "\r" CANARY, 12 } };

	site.auth = AUTH_DIGEST;
	site.password_file = path;
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		write_bytes(bad[i].text, bad[i].size, 0600);
		assert_fault("password_file", "must be a single line");
	}
	write_bytes("\r\n", 2, 0600);
	assert_fault("password_file", "is empty");
}
END_TEST

START_TEST(headers_stand_in_lines)
{
	static const struct {
		const char *text, *why;
		int line;
	} bad[] = {
		{ "A: 1\n" CANARY "\n", "must look like", 2 },
		{ "#\n\nA: " CANARY "\n: 1\n", "must look like", 4 },
		{ "A:  \n", "must look like", 1 },
		{ "A: \1" CANARY, "control character", 1 },
		{ "Content-length: 5", "leave it out", 1 },
		{ "# A: 1\n\n", "has no header in it", 0 },
		{ "", "has no header in it", 0 },
	};

	site.header_file = path;
	write_bytes("# mine\r\nA: 1 \r\n\r\nB: 2", 21, 0600);
	ck_assert_int_eq(read_files(), 0);
	ck_assert_str_eq(files[FILE_HEADERS].lines[0], "A: 1");
	ck_assert_str_eq(files[FILE_HEADERS].lines[1], "B: 2");
	ck_assert_ptr_null(files[FILE_HEADERS].lines[2]);
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		write_bytes(bad[i].text, strlen(bad[i].text), 0600);
		ck_assert_int_eq(read_files(), -1);
		ck_assert_int_eq(fault.line, bad[i].line);
		ck_assert_ptr_nonnull(strstr(fault.text, bad[i].why));
		ck_assert_ptr_null(strstr(fault.text, CANARY));
	}
}
END_TEST

START_TEST(a_body_is_taken_byte_for_byte)
{
	static char large[1024 * 1024 + 1];

	site.body_file = path;
	write_bytes("a\0b\n", 4, 0644);
	ck_assert_int_eq(read_files(), 0);
	ck_assert_uint_eq(files[FILE_BODY].size, 4);
	ck_assert_mem_eq(files[FILE_BODY].text, "a\0b\n", 4);
	write_bytes("", 0, 0644);
	assert_fault("body_file", "is empty");
	write_bytes(large, sizeof(large) - 1, 0644);
	ck_assert_int_eq(read_files(), 0);
	write_bytes(large, sizeof(large), 0644);
	assert_fault("body_file", "is larger than 1024 KiB");
}
END_TEST

START_TEST(a_new_file_counts_at_once)
{
	char other[128];
	const struct timespec times[2] = { { 0 }, { 0 } };

	site.body_file = path;
	write_bytes("one", 3, 0644);
	utimensat(AT_FDCWD, path, times, 0);
	ck_assert_int_eq(read_files(), 0);
	ck_assert_str_eq(files[FILE_BODY].text, "one");
	snprintf(other, sizeof(other), "%s", write_file("new", "two", 0644));
	utimensat(AT_FDCWD, other, times, 0);
	ck_assert_int_eq(rename(other, path), 0);
	ck_assert_int_eq(read_files(), 0);
	ck_assert_str_eq(files[FILE_BODY].text, "two");
	ck_assert_int_eq(unlink(path), 0);
	assert_fault("body_file", "No such file or directory");
	ck_assert(!fault.walled);
}
END_TEST

START_TEST(only_files_are_read)
{
	site.body_file = path;
	snprintf(path, sizeof(path), "%s", dir);
	assert_fault("body_file", "it is not a file");
	snprintf(path, sizeof(path), "%s", path_in_dir("fifo"));
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	assert_fault("body_file", "it is not a file");
	snprintf(path, sizeof(path), "/dev/zero");
	assert_fault("body_file", "it is not a file");
}
END_TEST

/* Returns the only mistake, or "" if there is none; valid until the next call. */
static const char *
validate(const struct site *defaults)
{
	static char said[1024];
	struct mistakes mistakes = { 0 };

	files_validate(&site, defaults, &mistakes);
	ck_assert_uint_le(mistakes.count, 1);
	snprintf(said, sizeof(said), "%s", mistakes.count > 0 ? mistakes.line[0] : "");
	ck_assert_ptr_null(strstr(said, CANARY));
	mistakes_release(&mistakes);
	return said;
}

START_TEST(who_may_read_and_write_is_looked_at)
{
	struct site defaults = { 0 };

	site.at.file = "w.conf";
	site.auth = AUTH_BEARER;
	site.token_file = path;
	write_bytes(CANARY, strlen(CANARY), 0640);
	ck_assert_str_eq(validate(&defaults), "");
	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_assert_ptr_nonnull(strstr(validate(&defaults), "token_file: everybody can read \""));
	ck_assert_int_eq(chmod(path, 0602), 0);
	ck_assert_ptr_nonnull(strstr(validate(&defaults), "token_file: everybody can write \""));
	site.token_file = NULL;
	site.body_file = path;
	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_assert_str_eq(validate(&defaults), "");
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert_ptr_nonnull(strstr(validate(&defaults), "body_file: everybody can write \""));
	/* told where it is given */
	defaults.body_file = path;
	ck_assert_str_eq(validate(&defaults), "");
	ck_assert_ptr_nonnull(strstr(validate(&site), "body_file: everybody can write \""));
}
END_TEST

START_TEST(a_site_and_defaults_do_not_both_authorize)
{
	struct site defaults = { .header_file = path };

	site.auth = AUTH_BEARER;
	site.header_file = path;
	write_bytes("A: 1\n", 5, 0600);
	ck_assert_str_eq(validate(&defaults), "");
	write_bytes("authorization: " CANARY "\n", 16 + strlen(CANARY), 0600);
	ck_assert_ptr_nonnull(strstr(
	    validate(&defaults), "auth: header_file (of defaults) has an Authorization too"));
	defaults.header_file = NULL;
	ck_assert_ptr_nonnull(strstr(validate(&defaults), "header_file: auth sets"));
	/* told of defaults */
	defaults = site;
	ck_assert_str_eq(validate(&defaults), "");
	ck_assert_ptr_nonnull(strstr(validate(&site), "header_file: auth sets"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("files");
	TCase *tcase = tcase_create("files");

	tcase_add_checked_fixture(tcase, make_dir, tear_down);
	tcase_add_test(tcase, a_site_without_files_reads_none);
	tcase_add_test(tcase, a_line_break_at_the_end_does_not_count);
	tcase_add_test(tcase, secrets_that_cannot_be_meant);
	tcase_add_test(tcase, headers_stand_in_lines);
	tcase_add_test(tcase, a_body_is_taken_byte_for_byte);
	tcase_add_test(tcase, a_new_file_counts_at_once);
	tcase_add_test(tcase, only_files_are_read);
	tcase_add_test(tcase, who_may_read_and_write_is_looked_at);
	tcase_add_test(tcase, a_site_and_defaults_do_not_both_authorize);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
