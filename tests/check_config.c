/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* The configuration: what is accepted, and every mistake with its line. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/check_config.XXXXXX";
static char path[64];

static void
set_up(void)
{
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 7);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/w.conf", dir);
}

static void
tear_down(void)
{
	char *command = xasprintf("rm -rf %s", dir);

	ck_assert_int_eq(system(command), 0);
	free(command);
}

static void
write_file(const char *name, const char *text, size_t size)
{
	char *file = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(file, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, size, f), size);
	fclose(f);
	free(file);
}

/* Load `text`; the mistakes, without the directory, one a line, are in `*said`. */
static struct config *
load(const char *text, char **said)
{
	struct mistakes mistakes = { 0 };
	struct config *config;
	char *all = xstrdup("");

	write_file("w.conf", text, strlen(text));
	config = config_load(path, &mistakes);
	for (size_t i = 0; i < mistakes.count; i++) {
		const char *line = mistakes.line[i];
		char *longer;

		if (strncmp(line, dir, strlen(dir)) == 0)
			line += strlen(dir) + 1;
		longer = xasprintf("%s%s\n", all, line);
		free(all);
		all = longer;
	}
	ck_assert_int_eq(config == NULL, mistakes.count > 0);
	mistakes_release(&mistakes);
	*said = all;
	return config;
}

static struct config *
load_good(const char *text)
{
	char *said;
	struct config *config = load(text, &said);

	ck_assert_msg(config != NULL, "not accepted: %s", said);
	free(said);
	return config;
}

/* libcheck cannot show long texts */
static void
assert_said(const char *said, const char *expected)
{
	if (strcmp(said, expected) == 0)
		return;
	fprintf(stderr, "expected:\n%ssaid:\n%s", expected, said);
	ck_abort_msg("the mistakes are others");
}

#define SITE "sites = ( { name = \"a\"; url = \"http://a.example/\"; } );\n"

START_TEST(defaults_are_as_documented)
{
	struct config *c = load_good(SITE);
	const struct site *s = &c->sites[0];

	ck_assert_uint_eq(c->site_count, 1);
	ck_assert_int_eq(s->interval_us, 60 * US_PER_S);
	ck_assert_int_eq(s->timeout_us, 10 * US_PER_S);
	ck_assert_str_eq(s->method, "GET");
	ck_assert_str_eq(s->user_agent, "webmond/" VERSION);
	ck_assert_ptr_null(s->headers[0]);
	ck_assert_ptr_null(s->body);
	ck_assert_uint_eq(s->expect_count, 1);
	ck_assert_int_eq(s->expect[0].first, 200);
	ck_assert_int_eq(s->expect[0].last, 299);
	ck_assert_uint_eq(s->body_limit, 1024 * 1024);
	ck_assert_int_eq(s->follow_redirects, 5);
	ck_assert(s->verify_tls && !s->keepalive && s->ip_version == IP_ANY);
	ck_assert(!c->has_kafka && c->spool_sync_full && !c->pid_file_set);
	ck_assert_int_eq(c->workers_min, 4);
	ck_assert_int_eq(c->workers_max, 64);
	config_free(c);
}
END_TEST

START_TEST(sites_inherit_and_replace)
{
	struct config *c = load_good(
	    "defaults = { interval = 5.5; headers = [ \"A: 1\", \"B: 2\" ];\n"
	    " body_regex = \"x\"; body_regex_not = \"y\"; enabled = false; };\n"
	    "sites = ( { name = \"a\"; url = \"http://a/\"; enabled = true; },\n"
	    " { name = \"b\"; url = \"http://b/\"; },\n"
	    " { name = \"c\"; url = \"http://c/\"; enabled = true;\n"
	    "   headers = \"C: 3\"; body_regex = ( \"p\", \"q\" ); timeout = 2;\n"
	    "   expect_status = \"200, 300-399\"; labels = [ \"k=v\", \"l=w\" ]; } );\n");
	const struct site *a = &c->sites[0], *third = &c->sites[1];

	ck_assert_uint_eq(c->site_count, 2);
	ck_assert_int_eq(a->interval_us, 5500 * US_PER_MS);
	ck_assert_int_eq(a->timeout_us, 5500 * US_PER_MS);
	ck_assert_str_eq(a->headers[1], "B: 2");
	ck_assert_uint_eq(a->pattern_count, 2);
	ck_assert_str_eq(third->headers[0], "C: 3");
	ck_assert_ptr_null(third->headers[1]);
	ck_assert_uint_eq(third->pattern_count, 3);
	ck_assert_str_eq(third->patterns[1].text, "q");
	ck_assert(!third->patterns[1].negated && third->patterns[2].negated);
	ck_assert_uint_eq(third->expect_count, 2);
	ck_assert_str_eq(third->labels, "k=v,l=w");
	ck_assert_int_eq(config_find_site(c, "c"), 1);
	ck_assert_int_eq(config_find_site(c, "b"), -1);
	ck_assert(config_site_equal(a, a));
	ck_assert(!config_site_equal(a, third));
	config_free(c);
}
END_TEST

START_TEST(every_mistake_has_its_line)
{
	char *said;

	ck_assert_ptr_null(
	    load("intervall = 5;\n"
		 "log = { level = \"loud\"; };\n"
		 "workers = { min = 9; max = 2; };\n"
		 "spool = { max_mb = 0; };\n"
		 "sites = (\n"
		 "  { url = \"http://a/\"; },\n"
		 "  { name = \"b b\"; url = \"ftp://b/\"; interval = \"60\"; },\n"
		 "  { name = \"c\"; url = \"http://u:p@c/\"; timeout = 99; },\n"
		 "  { name = \"d\"; url = \"http://d/\"; interval = 4294967306; },\n"
		 "  { name = \"e\"; url = \"http://e/\"; proxy = \"x\"; intreval = 3; },\n"
		 "  { name = \"f\"; url = \"http://f/\"; headers = \"nonsense\"; },\n"
		 "  { name = \"f2\"; url = \"http://f/\"; body_regex = \"\\x08word\"; },\n"
		 "  { name = \"g\"; url = \"http://g/\"; expect_status = \"20-300\"; }\n"
		 ");\n"
		 "kafka = { properties = [ \"acks=1\", \"sasl.password=x\" ]; };\n",
		&said));
	assert_said(said,
	    "w.conf:9: integer has more than 9 digits\n"
	    "w.conf:1: unknown key \"intervall\"\n"
	    "w.conf:2: level: must be \"error\", \"warning\", \"notice\", \"info\" or \"debug\"\n"
	    "w.conf:3: workers: min (9) is greater than max (2)\n"
	    "w.conf:4: max_mb: must be 1 to 1000000\n"
	    "w.conf:15: topic: is missing\n"
	    "w.conf:15: acks: webmond needs all: with less, records are lost\n"
	    "w.conf:15: sasl.password: is a secret; put it into properties_file\n"
	    "w.conf:6: name: is missing\n"
	    "w.conf:7: name: must be 1 to 64 of letters, digits, '.', '_' and '-'\n"
	    "w.conf:7: url: must begin with http:// or https://\n"
	    "w.conf:7: interval: must be a number without quotes\n"
	    "w.conf:8: url: must not contain a user or password; the keys username and "
	    "password_file are for them (not supported in this version)\n"
	    "w.conf:8: timeout: 99 s is longer than the interval of 60 s\n"
	    "w.conf:10: proxy: not supported in this version\n"
	    "w.conf:10: unknown key \"intreval\"; did you mean \"interval\"?\n"
	    "w.conf:11: headers: must look like \"Name: value\"\n"
	    "w.conf:12: body_regex: contains a control character; write backslashes doubled "
	    "(\"\\\\bword\\\\b\")\n"
	    "w.conf:13: expect_status: must be codes and ranges from 100 to 999, as in "
	    "\"200-299,404\"\n");
	free(said);
}
END_TEST

START_TEST(single_mistakes)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "", "w.conf: no enabled site\n" },
		{ "sites = ( );", "w.conf: no enabled site\n" },
		{ "sites = { };", "w.conf:1: sites: must be a list: sites = ( { … }, { … } );\n" },
		{ "\n@include \"x\"\n" SITE,
		    "w.conf:2: @include is not supported; use sites_dir\n" },
		{ SITE "workers = { max = 0x10; };",
		    "w.conf:2: hexadecimal numbers are not supported\n" },
		{ SITE "defaults = { interval = 1e999; };", "w.conf:2: number is not finite\n" },
		{ SITE "defaults = { name = \"x\"; };", "w.conf:2: unknown key \"name\"\n" },
		{ SITE "sites_dir = \"none\";", NULL },
		{ "sites = ( { name = \"a\" url", "w.conf:1: syntax error\n" },
		{ SITE "defaults = { timeout = 61; };",
		    "w.conf:1: timeout: 61 s is longer than the interval of 60 s\n" },
		{ SITE "vantage = { };", "w.conf:2: vantage: not supported in this version\n" },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char *said;

		ck_assert_ptr_null(load(cases[i].text, &said));
		if (cases[i].said != NULL)
			ck_assert_str_eq(said, cases[i].said);
		free(said);
	}
}
END_TEST

START_TEST(odd_but_valid)
{
	static const char *const texts[] = {
		SITE "defaults = { interval = 30L; };",
		"// c /* \n# @include 0x1\n/* 12345678901 */ " SITE,
		"sites = ( { name = \"a\"; url = \"http://a/0x1234567890123\"; body = \"x\\n@include\"; } );",
		SITE "kafka = { topic = \"t\"; properties = \"linger.ms=5\"; };",
		SITE "instance: \"probe\"",
	};

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		config_free(load_good(texts[i]));
}
END_TEST

START_TEST(a_directory_of_sites)
{
	char *sub = xasprintf("%s/sites.d", dir);
	static const char b[] = "sites = ( { name = \"b\"; url = \"http://b/\"; } );";
	static const char bad[] =
	    "\nlog = { };\nsites = ( { name = \"b\"; url = \"http://b/\"; } );";
	struct config *c;
	char *said;

	ck_assert_int_eq(mkdir(sub, 0755), 0);
	free(sub);
	write_file("sites.d/2.conf", b, sizeof(b) - 1);
	write_file("sites.d/1.conf", "", 0);
	write_file("sites.d/.hidden.conf", "nonsense", 8);
	write_file("sites.d/readme.txt", "nonsense", 8);
	c = load_good("sites_dir = \"sites.d\";\n" SITE);
	ck_assert_uint_eq(c->site_count, 2);
	ck_assert_str_eq(c->sites[1].name, "b");
	config_free(c);
	write_file("sites.d/3.conf", bad, sizeof(bad) - 1);
	ck_assert_ptr_null(load("sites_dir = \"sites.d\";\n" SITE, &said));
	ck_assert_ptr_nonnull(strstr(said, "sites.d/3.conf:2: unknown key \"log\"\n"));
	ck_assert_ptr_nonnull(strstr(said, "sites.d/3.conf:3: name: \"b\" is used already at "));
	free(said);
}
END_TEST

START_TEST(a_file_cut_anywhere_crashes_nothing)
{
	static const char text[] =
	    "instance = \"i\"; log = { level = \"info\"; }; defaults = { interval = 5.5; };\n"
	    "sites = ( { name = \"a\"; url = \"http://a/\"; headers = [ \"A: 1\" ]; /* c */\n"
	    "  body_regex = \"x\"; labels = ( \"k=v\" ); } ); # end\n"
	    "kafka = { topic = \"t\"; properties = [ \"linger.ms=50\" ]; };\n";

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		char *cut = xasprintf("%.*s", (int)n, text), *said;

		config_free(load(cut, &said));
		free(said);
		free(cut);
	}
}
END_TEST

START_TEST(ten_thousand_sites)
{
	FILE *f = fopen(path, "w");
	struct mistakes mistakes = { 0 };
	struct config *c;

	fprintf(f, "sites = (\n");
	for (int i = 0; i < 10000; i++)
		fprintf(f, "%s{ name = \"s%d\"; url = \"http://h%d.example/\"; }\n",
		    i > 0 ? "," : "", i, i);
	fprintf(f, ");\n");
	fclose(f);
	c = config_load(path, &mistakes);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->site_count, 10000);
	for (int i = 0; i < 10000; i += 37) {
		char name[16];

		snprintf(name, sizeof(name), "s%d", i);
		ck_assert_int_eq(config_find_site(c, name), i);
	}
	config_free(c);
}
END_TEST

START_TEST(files_that_are_none)
{
	struct mistakes mistakes = { 0 };

	ck_assert_ptr_null(config_load("/nonexistent/w.conf", &mistakes));
	ck_assert_ptr_null(config_load(dir, &mistakes));
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_ptr_null(config_load(path, &mistakes));
	unlink(path);
	write_file("w.conf", SITE, strlen(SITE));
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert_ptr_null(config_load(path, &mistakes));
	ck_assert_uint_eq(mistakes.count, 4);
	ck_assert_ptr_nonnull(strstr(mistakes.line[0], "cannot read: No such file or directory"));
	ck_assert_ptr_nonnull(strstr(mistakes.line[1], "is not a file"));
	ck_assert_ptr_nonnull(strstr(mistakes.line[2], "is not a file"));
	ck_assert_ptr_nonnull(strstr(mistakes.line[3], "everybody can write this file"));
	mistakes_release(&mistakes);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, defaults_are_as_documented);
	tcase_add_test(tcase, sites_inherit_and_replace);
	tcase_add_test(tcase, every_mistake_has_its_line);
	tcase_add_test(tcase, single_mistakes);
	tcase_add_test(tcase, odd_but_valid);
	tcase_add_test(tcase, a_directory_of_sites);
	tcase_add_test(tcase, a_file_cut_anywhere_crashes_nothing);
	tcase_add_test(tcase, ten_thousand_sites);
	tcase_add_test(tcase, files_that_are_none);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
