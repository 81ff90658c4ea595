/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Patterns by PCRE2. Called by the checker after an exchange and by the validation child;
 * nothing is fatal, what cannot be decided is MATCH_LIMIT.
 */
#include "match.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker.h"

/*
 * Steps at one start position: 1,000,000 are some 3 ms with machine code and stop an exponential
 * pattern early; PCRE2's own default of 10 million takes ten times as long.
 */
#define MATCH_LIMIT_STEPS 1000000

/*
 * These steps are counted anew at each start position, so there is a limit for the whole too: CPU
 * time for all patterns of a body. An honest search of 1 MiB takes a few milliseconds.
 */
#define MATCH_TIME_US (300 * US_PER_MS)

/*
 * Start positions times bytes before the first look at the clock: some 50 ms at worst. Most bodies
 * are searched whole within it; from 1 MiB the first look comes after 128 positions.
 */
#define STRETCH_FIRST (128 << 20)

/* The same in steps times bytes, for a pattern that is not searched in stretches. */
#define WALK_MAX (16 << 20)

/* Machine code has 32 KiB of stack by itself, too little for alternations over a long body. */
#define JIT_STACK_MAX (1024 * 1024)

/* Heap of the interpreter, in KiB; its default is 20 GB. */
#define HEAP_LIMIT_KB (32 * 1024)

/* Places for compiled patterns; two whose hashes share a place replace each other. */
#define CACHE_SIZE 1024

/*
 * Bodies are bytes: what is not UTF-8 matches nothing instead of being an error. \C could split
 * a character. With UCP \w, \b, \s and \d know more than ASCII, as in Perl.
 */
#define COMPILE_OPTIONS                                                                            \
	(PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C |               \
	    PCRE2_USE_OFFSET_LIMIT)

struct match {
	pcre2_match_context *context;
	pcre2_match_data *data;
	pcre2_jit_stack *stack;
	int64_t end_us;   /* of CPU time, since match_begin(); 0: not yet known */
	size_t steps_max; /* between two looks at the clock, of a pattern that is searched whole */
	size_t steps;
	unsigned searches; /* since match_begin() */
	struct {
		const char *text; /* of the configuration, which outlives us */
		size_t length;
		pcre2_code *code;
	} cache[CACHE_SIZE];
};

/*
 * Whether a pattern has verbs that control where a search continues or ends. A search in stretches
 * would reset them in each stretch, and the verdict would depend on the size of the body. It may
 * take a pattern for one by mistake, which costs only time.
 */
static bool
rules_search(const char *text)
{
	return strstr(text, "(*COMMIT") != NULL || strstr(text, "(*SKIP") != NULL ||
	       strstr(text, "\\G") != NULL;
}

static pcre2_code *
compile(const char *text, size_t length, char *reason, size_t size)
{
	uint32_t options = COMPILE_OPTIONS | (rules_search(text) ? PCRE2_AUTO_CALLOUT : 0);
	PCRE2_SIZE offset;
	PCRE2_UCHAR message[160];
	pcre2_code *code;
	int error;

	code = pcre2_compile((PCRE2_SPTR)text, length, options, &error, &offset, NULL);
	if (code == NULL) {
		pcre2_get_error_message(error, message, sizeof(message));
		snprintf(reason, size, "%s at offset %zu", (const char *)message, (size_t)offset);
	}
	return code;
}

/* Whether the time since match_begin() is over; it begins with the first call. */
static bool
is_late(struct match *m)
{
	int64_t now_us = util_cpu_us();

	if (m->end_us == 0)
		m->end_us = now_us + MATCH_TIME_US;
	return now_us > m->end_us;
}

/* PCRE2 calls it before each item of a pattern that is searched whole. */
static int
on_step(pcre2_callout_block *block, void *arg)
{
	struct match *m = arg;

	(void)block;
	if (++m->steps < m->steps_max)
		return 0;
	m->steps = 0;
	return is_late(m) ? PCRE2_ERROR_MATCHLIMIT : 0;
}

struct match *
match_new(void)
{
	struct match *m = xcalloc(1, sizeof(*m));

	m->context = pcre2_match_context_create(NULL);
	m->data = pcre2_match_data_create(1, NULL);
	if (m->context == NULL || m->data == NULL)
		abort(); /* out of memory at the very start */
	pcre2_set_match_limit(m->context, MATCH_LIMIT_STEPS);
	pcre2_set_depth_limit(m->context, MATCH_LIMIT_STEPS);
	pcre2_set_heap_limit(m->context, HEAP_LIMIT_KB);
	pcre2_set_callout(m->context, on_step, m);
	m->stack = pcre2_jit_stack_create(32 * 1024, JIT_STACK_MAX, NULL);
	if (m->stack != NULL)
		pcre2_jit_stack_assign(m->context, NULL, m->stack);
	return m;
}

void
match_free(struct match *m)
{
	for (size_t i = 0; i < CACHE_SIZE; i++)
		pcre2_code_free(m->cache[i].code);
	pcre2_jit_stack_free(m->stack);
	pcre2_match_data_free(m->data);
	pcre2_match_context_free(m->context);
	free(m);
}

static pcre2_code *
cached(struct match *m, const char *text, size_t length)
{
	size_t i = util_crc32(text, length) % CACHE_SIZE;
	char reason[256];

	if (m->cache[i].text == NULL || m->cache[i].length != length ||
	    memcmp(m->cache[i].text, text, length) != 0) {
		pcre2_code_free(m->cache[i].code);
		m->cache[i].code = compile(text, length, reason, sizeof(reason));
		m->cache[i].text = text;
		m->cache[i].length = length;
		/* without machine code the limits still hold, only slowly: see checker_has_jit() */
		if (m->cache[i].code != NULL)
			pcre2_jit_compile(m->cache[i].code, PCRE2_JIT_COMPLETE);
	}
	return m->cache[i].code;
}

/*
 * As pcre2_match(), but with a look at the clock between stretches of start positions. Each is as
 * long as all before it: a pattern that walks to the end of the body from everywhere is caught
 * early, and what PCRE2 knows from one position to the next is lost only some twenty times. A
 * pattern that cannot be searched so has callouts, which look at the clock.
 */
static int
search(struct match *m, const pcre2_code *code, const char *body, size_t size)
{
	uint32_t options = 0;
	size_t from = 0, next = 1 + STRETCH_FIRST / (size + 1);
	bool whole;

	pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options);
	whole = (options & (PCRE2_ANCHORED | PCRE2_AUTO_CALLOUT)) != 0;
	m->steps = 0;
	m->steps_max = 1 + WALK_MAX / (size + 1);
	for (;;) {
		int found;

		pcre2_set_offset_limit(m->context, whole ? PCRE2_UNSET : next - 1);
		found = pcre2_match(code, (PCRE2_SPTR)body, size, from, 0, m->data, m->context);
		if (found != PCRE2_ERROR_NOMATCH || whole || next > size)
			return found;
		if (is_late(m))
			return PCRE2_ERROR_MATCHLIMIT;
		/* no match begins inside a character */
		for (from = next; from < size && (body[from] & 0xc0) == 0x80;)
			from++;
		next = 2 * from;
	}
}

void
match_begin(struct match *m)
{
	m->end_us = 0; /* most texts need no clock, which is a system call */
	m->searches = 0;
}

enum match_outcome
match_find(struct match *m, const char *pattern, size_t length, const char *text, size_t size)
{
	pcre2_code *code = cached(m, pattern, length);
	int found;

	if (code == NULL)
		return MATCH_LIMIT; /* validated before: memory is short */
	/* each may take some milliseconds, and of header fields there may be thousands */
	if (++m->searches % 16 == 0 && is_late(m))
		return MATCH_LIMIT;
	found = search(m, code, text, size);
	return found >= 0 ? MATCH_HOLDS : found == PCRE2_ERROR_NOMATCH ? MATCH_FAILS : MATCH_LIMIT;
}

enum match_outcome
match_body(struct match *m, const struct patterns *patterns, const char *body, size_t size,
    const struct pattern **decisive)
{
	match_begin(m);
	for (size_t i = 0; i < patterns->count; i++) {
		const char *text = patterns->items[i].text;
		enum match_outcome found = match_find(m, text, strlen(text), body, size);

		*decisive = &patterns->items[i];
		if (found == MATCH_LIMIT)
			return MATCH_LIMIT;
		if ((found == MATCH_HOLDS) == (*decisive)->negated)
			return MATCH_FAILS;
	}
	*decisive = NULL;
	return MATCH_HOLDS;
}

int
match_check(const char *text, size_t length, char *reason, size_t size)
{
	pcre2_code *code = compile(text, length, reason, size);

	if (code == NULL)
		return -1;
	pcre2_code_free(code);
	return 0;
}

bool
checker_has_jit(void)
{
	pcre2_code *code;
	char reason[256];
	bool usable;

	/* the library may have it while the system forbids writable code: try */
	code = compile("a", 1, reason, sizeof(reason));
	usable = code != NULL && pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
	pcre2_code_free(code);
	return usable;
}
