/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/* Every code of libcurl, and whose fault it is: at which point of an exchange, with which words. */
#include "checker/probe_internal.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "suite.h"

/* Larger than any code of any libcurl. */
#define CODES 256

static struct result r;
static struct probe probe;

/* The verdict of `code` in `phase`, with libcurl's sentence `why`, or none. */
static enum error_type
word_of(CURLcode code, enum phase phase, const char *why)
{
	static const struct site site = { .url = "http://site.example/",
		.method = "GET",
		.follow_redirects = 5,
		.timeout_us = US_PER_S };

	if (probe.curl == NULL) {
		ck_assert_int_eq(curl_global_init(CURL_GLOBAL_ALL), CURLE_OK);
		probe.curl = curl_easy_init();
	}
	result_init(&r);
	r.elapsed_us = site.timeout_us;
	probe.site = &site;
	probe.result = &r;
	probe.phase = phase;
	probe.begun_us = util_mono_us() - site.timeout_us;
	probe.cpu_us = util_cpu_us();
	probe.queued_us = util_queued_us();
	probe.watched = true;
	snprintf(probe.error, sizeof(probe.error), "%s", why != NULL ? why : "");
	probe_fail(&probe, code);
	ck_assert_int_ne(r.error_message[0], '\0');
	return r.error;
}

/* What is not here is ours, or nobody knows; in both cases it says nothing of the site. */
static const struct {
	CURLcode code;
	enum error_type word;
} of_the_site[] = {
	{ CURLE_OK, ERROR_PROTOCOL },
	{ CURLE_UNSUPPORTED_PROTOCOL, ERROR_PROTOCOL }, /* HTTP/0.9 */
	{ CURLE_URL_MALFORMAT, ERROR_PROTOCOL },        /* where a redirect leads */
	{ CURLE_COULDNT_CONNECT, ERROR_CONNECT },
	{ CURLE_WEIRD_SERVER_REPLY, ERROR_PROTOCOL },
	{ CURLE_HTTP2, ERROR_PROTOCOL },
	{ CURLE_PARTIAL_FILE, ERROR_PROTOCOL },
	{ CURLE_WRITE_ERROR, ERROR_PROTOCOL },
	{ CURLE_OUT_OF_MEMORY, ERROR_PROTOCOL },
	{ CURLE_OPERATION_TIMEDOUT, ERROR_TIMEOUT },
	{ CURLE_SSL_CONNECT_ERROR, ERROR_TLS },
	{ CURLE_TOO_MANY_REDIRECTS, ERROR_TOO_MANY_REDIRECTS },
	{ CURLE_GOT_NOTHING, ERROR_PROTOCOL },
	{ CURLE_BAD_FUNCTION_ARGUMENT, ERROR_PROTOCOL }, /* a header that is none */
	{ CURLE_SEND_ERROR, ERROR_PROTOCOL },
	{ CURLE_RECV_ERROR, ERROR_PROTOCOL },
	{ CURLE_PEER_FAILED_VERIFICATION, ERROR_TLS },
	{ CURLE_BAD_CONTENT_ENCODING, ERROR_PROTOCOL },
	{ CURLE_SSL_INVALIDCERTSTATUS, ERROR_TLS },
	{ CURLE_HTTP2_STREAM, ERROR_PROTOCOL },
	{ CURLE_HTTP3, ERROR_PROTOCOL },
	{ CURLE_QUIC_CONNECT_ERROR, ERROR_CONNECT },
	{ CURLE_PROXY, ERROR_PROTOCOL },
	{ CURLE_SSL_CLIENTCERT, ERROR_TLS },
	{ 100 /* CURLE_TOO_LARGE of libcurl 8.6 */, ERROR_PROTOCOL },
};

static enum error_type
expected(int code)
{
	for (size_t i = 0; i < ARRAY_LENGTH(of_the_site); i++)
		if (of_the_site[i].code == (CURLcode)code)
			return of_the_site[i].word;
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return ERROR_ABORTED;
	if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY)
		return ERROR_DNS;
	return ERROR_LOCAL;
}

START_TEST(each_code_has_its_word)
{
	for (int code = 0; code < CODES; code++)
		ck_assert_msg(word_of((CURLcode)code, PHASE_WAIT, NULL) == expected(code),
		    "%d is %s: %s", code, error_type_name(r.error), r.error_message);
}
END_TEST

START_TEST(nothing_of_ours_is_down)
{
	static const CURLcode ours[] = { CURLE_FAILED_INIT, CURLE_NOT_BUILT_IN, CURLE_READ_ERROR,
		CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
		CURLE_SSL_ENGINE_INITFAILED, CURLE_INTERFACE_FAILED, CURLE_UNRECOVERABLE_POLL };

	for (size_t i = 0; i < ARRAY_LENGTH(ours); i++)
		for (int phase = 0; phase < PHASE_COUNT; phase++)
			ck_assert_int_eq(word_of(ours[i], (enum phase)phase, NULL), ERROR_LOCAL);
	word_of(CURLE_UNSUPPORTED_PROTOCOL, PHASE_DNS, NULL); /* a libcurl without TLS */
	ck_assert_int_eq(r.error, ERROR_LOCAL);
	/* a header that is too long, or our memory */
	ck_assert_int_eq(word_of(CURLE_OUT_OF_MEMORY, PHASE_TLS, NULL), ERROR_LOCAL);
	ck_assert_int_eq(word_of(CURLE_SSL_CONNECT_ERROR, PHASE_TLS,
			     "error:0A0000BF:SSL routines::no protocols "
			     "available"),
	    ERROR_LOCAL);
	ck_assert_int_eq(
	    word_of(CURLE_SSL_CONNECT_ERROR, PHASE_TLS, "error: unexpected eof"), ERROR_TLS);
	ck_assert_int_eq(word_of((CURLcode)100, PHASE_WAIT, NULL), ERROR_PROTOCOL);
	ck_assert_str_eq(r.error_message, "a header is too long");
	word_of((CURLcode)100, PHASE_RECEIVE, "Too many response headers");
	ck_assert_str_eq(r.error_message, "Too many response headers");
	probe.local_errno = EMFILE;
	ck_assert_int_eq(word_of(CURLE_COULDNT_CONNECT, PHASE_CONNECT, NULL), ERROR_LOCAL);
	probe.local_errno = 0;
}
END_TEST

START_TEST(a_client_certificate_is_missed_after_the_handshake)
{
	probe.used_tls = true;
	ck_assert_int_eq(word_of(CURLE_RECV_ERROR, PHASE_WAIT, "tls: alert 116"), ERROR_TLS);
	ck_assert_int_eq(word_of(CURLE_RECV_ERROR, PHASE_TLS, "reset"), ERROR_TLS);
	ck_assert_int_eq(word_of(CURLE_RECV_ERROR, PHASE_WAIT, "reset"), ERROR_PROTOCOL);
	probe.certificate_wanted = true;
	ck_assert_int_eq(word_of(CURLE_RECV_ERROR, PHASE_WAIT, "reset"), ERROR_TLS);
	ck_assert_int_eq(word_of(CURLE_RECV_ERROR, PHASE_RECEIVE, "reset"), ERROR_PROTOCOL);
	probe.certificate_wanted = probe.used_tls = false;
}
END_TEST

START_TEST(a_refused_certificate_is_described)
{
	word_of(CURLE_PEER_FAILED_VERIFICATION, PHASE_TLS, "no alternative name matches");
	ck_assert_str_eq(r.error_message, "no alternative name matches");
	snprintf(probe.leaf, sizeof(probe.leaf), "the site's certificate, CN=x");
	word_of(CURLE_PEER_FAILED_VERIFICATION, PHASE_TLS, "no alternative name matches");
	ck_assert_str_eq(
	    r.error_message, "no alternative name matches: the site's certificate, CN=x");
	snprintf(probe.refused, sizeof(probe.refused), "certificate has expired: …");
	probe.refused_by_date = true;
	ck_assert_int_eq(
	    word_of(CURLE_PEER_FAILED_VERIFICATION, PHASE_TLS, "says less"), ERROR_TLS);
	ck_assert_str_eq(r.error_message, "certificate has expired: …");
	probe.refused_by_date = false;
	probe.refused[0] = '\0';
}
END_TEST

START_TEST(a_closed_http2_connection_has_a_sentence)
{
	word_of(CURLE_HTTP2, PHASE_WAIT, NULL);
	ck_assert_str_eq(
	    r.error_message, "the server closed the HTTP/2 connection before it took the request");
	word_of(CURLE_HTTP2, PHASE_WAIT, "something else");
	ck_assert_str_eq(r.error_message, "something else");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("probe_failure");
	TCase *tcase = tcase_create("probe_failure");

	tcase_add_test(tcase, each_code_has_its_word);
	tcase_add_test(tcase, nothing_of_ours_is_down);
	tcase_add_test(tcase, a_client_certificate_is_missed_after_the_handshake);
	tcase_add_test(tcase, a_refused_certificate_is_described);
	tcase_add_test(tcase, a_closed_http2_connection_has_a_sentence);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
