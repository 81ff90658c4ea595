/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the files of the configuration share; nobody else includes this. Each file calls only those
 * below it:
 *
 *   config.c      the whole: loading, looking up, comparing
 *   file.c        the text to values, by libconfig, along the tables of keys
 *   syntax.c      a text that libconfig cannot parse: what is wrong with it; with habits.c,
 *                 values.c and repair.c, see repair.h
 *   text.c        a file to its text, and what must be known before it is parsed
 *   names.c       names that are no keys: what was meant
 *   site_rules.c  the rules across the keys of a site
 *   file_rules.c  likewise, of those that name files or go with them
 *   keys.c        the tables
 *   site_values.c the rules of single keys of a site
 *   proxy_values.c the same for those about proxies
 *   describe.c    a site as it is in force, along the tables
 *   report.c      mistakes and warnings, with their places
 *   arena.c       memory
 *   share.c       a configuration that a child reads for its parent; above config.c
 */
#ifndef WEBMOND_CONFIG_INTERNAL_H
#define WEBMOND_CONFIG_INTERNAL_H

#include "config.h"

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* As config_load(), in `size` bytes at `region`, which are zeros; ends the process if too few. */
struct config *config_load_at(void *region, size_t size, const char *path);

/* What is known while the files are read. */
struct reader {
	struct config *config;
	const char *file; /* the one being read */
	const char *dir;  /* its directory with a slash, or "" */
	struct site *sites;
	size_t site_count, site_room;
	const struct key_line *known[509]; /* lists of lines, for sites that look the same */
};

enum key_kind {
	KEY_STRING,  /* const char * */
	KEY_STRINGS, /* const char *const *, NULL-terminated: a string, an array or a list of them */
	KEY_JOINED,  /* const char *: the same, made one string by `store` */
	KEY_PATTERNS, /* struct patterns: those that are `negated`, or the others */
	KEY_PATH,     /* const char *, relative to the directory of the file */
	KEY_WORD,     /* an enum or unsigned: the index in `words` */
	KEY_INTEGER,  /* int */
	KEY_KIB,      /* size_t, bytes */
	KEY_MIB,      /* int64_t, bytes */
	KEY_SECONDS,  /* int64_t, microseconds in whole milliseconds */
	KEY_BOOL,     /* bool */
	KEY_GROUP,    /* by the table `keys`, of the same struct */
	KEY_DEFAULTS, /* struct site, by `keys` */
	KEY_SITES,    /* the list of sites, read when the rest of the file is */
};

/* The valid strings of a key, in the memory of the configuration, for the struct `target`. */
struct string_list {
	const struct key *key;
	void *target;
	int line;
	const struct config_string *items;
	size_t count;
	size_t given; /* with those that are not valid */
};

/* One key of a group; a table of them ends with name NULL. */
struct key {
	const char *name;
	enum key_kind kind;
	size_t field;    /* where in the struct the value goes */
	double min, max; /* of a number; of a string: bytes in the record, `max` 0: any number */
	const char *const *words;
	const struct key *keys;
	/* What is wrong with a string, or NULL. */
	const char *(*wrong)(const char *value);
	/* Puts the strings into `target`, if `field` cannot hold them as they are. */
	void (*store)(struct reader *r, const struct string_list *strings);
	bool required;
	bool lines; /* line breaks and tabs are fine */
	bool negated;
};

/* The key of this name, or NULL. */
const struct key *config_find_key(const struct key *keys, const char *name);

extern const struct key config_main_keys[];  /* struct config */
extern const struct key config_sites_keys[]; /* a file of sites_dir */
extern const struct key config_site_keys[];  /* struct site */

/* What is wrong with the string of a key of a site, or NULL. */
const char *config_wrong_name(const char *value);
const char *config_wrong_url(const char *value);
const char *config_wrong_method(const char *value);
const char *config_wrong_header_pattern(const char *value);
const char *config_wrong_username(const char *value);
const char *config_wrong_label(const char *value);
const char *config_wrong_server_name(const char *value);
const char *config_wrong_proxy(const char *value);
const char *config_wrong_no_proxy(const char *value);
const char *config_wrong_proxy_username(const char *value);
const char *config_wrong_resolve(const char *value);

/* Put strings into a site as something else. */
void config_store_status(struct reader *r, const struct string_list *strings);
void config_store_labels(struct reader *r, const struct string_list *strings);
void config_store_patterns(struct reader *r, const struct string_list *strings);

/* Memory that lives as long as the configuration; zeroed. */
void *config_alloc(struct config *config, size_t size);
const char *config_strdup(struct config *config, const char *text);
const char *config_join(struct config *config, const char *a, const char *b);
void config_arena_free(struct config *config);

#define config_mistake(r, line, ...)                                                               \
	mistakes_add(&(r)->config->mistakes, (struct origin){ (r)->file, line }, __VA_ARGS__)

/* What works, but is hardly meant. */
#define config_warning(r, line, format, ...)                                                       \
	mistakes_add(&(r)->config->warnings, (struct origin){ (r)->file, line },                   \
	    "warning: " format, __VA_ARGS__)

/* A mistake with the line of `text` that holds `place` below, and a caret under it. */
#define config_mistake_at(r, text, place, line, ...)                                               \
	(config_mistake(r, line, __VA_ARGS__), config_show_place(r, text, place))
void config_show_place(struct reader *r, const char *text, const char *place);

/* The length of `text` in the record, where quotes and backslashes are escaped. */
size_t config_encoded_size(const char *text);

/*
 * The text of the file being read, to be freed, or NULL if the mistake is reported. `*hopeless`:
 * some versions of libconfig would take it although a string in it has no end; do not parse it.
 */
char *config_read_text(struct reader *r, bool *hopeless);

/* The length of the name that `c` begins with, as libconfig has it; 0: none. */
size_t config_name_size(const char *c);

/* What follows the comment that `c` begins with; `c` itself: none. */
const char *config_skip_comment(const char *c);

/*
 * Report what is wrong with a text that libconfig refuses, if that can be found out. Returns a copy
 * without the mistakes, to be freed, in which every line has its number still; NULL if the rest
 * would be guesswork.
 */
char *config_explain_syntax(struct reader *r, const char *text);

/* Report that `name` is no key of the table `keys`, and which one was meant. */
void config_unknown_key(struct reader *r, int line, const char *name, const struct key *keys);

/*
 * Read the file `path` along the table `keys` into `target`, and its sites into the reader. Returns
 * false if it could not be parsed; then only what could be repaired was read.
 */
bool config_parse_file(struct reader *r, const char *path, const struct key *keys, void *target);

/* The rules across the keys that name files, and those that go with them. */
void config_check_files(struct reader *r, const struct site *site);

/* When the sites are in their places: list the files that they name. */
void config_list_files(struct config *config);

/* Check the keys of a site that was read against one another, and add it to the others. */
void config_add_site(struct reader *r, struct site *site);

#endif
