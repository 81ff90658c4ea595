/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * spool: the records that wait, and the dead letters.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "commands.h"
#include "exit.h"
#include "util.h"

struct spool_view {
	const struct options *options;
	uint64_t sites, records, letters;
};

static void
show_waiting(struct spool_view *view, const struct line *line)
{
	static const char *const ages[] = { "minute", "hour", "day", "older" };
	char name[80], when[64];

	if (view->sites++ == 0)
		printf("%-24s %8s %-24s %8s %8s %8s %8s\n", "SITE", "RECORDS", "OLDEST", "1 MIN",
		    "1 HOUR", "1 DAY", "OLDER");
	view->records += line_count(line, "records");
	printf("%-24s %8llu %-24s", line_text(line, "site", name, sizeof(name)),
	    (unsigned long long)line_count(line, "records"),
	    line_text(line, "oldest_at", when, sizeof(when)));
	for (size_t i = 0; i < ARRAY_LENGTH(ages); i++)
		printf(" %8llu", (unsigned long long)line_count(line, ages[i]));
	putchar('\n');
}

static void
show_letter(struct spool_view *view, const struct line *line)
{
	char name[80], when[64], refused[64], reason[1100];

	if (view->letters++ == 0)
		printf("%6s %-24s %-24s %-20s %s\n", "NUMBER", "SITE", "SCHEDULED", "REFUSED",
		    "REASON");
	printf("%6llu %-24s %-24s %-20s %s\n", (unsigned long long)line_count(line, "number"),
	    line_text(line, "site", name, sizeof(name)),
	    line_text(line, "scheduled_at", when, sizeof(when)),
	    line_text(line, "refused_at", refused, sizeof(refused)),
	    line_text(line, "reason", reason, sizeof(reason)));
}

static void
take_line(void *arg, const struct line *line)
{
	struct spool_view *view = arg;
	uint64_t records = line_count(line, "records");

	if (view->options->json || line_is(line, "webmond"))
		return;
	if (line_is(line, "waiting"))
		show_waiting(view, line);
	else if (line_is(line, "dead"))
		show_letter(view, line);
	else if (line_is(line, "dropped"))
		printf("%llu dead letter%s deleted\n", (unsigned long long)records,
		    records == 1 ? " was" : "s were");
	else
		print_line(line); /* a record */
}

/* Whether the words behind `spool` are a request. */
static bool
is_request(const struct options *o)
{
	const char *number = o->second != NULL ? o->second : "";
	const bool drop = o->argument != NULL && strcmp(o->argument, "drop") == 0;

	if (o->argument == NULL)
		return true;
	if (strcmp(o->argument, "list") == 0)
		return o->second == NULL;
	if (!drop && strcmp(o->argument, "show") != 0)
		return false;
	return (drop && strcmp(number, "all") == 0) ||
	       (number[0] >= '1' && number[strspn(number, "0123456789")] == '\0');
}

int
command_spool(int argc, char **argv)
{
	static const struct usage usage = {
		.arguments = "spool [list | show N | drop N|all] [--json]",
		.purpose =
		    "Without a word: the records that wait for Kafka, by site and age.\n"
		    "  list                 the dead letters: records that Kafka has refused for good\n"
		    "  show N               one of them, and its record\n"
		    "  drop N, drop all     delete one, or all\n",
		.argument = ARGUMENT_OPTIONAL,
		.second = true
	};
	struct options o;
	struct spool_view view = { .options = &o };
	char *request;
	int code = options_read(&o, argc, argv, &usage);

	if (code >= 0)
		return code;
	if (o.argument != NULL && strcmp(o.argument, "requeue") == 0) {
		fprintf(stderr,
		    "webmondctl: a dead letter cannot be sent again: a dropped record has its id and "
		    "its place in the topic, and one id has one content; `spool show N` prints it\n");
		return EXIT_USAGE;
	}
	if (!is_request(&o)) {
		fprintf(stderr,
		    "webmondctl: ask for: spool, spool list, spool show N, spool drop N or spool drop "
		    "all\n");
		return EXIT_USAGE;
	}
	request = xasprintf(
	    "spool %s %s", o.argument != NULL ? o.argument : "", o.second != NULL ? o.second : "");
	code = client_ask(&o, request, take_line, &view);
	free(request);
	if (code == EXIT_FINE && !o.json && o.argument == NULL)
		printf("%llu record%s of %llu site%s waiting\n", (unsigned long long)view.records,
		    util_plural(view.records), (unsigned long long)view.sites,
		    util_plural(view.sites));
	if (code == EXIT_FINE && !o.json && o.argument != NULL && strcmp(o.argument, "list") == 0)
		printf("%llu dead letter%s\n", (unsigned long long)view.letters,
		    util_plural(view.letters));
	return code;
}
