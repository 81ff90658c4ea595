/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "fetch.h"

static CURL *curl;

static size_t
discard(char *data, size_t one, size_t size, void *arg)
{
	(void)data, (void)one, (void)arg;
	return size;
}

static void
start(const struct fetch_options *options)
{
	if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK || (curl = curl_easy_init()) == NULL) {
		fputs("loop: cannot initialise libcurl\n", stderr);
		exit(EXIT_FAILURE);
	}
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, options->timeout_ms);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "bare-libcurl");
	if (!options->keepalive) {
		curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
		curl_easy_setopt(curl, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	} else {
		curl_easy_setopt(curl, CURLOPT_MAXCONNECTS, 1000L);
		curl_easy_setopt(curl, CURLOPT_MAXLIFETIME_CONN, 60L);
	}
	/* without a file and with a directory of authorities the cache of them is not used */
	if (options->ca_file != NULL) {
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
		curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file);
		curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, 3600L);
	}
}

static bool
get(const char *url)
{
	long status = 0;

	curl_easy_setopt(curl, CURLOPT_URL, url);
	if (curl_easy_perform(curl) != CURLE_OK)
		return false;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status == 200;
}

const struct fetch fetch_curl = { "curl", start, get };
