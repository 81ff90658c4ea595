/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The sites of a page: a table for each group, with the last results of each site as bars and its
 * response times as a curve. A status is told by word, sign and height, too, not by colour alone.
 * Called by page_write.c; only writes.
 */
#include <math.h>
#include <string.h>

#include "page.h"
#include "util.h"

/* Of the curve, in its own units. */
#define CURVE_WIDTH  114
#define CURVE_HEIGHT 24

static void
write_ms(FILE *out, double ms)
{
	fprintf(out, "%.*f ms", ms < 10 ? 1 : 0, ms);
}

/* --- results ----------------------------------------------------------------------------- */

/* Oldest first, as people read. */
static void
write_bars(FILE *out, const struct page_site *s, time_t now)
{
	if (s->count == 0)
		return;
	fputs("<ol class=\"r\">", out);
	for (size_t i = s->count; i-- > 0;) {
		const struct page_result *r = &s->results[i];
		const struct page_look *look = &page_looks[r->status];

		fprintf(out, "<li class=\"%s\" aria-label=\"", look->class);
		page_time(out, r->at, now);
		fprintf(out, " %s", look->word);
		if (r->word[0] != '\0') {
			fputs(", ", out);
			page_text(out, r->word);
		}
		if (r->code > 0)
			fprintf(out, ", %d", r->code);
		if (!isnan(r->ms)) {
			fputs(", ", out);
			write_ms(out, r->ms);
		}
		fprintf(out, "\">%s</li>", look->bar);
	}
	fputs("</ol>", out);
}

static double
height_of(double ms, double most)
{
	return CURVE_HEIGHT - 2 - (most > 0 ? ms / most : 0) * (CURVE_HEIGHT - 4);
}

/* From 0 up to the largest, in the places of the bars; a gap where nothing was measured. */
static void
write_curve(FILE *out, const struct page_site *s, double least, double most)
{
	const double step = (double)(CURVE_WIDTH - 4) / (PAGE_RESULTS - 1);
	bool gap = true;

	fprintf(out,
	    "<svg class=\"c\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Curve of response "
	    "times, ",
	    CURVE_WIDTH, CURVE_HEIGHT);
	write_ms(out, least);
	fputs(" to ", out);
	write_ms(out, most);
	fputs("\"><path d=\"", out);
	for (size_t i = s->count; i-- > 0;) {
		const struct page_result *r = &s->results[i];

		if (!isnan(r->ms))
			fprintf(out, "%c%.0f %.1f", gap ? 'M' : 'L',
			    2 + step * (double)(PAGE_RESULTS - 1 - i), height_of(r->ms, most));
		gap = isnan(r->ms);
	}
	fputs("\" />", out);
	if (!isnan(s->results[0].ms))
		fprintf(out, "<circle cx=\"%d\" cy=\"%.1f\" r=\"2\" />", CURVE_WIDTH - 2,
		    height_of(s->results[0].ms, most));
	fputs("</svg>", out);
}

static void
write_times(FILE *out, const struct page_site *s)
{
	double least = NAN, most = NAN;

	for (size_t i = 0; i < s->count; i++) {
		const double ms = s->results[i].ms;

		if (!isnan(ms) && !(least <= ms))
			least = ms;
		if (!isnan(ms) && !(most >= ms))
			most = ms;
	}
	if (isnan(most))
		return;
	write_curve(out, s, least, most);
	fputs("<span>", out);
	if (!isnan(s->results[0].ms)) {
		fputs("<b>", out);
		write_ms(out, s->results[0].ms);
		fputs("</b> ", out);
	}
	fprintf(out, "<small>%.*f to ", least < 10 ? 1 : 0, least);
	write_ms(out, most);
	fputs("</small></span>", out);
}

/* --- sites ------------------------------------------------------------------------------- */

/* Other schemes than these are no links, whatever the daemon says; nor is what is no URL. */
static bool
may_be_link(const char *url)
{
	return (strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0) &&
	       url[strcspn(url, " \"<>\\^`{|}")] == '\0';
}

static void
write_url(FILE *out, const char *url)
{
	const char *shown = may_be_link(url) ? strstr(url, "://") + 3 : url;

	if (shown != url) {
		fputs("<a rel=\"noopener noreferrer\" href=\"", out);
		page_text(out, url);
		fputs("\">", out);
	}
	page_text(out, shown);
	if (shown != url)
		fputs("</a>", out);
}

static void
write_site(FILE *out, const struct page_site *s, size_t number, time_t now)
{
	const struct page_look *look = &page_looks[s->status];
	char span[DURATION_SIZE];

	fprintf(out, "<tr id=\"s%zu\" class=\"%s\"><th scope=\"row\"><b>", number, look->class);
	page_text(out, s->name);
	fputs("</b> ", out);
	write_url(out, s->url);
	fprintf(out, "</th><td><span class=\"s %s\">%s %s</span> ", look->class, look->sign,
	    look->word);
	if (s->since != 0) {
		fprintf(out, "<small>for %s, since ", describe_span(difftime(now, s->since), span));
		page_time(out, s->since, now);
		fputs("</small>", out);
	}
	if (s->why[0] != '\0') {
		fputs("<span class=\"why\">", out);
		page_text(out, s->why);
		fputs("</span>", out);
	}
	fputs("</td><td>", out);
	write_bars(out, s, now);
	fputs("</td><td class=\"t\">", out);
	write_times(out, s);
	fputs("</td></tr>\n", out);
}

/* Its name, and how many sites there are. Returns how many. */
static size_t
write_group_head(FILE *out, const struct page_answer *a, size_t first)
{
	const char *group = a->sites[first].group;
	size_t with[PAGE_STATUS_COUNT] = { 0 }, i = first;

	for (; i < a->count && strcmp(a->sites[i].group, group) == 0; i++)
		with[a->sites[i].status]++;
	fputs("<section>\n<h2>", out);
	if (group[0] != '\0')
		page_text(out, group);
	else
		fputs(i - first == a->count ? "Sites" : "Other sites", out);
	fprintf(out, " <small>%zu site%s", i - first, util_plural(i - first));
	for (int status = 0; status < PAGE_STATUS_COUNT; status++)
		if (with[status] > 0 && with[status] < i - first)
			fprintf(out, ", %zu %s", with[status], page_looks[status].word);
	fputs("</small></h2>\n<table>\n<thead><tr><th scope=\"col\">Site</th>"
	      "<th scope=\"col\">Status</th><th scope=\"col\">Last results</th>"
	      "<th scope=\"col\">Response time</th></tr></thead>\n<tbody>\n",
	    out);
	return i - first;
}

void
page_groups(FILE *out, const struct page_answer *a)
{
	size_t i = 0;

	if (a->count > 0)
		fprintf(out,
		    "<p class=\"legend\">Bars are the last %d results, oldest first; point at one for "
		    "its time: <i class=\"u\"></i> low is up, <i class=\"d\"></i> high is down, "
		    "<i class=\"q\"></i> hollow is unknown. Curves of response times begin at "
		    "0 ms.</p>\n",
		    PAGE_RESULTS);
	while (i < a->count) {
		size_t end = i + write_group_head(out, a, i);

		for (; i < end; i++)
			write_site(out, &a->sites[i], i, a->status.now);
		fputs("</tbody>\n</table>\n</section>\n", out);
	}
}
