/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * One check by libcurl. Called by the checker; nothing is fatal but the failure to initialise.
 *
 * Multi handles live as long as the process, for the sake of their caches: kept connections and CA
 * certificates, see ca.c. The easy handle lives for one check: before 8.1.1 libcurl remembers the
 * last header of the transfer before, and a response that begins with a folded line writes into its
 * freed memory (https://github.com/curl/curl/issues/11101).
 */
#include "probe_internal.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "checker.h"
#include "mask.h"
#include "util.h"
#include "verdict.h"

/*
 * A timeout during a lookup leaks a thread with its stack. With this many a new process is needed.
 */
#define LEAKED_THREADS_MAX 32

/* A body buffer that is larger is given back after the check. */
#define BODY_ROOM_KEPT (1024 * 1024)

bool
probe_is_worn(const struct probe *probe)
{
	return probe->leaked_threads >= LEAKED_THREADS_MAX || probe->walled;
}

const char *
checker_library_version(void)
{
	return curl_version();
}

int
checker_init(void)
{
	/* by it libcurl reads the names of hosts in redirects; to it a daemon would have none */
	setlocale(LC_CTYPE, "C.UTF-8");
	return curl_global_init(CURL_GLOBAL_ALL) == CURLE_OK ? 0 : -1;
}

struct probe *
probe_new(const struct site *sites, size_t count)
{
	struct probe *p = xcalloc(1, sizeof(*p));

	if (!probe_ca_begin(p)) {
		free(p);
		return NULL;
	}
	p->match = match_new();
	p->sites = sites;
	p->site_count = count;
	return p;
}

void
probe_free(struct probe *p)
{
	probe_ca_free(p);
	probe_connections_close(p);
	match_free(p->match);
	json_free(p->json);
	free(p->body);
	free(p->fields.text);
	free(p);
}

static void
note_redirect_time(struct probe *p)
{
	struct result *r = p->result;
	curl_off_t us = 0;

	if (r->redirects > 0)
		curl_easy_getinfo(p->curl, CURLINFO_REDIRECT_TIME_T, &us);
	r->redirect_us = us < r->elapsed_us ? us : r->elapsed_us;
}

const char *
probe_ca_file(const struct probe *p)
{
	return p->ca_file;
}

static void
judge_response(struct probe *p)
{
	int64_t elapsed_us = p->result->elapsed_us, max_us = p->site->max_response_us;
	struct response response = { .status = p->result->http_status,
		.body = p->body != NULL ? p->body : "",
		.size = p->body_size,
		.truncated = p->body_cut,
		.partial = p->rest_skipped,
		.elapsed_us = elapsed_us,
		.starved_us = max_us > 0 && elapsed_us > max_us ? probe_starved_us(p) : 0,
		.redirects = p->site->follow_redirects == 0 && p->location[0] != '\0',
		.now_us = p->site->cert_min_days > 0 ? util_utc_us() : 0,
		.first_to_end = p->first_to_end,
		.headers = &p->fields,
		.match = p->match,
		.json = &p->json };

	if (!probe_proxy_refused_user(p))
		verdict_response(p->result, &response, p->site);
}

/* Of the client. The key is in the same file if it has none of its own. */
static void
set_certificate(struct probe *p)
{
	struct file *files = p->files;
	const struct file *key = &files[files[FILE_KEY].text != NULL ? FILE_KEY : FILE_CERT];
	struct curl_blob cert_blob = { files[FILE_CERT].text, files[FILE_CERT].size,
		CURL_BLOB_NOCOPY };
	struct curl_blob key_blob = { key->text, key->size, CURL_BLOB_NOCOPY };

	if (files[FILE_CERT].text == NULL)
		return;
	curl_easy_setopt(p->curl, CURLOPT_SSLCERT_BLOB, &cert_blob);
	curl_easy_setopt(p->curl, CURLOPT_SSLKEY_BLOB, &key_blob);
	curl_easy_setopt(p->curl, CURLOPT_KEYPASSWD, ""); /* else OpenSSL asks the terminal */
}

/* The site is asked, and its answer judged. */
static void
ask(struct probe *p)
{
	const struct site *site = p->site;
	struct result *result = p->result;
	CURLcode code;

	p->curl = curl_easy_init();
	probe_request_set(p);
	probe_ca_set(p, site->verify_tls, site->verify_tls ? site->ca_file : NULL);
	probe_connection_set(p); /* which of the kept ones depends on the authority */
	set_certificate(p);
	probe_listen(p);
	probe_times_begin(p);
	code = probe_perform(p);
	probe_times_end(p);

	p->rest_skipped = code == CURLE_WRITE_ERROR && !p->body_cut && probe_decode_is_whole(p);
	if (code == CURLE_WRITE_ERROR && (p->body_cut || p->rest_skipped))
		code = CURLE_OK;
	if (code == CURLE_TOO_MANY_REDIRECTS && result->http_status == 401)
		code = CURLE_OK; /* digest: refused again and again */
	if (result->http_status != RESULT_NONE) {
		result->body_bytes = (int64_t)p->body_size;
		result->body_truncated = site->body_limit == 0 ? TRISTATE_NULL
					 : p->body_cut         ? TRISTATE_TRUE
							       : TRISTATE_FALSE;
	}
	if (probe_redirect_failed(p, code)) {
		probe_fail_redirect(p, code);
	} else {
		/* that of the last redirect, even if nobody could be asked there */
		probe_note_url(p);
		if (code == CURLE_OK && result->http_status != RESULT_NONE)
			judge_response(p);
		else
			probe_fail(p, code);
	}
	note_redirect_time(p);
	curl_easy_cleanup(p->curl);
	probe_request_free(p);
	probe_connection_free(p);
}

void
probe_run(struct probe *p, const struct site *site, struct result *result)
{
	struct file_fault fault = { 0 };

	memset(&p->curl, 0, sizeof(*p) - offsetof(struct probe, curl));
	p->fields.size = 0;
	p->site = site;
	p->result = result;
	p->used_tls = strncasecmp(site->url, "https:", 6) == 0;
	result_init(result);
	result->redirects = 0;
	if (files_read(p->files, site, &fault) == 0) {
		ask(p);
	} else {
		p->walled |= fault.walled;
		probe_times_begin(p);
		probe_times_end(p);
		if (fault.line > 0)
			result_fail(result, ERROR_LOCAL, "%s: \"%s\", line %d: %s", fault.key,
			    fault.path, fault.line, fault.text);
		else
			result_fail(result, ERROR_LOCAL, "%s: %s", fault.key, fault.text);
	}
	if (site->body_sample && result->error != ERROR_NONE && p->body_size > 0)
		util_clean_text(result->body_sample, sizeof(result->body_sample), p->body,
		    p->body_size < PROBE_SAMPLE_MAX ? p->body_size : PROBE_SAMPLE_MAX);
	mask_secrets(result, site, p->files);
	files_forget(p->files);
	if (p->body_room > BODY_ROOM_KEPT) {
		free(p->body);
		p->body = NULL;
		p->body_room = 0;
	}
}
