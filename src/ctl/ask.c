/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * status, sites, site, reload: what people ask a running daemon.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "exit.h"
#include "show.h"
#include "util.h"

/* --- status ------------------------------------------------------------------------------ */

struct status_view {
	const struct options *options;
	bool good;
};

static void
take_status(void *arg, const struct line *line)
{
	struct status_view *view = arg;

	if (!line_is(line, "status"))
		return;
	view->good = status_is_good(line);
	if (!view->options->json)
		show_status(line);
}

int
command_status(int argc, char **argv)
{
	static const struct usage usage = { .arguments = "status [--json]",
		.purpose =
		    "Say how the daemon is: its sites and checks, Kafka, the spool. Exits 0 if "
		    "all is well, 1 if\nrecords do not get out or were lost, 3 if it does not "
		    "run.\n" };
	struct options o;
	struct status_view view = { .options = &o };
	int code = options_read(&o, argc, argv, &usage);

	if (code >= 0)
		return code;
	code = client_ask(&o, "status", take_status, &view);
	return code == EXIT_FINE && !view.good ? EXIT_NOT_UP : code;
}

/* --- sites ------------------------------------------------------------------------------- */

struct list {
	const struct options *options;
	uint64_t shown;
};

static void
take_site(void *arg, const struct line *line)
{
	struct list *list = arg;

	if (!line_is(line, "site"))
		return;
	if (list->shown++ == 0 && !list->options->json)
		show_sites_head();
	if (!list->options->json)
		show_site(line);
}

/* A name or pattern must be one word: the daemon takes what follows for another one. */
static bool
is_one_word(const char *text)
{
	if (text == NULL || (text[0] != '\0' && text[strcspn(text, " \r\n")] == '\0'))
		return true;
	fprintf(stderr, "webmondctl: \"%s\" is the name of no site\n", text);
	return false;
}

int
command_sites(int argc, char **argv)
{
	static const struct usage usage = {
		.arguments = "sites [--down] [--slow] [PATTERN] [--json]",
		.purpose =
		    "List all sites, or those with these names (with * and ?). Exits 1 if there "
		    "are none.\n"
		    "      --down           those that are not up\n"
		    "      --slow           those whose last check took long or timed out\n",
		.filters = true,
		.argument = ARGUMENT_OPTIONAL
	};
	struct options o;
	struct list list = { .options = &o };
	char *request;
	int code = options_read(&o, argc, argv, &usage);

	if (code >= 0)
		return code;
	if (!is_one_word(o.argument))
		return EXIT_USAGE;
	/* a site may be called "down" */
	request = xasprintf("sites%s%s%s%s", o.down ? " down" : "", o.slow ? " slow" : "",
	    o.argument != NULL ? " -- " : "", o.argument != NULL ? o.argument : "");
	code = client_ask(&o, request, take_site, &list);
	free(request);
	if (code != EXIT_FINE || list.shown > 0)
		return code;
	if (!o.json)
		fprintf(stderr, "webmondctl: there are no such sites\n");
	return EXIT_NOT_UP;
}

/* --- site -------------------------------------------------------------------------------- */

#define VALUE_SIZE 2100

static void
show_facts(const struct line *line)
{
	char text[VALUE_SIZE], more[VALUE_SIZE], span[DURATION_SIZE];
	time_t since = line_time(line, "status_since");

	printf("%s  ", line_text(line, "site", text, sizeof(text)));
	printf("%s\n", line_text(line, "url", text, sizeof(text)));
	if (line_true(line, "elsewhere"))
		printf("elsewhere: another member of the group checks it\n");
	else if (line_text(line, "status", text, sizeof(text))[0] == '\0')
		printf("not known yet\n");
	else
		printf("%s for %s, since %s: %llu results in a row\n", text,
		    describe_span(since != 0 ? difftime(line->now, since) : 0, span),
		    line_text(line, "status_since", more, sizeof(more)),
		    (unsigned long long)line_count(line, "streak"));
	if (line_text(line, "error_type", text, sizeof(text))[0] != '\0')
		printf("why: %s: %s\n", text, line_text(line, "error_message", more, sizeof(more)));
	if (!isnan(line_number(line, "shard")))
		printf("shard: %llu\n", (unsigned long long)line_count(line, "shard"));
	if (line_true(line, "elsewhere"))
		return;
	printf("next check: %s%s%s%s\n", line_text(line, "next_at", text, sizeof(text)),
	    line_true(line, "running") ? "; one is running" : "",
	    line_true(line, "slow") ? "; it is slow" : "",
	    line_true(line, "quarantined") ? "; it is in quarantine" : "");
	if (line_text(line, "chain_expires_at", text, sizeof(text))[0] != '\0')
		printf("certificates expire: %s\n", text);
}

static void
show_milliseconds(const struct line *line, const char *name)
{
	double ms = line_number(line, name);

	if (isnan(ms))
		printf(" %8s", "-");
	else
		printf(" %8.1f", ms);
}

static void
show_result(const struct line *line)
{
	static const char *const spans[] = { "elapsed_ms", "dns_ms", "connect_ms", "tls_ms",
		"wait_ms", "receive_ms", "lateness_ms" };
	char when[64], status[16], word[40], code[16] = "-";

	if (line_count(line, "http_status_code") > 0)
		snprintf(code, sizeof(code), "%llu",
		    (unsigned long long)line_count(line, "http_status_code"));
	printf("%-24s %-7s %4s", line_text(line, "scheduled_at", when, sizeof(when)),
	    line_text(line, "status", status, sizeof(status)), code);
	for (size_t i = 0; i < ARRAY_LENGTH(spans); i++)
		show_milliseconds(line, spans[i]);
	printf("  %s\n", line_text(line, "error_type", word, sizeof(word)));
}

struct site_view {
	const struct options *options;
	bool settings, results; /* begun */
};

static void
take_line_of_site(void *arg, const struct line *line)
{
	struct site_view *view = arg;
	char key[80], value[VALUE_SIZE];

	if (view->options->json)
		return;
	if (line_is(line, "site")) {
		show_facts(line);
	} else if (line_is(line, "setting")) {
		if (!view->settings)
			printf("\nin force:\n");
		view->settings = true;
		line_text(line, "key", key, sizeof(key));
		if (line_text(line, "value", value, sizeof(value))[0] != '\0')
			printf("  %-20s %s%s\n", key, value,
			    strcmp(key, "headers") == 0 ? " (the values are not shown)" : "");
	} else if (line_is(line, "result")) {
		if (!view->results)
			printf("\n%-24s %-7s %4s %8s %8s %8s %8s %8s %8s %8s\n", "RESULTS (ms)",
			    "STATUS", "CODE", "ALL", "DNS", "CONNECT", "TLS", "WAIT", "RECEIVE",
			    "LATE");
		view->results = true;
		show_result(line);
	}
}

int
command_site(int argc, char **argv)
{
	static const struct usage usage = { .arguments = "site NAME [--json]",
		.purpose =
		    "Say all about a site: how it is and why, its configuration in force, its "
		    "last results.\nExits 1 if there is no such site.\n",
		.argument = ARGUMENT_REQUIRED };
	struct options o;
	struct site_view view = { .options = &o };
	char *request;
	int code = options_read(&o, argc, argv, &usage);

	if (code >= 0)
		return code;
	if (!is_one_word(o.argument))
		return EXIT_USAGE;
	request = xasprintf("site %s", o.argument);
	code = client_ask(&o, request, take_line_of_site, &view);
	free(request);
	return code;
}

/* --- reload ------------------------------------------------------------------------------ */

struct verdict_view {
	const struct options *options;
	bool refused;
};

static void
take_verdict(void *arg, const struct line *line)
{
	struct verdict_view *view = arg;
	char text[VALUE_SIZE];
	uint64_t sites = line_count(line, "sites");

	view->refused |= line_is(line, "mistake");
	if (view->options->json)
		return;
	if (line_is(line, "mistake"))
		fprintf(stderr, "%s\n", line_text(line, "text", text, sizeof(text)));
	if (line_is(line, "reload"))
		printf("reloaded: %llu site%s, %llu added, %llu changed, %llu removed\n",
		    (unsigned long long)sites, util_plural(sites),
		    (unsigned long long)line_count(line, "added"),
		    (unsigned long long)line_count(line, "changed"),
		    (unsigned long long)line_count(line, "removed"));
}

int
command_reload(int argc, char **argv)
{
	static const struct usage usage = { .arguments = "reload [--json]",
		.purpose =
		    "Have the daemon read its configuration anew, and wait for the outcome. Exits "
		    "78 after\nprinting every mistake, if it stays with the old one; 3 if it does "
		    "not run.\n" };
	struct options o;
	struct verdict_view view = { .options = &o };
	int code = options_read(&o, argc, argv, &usage);

	if (code >= 0)
		return code;
	code = client_ask(&o, "reload", take_verdict, &view);
	return code != EXIT_FINE && view.refused ? EXIT_CONFIG : code;
}
