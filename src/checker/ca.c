/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The CA certificates that a site's certificate is verified with. libcurl reads their file for a
 * handshake and caches them in the multi handle for later ones, if the same options come again:
 * without that cache a check over HTTPS costs twenty times as much. Nothing is fatal.
 */
#include "probe_internal.h"

#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

#define CACHE_SECONDS 3600L

/* The system's CA bundle: what libcurl was built with, else where distributions keep it. */
const char *
probe_ca_find(void)
{
	static const char *const known[] = { "/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };
	CURL *curl = curl_easy_init();
	const char *built_in = NULL; /* static text */

	if (curl != NULL)
		curl_easy_getinfo(curl, CURLINFO_CAINFO, &built_in);
	curl_easy_cleanup(curl);
	if (built_in != NULL && access(built_in, R_OK) == 0)
		return built_in;
	for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
		if (access(known[i], R_OK) == 0)
			return known[i];
	return built_in;
}

void
probe_ca_set(struct probe *p, bool verify)
{
	CURL *curl = p->curl;
	/* libcurl looks for the host of the url; for server_name OpenSSL does: probe_tls_listen() */
	bool verify_host = verify && (p->site == NULL || p->site->server_name == NULL);

	/* the cache works only without a directory of certificates */
	curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(curl, CURLOPT_CAINFO, p->ca_file);
	curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, CACHE_SECONDS);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, verify_host ? 2L : 0L);
}

/* A socket whose other end is closed already. */
static curl_socket_t
open_dead_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	int fd[2];

	(void)arg, (void)purpose, (void)address;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return CURL_SOCKET_BAD;
	close(fd[1]);
	return fd[0];
}

static int
is_connected(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	(void)arg, (void)fd, (void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

/* By a handshake over such a socket, which makes libcurl read the file and then fails. */
void
probe_load_ca(struct probe *p)
{
	p->curl = curl_easy_init();
	if (p->curl == NULL)
		return;
	curl_easy_setopt(p->curl, CURLOPT_URL, "https://127.0.0.1/");
	curl_easy_setopt(p->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(p->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(p->curl, CURLOPT_OPENSOCKETFUNCTION, open_dead_socket);
	curl_easy_setopt(p->curl, CURLOPT_SOCKOPTFUNCTION, is_connected);
	probe_ca_set(p, true);
	probe_perform(p);
	curl_easy_cleanup(p->curl);
}
