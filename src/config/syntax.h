/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the files share that look at a text which libconfig has refused; nobody else includes
 * this. The doctor reads along the grammar of libconfig, says what it finds instead, and writes a
 * copy in which that is mended, line for line.
 *
 *   config_syntax.c  the grammar
 *   config_habits.c  what people write in other syntaxes
 *   config_values.c  the copy, and what can be wrong with a string or a value
 */
#ifndef WEBMOND_CONFIG_SYNTAX_H
#define WEBMOND_CONFIG_SYNTAX_H

#include "internal.h"

#define SYNTAX_DEPTH_MAX 16 /* brackets in brackets; webmond needs four */
#define SYNTAX_KEYS_MAX  64 /* of a group that are looked at for one that is there twice */
#define SYNTAX_TOLD_MAX  20 /* mistakes; those behind them are told next time */

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
	size_t out;
	struct named key, seen[SYNTAX_KEYS_MAX];
	size_t seen_count, key_out;
	bool colon;   /* behind the key */
	bool swapped; /* a [ that should have been a ( */
	bool drop;    /* it is told, and does not go into the copy */
};

/* Where it stands, and what it has written. */
struct doctor {
	struct reader *r;
	const char *text, *c, *copied; /* the copy has all before `copied` */
	int line;
	char *out;
	size_t out_size;
	struct open_bracket levels[SYNTAX_DEPTH_MAX];
	int depth;
	enum syntax_place at;
	/* the string before this, if one is, and where it stands in the copy */
	const char *string, *string_end;
	int string_line;
	size_t string_out;
	int told;
	bool in_doubt; /* a bracket or quote was guessed */
	bool stopped;  /* no sense can be made of the rest */
};

/* At the end of a sentence. */
#define SYNTAX_SEE " (see " CONFIG_SAMPLE ")"

/* --- the text ---------------------------------------------------------------------------- */

bool doctor_begins(const char *c, const char *with);

/* Whether `d->c` is the first in its line. */
bool doctor_line_begins(const struct doctor *d);

/* What follows blanks and comments; their lines are added to `*line`. */
const char *doctor_skip_blanks(const char *c, int *line);

/* Whether the bracket that is open is one of a list. */
bool doctor_in_list(const struct doctor *d);

/* Whether a name and a = or : stand here. */
bool doctor_is_setting(const char *c);

/* Whether that is the name of a group of the main file. */
bool doctor_is_group(const char *name, size_t size);

/* The length of a quote that is not a plain one; 0: there is none. */
size_t doctor_odd_quote(const char *c);

/* --- what is said and written ------------------------------------------------------------ */

void doctor_tell(struct doctor *d, const char *place, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * To be asked before something is told that may only follow from another such mistake: then there
 * is nothing more to say.
 */
bool doctor_still_sure(struct doctor *d);

/* The copy gets all up to `d->c`. */
void doctor_copy(struct doctor *d);

/* Go on at `end` in the state `at`, with `text` in the copy for what was there. */
void doctor_replace(struct doctor *d, const char *end, const char *text, enum syntax_place at);

/* Take the setting that ends here out of the copy. */
void doctor_drop_setting(struct doctor *d);

/* --- names and values -------------------------------------------------------------------- */

/* A setting begins, and its name is `size` bytes at `name`. */
void doctor_begin_setting(struct doctor *d, const char *name, size_t size);

/* What comes next behind a value. */
enum syntax_place doctor_behind_value(const struct doctor *d);

void doctor_value_missing(struct doctor *d);

/* Values. False: that is none. */
void doctor_take_string(struct doctor *d);
void doctor_take_odd_string(struct doctor *d); /* in other quotes */
bool doctor_take_number(struct doctor *d);
bool doctor_take_boolean(struct doctor *d);
void doctor_take_bare(struct doctor *d); /* yes, no, and text without quotes */

/* Whether `d->string` has ended too early or too late; then that is told. */
bool doctor_find_lost_quote(struct doctor *d);

/* --- other syntaxes ---------------------------------------------------------------------- */

/* Whether something stands here that belongs into another syntax; then that is told. */
bool doctor_find_habit(struct doctor *d);

/* The same for a block without a = behind the name, as nginx has it. */
bool doctor_find_block(struct doctor *d);

/* A setting begins with a name up to `end` that has quotes round it or dots in it. */
void doctor_take_odd_name(struct doctor *d, const char *name, size_t size, const char *end);

#endif
