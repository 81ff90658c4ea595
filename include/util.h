/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Small things that all rooms need: clocks, allocation, hashing, lists of mistakes.
 *
 * Times are microseconds in an int64_t and say so in their names (`_us`); only the edges
 * (libcurl, the record, Kafka) speak milliseconds.
 */
#ifndef WEBMOND_UTIL_H
#define WEBMOND_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define US_PER_MS 1000LL
#define US_PER_S  1000000LL

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* CLOCK_MONOTONIC, for durations, deadlines and lateness. */
int64_t util_mono_us(void);

/* CLOCK_REALTIME, for slots and for what a record says; never subtract two of them. */
int64_t util_utc_us(void);

/* CLOCK_BOOTTIME, for leases: it runs on while the host is suspended. */
int64_t util_boot_us(void);

/* CPU time of this process, all threads together. Costs a system call. */
int64_t util_cpu_us(void);

/*
 * How long this process was ready to run but had to wait for a processor or its quota. Takes a few
 * microseconds; 0 if /proc does not say.
 */
int64_t util_queued_us(void);

/* Length of "2026-11-23T10:15:02.123Z" with its NUL. */
#define UTIL_RFC3339_SIZE 25

/* What follows a noun after `n`: "1 site", "2 sites". */
const char *util_plural(unsigned long long n);

/* RFC 3339 in UTC with milliseconds; `utc_us` from year 1970 to 9999. */
void util_rfc3339(char out[UTIL_RFC3339_SIZE], int64_t utc_us);

/*
 * Allocation that never fails: running out of memory ends the process (EXIT_OS), because no
 * caller could do anything better. Freed with free().
 */
void *xcalloc(size_t n, size_t size);
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xvasprintf(const char *format, va_list ap) __attribute__((format(printf, 1, 0)));
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * FNV-1a, 64 bits. It places sites on the time grid, and two hosts and two versions must
 * agree on that: never change it. (http://www.isthe.com/chongo/tech/comp/fnv/)
 */
uint64_t util_hash(const char *s);

/*
 * SipHash-2-4: a message authentication code, 64 bits. It cannot be computed without the key.
 * (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012)
 */
#define UTIL_KEY_SIZE 16
uint64_t util_mac(const unsigned char key[UTIL_KEY_SIZE], const void *data, size_t size);

/* CRC-32 (IEEE 802.3, as zlib's crc32()) of `size` bytes. */
uint32_t util_crc32(const void *data, size_t size);

/*
 * Whether processes wait for a processor, at this instant and on the whole machine. Takes a few
 * microseconds; false if /proc does not say.
 */
bool util_processors_busy(void);

/* The wait before another try: `first_us`, and twice the `last_us` (0: none yet) up to `max_us`. */
int64_t util_backoff(int64_t last_us, int64_t first_us, int64_t max_us);

/* Fill `out`, up to 256 bytes, from the kernel's random source; ends the process without one. */
void util_random(void *out, size_t size);

/*
 * The bytes of the UTF-8 character that `text` begins with, at most `size`; 0 if it is invalid (as
 * are overlong forms and surrogates).
 */
size_t util_utf8_length(const char *text, size_t size);

/*
 * Copy `in` to `out` as one line of valid UTF-8 of at most `size` - 1 bytes: control characters
 * become spaces, those that turn the direction of writing too; invalid bytes U+FFFD; what does not
 * fit is cut at a character and ends in "…". Returns the length. `size` >= 4.
 */
size_t util_clean_text(char *out, size_t size, const char *in, size_t in_size);

/*
 * Read the regular file `path` of at most `max` bytes. Returns its text with a NUL behind, to be
 * freed, or NULL with the reason in `*why`. `*mode` is that of the file (0: there is none), `*size`
 * how much was read; if the file is too large how much that would be.
 */
char *util_read_file(const char *path, size_t max, size_t *size, mode_t *mode, const char **why);

/* The directory of `path` with its slash, or "", to be freed. */
char *util_directory_of(const char *path);

/* Where something was written: for messages of the form file:line. `file` outlives its users. */
struct origin {
	const char *file;
	int line;
};

/*
 * A growing list of mistakes, each a whole line "file:line: message" and clean text. Start from
 * zeros.
 */
struct mistakes {
	char **line;
	size_t count;
};

void mistakes_add(struct mistakes *m, struct origin at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Append clean text to the last one, with a line break before each of its lines. */
void mistakes_show(struct mistakes *m, const char *lines);
void mistakes_release(struct mistakes *m);

#endif
