/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * webmondctl verify: does a topic hold what webmond promises? Called by main(); everything that is
 * wrong with its start ends it with an exit code of its own.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "exit.h"
#include "report.h"
#include "topic.h"

/* How often --follow says how things stand. */
#define STATUS_US (60 * US_PER_S)

static struct {
	const char *properties, *topic;
	int64_t since_ms;
	bool follow, json;
} options;

static volatile sig_atomic_t stopping;

static void
print_help(void)
{
	printf("Usage: webmondctl verify -F FILE -t TOPIC [--since TIME] [--follow] [--json]\n"
	       "Read a topic and say whether it holds what webmond promises.\n"
	       "\n"
	       "  -F FILE       how to reach Kafka: name=value lines, as kcat -F reads them\n"
	       "  -t TOPIC      the topic\n"
	       "  --since TIME  leave out what is older: 90s, 15m, 12h, 7d, or a time in UTC such\n"
	       "                as 2026-11-29 or 2026-11-29T02:00:00Z\n"
	       "  --follow      go on with what comes, until it is stopped\n"
	       "  --json        report as one line of JSON\n"
	       "\n"
	       "Exit codes: 0 all holds; 1 something is wrong; 2 nothing is wrong, but the topic\n"
	       "alone cannot answer everything; 64 usage; 66 no such topic; 69 Kafka cannot be\n"
	       "reached; 77 no right to read the topic; 78 FILE is wrong. See webmondctl(8).\n");
}

/* "90s" as a time, or SCAN_NONE. */
static int64_t
read_duration(const char *text)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || n < 0 || n > 1000000000 || end[0] == '\0' || end[1] != '\0')
		return SCAN_NONE;
	for (size_t i = 0; i < ARRAY_LENGTH(units); i++)
		if (units[i].unit == *end)
			return util_utc_us() / US_PER_MS - n * units[i].seconds * 1000;
	return SCAN_NONE;
}

/* A time, whole, without milliseconds or without the time of day; or SCAN_NONE. */
static int64_t
read_time(const char *text)
{
	char whole[64], again[UTIL_RFC3339_SIZE];
	size_t n = strlen(text);
	int64_t ms;

	if (n == strlen("2026-11-29"))
		snprintf(whole, sizeof(whole), "%sT00:00:00.000Z", text);
	else if (n == strlen("2026-11-29T02:00:00Z") && text[n - 1] == 'Z')
		snprintf(whole, sizeof(whole), "%.*s.000Z", (int)n - 1, text);
	else
		snprintf(whole, sizeof(whole), "%s", text);
	ms = scan_time(whole, strlen(whole));
	if (ms == SCAN_NONE)
		return ms;
	util_rfc3339(again, ms * US_PER_MS);
	return strcmp(again, whole) == 0 ? ms : SCAN_NONE; /* there is no 31st of November */
}

static int usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int
usage(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "webmondctl verify: ");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\nTry 'webmondctl verify --help'.\n");
	return EXIT_USAGE;
}

/* Returns EXIT_FINE to go on, -1 when there was only help to print, or an exit code. */
static int
parse_options(int argc, char **argv)
{
	enum {
		OPTION_SINCE = 256,
		OPTION_FOLLOW,
		OPTION_JSON
	};
	static const struct option long_options[] = {
		{ "since", required_argument, NULL, OPTION_SINCE },
		{ "follow", no_argument, NULL, OPTION_FOLLOW },
		{ "json", no_argument, NULL, OPTION_JSON },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	options.since_ms = SCAN_NONE;
	while ((c = getopt_long(argc, argv, "F:t:h", long_options, NULL)) != -1) {
		switch (c) {
		case 'F':
			options.properties = optarg;
			break;
		case 't':
			options.topic = optarg;
			break;
		case OPTION_SINCE:
			options.since_ms = read_duration(optarg);
			if (options.since_ms == SCAN_NONE)
				options.since_ms = read_time(optarg);
			if (options.since_ms == SCAN_NONE || options.since_ms < 0)
				return usage(
				    "--since: \"%s\" is neither a duration nor a time in UTC",
				    optarg);
			break;
		case OPTION_FOLLOW:
			options.follow = true;
			break;
		case OPTION_JSON:
			options.json = true;
			break;
		case 'h':
			print_help();
			return -1;
		default:
			return usage("unknown option, or one without its argument");
		}
	}
	if (optind < argc)
		return usage("unexpected argument \"%s\"", argv[optind]);
	if (options.properties == NULL)
		return usage("how is Kafka to be reached? Give -F FILE");
	if (options.topic == NULL || options.topic[0] == '\0')
		return usage("which topic? Give -t TOPIC");
	return EXIT_FINE;
}

static void
on_signal(int number)
{
	(void)number;
	stopping = 1;
}

static void
report(struct judge *j)
{
	judge_conclude(j);
	if (options.json)
		report_json(j, options.topic);
	else
		report_text(j, options.topic);
	fflush(stdout);
}

static void
say(const char *text)
{
	printf("%s\n", text);
	fflush(stdout);
}

/* How things stand, in a line. */
static void
report_status(struct judge *j)
{
	char now[UTIL_RFC3339_SIZE], wrong[512];

	if (options.json) {
		report(j);
		return;
	}
	judge_conclude(j);
	report_wrong(j, wrong, sizeof(wrong));
	util_rfc3339(now, util_utc_us());
	printf("%s  %llu records, %s%s\n", now, (unsigned long long)j->kinds[SCAN_RECORD],
	    wrong[0] != '\0' ? "WRONG: " : "nothing is wrong", wrong);
	fflush(stdout);
}

/* Until a signal. Returns as topic_follow(). */
static int
follow(struct topic *topic, struct judge *j, char *why)
{
	struct sigaction action = { .sa_handler = on_signal };
	int64_t next_us = util_mono_us() + STATUS_US;
	int code = EXIT_FINE;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (!options.json)
		j->say = say;
	while (code == EXIT_FINE && !stopping && !ferror(stdout)) {
		code = topic_follow(topic, judge_take, j, 500, why);
		if (code == EXIT_FINE && why[0] != '\0') {
			fprintf(stderr, "webmondctl verify: %s\n", why);
			why[0] = '\0';
		}
		if (util_mono_us() >= next_us) {
			report_status(j);
			next_us += STATUS_US;
		}
	}
	j->say = NULL;
	return code;
}

/* All that there is, and once more if copies have to be compared. */
static int
read_all(struct topic *topic, struct judge *j, char *why)
{
	int code = topic_read(topic, judge_take, j, why);

	if (code != EXIT_FINE || !judge_needs_again(j))
		return code;
	code = topic_read(topic, judge_take_again, j, why);
	judge_end_again(j);
	return code;
}

static int
verify(struct topic *topic, struct judge *j, char *why)
{
	static const int codes[] = { EXIT_FINE, VERIFY_QUESTION, VERIFY_BROKEN };
	int64_t until_ms;
	int code;

	for (int i = 0; i < (int)topic_partitions(topic); i++) {
		judge_begins_at(j, i, topic_begins_at(topic, i));
		if (topic_begins_late(topic, i, &until_ms))
			judge_begins_late(j, i, until_ms);
	}
	code = read_all(topic, j, why);
	if (code != EXIT_FINE)
		return code;
	report(j);
	if (options.follow) {
		code = follow(topic, j, why);
		judge_end_again(j); /* there is no second reading of what came */
		report(j);
	}
	return code != EXIT_FINE ? code : codes[judge_verdict(j)];
}

int
command_verify(int argc, char **argv)
{
	struct mistakes mistakes = { 0 };
	char why[TOPIC_REASON_SIZE] = "";
	struct topic *topic = NULL;
	struct judge *j;
	int code = parse_options(argc, argv);

	if (code != EXIT_FINE)
		return code < 0 ? EXIT_FINE : code;
	code = topic_open(
	    &topic, options.properties, options.topic, options.since_ms, &mistakes, why);
	for (size_t i = 0; i < mistakes.count; i++)
		fprintf(stderr, "%s\n", mistakes.line[i]);
	mistakes_release(&mistakes);
	if (code == EXIT_FINE) {
		j = judge_new(topic_partitions(topic));
		code = verify(topic, j, why);
		judge_free(j);
		topic_close(topic);
	}
	if (why[0] != '\0')
		fprintf(stderr, "webmondctl verify: %s\n", why);
	return code;
}
