/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Reports about a topic, for programs. Called by `verify`; nothing is fatal.
 */
#include "report.h"

#include <stdio.h>

static const char *const excuses[EXCUSE_COUNT] = { "dropped", "removed", "underway", "compacted" };

static const char *const kinds[SCAN_KIND_COUNT] = { "records", "tombstones", "not_json",
	"other_version", "foreign" };

/* Texts of findings: names are plain, and what is said is ours; quotes are none. */
static void
json_text(const char *key, const char *text)
{
	printf("\"%s\":\"", key);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void
json_number(const char *between, const char *key, uint64_t n)
{
	printf("%s\"%s\":%llu", between, key, (unsigned long long)n);
}

static void
json_results(const struct judge_epoch *e)
{
	const char *between = "";

	printf("\"status\":{");
	for (enum status status = STATUS_UP; status <= STATUS_UNKNOWN; status++)
		json_number(status > 0 ? "," : "", status_name(status), e->statuses[status]);
	printf("},\"error_type\":{");
	for (int error = ERROR_NONE + 1; error < ERROR_COUNT; error++)
		if (e->words[error] > 0) {
			json_number(between, error_type_name(error), e->words[error]);
			between = ",";
		}
	printf("},\"lateness_ms\":");
	if (e->lateness.count == 0)
		printf("null");
	else
		printf("{\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}",
		    (double)spread_percentile(&e->lateness, 50) / 1000,
		    (double)spread_percentile(&e->lateness, 99) / 1000,
		    (double)e->lateness.max / 1000);
}

static void
json_findings(const struct judge_epoch *e)
{
	const char *between = "";

	printf("\"found\":{");
	for (enum finding finding = 0; finding < FOUND_COUNT; finding++)
		json_number(finding > 0 ? "," : "", report_name(finding), e->found[finding]);
	printf("},\"examples\":{");
	for (enum finding finding = 0; finding < FOUND_COUNT; finding++) {
		if (e->found[finding] == 0)
			continue;
		printf("%s\"%s\":[", between, report_name(finding));
		for (int i = 0; i < JUDGE_EXAMPLES && e->examples[finding][i] != NULL; i++)
			printf("%s\"%s\"", i > 0 ? "," : "", e->examples[finding][i]);
		printf("]");
		between = ",";
	}
	printf("},\"excused\":{");
	for (enum excuse excuse = 0; excuse < EXCUSE_COUNT; excuse++)
		json_number(excuse > 0 ? "," : "", excuses[excuse], e->excused[excuse]);
	printf("}");
}

static void
json_epoch(const struct judge *j, const struct judge_epoch *e)
{
	char first[UTIL_RFC3339_SIZE], last[UTIL_RFC3339_SIZE];

	util_rfc3339(first, e->first_ms * US_PER_MS);
	util_rfc3339(last, e->last_ms * US_PER_MS);
	/* the name of the instance stands in the record as JSON already */
	printf("{\"epoch\":\"%s\",\"instance\":\"%s\",\"ended\":%s", e->name,
	    j->instances[e->instance].name, e->ended ? "true" : "false");
	json_number(",", "records", e->records);
	json_number(",", "repeats", e->repeats);
	json_number(",", "sites", e->site_count);
	json_number(",", "first_seq", e->seen.at[0].first);
	json_number(",", "last_seq", e->top_seq);
	printf(",\"first_slot\":\"%s\",\"last_slot\":\"%s\",", first, last);
	json_results(e);
	putchar(',');
	json_findings(e);
	json_number(",", "set_back", e->set_back);
	json_number(",", "skipped", e->skipped);
	json_number(",", "moved", e->moved);
	putchar('}');
}

static void
json_group(const struct judge *j, const struct judge_group *group, const char *between)
{
	printf("%s{\"group\":\"%s\"", between, group->name);
	json_number(",", "members", judge_count_members(j, group));
	json_number(",", "sites", group->site_count);
	json_number(",", "records", group->records);
	json_number(",", "alone", group->alone);
	json_number(",", "takeovers", group->takeovers);
	json_number(",", "missed_takeover", group->missed);
	json_number(",", "handed_over", group->handed_over);
	json_number(",", "down", group->down);
	json_number(",", "not_known", group->not_known);
	putchar('}');
}

void
report_json(const struct judge *j, const char *topic)
{
	static const char *const verdicts[] = { "holds", "question", "broken" };
	uint64_t cut = 0, empty = 0;
	const char *between = "";

	putchar('{');
	json_text("topic", topic);
	printf(",\"verdict\":\"%s\"", verdicts[judge_verdict(j)]);
	json_number(",", "partitions", j->partition_count);
	printf(",\"messages\":{");
	for (int kind = 0; kind < SCAN_KIND_COUNT; kind++)
		json_number(kind > 0 ? "," : "", kinds[kind], j->kinds[kind]);
	for (size_t i = 0; i < j->partition_count; i++) {
		cut += j->partitions[i].cut;
		empty += j->partitions[i].empty_offsets;
	}
	json_number("},\"not_known\":{", "partitions_begin_late", cut);
	json_number(",", "empty_offsets", empty);
	json_number(",", "uncompared", j->uncompared);
	json_number(",", "left_out", j->left_out);
	printf("},\"groups\":[");
	for (size_t i = 0; i < j->group_count; i++)
		json_group(j, &j->groups[i], i > 0 ? "," : "");
	printf("],\"epochs\":[");
	for (size_t i = 0; i < j->epoch_count; i++) {
		if (j->epochs[i]->records == 0)
			continue;
		printf("%s", between);
		json_epoch(j, j->epochs[i]);
		between = ",";
	}
	puts("]}");
}
