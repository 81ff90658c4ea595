/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Results and their words. Called by all who make or read one.
 */
#include "result.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

static const struct {
	const char *name;
	enum status status;
} errors[ERROR_COUNT] = {
	[ERROR_NONE] = { NULL, STATUS_UP },
	[ERROR_DNS] = { "dns", STATUS_DOWN },
	[ERROR_CONNECT] = { "connect", STATUS_DOWN },
	[ERROR_TLS] = { "tls", STATUS_DOWN },
	[ERROR_TIMEOUT] = { "timeout", STATUS_DOWN },
	[ERROR_PROTOCOL] = { "protocol", STATUS_DOWN },
	[ERROR_HTTP_STATUS] = { "http_status", STATUS_DOWN },
	[ERROR_REGEX_MISMATCH] = { "regex_mismatch", STATUS_DOWN },
	[ERROR_TOO_MANY_REDIRECTS] = { "too_many_redirects", STATUS_DOWN },
	[ERROR_REDIRECT_REFUSED] = { "redirect_refused", STATUS_DOWN },
	[ERROR_SLOW] = { "slow", STATUS_DOWN },
	[ERROR_HEADER_MISMATCH] = { "header_mismatch", STATUS_DOWN },
	[ERROR_JSON_MISMATCH] = { "json_mismatch", STATUS_DOWN },
	[ERROR_BODY_SIZE] = { "body_size", STATUS_DOWN },
	[ERROR_CERT_EXPIRING] = { "cert_expiring", STATUS_DOWN },
	[ERROR_HTTP_VERSION] = { "http_version", STATUS_DOWN },
	[ERROR_REGEX_LIMIT] = { "regex_limit", STATUS_UNKNOWN },
	[ERROR_MISSED_OVERLOAD] = { "missed_overload", STATUS_UNKNOWN },
	[ERROR_MISSED_OVERRUN] = { "missed_overrun", STATUS_UNKNOWN },
	[ERROR_ABORTED] = { "aborted", STATUS_UNKNOWN },
	[ERROR_QUARANTINED] = { "quarantined", STATUS_UNKNOWN },
	[ERROR_LOCAL] = { "local", STATUS_UNKNOWN },
	[ERROR_VANTAGE] = { "vantage", STATUS_UNKNOWN },
	[ERROR_MISSED_TAKEOVER] = { "missed_takeover", STATUS_UNKNOWN },
	[ERROR_DROPPED] = { "dropped", STATUS_UNKNOWN },
};

void
result_init(struct result *r)
{
	static const struct result unknown = { .http_status = RESULT_NONE,
		.elapsed_us = RESULT_NONE,
		.phase_us = { [0 ... PHASE_COUNT - 1] = RESULT_NONE },
		.redirect_us = RESULT_NONE,
		.redirects = RESULT_NONE,
		.body_bytes = RESULT_NONE,
		.attempts = RESULT_NONE,
		.cert_expires_us = RESULT_NONE,
		.chain_expires_us = RESULT_NONE };

	/* with what is between its members: no byte of our stack goes to another process */
	memcpy(r, &unknown, sizeof(*r));
}

/* The most that a configuration can ask for. */
#define BODY_MAX      (64 * 1024 * 1024)
#define REDIRECTS_MAX 20
#define ATTEMPTS_MAX  6

/* Longer than any check: timeouts are up to a day. */
#define TIME_MAX_US (10 * 86400 * US_PER_S)

/* The years 1 to 9999, which is what a certificate can say. */
#define DATE_MIN_US (-62135596800 * US_PER_S)
#define DATE_MAX_US (253402300799 * US_PER_S)

static bool
is_clean(const char *text, size_t size)
{
	char clean[RESULT_FINAL_URL_MAX + 4];
	size_t n = strnlen(text, size);

	return n < size && util_clean_text(clean, sizeof(clean), text, n) == n &&
	       memcmp(clean, text, n) == 0;
}

static bool
is_known(int64_t value, int64_t min, int64_t max)
{
	return value == RESULT_NONE || (value >= min && value <= max);
}

static bool
is_one_of(const char *text, const char *const words[])
{
	while (*words != NULL && strcmp(text, *words) != 0)
		words++;
	return *words != NULL;
}

static bool
is_hex(const char *text)
{
	return text[strspn(text, "0123456789abcdef")] == '\0';
}

static bool
is_down(enum error_type error)
{
	return result_status(error) == STATUS_DOWN;
}

/* What a reader of records may rely on, see the schema: the fields fit the verdict. */
static bool
is_coherent(const struct result *r)
{
	static const char *const http[] = { "", "1.0", "1.1", "2", "3", NULL };
	static const char *const tls[] = { "", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", NULL };
	size_t sha256_size = strlen(r->cert_sha256);

	if (!is_one_of(r->http_version, http) || !is_one_of(r->tls_version, tls) ||
	    (r->final_url[0] != '\0' && r->redirects <= 0) ||
	    (sha256_size != 0 && (sha256_size != RESULT_SHA256_MAX || !is_hex(r->cert_sha256))) ||
	    (r->first_error != ERROR_NONE && (r->attempts < 2 || !is_down(r->first_error))))
		return false;
	if (r->error != ERROR_NONE)
		return r->error_message[0] != '\0';
	return r->completed && r->elapsed_us != RESULT_NONE && r->http_status != RESULT_NONE &&
	       r->body_matched != TRISTATE_FALSE && r->failed_regex[0] == '\0' &&
	       r->body_sample[0] == '\0';
}

size_t
result_size(const struct result *r)
{
	const char *const texts[] = { r->body_sample, r->final_url, r->error_message,
		r->failed_regex };

	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (texts[i][0] != '\0')
			return (size_t)(texts[i] - (const char *)r) + strlen(texts[i]) + 1;
	return offsetof(struct result, cert_issuer) + strlen(r->cert_issuer) + 1;
}

static bool
are_numbers_good(const struct result *r)
{
	unsigned char completed;
	bool good = true;

	/* any other byte is no bool */
	memcpy(&completed, &r->completed, 1);
	for (int i = 0; i < PHASE_COUNT; i++)
		good = good && is_known(r->phase_us[i], 0, TIME_MAX_US);
	return good && completed <= 1 && (unsigned)r->error < ERROR_COUNT &&
	       r->error != ERROR_DROPPED && (unsigned)r->first_error < ERROR_COUNT &&
	       is_known(r->http_status, 100, 999) && is_known(r->elapsed_us, 0, TIME_MAX_US) &&
	       is_known(r->redirect_us, 0, TIME_MAX_US) &&
	       is_known(r->redirects, 0, REDIRECTS_MAX) && is_known(r->body_bytes, 0, BODY_MAX) &&
	       is_known(r->attempts, 1, ATTEMPTS_MAX) &&
	       (unsigned)r->body_truncated <= TRISTATE_TRUE &&
	       (unsigned)r->body_matched <= TRISTATE_TRUE && (unsigned)r->reused <= TRISTATE_TRUE &&
	       is_known(r->cert_expires_us, DATE_MIN_US, DATE_MAX_US) &&
	       is_known(r->chain_expires_us, DATE_MIN_US, DATE_MAX_US);
}

bool
result_copy(struct result *r, const void *bytes, size_t size)
{
	if (size <= offsetof(struct result, cert_issuer) || size > sizeof(*r) ||
	    ((const char *)bytes)[size - 1] != '\0')
		return false;
	result_init(r);
	memcpy(r, bytes, size);
	return are_numbers_good(r) && is_clean(r->error_message, sizeof(r->error_message)) &&
	       is_clean(r->final_url, sizeof(r->final_url)) &&
	       is_clean(r->body_sample, sizeof(r->body_sample)) &&
	       is_clean(r->remote_ip, sizeof(r->remote_ip)) &&
	       is_clean(r->failed_regex, sizeof(r->failed_regex)) &&
	       is_clean(r->cert_issuer, sizeof(r->cert_issuer)) &&
	       is_clean(r->cert_sha256, sizeof(r->cert_sha256)) &&
	       is_clean(r->http_version, sizeof(r->http_version)) &&
	       is_clean(r->tls_version, sizeof(r->tls_version)) && is_coherent(r);
}

void
result_fail(struct result *r, enum error_type error, const char *format, ...)
{
	char raw[2 * RESULT_MESSAGE_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(raw, sizeof(raw), format, ap);
	va_end(ap);
	r->error = error;
	util_clean_text(r->error_message, sizeof(r->error_message), raw, strlen(raw));
}

enum status
result_status(enum error_type error)
{
	return errors[error].status;
}

const char *
status_name(enum status status)
{
	static const char *const names[] = { "up", "down", "unknown" };

	return names[status];
}

const char *
error_type_name(enum error_type error)
{
	return errors[error].name;
}
