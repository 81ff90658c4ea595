/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Secrets that a server sends back. Called by probe_run(); nothing is fatal.
 */
#include "mask.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/* So much of a secret, or all of it, is taken for one; less stands in many texts. */
#define PART_MIN      6
#define PART_MIN_BODY 16

/* A word of a header or a body is taken for a secret if it is as long as this, and as the other one
 * if it has nothing but small letters, as those of sentences have. */
#define WORD_MIN       8
#define WORD_MIN_SMALL 16

/* Between words; a value of a body may have blanks in it. */
#define SEPARATORS        "\t\r\n\"'\\=&;,"
#define SEPARATORS_HEADER SEPARATORS " "

/* What is masked, and what it was: secrets may begin alike. */
struct masking {
	struct result *result;
	struct result before;
};

static void
mask_text(char *text, const char *before, const char *secret, size_t size, size_t least, bool whole)
{
	const char *at = before, *end;

	if (least > size)
		least = size;
	while (least > 2 && (at = memmem(at, strlen(at), secret, least)) != NULL) {
		for (end = at + least;
		     (size_t)(end - at) < size && *end != '\0' && *end == secret[end - at];)
			end++;
		if (whole && (size_t)(end - at) < size && strncmp(end, "…", strlen("…")) != 0) {
			at++;
			continue;
		}
		while ((*end & 0xc0) == 0x80) /* the rest of a character */
			end++;
		memset(text + (at - before), '*', (size_t)(end - at));
		at = end;
	}
}

/* If `whole`, parts count only where the text was cut. */
static void
mask(struct masking *m, const char *secret, size_t size, size_t least, bool whole)
{
	struct result *r = m->result;

	mask_text(r->error_message, m->before.error_message, secret, size, least, whole);
	mask_text(r->body_sample, m->before.body_sample, secret, size, least, whole);
	mask_text(r->final_url, m->before.final_url, secret, size, least, whole);
}

/* A server may send back a part of a header or body: a cookie, a token, a value in JSON. */
static void
mask_words(struct masking *m, const char *text, size_t size, const char *separators)
{
	const char *end = text + size;

	for (size_t n; text < end; text += n + 1) {
		bool small = true;

		for (n = 0;
		     text + n < end && text[n] != '\0' && strchr(separators, text[n]) == NULL; n++)
			small = small && text[n] >= 'a' && text[n] <= 'z';
		if (n >= (small ? WORD_MIN_SMALL : WORD_MIN))
			mask(m, text, n, PART_MIN, true);
	}
}

/* A password, and "user:password" in base 64. */
static void
mask_password(struct masking *m, const char *username, const struct file *password)
{
	char *both;
	unsigned char *encoded;
	size_t size;
	int n;

	if (password->text == NULL)
		return;
	mask(m, password->text, password->size, PART_MIN, false);
	both = xasprintf("%s:%s", username, password->text);
	size = strlen(both);
	encoded = xcalloc(size / 3 * 4 + 5, 1);
	n = EVP_EncodeBlock(encoded, (unsigned char *)both, (int)size);
	mask(m, (char *)encoded, (size_t)n, PART_MIN, false);
	explicit_bzero(both, size);
	explicit_bzero(encoded, (size_t)n);
	free(both);
	free(encoded);
}

void
mask_secrets(struct result *r, const struct site *site, const struct file files[FILE_COUNT])
{
	const struct file *token = &files[FILE_TOKEN], *body = &files[FILE_BODY];
	struct masking m = { .result = r };
	bool secret = false;

	for (int key = 0; key < FILE_COUNT; key++)
		secret |= files[key].text != NULL;
	if (!secret)
		return;
	m.before = *r;

	mask_password(&m, site->username, &files[FILE_PASSWORD]);
	mask_password(&m, site->proxy_username, &files[FILE_PROXY_PASSWORD]);
	if (token->text != NULL)
		mask(&m, token->text, token->size, PART_MIN, false);
	if (body->text != NULL) {
		mask(&m, body->text, body->size, PART_MIN_BODY, false);
		mask_words(&m, body->text, body->size, SEPARATORS);
	}
	for (const char **line = files[FILE_HEADERS].lines; line != NULL && *line != NULL; line++) {
		const char *value = *line + strcspn(*line, ":") + 1;

		value += strspn(value, " ");
		mask(&m, value, strlen(value), PART_MIN, false);
		mask_words(&m, value, strlen(value), SEPARATORS_HEADER);
	}
}
