/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Reports about a topic, for people. Called by `verify`; nothing is fatal.
 */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* In the order of enum finding. */
static const struct {
	const char *name, *good; /* a row; the name is also that in JSON */
	const char *one, *many;
} findings[FOUND_COUNT] = {
	{ "holes", "none in seq", "hole in seq", "holes in seq" },
	{ "contents", "one for each id", "id with two contents", "ids with two contents" },
	{ "order", "each site in the order of its slots", "record out of order",
	    "records out of order" },
	{ "grid", "each slot is on that of its site", "slot off its grid",
	    "slots off their grids" },
	{ "streak", "each goes on or begins", "wrong streak", "wrong streaks" },
	{ "keys", "each is the site", "record with another key", "records with other keys" },
	{ "twice", "no slots of a group have two verdicts", "slot that two members went on running",
	    "slots that two members went on running" },
	{ "emptied", "no number",
	    "number without a record that a partition with nothing left may have had",
	    "numbers without a record that a partition with nothing left may have had" },
	{ "again", "no slot", "slot that came twice", "slots that came twice" },
	{ "missing", "no slot", "missing slot", "missing slots" },
	{ "silent", "no site", "silent site", "silent sites" },
	{ "overlap", "no record behind a later epoch", "record behind a later epoch",
	    "records behind a later epoch" },
	{ "both", "no slot", "slot that two members ran for a moment",
	    "slots that two members ran for a moment" },
};

const char *
report_name(enum finding finding)
{
	return findings[finding].name;
}

/* --- for people -------------------------------------------------------------------------- */

#define NUMBER_SIZE 32

/* "1,234,567" */
static const char *
number(char out[NUMBER_SIZE], uint64_t n)
{
	char digits[24];
	int size = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	char *to = out;

	for (int i = 0; i < size; i++) {
		if (i > 0 && (size - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = '\0';
	return out;
}

static void row(const char *label, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
row(const char *label, const char *format, ...)
{
	va_list ap;

	printf("  %-10s ", label);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
}

static void
print_statuses(const struct judge_epoch *e)
{
	char n[NUMBER_SIZE];
	const char *between = "";

	printf("  %-10s ", "status");
	for (enum status status = STATUS_UP; status <= STATUS_UNKNOWN; status++) {
		const char *word = " (";

		if (e->statuses[status] == 0)
			continue;
		printf("%s%s %s", between, number(n, e->statuses[status]), status_name(status));
		for (int error = ERROR_NONE + 1; error < ERROR_COUNT; error++)
			if (e->words[error] > 0 && result_status(error) == status) {
				printf("%s%s %s", word, number(n, e->words[error]),
				    error_type_name(error));
				word = ", ";
			}
		printf("%s", word[0] == ',' ? ")" : "");
		between = ", ";
	}
	if (e->words[ERROR_COUNT] > 0)
		printf("%s%s with words of a later version", between,
		    number(n, e->words[ERROR_COUNT]));
	putchar('\n');
}

static void
print_lateness(const struct judge_epoch *e)
{
	if (e->lateness.count == 0)
		row("lateness", "no check has begun");
	else
		row("lateness", "p50 %.1f ms, p99 %.1f ms, max %.1f ms",
		    (double)spread_percentile(&e->lateness, 50) / 1000,
		    (double)spread_percentile(&e->lateness, 99) / 1000,
		    (double)e->lateness.max / 1000);
}

static void
print_findings(const struct judge_epoch *e)
{
	char n[NUMBER_SIZE];

	for (enum finding finding = 0; finding < FOUND_COUNT; finding++) {
		const char *mark = finding < FOUND_FIRST_QUESTION ? "WRONG: " : "QUESTION: ";

		if (e->found[finding] == 0) {
			row(findings[finding].name, "%s", findings[finding].good);
			continue;
		}
		printf("  %-10s %s%s %s:", findings[finding].name, mark,
		    number(n, e->found[finding]),
		    e->found[finding] == 1 ? findings[finding].one : findings[finding].many);
		for (int i = 0; i < JUDGE_EXAMPLES && e->examples[finding][i] != NULL; i++)
			printf("%s %s", i > 0 ? ";" : "", e->examples[finding][i]);
		putchar('\n');
	}
}

static void
print_excuses(const struct judge_epoch *e)
{
	static const char *const texts[EXCUSE_COUNT] = {
		[EXCUSE_DROPPED] = "given up by webmond: \"dropped\" records name them",
		[EXCUSE_REMOVED] = "not known: they belong before what is read of the topic",
		[EXCUSE_UNDERWAY] =
		    "not known: the epoch may still run, and sites owe so many records",
		[EXCUSE_COMPACTED] = "not known: offsets of the topic are empty",
	};
	char n[NUMBER_SIZE];

	for (enum excuse excuse = 0; excuse < EXCUSE_COUNT; excuse++)
		if (e->excused[excuse] > 0)
			row("", "%s more without a record are %s", number(n, e->excused[excuse]),
			    texts[excuse]);
}

static void
print_epoch(const struct judge *j, const struct judge_epoch *e)
{
	char first[UTIL_RFC3339_SIZE], last[UTIL_RFC3339_SIZE];
	char a[NUMBER_SIZE], b[NUMBER_SIZE], c[NUMBER_SIZE], d[NUMBER_SIZE];
	char instance[SCAN_NAME_MAX + 1];
	const char *name = j->instances[e->instance].name;

	util_clean_text(instance, sizeof(instance), name, strlen(name));
	util_rfc3339(first, e->first_ms * US_PER_MS);
	util_rfc3339(last, e->last_ms * US_PER_MS);
	printf("\nepoch %s of %s%s\n", e->name, instance, e->ended ? "" : ", may still run");
	row("records", "%s of %s site%s, seq %s to %s", number(a, e->records),
	    number(b, e->site_count), util_plural(e->site_count), number(c, e->seen.at[0].first),
	    number(d, e->top_seq));
	row("from", "%s to %s", first, last);
	print_statuses(e);
	print_lateness(e);
	row("repeats", "%s", number(a, e->repeats));
	print_findings(e);
	print_excuses(e);
	if (e->set_back > e->found[FOUND_AGAIN])
		row("clock", "was set back: %s slots are not later than the one before",
		    number(a, e->set_back - e->found[FOUND_AGAIN]));
	if (e->skipped > 0)
		row("clock", "was set forward, or the host slept: all sites at once miss slots, %s",
		    number(a, e->skipped));
	if (e->moved > 0)
		row("partitions", "%s times a site went to another one: no order is known then",
		    number(a, e->moved));
}

static void
print_group(const struct judge *j, const struct judge_group *group)
{
	char a[NUMBER_SIZE], b[NUMBER_SIZE], c[NUMBER_SIZE];
	size_t members = judge_count_members(j, group);

	printf("\ngroup %s of %zu member%s\n", group->name, members, util_plural(members));
	row("records", "%s of %s site%s, %s of them while Kafka could not be reached",
	    number(a, group->records), number(b, group->site_count), util_plural(group->site_count),
	    number(c, group->alone));
	row("takeovers", "%s times a site went to another member; %s slots that nobody ran",
	    number(a, group->takeovers), number(b, group->missed));
	if (group->handed_over > 0)
		row("",
		    "%s slots have two verdicts, one of them late: at a takeover, from a member "
		    "that was killed or cut off",
		    number(a, group->handed_over));
	if (group->down > 0)
		row("", "%s slots have no record: no member ran for more than 300 s",
		    number(a, group->down));
	if (group->not_known > 0)
		row("",
		    "%s slots without a record are not known: given up by webmond, or removed from "
		    "the topic",
		    number(a, group->not_known));
}

static void
print_rest(const struct judge *j)
{
	static const char *const texts[SCAN_KIND_COUNT] = { NULL, "without a value",
		"no flat JSON objects", "of another schema_version", "no records of webmond" };
	char n[NUMBER_SIZE];
	uint64_t cut = 0, empty = 0;

	for (int kind = SCAN_RECORD + 1; kind < SCAN_KIND_COUNT; kind++)
		if (j->kinds[kind] > 0)
			printf("other messages: %s %s, such as: %s\n", number(n, j->kinds[kind]),
			    texts[kind], j->foreign[kind]);
	for (size_t i = 0; i < j->partition_count; i++) {
		cut += j->partitions[i].cut;
		empty += j->partitions[i].empty_offsets;
	}
	if (cut > 0)
		printf("not known: what %s of %zu partitions had before what is read: it has been "
		       "removed, or is older than --since\n",
		    number(n, cut), j->partition_count);
	if (empty > 0)
		printf("not known: what %s empty offsets had: the topic is compacted, or others "
		       "use it with transactions\n",
		    number(n, empty));
	if (j->uncompared > 0)
		printf("not known: whether %s repeats have the content of the first copy\n",
		    number(n, j->uncompared));
	if (j->left_out > 0)
		printf("not known: %s records were left out, because there are too many epochs, "
		       "sites or holes\n",
		    number(n, j->left_out));
}

/* Append "3 holes in seq" for each finding from `first` up to `end`. */
static void
list_findings(const struct judge *j, enum finding first, enum finding end, char *out, size_t size)
{
	char n[NUMBER_SIZE];
	size_t used = 0;

	out[0] = '\0';
	for (enum finding finding = first; finding < end && used < size; finding++) {
		uint64_t count = judge_found(j, finding);

		if (count > 0)
			used += (size_t)snprintf(out + used, size - used, "%s%s %s",
			    used > 0 ? ", " : "", number(n, count),
			    count == 1 ? findings[finding].one : findings[finding].many);
	}
}

void
report_wrong(const struct judge *j, char *out, size_t size)
{
	list_findings(j, 0, FOUND_FIRST_QUESTION, out, size);
}

void
report_text(const struct judge *j, const char *topic)
{
	char n[NUMBER_SIZE], text[512];
	uint64_t messages = 0;

	for (int kind = 0; kind < SCAN_KIND_COUNT; kind++)
		messages += j->kinds[kind];
	printf("topic %s: %s message%s in %zu partition%s\n", topic, number(n, messages),
	    util_plural(messages), j->partition_count, util_plural(j->partition_count));
	for (size_t i = 0; i < j->epoch_count; i++)
		if (j->epochs[i]->records > 0)
			print_epoch(j, j->epochs[i]);
	for (size_t i = 0; i < j->group_count; i++)
		print_group(j, &j->groups[i]);
	putchar('\n');
	print_rest(j);
	switch (judge_verdict(j)) {
	case VERDICT_HOLDS:
		puts("all holds");
		break;
	case VERDICT_BROKEN:
		report_wrong(j, text, sizeof(text));
		printf("WRONG: %s\n", text);
		break;
	case VERDICT_QUESTION:
		list_findings(j, FOUND_FIRST_QUESTION, FOUND_COUNT, text, sizeof(text));
		if (text[0] != '\0')
			printf(
			    "nothing is wrong, but the topic alone cannot answer: %s: were sites "
			    "taken out or put in by a reload, was the clock set back, %sor have "
			    "two daemons one instance name?\n",
			    text,
			    j->group_count > 0
				? "may members of a group not read the topic, was one "
				  "reloaded while another came or went, "
				: "");
		else if (j->kinds[SCAN_RECORD] == 0)
			puts("there is no record of webmond");
		else
			puts("nothing is wrong in what was looked at");
	}
}
