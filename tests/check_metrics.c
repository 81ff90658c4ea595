/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The text format of Prometheus, from lines of answers; promtool reads a real one in 27_metrics.py.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "suite.h"

#define BEGIN                                                                                      \
	"{\"type\":\"webmond\",\"protocol\":1,\"version\":\"1.1\",\"instance\":\"probe-1\","       \
	"\"location\":null,\"now\":\"2026-11-29T00:01:00.000Z\"}"
#define STATUS(rest)                                                                               \
	"{\"type\":\"status\",\"version\":\"1.1\",\"epoch\":\"e\","                                \
	"\"started_at\":\"2026-11-29T00:00:00.000Z\",\"up\":1,\"down\":1,\"unknown\":1,"           \
	"\"not_known\":1,\"checks\":7,\"lateness_p50_ms\":1.5,\"lateness_p99_ms\":null" rest "}"
#define NOW 1795910460 /* of `now` above */

static char *text;

static void
add(struct metrics *m, const char *line)
{
	/* a copy of its size: sanitizers see a reader that goes too far */
	size_t size = strlen(line);
	char *copy = malloc(size);

	for (size_t i = 0; i < size; i++)
		copy[i] = line[i];
	metrics_add(m, &(struct line){ copy, size, NOW });
	free(copy);
}

static void
print(const char *const *lines)
{
	struct metrics m = { 0 };
	size_t size;
	FILE *f;

	free(text);
	f = open_memstream(&text, &size);

	for (; *lines != NULL; lines++)
		add(&m, *lines);
	metrics_print(&m, f);
	fclose(f);
	metrics_free(&m);
}

/* Whether it is there as a line of its own. */
static bool
has(const char *line)
{
	char wanted[512];

	snprintf(wanted, sizeof(wanted), "\n%s\n", line);
	return strstr(text, wanted) != NULL;
}

static void
teardown(void)
{
	free(text);
}

START_TEST(the_daemon_has_its_numbers)
{
	print((const char *[]){ BEGIN,
	    STATUS(",\"kafka\":\"not delivering\",\"spool_records\":3,"
		   "\"spool_oldest_at\":\"2026-11-29T00:00:18.000Z\",\"dropped\":0"),
	    BEGIN, NULL });
	ck_assert(has("webmond_info{version=\"1.1\",epoch=\"e\",webmond_instance=\"probe-1\","
		      "location=\"\"} 1"));
	ck_assert(has("webmond_sites{status=\"not_known\"} 1"));
	ck_assert(has("webmond_start_time_seconds 1795910400"));
	ck_assert(has("# TYPE webmond_checks_total counter\nwebmond_checks_total 7"));
	ck_assert(has("webmond_lateness_median_seconds 0.0015"));
	ck_assert(has("webmond_spool_records 3"));
	ck_assert(has("webmond_spool_oldest_age_seconds 42"));
	ck_assert(has("webmond_records_dropped_total 0"));
	ck_assert(has("webmond_kafka_delivering 0"));
	/* null, and missing: no sample */
	ck_assert_ptr_null(strstr(text, "\nwebmond_lateness_p99_seconds"));
	ck_assert_ptr_null(strstr(text, "\nwebmond_spool_bytes"));
	ck_assert_ptr_null(strstr(text, "nan"));
}
END_TEST

START_TEST(a_member_of_a_group_has_its_shards)
{
	static const char elsewhere[] =
	    "{\"type\":\"site\",\"site\":\"b\",\"status\":null,"
	    "\"interval_s\":10,\"elsewhere\":true,\"url\":\"http://h/\"}";

	print((const char *[]){ BEGIN,
	    STATUS(",\"group\":\"eu\",\"shards\":4,\"shards_total\":12,\"lease_s\":8.125,"
		   "\"alone\":true,\"elsewhere\":7,\"takeovers\":5,\"missed_takeover\":9"),
	    elsewhere, NULL });
	ck_assert(has("webmond_group_shards 4"));
	ck_assert(has("webmond_group_shards_total 12"));
	ck_assert(has("webmond_group_lease_seconds 8.125"));
	ck_assert(has("webmond_group_alone 1"));
	ck_assert(
	    has("# TYPE webmond_group_takeovers_total counter\nwebmond_group_takeovers_total 5"));
	ck_assert(has("webmond_group_missed_total 9"));
	ck_assert(has("webmond_sites{status=\"elsewhere\"} 7"));
	ck_assert_ptr_null(strstr(text, "site=\"b\""));
	print((const char *[]){ BEGIN,
	    STATUS(",\"group\":null,\"shards\":null,\"alone\":null,\"elsewhere\":null"), NULL });
	ck_assert_ptr_null(strstr(text, "group"));
	ck_assert_ptr_null(strstr(text, "elsewhere"));
}
END_TEST

START_TEST(nothing_waits_and_nothing_was_sent_yet)
{
	print((const char *[]){ BEGIN,
	    STATUS(",\"kafka\":\"nothing yet\",\"spool_records\":0,\"spool_oldest_at\":null"),
	    NULL });
	ck_assert(has("webmond_spool_oldest_age_seconds 0"));
	ck_assert(has("webmond_kafka_delivering 1"));
	print((const char *[]){ BEGIN, STATUS(",\"kafka\":null"), NULL }); /* --stdout */
	ck_assert_ptr_null(strstr(text, "webmond_kafka_delivering"));
}
END_TEST

#define SITE(name, status, error, code)                                                            \
	"{\"type\":\"site\",\"site\":\"" name "\",\"status\":" status                              \
	",\"status_since\":\"2026-11-29T00:00:00.500Z\",\"streak\":3,\"error_type\":" error        \
	",\"error_message\":null,\"scheduled_at\":\"2026-11-29T00:00:30.000Z\","                   \
	"\"lateness_ms\":0.25,\"http_status_code\":" code ",\"elapsed_ms\":1500,\"dns_ms\":0,"     \
	"\"connect_ms\":10.5,\"tls_ms\":null,\"wait_ms\":1,\"receive_ms\":2,"                      \
	"\"interval_s\":0.5,\"chain_expires_at\":\"2026-12-29T00:00:00.000Z\","                    \
	"\"url\":\"https://h/?a=\\\"b\\\\c\\u00e4\\n\",\"labels\":\"team=\\\"x\\\"\"}"

START_TEST(sites_have_the_names_of_blackbox_exporter)
{
	print((const char *[]){ BEGIN, STATUS(""), SITE("good", "\"up\"", "null", "200"),
	    SITE("bad", "\"down\"", "\"regex_mismatch\"", "200"),
	    SITE("gone", "\"down\"", "\"connect\"", "null"),
	    SITE("odd", "\"unknown\"", "\"local\"", "null"), NULL });
	ck_assert(
	    has("probe_success{site=\"good\"} 1\nprobe_success{site=\"bad\"} 0\n"
		"probe_success{site=\"gone\"} 0\n# HELP webmond_site_unknown Whether the last "
		"check says nothing about the site."));
	ck_assert(
	    has("webmond_site_unknown{site=\"gone\"} 0\nwebmond_site_unknown{site=\"odd\"} 1"));
	ck_assert(has("probe_failed_due_to_regex{site=\"good\"} 0\n"
		      "probe_failed_due_to_regex{site=\"bad\"} 1\n"
		      "probe_failed_due_to_regex{site=\"gone\"} 0"));
	ck_assert(has(
	    "probe_http_status_code{site=\"bad\"} 200\nprobe_http_status_code{site=\"gone\"} 0"));
	ck_assert_ptr_null(strstr(text, "probe_http_status_code{site=\"odd\"}"));
	ck_assert(has("webmond_site_streak{site=\"odd\"} 3"));
	ck_assert(has("webmond_site_status_since_timestamp_seconds{site=\"good\"} 1795910400"));
	ck_assert(has("webmond_site_last_check_timestamp_seconds{site=\"good\"} 1795910430"));
	ck_assert(has("webmond_site_interval_seconds{site=\"good\"} 0.5"));
	ck_assert(has("webmond_site_lateness_seconds{site=\"good\"} 0.00025"));
	ck_assert(has("probe_duration_seconds{site=\"good\"} 1.5"));
	ck_assert(has("probe_dns_lookup_time_seconds{site=\"good\"} 0"));
	ck_assert(has("probe_ssl_earliest_cert_expiry{site=\"good\"} 1798502400"));
	ck_assert(has("probe_http_duration_seconds{phase=\"connect\",site=\"good\"} 0.0105"));
	ck_assert_ptr_null(strstr(text, "phase=\"tls\""));
	ck_assert(has("webmond_site_info{site=\"good\",url=\"https://h/?a=\\\"b\\\\c\xc3\xa4 \","
		      "labels=\"team=\\\"x\\\"\"} 1"));
}
END_TEST

START_TEST(a_site_that_was_not_checked_has_no_result)
{
	print((const char *[]){ BEGIN, STATUS(""),
	    "{\"type\":\"site\",\"site\":\"new\",\"status\":null,\"streak\":null,\"interval_s\":60,"
	    "\"url\":\"http://h/\",\"labels\":null}",
	    "{\"type\":\"result\",\"site\":\"new\"}", "no JSON",
	    "{\"type\":\"site\",\"site\":", NULL });
	ck_assert(has("webmond_site_info{site=\"new\",url=\"http://h/\",labels=\"\"} 1"));
	ck_assert(has("webmond_site_interval_seconds{site=\"new\"} 60"));
	ck_assert_ptr_null(strstr(text, "probe_success{"));
	ck_assert_ptr_null(strstr(text, "webmond_site_unknown{"));
	ck_assert_ptr_null(strstr(text, "probe_http_status_code{"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("metrics");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, the_daemon_has_its_numbers);
	tcase_add_test(tc, a_member_of_a_group_has_its_shards);
	tcase_add_test(tc, nothing_waits_and_nothing_was_sent_yet);
	tcase_add_test(tc, sites_have_the_names_of_blackbox_exporter);
	tcase_add_test(tc, a_site_that_was_not_checked_has_no_result);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
