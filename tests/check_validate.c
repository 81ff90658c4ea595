/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* The validation child: every mistake in one go, with the rights of the user who will need them. */
#include "validate.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "capture.h"
#include "scratch.h"
#include "suite.h"

static void
setup(void)
{
	capture_start();
	make_dir();
	ck_assert_int_eq(chmod(dir, 0755), 0);
}

static int
count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* validate_run() on `text`; what it prints is in captured(). */
static int
validate(const char *text, const struct proc_user *user)
{
	struct config *config = config_load(write_file("w.conf", text, 0644));
	int descriptors = count_descriptors(), code;

	code = validate_run(config, user, false);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
	ck_assert_int_eq(errno, ECHILD);
	config_free(config);
	return code;
}

static const struct proc_user ourselves = { .drop = false };

#define SITES                                                                                      \
	"sites = ( { name = \"a\"; url = \"http://a/\"; body_regex = \"(a|b)+\"; },\n"             \
	"          { name = \"b\"; url = \"https://[::1]:8443/?q\"; } );\n"

START_TEST(a_good_one_has_nothing_to_say)
{
	ck_assert_int_eq(validate(SITES, &ourselves), EXIT_FINE);
	write_file("kafka.properties", "bootstrap.servers=127.0.0.1:1\n", 0644);
	ck_assert_int_eq(
	    validate(SITES "kafka = { topic = \"t\"; properties_file = \"kafka.properties\"; };\n",
		&ourselves),
	    EXIT_FINE);
	ck_assert_ptr_null(strstr(captured(), dir));
}
END_TEST

/* Those of the text, of URLs, of patterns and of Kafka, each with its place. */
START_TEST(every_mistake_is_told_in_one_go)
{
	static const char text[] =
	    "intervall = 5;\n"
	    "sites = (\n"
	    "  { name = \"a\"; url = \"http://exa mple/\"; },\n"
	    "  { name = \"b\"; url = \"http://b/\";\n"
	    "    body_regex = [ \"fine\", \"(unclosed\" ];\n"
	    "    body_regex_not = \"[a-\"; },\n"
	    "  { name = \"c\"; url = \"http://c/\"; }\n"
	    ");\n"
	    "kafka = { topic = \"t\"; properties = [ \"bootstrap.servers=127.0.0.1:1\",\n"
	    "  \"no.such.property=1\" ]; };\n";
	static const char *const expected[] = {
		"w.conf:1: ", "w.conf:3: ", "w.conf:5: ", "w.conf:6: ", "w.conf:10: "
	};

	ck_assert_int_eq(validate(text, &ourselves), EXIT_CONFIG);
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
		ck_assert_msg(count_of(captured(), expected[i]) == 1, "%s is not once in:\n%s",
		    expected[i], captured());
	ck_assert_int_eq(count_of(captured(), "\n"), ARRAY_LENGTH(expected));
	/* and good ones are not blamed */
	ck_assert_ptr_null(strstr(captured(), "\"c\""));
	ck_assert_ptr_null(strstr(captured(), "fine"));
}
END_TEST

/* More mistakes than a pipe holds: the child waits until they are read. */
START_TEST(no_mistake_is_too_many)
{
	enum {
		COUNT = 3000
	};
	char *text = malloc(COUNT * 100 + 100);
	size_t n = (size_t)sprintf(text, "sites = (\n");

	for (int i = 0; i < COUNT; i++)
		n += (size_t)sprintf(
		    text + n, "  { name = \"s%d\"; url = \"http://exa mple/\"; },\n", i);
	sprintf(text + n, "  { name = \"last\"; url = \"http://a/\"; } );\n");
	ck_assert_int_eq(validate(text, &ourselves), EXIT_CONFIG);
	ck_assert_int_eq(count_of(captured(), "\n"), COUNT);
	free(text);
}
END_TEST

/* A file that root can read and the publisher cannot is a mistake now, not an outage later. */
START_TEST(files_are_read_with_the_rights_of_the_user)
{
	static const char text[] = SITES
	    "kafka = { topic = \"t\"; properties_file = \"kafka.properties\"; };\n";
	struct proc_user nobody;

	if (geteuid() != 0 || proc_find_user("nobody", &nobody) < 0)
		return; /* only root can become another */
	write_file("kafka.properties", "bootstrap.servers=127.0.0.1:1\n", 0600);
	ck_assert_int_eq(validate(text, &ourselves), EXIT_FINE);
	capture_forget();
	ck_assert_int_eq(validate(text, &nobody), EXIT_CONFIG);
	ck_assert_int_eq(count_of(captured(), "Permission denied"), 1);
	ck_assert_uint_eq(geteuid(), 0);
}
END_TEST

START_TEST(who_cannot_become_the_user_says_so)
{
	struct proc_user nobody, root = { .drop = true, .name = "root" };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct config *config;

		if (geteuid() == 0 && (proc_find_user("nobody", &nobody) < 0 ||
					  setgid(nobody.gid) < 0 || setuid(nobody.uid) < 0))
			_exit(1);
		config = config_load("/nonexistent/w.conf");
		_exit(validate_run(config, &root, false));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EXIT_PERMISSION);
	ck_assert_int_eq(count_of(captured(), "cannot become user \"root\""), 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("validate");
	TCase *tcase = tcase_create("validate");

	tcase_add_checked_fixture(tcase, setup, remove_dir);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_good_one_has_nothing_to_say);
	tcase_add_test(tcase, every_mistake_is_told_in_one_go);
	tcase_add_test(tcase, no_mistake_is_too_many);
	tcase_add_test(tcase, files_are_read_with_the_rights_of_the_user);
	tcase_add_test(tcase, who_cannot_become_the_user_says_so);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
