/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Repairing a text that libconfig has refused: what its files share; nobody else includes
 * this. They read the text along the grammar of libconfig, report what stands there instead, and
 * write a copy in which that is repaired and every line has its number still. Each file calls only
 * those below it:
 *
 *   syntax.c  the grammar
 *   habits.c  what people write who are used to other syntaxes
 *   values.c  what can be wrong with a name, a string or a value
 *   repair.c  looking at the text, reporting, and the copy
 */
#ifndef WEBMOND_CONFIG_REPAIR_H
#define WEBMOND_CONFIG_REPAIR_H

#include "internal.h"

#define SYNTAX_DEPTH_MAX    16 /* brackets in brackets; webmond needs four */
#define SYNTAX_KEYS_MAX     64 /* of a group that are looked at for one that is there twice */
#define SYNTAX_REPORTED_MAX 20 /* mistakes; further ones are reported next time */

/* What the grammar wants next. */
enum syntax_place {
	AT_KEY, /* or the end of a group */
	AT_END, /* the same, or the ';' or ',' behind a setting */
	AT_EQUALS,
	AT_VALUE,
	AT_FIRST, /* value of a list, or its end */
	AT_COMMA, /* or the end of a list */
};

struct named {
	const char *name;
	size_t size;
	int line;
};

/* A bracket that is open, and the setting that is being read in it. */
struct open_bracket {
	char bracket; /* 0: none, the file itself */
	const char *start;
	int line;
	size_t out; /* where it stands in the copy */
	struct named key, seen[SYNTAX_KEYS_MAX];
	size_t seen_count, key_out; /* key_out: where `key` stands in the copy */
	bool colon;                 /* behind the key */
	bool swapped;               /* a [ that should have been a ( */
	bool drop;                  /* its mistake is reported; it does not go into the copy */
};

struct repair {
	struct reader *r;
	const char *text, *c; /* the whole, and what is read next */
	int line;             /* of `c` */
	const char *copied;   /* up to here the text is in the copy */
	char *out;            /* the copy */
	size_t out_size;
	struct open_bracket levels[SYNTAX_DEPTH_MAX];
	int depth;
	enum syntax_place at;
	/* the string directly before this, and where it stands in the copy; NULL: there is none */
	const char *string, *string_end;
	int string_line;
	size_t string_out;
	bool in_doubt; /* a bracket or quote was guessed */
	bool stopped;  /* the rest would be guesswork */
};

/* At the end of a sentence. */
#define SYNTAX_SEE " (see " CONFIG_SAMPLE ")"

/* --- the text ---------------------------------------------------------------------------- */

/* Whether the text at `c` begins with `with`. */
bool repair_begins(const char *c, const char *with);

/* Whether `d->c` is the first in its line, but for blanks. */
bool repair_line_begins(const struct repair *d);

/* Returns what follows blanks and comments at `c`; adds their line breaks to `*line`. */
const char *repair_skip_blanks(const char *c, int *line);

/* Whether the innermost bracket is that of a list or an array. */
bool repair_in_list(const struct repair *d);

/* Whether a name and a = or : stand at `c`. */
bool repair_is_setting(const char *c);

/* Whether that is the name of a group of the main file. */
bool repair_is_group(const char *name, size_t size);

/* The length of the single or typographic quote at `c`; 0: there is none. */
size_t repair_odd_quote(const char *c);

/* What comes next behind a value. */
enum syntax_place repair_behind_value(const struct repair *d);

/* --- reporting, and the copy ------------------------------------------------------------- */

#define repair_report(d, place, line, ...)                                                         \
	config_mistake_at((d)->r, (d)->text, place, line, __VA_ARGS__)

/*
 * Call this before reporting what may only follow from an earlier mistake of that kind. Returns
 * false if there was one; then reading stops.
 */
bool repair_still_sure(struct repair *d);

/* Copy the text up to `d->c`. */
void repair_copy(struct repair *d);

/* Put `text` into the copy in place of what stands up to `end`, and go on there with `at`. */
void repair_replace(struct repair *d, const char *end, const char *text, enum syntax_place at);

/* The same with the text in quotes, or "-" if it needs more than quotes; a value has ended then. */
void repair_by_string(struct repair *d, const char *start, const char *end, const char *next);

/* Take the setting that ends at `d->c` out of the copy. */
void repair_drop_setting(struct repair *d);

/* --- names and values -------------------------------------------------------------------- */

/* A setting begins whose name is `size` bytes at `name`. */
void repair_begin_setting(struct repair *d, const char *name, size_t size);

void repair_value_missing(struct repair *d);

/* Read a value at `d->c`, or report what is wrong with it. False: it is none of that kind. */
void repair_read_string(struct repair *d);
void repair_read_odd_string(struct repair *d); /* in other quotes */
bool repair_read_number(struct repair *d);
bool repair_read_boolean(struct repair *d);
void repair_read_bare(struct repair *d); /* yes, no, and text without quotes */

/* Report if `d->string` has ended too early or too late. Returns whether it has. */
bool repair_find_lost_quote(struct repair *d);

/* --- other syntaxes ---------------------------------------------------------------------- */

/* Report if something of another syntax stands at `d->c`. Returns whether it does. */
bool repair_find_habit(struct repair *d);

/* A setting begins with a name that has quotes round it or dots in it; it ends before `end`. */
void repair_read_odd_name(struct repair *d, const char *name, size_t size, const char *end);

#endif
