/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Small things that all rooms need. Only running out of memory and a missing random source are
 * fatal here: no caller could do anything better.
 */
#include "util.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "exit.h"

const char *
util_plural(unsigned long long n)
{
	return n == 1 ? "" : "s";
}

/*
 * "2026-11-23T" for a day since 1970. The times of records are of few days, and strftime() is slow.
 */
static const char *
date_of(int64_t day)
{
	static __thread int64_t days[8];
	static __thread char dates[8][12];
	char *date = dates[day & 7];
	time_t begin = day * 86400;

	if (date[0] == '\0' || days[day & 7] != day)
		strftime(date, sizeof(dates[0]), "%Y-%m-%dT", gmtime_r(&begin, &(struct tm){ 0 }));
	days[day & 7] = day;
	return date;
}

/* Write the number before `end`, over zeros. */
static void
put_number(char *end, unsigned n)
{
	for (; n > 0; n /= 10)
		*--end = (char)('0' + n % 10);
}

void
util_rfc3339(char out[UTIL_RFC3339_SIZE], int64_t utc_us)
{
	const int64_t day_us = 86400 * US_PER_S;
	const int64_t day = utc_us / day_us - (utc_us % day_us < 0);
	const unsigned ms = (unsigned)((utc_us - day * day_us) / US_PER_MS);
	char *end = stpcpy(out, date_of(day));

	memcpy(end, "00:00:00.000Z", sizeof("00:00:00.000Z"));
	put_number(end + 2, ms / 3600000);
	put_number(end + 5, ms / 60000 % 60);
	put_number(end + 8, ms / 1000 % 60);
	put_number(end + 12, ms % 1000);
}

static void *
check_memory(void *p)
{
	if (p == NULL) {
		fputs("webmond: out of memory\n", stderr);
		_exit(EXIT_OS);
	}
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	return check_memory(calloc(n > 0 ? n : 1, size > 0 ? size : 1));
}

void *
xreallocarray(void *p, size_t n, size_t size)
{
	return check_memory(reallocarray(p, n > 0 ? n : 1, size > 0 ? size : 1));
}

char *
xstrdup(const char *s)
{
	return check_memory(strdup(s));
}

char *
xvasprintf(const char *format, va_list ap)
{
	char *s;

	return check_memory(vasprintf(&s, format, ap) < 0 ? NULL : s);
}

char *
xasprintf(const char *format, ...)
{
	va_list ap;
	char *s;

	va_start(ap, format);
	s = xvasprintf(format, ap);
	va_end(ap);
	return s;
}

uint64_t
util_hash(const char *s)
{
	uint64_t h = 14695981039346656037ULL;

	for (; *s != '\0'; s++) {
		h ^= (unsigned char)*s;
		h *= 1099511628211ULL;
	}
	return h;
}

static uint64_t
rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static void
mac_rounds(uint64_t v[4], int rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32) + v[3];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

uint64_t
util_mac(const unsigned char key[UTIL_KEY_SIZE], const void *data, size_t size)
{
	const unsigned char *p = data;
	uint64_t last = (uint64_t)size << 56, word, k[2], v[4];

	memcpy(k, key, sizeof(k));
	k[0] = le64toh(k[0]);
	k[1] = le64toh(k[1]);
	v[0] = k[0] ^ 0x736f6d6570736575U; /* "somepseudorandomlygeneratedbytes" */
	v[1] = k[1] ^ 0x646f72616e646f6dU;
	v[2] = k[0] ^ 0x6c7967656e657261U;
	v[3] = k[1] ^ 0x7465646279746573U;
	for (; size >= sizeof(word); size -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		word = le64toh(word);
		v[3] ^= word;
		mac_rounds(v, 2);
		v[0] ^= word;
	}
	for (size_t i = 0; i < size; i++)
		last |= (uint64_t)p[i] << 8 * i;
	v[3] ^= last;
	mac_rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	mac_rounds(v, 4);
	explicit_bzero(k, sizeof(k));
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint32_t
util_crc32(const void *data, size_t size)
{
	static uint32_t table[8][256];
	const unsigned char *p = data;
	uint32_t crc = 0xffffffffU;

	if (table[0][1] == 0) {
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t c = i;
			for (int bit = 0; bit < 8; bit++)
				c = c & 1 ? c >> 1 ^ 0xedb88320U : c >> 1;
			table[0][i] = c;
		}
		for (int t = 1; t < 8; t++)
			for (int i = 0; i < 256; i++)
				table[t][i] = table[t - 1][i] >> 8 ^
					      table[0][table[t - 1][i] & 255];
	}
	/* eight bytes a step ("slicing by 8"): a record costs well below a microsecond */
	for (; size >= 8; size -= 8, p += 8) {
		uint32_t low = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
					 (uint32_t)p[3] << 24);
		crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^
		      table[4][low >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
		      table[0][p[7]];
	}
	while (size-- > 0)
		crc = crc >> 8 ^ table[0][(crc ^ *p++) & 255];
	return ~crc;
}

int64_t
util_backoff(int64_t last_us, int64_t first_us, int64_t max_us)
{
	if (last_us == 0)
		return first_us;
	return 2 * last_us < max_us ? 2 * last_us : max_us;
}

void
util_random(void *out, size_t size)
{
	/* up to 256 bytes come all at once, see getrandom(2) */
	while (getrandom(out, size, 0) != (ssize_t)size) {
		if (errno == EINTR)
			continue;
		fprintf(stderr, "webmond: getrandom: %s\n", strerror(errno));
		_exit(EXIT_OS);
	}
}

size_t
util_utf8_length(const char *text, size_t size)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = *s < 0x80   ? 1
		   : *s < 0xc2 ? 0
		   : *s < 0xe0 ? 2
		   : *s < 0xf0 ? 3
		   : *s < 0xf5 ? 4
			       : 0;

	if (n > size)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	/* overlong forms, surrogates, and what is beyond U+10FFFF */
	if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) ||
	    (*s == 0xf0 && s[1] < 0x90) || (*s == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/*
 * Controls: C0, DEL, C1; and what a terminal lets lines begin anew or run backwards by: U+061C,
 * U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069.
 */
static bool
is_control(const unsigned char *c, size_t length)
{
	if (length == 1)
		return *c < 0x20 || *c == 0x7f;
	if (length == 2)
		return (c[0] == 0xc2 && c[1] < 0xa0) || (c[0] == 0xd8 && c[1] == 0x9c);
	if (length != 3 || c[0] != 0xe2)
		return false;
	return c[1] == 0x80 ? c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae)
			    : c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9;
}

size_t
util_clean_text(char *out, size_t size, const char *in, size_t in_size)
{
	static const char replacement[] = "\xef\xbf\xbd", ellipsis[] = "\xe2\x80\xa6";
	const size_t room = size - 1, mark = sizeof(ellipsis) - 1;
	size_t used = 0, cut = 0; /* cut: the last place where the ellipsis would still fit */

	for (size_t i = 0; i < in_size;) {
		const unsigned char *c = (const unsigned char *)in + i;
		size_t n = util_utf8_length(in + i, in_size - i);
		const char *piece = in + i;
		size_t piece_size = n;

		if (n == 0) {
			piece = replacement;
			piece_size = sizeof(replacement) - 1;
			n = 1;
		} else if (is_control(c, n)) {
			piece = " ";
			piece_size = 1;
		}
		if (used + piece_size > room) {
			memcpy(out + cut, ellipsis, mark);
			used = cut + mark;
			break;
		}
		memcpy(out + used, piece, piece_size);
		used += piece_size;
		if (used + mark <= room)
			cut = used;
		i += n;
	}
	out[used] = '\0';
	return used;
}

char *
util_read_file(const char *path, size_t max, size_t *size, mode_t *mode, const char **why)
{
	/* O_NONBLOCK: a FIFO must not hang us */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = NULL;
	struct stat st = { 0 };
	ssize_t n = -1;

	*why = NULL;
	*size = 0;
	if (fd >= 0 && fstat(fd, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			*why = "it is not a file";
		else if ((size_t)st.st_size > max)
			*why = "it is too large", *size = (size_t)st.st_size;
		else
			text = xcalloc(1, (size_t)st.st_size + 1);
	}
	while (text != NULL && (n = read(fd, text + *size, (size_t)st.st_size - *size)) > 0)
		*size += (size_t)n;
	if (*why == NULL && n < 0) {
		*why = strerror(errno);
		free(text);
		text = NULL;
	}
	if (fd >= 0)
		close(fd);
	*mode = st.st_mode;
	return text;
}

char *
util_directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? xasprintf("%.*s", (int)(slash - path + 1), path) : xstrdup("");
}

void
mistakes_add(struct mistakes *m, struct origin at, const char *format, ...)
{
	char *text, *raw, *line;
	size_t size;
	va_list ap;

	va_start(ap, format);
	text = xvasprintf(format, ap);
	va_end(ap);
	raw = at.line > 0 ? xasprintf("%s:%d: %s", at.file, at.line, text)
			  : xasprintf("%s: %s", at.file, text);
	/* a file may have any name; each of its bytes may become three */
	size = 3 * strlen(raw) + 4;
	line = xcalloc(1, size);
	util_clean_text(line, size, raw, strlen(raw));
	m->line = xreallocarray(m->line, m->count + 1, sizeof(*m->line));
	m->line[m->count++] = line;
	free(text);
	free(raw);
}

void
mistakes_show(struct mistakes *m, const char *lines)
{
	char **last = &m->line[m->count - 1];
	char *longer = xasprintf("%s%s", *last, lines);

	free(*last);
	*last = longer;
}

void
mistakes_release(struct mistakes *m)
{
	for (size_t i = 0; i < m->count; i++)
		free(m->line[i]);
	free(m->line);
	*m = (struct mistakes){ 0 };
}
