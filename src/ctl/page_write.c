/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The file: its head, what is wrong, and around the parts of page_sites.c and page_daemon.c. It is
 * HTML that is well-formed XML, too, and has no script, no form, and nothing from elsewhere. Called
 * by page.c; only writes.
 */
#include "page.h"
#include "show.h"
#include "util.h"

/* Sites in the list of those that are not up. */
#define NOT_UP_MAX 20

static void
write_moment(FILE *out, time_t at)
{
	char text[64];

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &(struct tm){ 0 }));
	fprintf(out, "<time datetime=\"%s\">", text);
	page_time(out, at, 0);
	fputs(" UTC</time>", out);
}

/* "2 sites down": for the title, and the first thing to read. */
static void
write_title(FILE *out, const struct page *page, const size_t *with)
{
	const size_t count = page->answer->count;

	if (page->error != NULL)
		fputs("No answer from webmond", out);
	else if (with[PAGE_DOWN] > 0)
		fprintf(out, "%zu site%s down", with[PAGE_DOWN], util_plural(with[PAGE_DOWN]));
	else if (count == 0)
		fputs("No sites", out);
	else if (with[PAGE_UP] == count)
		fprintf(out, "All %zu sites up", count);
	else
		fputs("No site is known to be down", out);
}

static void
write_head(FILE *out, const struct page *page, const size_t *with)
{
	fprintf(out,
	    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n"
	    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	    "style-src 'sha256-%s'; base-uri 'none'; form-action 'none'\" />\n"
	    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n"
	    "<meta name=\"color-scheme\" content=\"light dark\" />\n"
	    "<meta name=\"referrer\" content=\"no-referrer\" />\n"
	    "<meta name=\"robots\" content=\"noindex\" />\n",
	    page_style_hash);
	if (page->every_s > 0)
		fprintf(out, "<meta http-equiv=\"refresh\" content=\"%u\" />\n", page->every_s);
	fputs("<title>", out);
	write_title(out, page, with);
	fprintf(out, " - webmond</title>\n<style>%s</style>\n</head>\n", page_style);
}

static void
write_counts(FILE *out, const size_t *with)
{
	fputs("<ul class=\"counts\">\n", out);
	for (int i = 0; i < PAGE_STATUS_COUNT; i++)
		fprintf(out, "<li class=\"%s%s\"><b>%zu</b> %s %s</li>\n", page_looks[i].class,
		    with[i] == 0 ? " none" : "", with[i], page_looks[i].sign, page_looks[i].word);
	fputs("</ul>\n", out);
}

static void
write_header(FILE *out, const struct page *page, const size_t *with)
{
	const time_t asked = page->answer->status.now;
	char span[DURATION_SIZE];

	fputs("<header>\n<h1>", out);
	write_title(out, page, with);
	fputs("</h1>\n", out);
	if (page->error != NULL) {
		fputs("<p class=\"alarm\">\xe2\x9a\xa0 At ", out);
		write_moment(out, page->now);
		fputs(": ", out);
		page_text(out, page->error);
		if (page->answer->status.text != NULL)
			fprintf(out, ". What is below is %s old.",
			    describe_span(difftime(page->now, asked), span));
		fputs("</p>\n", out);
	}
	if (page->answer->status.text != NULL) {
		fputs(page->error != NULL ? "<p>Last answer: " : "<p>As of ", out);
		write_moment(out, asked);
		if (page->every_s > 0)
			fprintf(out, "; written anew every %u s", page->every_s);
		fputs(". All times are in UTC.</p>\n", out);
		write_counts(out, with);
	}
	fputs("</header>\n", out);
}

/* What is not up, in short; it leads to the rows. */
static void
write_not_up(FILE *out, const struct page_answer *a, const size_t *with)
{
	char span[DURATION_SIZE];
	size_t shown = 0, all = with[PAGE_DOWN] + with[PAGE_UNKNOWN];

	if (all == 0)
		return;
	fputs("<section>\n<h2>Not up</h2>\n<ul class=\"not-up\">\n", out);
	for (int status = PAGE_DOWN; status <= PAGE_UNKNOWN; status++)
		for (size_t i = 0; i < a->count && shown < NOT_UP_MAX; i++) {
			const struct page_site *s = &a->sites[i];

			if ((int)s->status != status)
				continue;
			shown++;
			fprintf(out, "<li><a href=\"#s%zu\">", i);
			page_text(out, s->name);
			fprintf(out, "</a> <span class=\"s %s\">%s %s</span> ",
			    page_looks[status].class, page_looks[status].sign,
			    page_looks[status].word);
			if (s->since != 0)
				fprintf(out, "for %s ",
				    describe_span(difftime(a->status.now, s->since), span));
			fputs("<span class=\"why\">", out);
			page_text(out, s->why);
			fputs("</span></li>\n", out);
		}
	fputs("</ul>\n", out);
	if (shown < all)
		fprintf(out, "<p>And %zu more, see below.</p>\n", all - shown);
	fputs("</section>\n", out);
}

void
page_write(FILE *out, const struct page *page)
{
	const struct page_answer *a = page->answer;
	const bool good = a->status.text != NULL && status_is_good(&a->status);
	size_t with[PAGE_STATUS_COUNT] = { 0 };

	for (size_t i = 0; i < a->count; i++)
		with[a->sites[i].status]++;
	write_head(out, page, with);
	fputs("<body>\n", out);
	write_header(out, page, with);
	fputs("<main>\n", out);
	write_not_up(out, a, with);
	/* what needs attention comes first */
	if (a->status.text != NULL && !good)
		page_daemon(out, &a->status);
	page_groups(out, a);
	if (good)
		page_daemon(out, &a->status);
	fputs("</main>\n</body>\n</html>\n", out);
}
