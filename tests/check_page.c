/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The status page: what texts of hostile servers become, the order of sites, no sites, many sites,
 * a daemon that is away.
 */
#include <check.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/page.h"
#include "suite.h"
#include "util.h"

#define NOW 1795962005 /* 2026-11-29T14:20:05Z */

static struct page_answer answer;

/* A line of an answer, with ' for ". */
static __attribute__((format(printf, 1, 2))) void
give(const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	text = xvasprintf(format, ap);
	va_end(ap);
	for (char *c = text; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	page_take(&answer, &(struct line){ text, strlen(text), NOW });
	free(text);
}

static void
give_status(void)
{
	give("{'type':'status','stage':'running','uptime_s':200,'kafka':'delivering',"
	     "'topic':'results','spool_records':0,'dropped':0,'dead_letters':0}");
}

static void
give_site(const char *name, const char *status, const char *labels)
{
	give("{'type':'site','site':'%s','status':'%s','labels':'%s','url':'http://h/',"
	     "'status_since':'2026-11-28T10:00:00.000Z'}",
	    name, status, labels);
}

/* The page as it is written, to be freed. */
static char *
write_page(const char *error)
{
	const struct page page = { &answer, error, NOW + 60, 15 };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	page_sort(&answer);
	page_write(out, &page);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

static size_t
count(const char *text, const char *wanted)
{
	size_t n = 0;

	while ((text = strstr(text, wanted)) != NULL) {
		text++;
		n++;
	}
	return n;
}

static void
expect(const char *text, const char *wanted)
{
	ck_assert_msg(strstr(text, wanted) != NULL, "no %s in %s", wanted, text);
}

static void
expect_order(const char *text, const char *first, const char *second)
{
	expect(text, first);
	expect(strstr(text, first), second);
}

static void
release(void)
{
	page_release(&answer);
	answer.key = NULL;
}

START_TEST(hostile_texts_stay_texts)
{
	char *page;

	give_status();
	give("{'type':'site','site':'<b>\\\"x','status':'down','error_type':'connect',"
	     "'error_message':'</span><script>alert(1)</script>&amp;\\u0027\\u202e\\u0000\\n',"
	     "'labels':'a=<i>,b=2','url':'javascript:alert(1)'}");
	give("{'type':'result','site':'x','status':'down','error_type':'\\\"><script>',"
	     "'scheduled_at':'2026-11-29T14:20:00.000Z','http_status_code':-7,'elapsed_ms':1e400}");
	give("{'type':'site','site':'y','status':'<script>','url':'http://h/\\\"onclick=\\u0022'}");
	give("{'type':'site','site':'z','status':'up','url':'http://h/?a=\\u0027&b'}");
	page = write_page("<script>'");
	ck_assert_uint_eq(count(page, "<script"), 0);
	ck_assert_uint_eq(count(page, "<b>\"x"), 0);
	ck_assert_uint_eq(count(page, "href=\"javascript"), 0);
	expect(page, "<b>&lt;b&gt;&quot;x</b> javascript:alert(1)</th>");
	expect(page, "connect: &lt;/span&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;&#39;");
	expect(page, "<h2>a=&lt;i&gt; ");
	expect(page, "aria-label=\"14:20:00 down, &quot;&gt;&lt;script&gt;");
	ck_assert_uint_eq(count(page, "rel=\"noopener"), 1);
	expect(page, "href=\"http://h/?a=&#39;&amp;b\">h/?a=&#39;&amp;b</a>");
	expect(page, "</b> http://h/&quot;onclick=&quot;</th>");
	expect(page, "&lt;script&gt;&#39;");
	ck_assert_uint_eq(count(page, (char[]){ '\xe2', '\x80', '\xae', '\0' }), 0); /* U+202E */
	free(page);
	release();
}
END_TEST

START_TEST(what_is_not_up_comes_first)
{
	char *page;

	give_status();
	give_site("alone", "up", "");
	give_site("good", "up", "team=a");
	give_site("bad", "down", "team=z,env=test");
	give_site("fine10", "up", "team=z");
	give_site("fine9", "up", "team=z");
	give_site("asleep", "unknown", "team=m");
	page = write_page(NULL);
	expect(page, "<title>1 site down - webmond</title>");
	expect_order(page, "<h2>team=z <small>3 sites, 1 down, 2 up", "<h2>team=m");
	expect_order(page, "<h2>team=m", "<h2>team=a");
	expect_order(page, "<h2>team=a", "<h2>Other sites <small>1 site<");
	expect_order(page, "<b>bad</b>", "<b>fine9</b>");
	expect_order(page, "<b>fine9</b>", "<b>fine10</b>");
	expect(page, "<li><a href=\"#s0\">bad</a>");
	expect(page, "<tr id=\"s0\" class=\"d\"><th scope=\"row\"><b>bad</b>");
	expect(page, "for 28 h 20 min, since 2026-11-28 10:00:00");
	free(page);
	release();
}
END_TEST

START_TEST(groups_by_a_key)
{
	char *page;

	answer.key = "env";
	give_status();
	give_site("a", "up", "team=z,env=test");
	give_site("b", "up", "environment=x,xenv=y");
	page = write_page(NULL);
	expect_order(page, "<h2>env=test <small>1 site<", "<h2>Other sites <small>1 site<");
	expect(page, "<title>All 2 sites up - webmond</title>");
	free(page);
	release();
}
END_TEST

START_TEST(sites_of_other_members_are_left_out)
{
	char *page;

	give("{'type':'status','stage':'running','uptime_s':200,'kafka':'delivering','topic':'t',"
	     "'group':'eu<','group_state':'1 of 12 shards, alone','lease_s':8,'alone':true,"
	     "'elsewhere':1}");
	give("{'type':'site','site':'a','status':'up','elsewhere':false,'url':'http://h/'}");
	give("{'type':'site','site':'b','status':null,'elsewhere':true,'url':'http://h/'}");
	give(
	    "{'type':'result','site':'b','status':'down','scheduled_at':'2026-11-28T14:20:00.000Z'}");
	page = write_page(NULL);
	expect(page, "All 1 sites up");
	ck_assert_uint_eq(count(page, "<b>b</b>"), 0);
	ck_assert_uint_eq(count(page, "14:20:00"), 0);
	expect(page, "\xe2\x9a\xa0 Group</dt><dd>eu&lt;: 1 of 12 shards, alone; 1 site elsewhere");
	free(page);
	release();
}
END_TEST

START_TEST(no_sites_is_a_page)
{
	char *page;

	give_status();
	page = write_page(NULL);
	expect(page, "<h1>No sites</h1>");
	ck_assert_uint_eq(count(page, "<table>"), 0);
	expect(page, "<dt>Kafka</dt><dd>delivering; topic results</dd>");
	expect(page, "</html>\n");
	free(page);
	release();
}
END_TEST

START_TEST(results_have_times_and_gaps)
{
	char *page;

	give_status();
	give_site("a", "up", "");
	for (int i = 0; i < PAGE_RESULTS + 5; i++)
		give("{'type':'result','status':'%s','error_type':%s,'elapsed_ms':%s,"
		     "'http_status_code':200,'scheduled_at':'2026-11-29T14:00:%02d.000Z'}",
		    i == 2 ? "unknown" : "up", i == 2 ? "'aborted'" : "null",
		    i == 2 ? "null" : "2.5", 59 - i);
	page = write_page(NULL);
	ck_assert_uint_eq(count(page, "<li class=\"u\" aria-label"), PAGE_RESULTS - 1);
	expect_order(page, "aria-label=\"14:00:40 up, 200, 2.5 ms\"", "aria-label=\"14:00:59 up");
	expect(page, "<li class=\"q\" aria-label=\"14:00:57 unknown, aborted, 200\">?</li>");
	expect(page, "aria-label=\"Curve of response times, 2.5 ms to 2.5 ms\"");
	ck_assert_uint_eq(count(strstr(page, "<path"), "M"), 2);
	free(page);
	release();
}
END_TEST

START_TEST(a_thousand_sites)
{
	char *page, name[16];

	give_status();
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "site-%d", i);
		give_site(name, i % 40 == 0 ? "down" : "up", i % 2 == 0 ? "team=a" : "team=b");
		for (int k = 0; k < PAGE_RESULTS; k++)
			give("{'type':'result','status':'up','scheduled_at':"
			     "'2026-11-29T14:00:%02d.000Z','elapsed_ms':%d,"
			     "'http_status_code':200}",
			    59 - k, 10 + k);
	}
	page = write_page(NULL);
	ck_assert_uint_eq(count(page, "<tr id="), 1000);
	ck_assert_uint_eq(count(page, "<table>"), 2);
	ck_assert_uint_eq(count(page, "<li><a href"), 20);
	expect(page, "And 5 more, see below.");
	ck_assert_uint_lt(strlen(page), 3000000);
	free(page);
	release();
}
END_TEST

START_TEST(a_daemon_that_is_away)
{
	char *page = write_page("no webmond answers");

	expect(page, "<h1>No answer from webmond</h1>");
	ck_assert_uint_eq(count(page, "below"), 0);
	free(page);
	give_status();
	give_site("a", "up", "");
	page = write_page("no webmond answers");
	expect(page, "<h1>No answer from webmond</h1>");
	expect(
	    page, "2026-11-29 14:21:05 UTC</time>: no webmond answers. What is below is 60 s old.");
	expect(page, "Last answer: <time datetime=\"2026-11-29T14:20:05Z\">");
	expect(page, "<b>a</b>");
	free(page);
	release();
}
END_TEST

START_TEST(trouble_comes_before_the_sites)
{
	char *page;

	give("{'type':'status','kafka':'not delivering','kafka_error':'<refused>',"
	     "'kafka_error_at':'2026-11-29T14:00:00.000Z','topic':'t','dropped':3}");
	give_site("a", "up", "");
	page = write_page(NULL);
	expect_order(page, "\xe2\x9a\xa0 Kafka", "<table>");
	expect(page, "last trouble at 14:00:00: &lt;refused&gt;");
	expect(page, "\xe2\x9a\xa0 Lost</dt><dd>3 dropped");
	free(page);
	release();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("page");
	TCase *tcase = tcase_create("page");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, hostile_texts_stay_texts);
	tcase_add_test(tcase, what_is_not_up_comes_first);
	tcase_add_test(tcase, groups_by_a_key);
	tcase_add_test(tcase, sites_of_other_members_are_left_out);
	tcase_add_test(tcase, no_sites_is_a_page);
	tcase_add_test(tcase, results_have_times_and_gaps);
	tcase_add_test(tcase, a_thousand_sites);
	tcase_add_test(tcase, a_daemon_that_is_away);
	tcase_add_test(tcase, trouble_comes_before_the_sites);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
