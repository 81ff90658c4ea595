/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What one check found. A checker fills it, or the supervisor for a slot that never ran, and
 * payload.c writes it into the record; the words are those of the record.
 */
#ifndef WEBMOND_RESULT_H
#define WEBMOND_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum status {
	STATUS_UP,
	STATUS_DOWN,
	STATUS_UNKNOWN,
};

/*
 * Why a check is not `up`: the closed list of the record's `error_type`. Words are added, never
 * renamed or given another meaning: consumers store them.
 */
enum error_type {
	ERROR_NONE, /* up */
	/* failures of the site: down */
	ERROR_DNS,
	ERROR_CONNECT,
	ERROR_TLS,
	ERROR_TIMEOUT,
	ERROR_PROTOCOL,
	ERROR_HTTP_STATUS,
	ERROR_REGEX_MISMATCH,
	ERROR_TOO_MANY_REDIRECTS,
	ERROR_REDIRECT_REFUSED,
	ERROR_SLOW,
	ERROR_HEADER_MISMATCH,
	ERROR_JSON_MISMATCH,
	ERROR_BODY_SIZE,
	ERROR_CERT_EXPIRING,
	ERROR_HTTP_VERSION,
	/* our failures: unknown; a failure here is never reported as a failure of the site */
	ERROR_REGEX_LIMIT,
	ERROR_MISSED_OVERLOAD,
	ERROR_MISSED_OVERRUN,
	ERROR_ABORTED,
	ERROR_QUARANTINED,
	ERROR_LOCAL,
	ERROR_VANTAGE,
	ERROR_MISSED_TAKEOVER,
	ERROR_DROPPED,
	ERROR_COUNT
};

/* Longest texts in bytes, without the NUL (design: the record's caps). */
#define RESULT_MESSAGE_MAX   384
#define RESULT_REGEX_MAX     128
#define RESULT_FINAL_URL_MAX 512
#define RESULT_IP_MAX        45 /* INET6_ADDRSTRLEN - 1 */
#define RESULT_ISSUER_MAX    128
#define RESULT_SHA256_MAX    64 /* in hexadecimal */
#define RESULT_SAMPLE_MAX    256

/* A number that is not known. */
#define RESULT_NONE (-1)

/* A yes, a no, or nothing to say. */
enum tristate {
	TRISTATE_NULL,
	TRISTATE_FALSE,
	TRISTATE_TRUE,
};

/* The phases of a check, in HAR's terms; see `dns_ms` and its neighbours in the record. */
enum phase {
	PHASE_DNS,
	PHASE_CONNECT,
	PHASE_TLS,
	PHASE_WAIT,
	PHASE_RECEIVE,
	PHASE_COUNT
};

/*
 * Start from result_init(). Texts are empty and numbers RESULT_NONE when they are not known. It is
 * sent from process to process as it is, so it holds no pointers; long texts that are mostly empty
 * stand last, see result_size().
 */
struct result {
	enum error_type error;
	int http_status;               /* 100 … 999 */
	char http_version[4];          /* "1.1" */
	int64_t elapsed_us;            /* from the start to the end or the failure */
	bool completed;                /* a final response came whole (or to the limit) */
	int64_t phase_us[PHASE_COUNT]; /* add up to elapsed_us; RESULT_NONE: no such phase */
	int64_t redirect_us;           /* of which before the last request */
	int redirects;
	char remote_ip[RESULT_IP_MAX + 1];
	int64_t body_bytes; /* decompressed, at most the limit */
	enum tristate body_truncated;
	enum tristate body_matched;
	int attempts;                /* this one included; RESULT_NONE: there are no retries */
	enum error_type first_error; /* of the first of several attempts, else ERROR_NONE */
	enum tristate reused;        /* the last request went over a kept connection */
	char tls_version[12];        /* "TLSv1.3" */
	int64_t cert_expires_us;     /* UTC, of the leaf */
	int64_t chain_expires_us;    /* UTC, the first certificate of the chain to end */
	char cert_sha256[RESULT_SHA256_MAX + 1]; /* of the leaf */
	char cert_issuer[RESULT_ISSUER_MAX + 1]; /* of the leaf: its distinguished name */
	char failed_regex[RESULT_REGEX_MAX + 1];
	char error_message[RESULT_MESSAGE_MAX + 1]; /* one line of valid UTF-8 */
	char final_url[RESULT_FINAL_URL_MAX + 1];   /* only after redirects */
	char body_sample[RESULT_SAMPLE_MAX + 1];    /* only if it is not `up` */
};

/* How many of its bytes are in use: only empty texts follow. */
size_t result_size(const struct result *r);

/* Everything unknown, no error. */
void result_init(struct result *r);

/*
 * Copy to `r` a result of `size` bytes, result_size() of it, from another process, which may be in
 * foreign hands. Returns false if this program does not write such a result: words and numbers
 * within their ranges, texts with an end and clean, fields that fit the verdict. Then `*r` is not
 * to be used.
 */
bool result_copy(struct result *r, const void *bytes, size_t size);

/*
 * Give the result its verdict; the message is cleaned and cut to fit. `format` is one sentence
 * without a full stop that says what was wrong, with the numbers; it never holds a secret.
 */
void result_fail(struct result *r, enum error_type error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

enum status result_status(enum error_type error);

/* The words of the record; never NULL for valid values, except error_type_name(ERROR_NONE). */
const char *status_name(enum status status);
const char *error_type_name(enum error_type error);

#endif
