/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What a record consists of: the table that payload.c writes records by, and envelope.c the schema
 * of Kafka Connect.
 */
#ifndef WEBMOND_FIELDS_H
#define WEBMOND_FIELDS_H

#include "payload.h"

#define NUMBER_MAX 24 /* 20 digits, a sign and a point */
#define TIME_MAX   (UTIL_RFC3339_SIZE - 1)
#define AGENT_MAX  32

/*
 * All fields of the record behind its id, in their order: name in the code, key, the most bytes
 * that the value takes (encoded, without quotes; longer texts are cut), its type, and whether it
 * may be null. What came after version 1.0.0 may: records that waited in a spool lack it.
 */
#define IDENTITY_FIELDS(F)                                                                         \
	F(EPOCH, "epoch", WIRE_EPOCH_SIZE, TEXT, NEVER)                                            \
	F(SEQ, "seq", NUMBER_MAX, INTEGER, NEVER)                                                  \
	F(SITE, "site", CONFIG_NAME_MAX, TEXT, NEVER)                                              \
	F(URL, "url", CONFIG_URL_MAX, TEXT, NEVER)                                                 \
	F(METHOD, "method", 16, TEXT, NEVER)                                                       \
	F(INSTANCE, "instance", CONFIG_NAME_MAX, TEXT, NEVER)                                      \
	F(LOCATION, "location", CONFIG_NAME_MAX, TEXT, MAYBE)                                      \
	F(GROUP, "group", CONFIG_NAME_MAX, TEXT, MAYBE)                                            \
	F(ALONE, "alone", 5, TRUTH, MAYBE)                                                         \
	F(LABELS, "labels", CONFIG_LABELS_MAX, TEXT, MAYBE)                                        \
	F(INTERVAL, "interval_s", NUMBER_MAX, DECIMAL, NEVER)                                      \
	F(SCHEDULED, "scheduled_at", TIME_MAX, TEXT, NEVER)

#define OUTCOME_FIELDS(F)                                                                          \
	F(STARTED, "started_at", TIME_MAX, TEXT, MAYBE)                                            \
	F(LATENESS, "lateness_ms", NUMBER_MAX, DECIMAL, MAYBE)                                     \
	F(STATUS, "status", 16, TEXT, NEVER)                                                       \
	F(ERROR, "error_type", 32, TEXT, MAYBE)                                                    \
	F(MESSAGE, "error_message", RESULT_MESSAGE_MAX, TEXT, MAYBE)                               \
	F(HTTP_STATUS, "http_status_code", NUMBER_MAX, INTEGER, MAYBE)                             \
	F(HTTP_VERSION, "http_version", 8, TEXT, MAYBE)                                            \
	F(RESPONSE_TIME, "response_time_ms", NUMBER_MAX, DECIMAL, MAYBE)                           \
	F(ELAPSED, "elapsed_ms", NUMBER_MAX, DECIMAL, MAYBE)                                       \
	F(DNS, "dns_ms", NUMBER_MAX, DECIMAL, MAYBE)                                               \
	F(CONNECT, "connect_ms", NUMBER_MAX, DECIMAL, MAYBE)                                       \
	F(TLS, "tls_ms", NUMBER_MAX, DECIMAL, MAYBE)                                               \
	F(WAIT, "wait_ms", NUMBER_MAX, DECIMAL, MAYBE)                                             \
	F(RECEIVE, "receive_ms", NUMBER_MAX, DECIMAL, MAYBE)                                       \
	F(REDIRECT, "redirect_ms", NUMBER_MAX, DECIMAL, MAYBE)                                     \
	F(REDIRECTS, "redirects", NUMBER_MAX, INTEGER, MAYBE)                                      \
	F(FINAL_URL, "final_url", RESULT_FINAL_URL_MAX, TEXT, MAYBE)                               \
	F(REMOTE_IP, "remote_ip", RESULT_IP_MAX, TEXT, MAYBE)                                      \
	F(BODY_BYTES, "body_bytes", NUMBER_MAX, INTEGER, MAYBE)                                    \
	F(BODY_TRUNCATED, "body_truncated", 5, TRUTH, MAYBE)                                       \
	F(BODY_MATCHED, "body_regex_matched", 5, TRUTH, MAYBE)                                     \
	F(FAILED_REGEX, "failed_regex", RESULT_REGEX_MAX, TEXT, MAYBE)                             \
	F(TLS_VERSION, "tls_version", 16, TEXT, MAYBE)                                             \
	F(CERT_EXPIRES, "cert_expires_at", TIME_MAX, TEXT, MAYBE)                                  \
	F(DROPPED_THROUGH, "dropped_through", NUMBER_MAX, INTEGER, MAYBE)                          \
	F(STREAK, "streak", NUMBER_MAX, INTEGER, MAYBE)                                            \
	F(STATUS_SINCE, "status_since", TIME_MAX, TEXT, MAYBE)                                     \
	F(ATTEMPTS, "attempts", NUMBER_MAX, INTEGER, MAYBE)                                        \
	F(FIRST_ERROR, "first_error_type", 32, TEXT, MAYBE)                                        \
	F(REUSED, "connection_reused", 5, TRUTH, MAYBE)                                            \
	F(CERT_ISSUER, "cert_issuer", RESULT_ISSUER_MAX, TEXT, MAYBE)                              \
	F(CERT_SHA256, "cert_sha256", RESULT_SHA256_MAX, TEXT, MAYBE)                              \
	F(CHAIN_EXPIRES, "chain_expires_at", TIME_MAX, TEXT, MAYBE)                                \
	F(BODY_SAMPLE, "body_sample", RESULT_SAMPLE_MAX, TEXT, MAYBE)                              \
	F(AGENT, "agent", AGENT_MAX, TEXT, MAYBE)

#endif
