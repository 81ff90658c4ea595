/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Whether this host can reach anything, when it cannot reach a site: a few references are asked,
 * all at the same time, and the first answer will do. Called by the checker before it says `down`;
 * nothing is fatal.
 *
 * Any HTTP response is an answer, whatever its status. Over https it must come from the reference
 * itself, so a portal that answers for everybody, as in a hotel, is none.
 */
#include "probe_internal.h"

#include <string.h>

#include "util.h"

/* How long an answer counts, or that none came: an outage must not make a storm of questions. */
#define VANTAGE_FRESH_US US_PER_S

static size_t
discard(char *data, size_t one, size_t size, void *arg)
{
	(void)data, (void)one, (void)arg;
	return size;
}

/*
 * A request for the headers of `url`; NULL: no memory. It has no timeout, so that what has not
 * ended with the question still runs, see count_lookups().
 */
static CURL *
make_request(struct probe *p, const char *url)
{
	CURL *curl = p->curl = curl_easy_init();

	if (curl == NULL)
		return NULL;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "webmond/" VERSION);
	/* what is kept says nothing of the line */
	curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(curl, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	probe_ca_set(p, true, NULL);
	return curl;
}

static bool
any_answered(CURL *const requests[], size_t count)
{
	long status = 0;

	for (size_t i = 0; i < count && status == 0; i++)
		curl_easy_getinfo(requests[i], CURLINFO_RESPONSE_CODE, &status);
	return status != 0;
}

/*
 * How many threads still look up a name, if `running` requests have not ended. Also when another
 * reference has answered: with a name server that is dead each question leaves some behind.
 */
static int
count_lookups(CURL *const requests[], size_t count, int running)
{
	curl_off_t resolved_us;
	int n = 0;

	for (size_t i = 0; i < count; i++) {
		resolved_us = 0;
		curl_easy_getinfo(requests[i], CURLINFO_NAMELOOKUP_TIME_T, &resolved_us);
		n += resolved_us == 0;
	}
	return n < running ? n : running;
}

/* Why a certificate was refused, perhaps for want of CA certificates of ours; NULL: none was. */
static const char *
why_refused(const struct probe *p)
{
	const char *why = NULL;
	const CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(p->multi, &left)) != NULL)
		if (message->data.result == CURLE_PEER_FAILED_VERIFICATION ||
		    message->data.result == CURLE_SSL_CACERT_BADFILE)
			why = curl_easy_strerror(message->data.result);
	return why;
}

static bool
ask_references(struct probe *p, const struct config *config)
{
	const int64_t due_us = util_mono_us() + config->vantage_timeout_us;
	CURL *requests[CONFIG_REFERENCES_MAX];
	size_t count = 0;
	int running = 1;
	int64_t left_us;
	bool answered = false;

	memset(&p->curl, 0, sizeof(*p) - offsetof(struct probe, curl)); /* no check runs */
	for (size_t i = 0; i < config->reference_count; i++) {
		requests[count] = make_request(p, config->references[i].value);
		if (requests[count] != NULL)
			curl_multi_add_handle(p->multi, requests[count++]);
	}
	/* what has come when the time is over counts: this process may have been starved */
	while (!probe_is_aborted() && curl_multi_perform(p->multi, &running) == CURLM_OK) {
		answered = any_answered(requests, count);
		left_us = due_us - util_mono_us();
		if (answered || running == 0 || left_us <= 0)
			break;
		curl_multi_poll(p->multi, NULL, 0,
		    left_us < US_PER_S ? (int)(left_us / US_PER_MS) + 1 : 1000, NULL);
	}
	p->leaked_threads += count_lookups(requests, count, running);
	p->vantage_refused = why_refused(p);
	while (count-- > 0) {
		curl_multi_remove_handle(p->multi, requests[count]);
		curl_easy_cleanup(requests[count]);
	}
	return answered;
}

int64_t
probe_judge_vantage(struct probe *p, const struct config *config, struct result *result)
{
	const enum error_type error = result->error;
	int64_t begun_us, took_us = 0;

	if (config->reference_count == 0 ||
	    (error != ERROR_DNS && error != ERROR_CONNECT && error != ERROR_TIMEOUT))
		return 0;
	begun_us = util_mono_us();
	if (p->vantage_asked_us == 0 || begun_us - p->vantage_asked_us > VANTAGE_FRESH_US) {
		p->vantage_answers = ask_references(p, config);
		p->vantage_asked_us = util_mono_us();
		took_us = p->vantage_asked_us - begun_us;
	}
	if (p->vantage_answers)
		return took_us;
	if (probe_is_aborted())
		result_fail(result, ERROR_ABORTED, "%s", PROBE_ABORTED);
	else
		result_fail(result, ERROR_VANTAGE,
		    "none of the references answered either, so this host may be offline; the check "
		    "said %s: %s%s%s",
		    error_type_name(error), result->error_message,
		    p->vantage_refused != NULL ? "; a reference was refused: " : "",
		    p->vantage_refused != NULL ? p->vantage_refused : "");
	return took_us;
}
