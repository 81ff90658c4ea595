/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The status page: an answer of the daemon that is kept, and the file of HTML that is made of it.
 */
#ifndef WEBMOND_PAGE_H
#define WEBMOND_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "client.h"

/* What the daemon keeps of a site; if it keeps more, only the latest are shown. */
#define PAGE_RESULTS 20

/* In the order in which they are shown. */
enum page_status {
	PAGE_DOWN,
	PAGE_UNKNOWN,
	PAGE_NOT_KNOWN, /* not checked yet */
	PAGE_UP,
	PAGE_STATUS_COUNT
};

struct page_result {
	time_t at;
	float ms; /* NAN: not known */
	int code; /* 0: there was no response */
	enum page_status status;
	char word[24]; /* the error_type, or "" */
};

/* 1 kB and its texts, which belong to it. */
struct page_site {
	char *name;
	char *url;   /* without its query */
	char *group; /* a label as "key=value"; "": it has none */
	char *why;   /* "error_type: message", or "" */
	enum page_status status;
	time_t since; /* 0: not known */
	size_t count; /* of results, latest first */
	struct page_result results[PAGE_RESULTS];
};

/* Start from zeros with `key`, which outlives it. */
struct page_answer {
	const char *key;    /* of the labels that make groups; NULL: the first label of each site */
	struct line status; /* its text is ours; NULL: none */
	struct page_site *sites;
	size_t count, room;
	bool elsewhere; /* the last site is of another member of the group, and left out */
};

struct page {
	const struct page_answer *answer; /* the last whole one; without a status: there was none */
	const char *error;                /* why there is no newer one; NULL: this is new */
	time_t now;                       /* when it is written */
	unsigned every_s;                 /* when the next one is; 0: never */
};

/* A line of the answers to `status` and `sites all`: for client_ask(). */
void page_take(void *answer, const struct line *line);

/* When all lines are there: groups and sites that are not up first, then by name. */
void page_sort(struct page_answer *answer);

void page_release(struct page_answer *answer);

/* The whole file. Errors of `out` are for the caller to find. */
void page_write(FILE *out, const struct page *page);

/* The parts of it: a text, as text or as the value of an attribute in double quotes; */
void page_text(FILE *out, const char *text);

/* a time in UTC, without the day if that is the one of `now`; */
void page_time(FILE *out, time_t at, time_t now);

/* the sites by groups; and the daemon's own state. */
void page_groups(FILE *out, const struct page_answer *answer);
void page_daemon(FILE *out, const struct line *status);

/* Class, sign and word of a status. */
extern const struct page_look {
	const char *class, *sign, *bar, *word;
} page_looks[PAGE_STATUS_COUNT];

/* The style sheet, and its SHA-256 in Base64: the page allows no other. */
extern const char page_style[], page_style_hash[];

#endif
