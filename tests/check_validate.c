/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* The validation child: every mistake in one go, with the rights of the user who will need them. */
#include "validate.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Whose rights are used for sites, if not those of the publisher. */
static const struct proc_user *checker;

/* validate_run() on `text`; what it prints is in captured(). */
static int
validate_for(const char *text, const struct proc_user *user, struct preflight needed)
{
	struct config *config = config_load(write_file("w.conf", text, 0644));
	struct validation what = {
		.checker = checker != NULL ? checker : user, .publisher = user, .needed = needed
	};
	int descriptors = count_descriptors(), code;

	code = validate_run(config, &what);
	ck_assert_int_eq(count_descriptors(), descriptors);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
	ck_assert_int_eq(errno, ECHILD);
	config_free(config);
	return code;
}

static int
validate(const char *text, const struct proc_user *user)
{
	return validate_for(text, user, (struct preflight){ 0 });
}

static const struct proc_user ourselves = { .drop = false };
static const struct preflight daemon_needs = {
	.kafka = true, .pid_file = true, .descriptors = true
};

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

/* A file that a site would name: no key does yet. */
static char *file_of_sites;

void __real_checker_validate_site(
    const struct site *site, const struct site *defaults, struct mistakes *mistakes);
void __wrap_checker_validate_site(
    const struct site *site, const struct site *defaults, struct mistakes *mistakes);

void
__wrap_checker_validate_site(
    const struct site *site, const struct site *defaults, struct mistakes *mistakes)
{
	__real_checker_validate_site(site, defaults, mistakes);
	if (file_of_sites != NULL && site != defaults && access(file_of_sites, R_OK) < 0)
		mistakes_add(
		    mistakes, config_origin(&site->at, "name"), "file: %s", strerror(errno));
}

/* What sites name is read with the rights of the checkers, what Kafka does with the publisher's. */
START_TEST(each_file_is_read_with_the_rights_of_who_needs_it)
{
	static const char text[] = SITES
	    "kafka = { topic = \"t\"; properties_file = \"kafka.properties\"; };\n";
	struct proc_user nobody, other;
	const char *path;

	if (geteuid() != 0 || proc_find_user("nobody", &nobody) < 0 ||
	    proc_find_user("daemon", &other) < 0)
		return; /* only root can become another */
	path = write_file("kafka.properties", "bootstrap.servers=127.0.0.1:1\n", 0400);
	ck_assert_int_eq(chown(path, nobody.uid, nobody.gid), 0);
	path = write_file("ca.pem", "", 0400);
	ck_assert_int_eq(chown(path, other.uid, other.gid), 0);
	file_of_sites = xstrdup(path);
	checker = &other;
	ck_assert_int_eq(validate(text, &nobody), EXIT_FINE);
	ck_assert_str_eq(captured(), "");

	checker = &nobody;
	ck_assert_int_eq(validate(text, &other), EXIT_CONFIG);
	ck_assert_int_eq(count_of(captured(), "\n"), 3);
	ck_assert_int_eq(count_of(captured(), "w.conf:1: file: Permission denied"), 1);
	ck_assert_int_eq(count_of(captured(), "w.conf:2: file: Permission denied"), 1);
	ck_assert_int_eq(count_of(captured(), "w.conf:3: properties_file: cannot read"), 1);
	free(file_of_sites);
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
		_exit(validate_run(
		    config, &(struct validation){ .checker = &root, .publisher = &root }));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EXIT_PERMISSION);
	ck_assert_int_eq(count_of(captured(), "cannot become user \"root\""), 1);
}
END_TEST

/* --- what a start needs ------------------------------------------------------------------ */

#define KAFKA "kafka = { topic = \"t\"; properties = \"bootstrap.servers=127.0.0.1:1\"; };\n"

/* A configuration with this spool and this PID file, relative to `dir`. */
static const char *
text_with(const char *spool, const char *pid_file)
{
	static char text[2048];

	snprintf(text, sizeof(text),
	    SITES KAFKA "workers = { max = 8; };\n"
			"pid_file = \"%s\";\n"
			"spool = { dir = \"%s\"; };\n",
	    pid_file, spool);
	return text;
}

START_TEST(a_start_that_has_all_leaves_no_trace)
{
	ck_assert_int_eq(mkdir(path_in_dir("spool"), 0700), 0);
	ck_assert_int_eq(
	    validate_for(text_with("spool", "w.pid"), &ourselves, daemon_needs), EXIT_FINE);
	ck_assert_int_eq(access(path_in_dir("w.pid"), F_OK), -1);
	ck_assert_int_eq(rmdir(path_in_dir("spool")), 0); /* it is empty */
	ck_assert_str_eq(captured(), "");
}
END_TEST

START_TEST(all_that_a_start_lacks_is_told_in_one_go)
{
	struct rlimit before, few = { 47, 47 };

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max; /* only the hard one counts */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(validate_for(text_with("no", "no/w.pid"), &ourselves, daemon_needs),
	    EXIT_CANNOT_CREATE);
	ck_assert_int_eq(count_of(captured(), "\n"), 2);
	ck_assert_int_eq(count_of(captured(), "w.conf:5: pid_file: there is no directory"), 1);
	ck_assert_int_eq(count_of(captured(), "w.conf:6: spool.dir: there is no directory"), 1);
	ck_assert_int_eq(count_of(captured(), "install -d -m 0700 -o "), 1);
	capture_forget();

	few.rlim_max = few.rlim_cur;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(
	    validate_for(SITES "workers = { max = 8; };\n", &ourselves, daemon_needs), EXIT_CONFIG);
	ck_assert_int_eq(count_of(captured(), "w.conf:3: workers.max = 8 needs 48 descriptors"), 1);
	ck_assert_int_eq(count_of(captured(), "w.conf:1: no group kafka"), 1);
	capture_forget();

	/* only what is needed */
	ck_assert_int_eq(validate_for(text_with("no", "no/w.pid"), &ourselves,
			     (struct preflight){ .kafka = false }),
	    EXIT_FINE);
	ck_assert_str_eq(captured(), "");
}
END_TEST

START_TEST(root_is_not_told_to_start_as_root)
{
	ck_assert_int_eq(mkdir(path_in_dir("spool"), 0755), 0);
	ck_assert_int_eq(mkdir(path_in_dir("taken"), 0755), 0);
	ck_assert_int_eq(validate_for(text_with("spool", "taken"), &ourselves, daemon_needs),
	    EXIT_CANNOT_CREATE);
	ck_assert_int_eq(count_of(captured(), "Is a directory"), 1);
	ck_assert_int_eq(count_of(captured(), "name another file"), 1);
	ck_assert_int_eq(count_of(captured(), "start as root"), geteuid() != 0);
}
END_TEST

START_TEST(a_spool_must_be_a_directory_and_ours)
{
	struct proc_user nobody;

	write_file("spool", "", 0600);
	ck_assert_int_eq(validate_for(text_with("spool", "w.pid"), &ourselves, daemon_needs),
	    EXIT_CANNOT_CREATE);
	ck_assert_int_eq(count_of(captured(), "is not a directory"), 1);
	capture_forget();
	ck_assert_int_eq(unlink(path_in_dir("spool")), 0);

	if (geteuid() != 0 || proc_find_user("nobody", &nobody) < 0)
		return; /* root may write everywhere, others have only what is theirs */
	ck_assert_int_eq(mkdir(path_in_dir("spool"), 0755), 0);
	ck_assert_int_eq(
	    validate_for(text_with("spool", "w.pid"), &nobody, daemon_needs), EXIT_CANNOT_CREATE);
	ck_assert_int_eq(count_of(captured(), "user \"nobody\" must be able to write there"), 1);
	capture_forget();

	/* the directory is his, but he has no rights there */
	ck_assert_int_eq(chown(path_in_dir("spool"), nobody.uid, nobody.gid), 0);
	ck_assert_int_eq(chmod(path_in_dir("spool"), 0500), 0);
	ck_assert_int_eq(
	    validate_for(text_with("spool", "w.pid"), &nobody, daemon_needs), EXIT_CANNOT_CREATE);
	ck_assert_int_eq(count_of(captured(), "must be able to write there: chmod u+rwx"), 1);
	capture_forget();
	ck_assert_int_eq(chmod(path_in_dir("spool"), 0755), 0);

	/* the directory is his, but root has left something in it */
	ck_assert_int_eq(chown(path_in_dir("spool"), nobody.uid, nobody.gid), 0);
	write_file("spool/spool.db", "", 0644);
	ck_assert_int_eq(
	    validate_for(text_with("spool", "w.pid"), &nobody, daemon_needs), EXIT_CANNOT_CREATE);
	ck_assert_int_eq(count_of(captured(), "spool.db\": Permission denied"), 1);
	ck_assert_int_eq(unlink(path_in_dir("spool/spool.db")), 0);
}
END_TEST

/* A mistake in the text does not hide what a start lacks; a text that is none tells nothing. */
START_TEST(mistakes_come_first)
{
	char text[2100];

	snprintf(text, sizeof(text), "%scolour = 1;\n", text_with("no", "no/w.pid"));
	ck_assert_int_eq(validate_for(text, &ourselves, daemon_needs), EXIT_CONFIG);
	ck_assert_int_eq(count_of(captured(), "\n"), 3);
	ck_assert_ptr_nonnull(strstr(captured(), "w.conf:7: "));
	ck_assert(strstr(captured(), "colour") < strstr(captured(), "pid_file"));
	capture_forget();
	ck_assert_int_eq(validate_for("sites = (\n", &ourselves, daemon_needs), EXIT_CONFIG);
	ck_assert_ptr_null(strstr(captured(), "kafka"));
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
	tcase_add_test(tcase, each_file_is_read_with_the_rights_of_who_needs_it);
	tcase_add_test(tcase, who_cannot_become_the_user_says_so);
	tcase_add_test(tcase, a_start_that_has_all_leaves_no_trace);
	tcase_add_test(tcase, all_that_a_start_lacks_is_told_in_one_go);
	tcase_add_test(tcase, root_is_not_told_to_start_as_root);
	tcase_add_test(tcase, a_spool_must_be_a_directory_and_ours);
	tcase_add_test(tcase, mistakes_come_first);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
