/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Proxies: which requests go through one, and whose fault it is when that fails. Called by
 * probe_run() and within it by libcurl's callbacks; nothing is fatal.
 *
 * Which hosts no_proxy names is decided here for each request, and not by libcurl, so that it is
 * known whether an address is the proxy's: its failures are ours, and its address says nothing of
 * where a redirect leads.
 */
#include "probe_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "util.h"

static bool
is_http_proxy(const struct site *site)
{
	return strncasecmp(site->proxy, "http", 4) == 0;
}

static bool
is_in_network(const struct network *host, const struct network *network)
{
	int bytes = network->bits / 8, mask = 0xff00 >> network->bits % 8 & 0xff;

	return host->family == network->family &&
	       memcmp(host->address, network->address, (size_t)bytes) == 0 &&
	       (mask == 0 || ((host->address[bytes] ^ network->address[bytes]) & mask) == 0);
}

/* Whether `host` is `name`, or a name below that domain. */
static bool
is_below(const char *host, const char *name)
{
	size_t n = strlen(host), size;

	n -= n > 0 && host[n - 1] == '.';
	name += name[0] == '.';
	size = strlen(name);
	size -= size > 0 && name[size - 1] == '.';
	return size > 0 && n >= size && strncasecmp(host + n - size, name, size) == 0 &&
	       (n == size || host[n - size - 1] == '.');
}

static bool
goes_by_proxy(const struct site *site, const char *url)
{
	char host[PROBE_HOST_MAX + 1];
	struct network address, network;
	bool is_address;

	if (site->proxy == NULL || site->proxy[0] == '\0')
		return false;
	probe_host(url, host, sizeof(host));
	is_address = config_read_network(&address, host);
	for (const char *const *no = site->no_proxy; no != NULL && *no != NULL; no++)
		if (config_read_network(&network, *no)
			? is_address && is_in_network(&address, &network)
			: !is_address && is_below(host, *no))
			return false;
	return true;
}

static void
choose(struct probe *p, const char *url)
{
	p->by_proxy = goes_by_proxy(p->site, url);
	/*
	 * not by CURLOPT_PROXY: of one that is not set from the beginning libcurl drops the
	 * password
	 */
	curl_easy_setopt(p->curl, CURLOPT_NOPROXY, p->by_proxy ? "" : "*");
}

void
probe_proxy_set(struct probe *p)
{
	const struct site *site = p->site;
	CURL *curl = p->curl;

	/* "": no matter what the environment says */
	curl_easy_setopt(curl, CURLOPT_PROXY, site->proxy != NULL ? site->proxy : "");
	if (site->proxy == NULL)
		return;
	choose(p, site->url);
	curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(curl, CURLOPT_SOCKS5_AUTH, (long)CURLAUTH_BASIC);
	curl_easy_setopt(curl, CURLOPT_PROXY_CAPATH, NULL);
	curl_easy_setopt(curl, CURLOPT_PROXY_CAINFO, p->ca_file);
	if (site->proxy_username != NULL) {
		curl_easy_setopt(curl, CURLOPT_PROXYUSERNAME, site->proxy_username);
		curl_easy_setopt(curl, CURLOPT_PROXYPASSWORD, p->files[FILE_PROXY_PASSWORD].text);
	}
}

void
probe_proxy_follow(struct probe *p, const char *location)
{
	CURLU *u;
	char *url = NULL;

	if (p->site->proxy == NULL || p->site->no_proxy == NULL)
		return;
	u = curl_url();
	/* if that fails, libcurl does not follow it either */
	curl_url_set(u, CURLUPART_URL, probe_current_url(p), 0);
	if (curl_url_set(u, CURLUPART_URL, location, CURLU_URLENCODE | CURLU_ALLOW_SPACE) ==
		CURLUE_OK &&
	    curl_url_get(u, CURLUPART_URL, &url, 0) == CURLUE_OK)
		choose(p, url);
	curl_free(url);
	curl_url_cleanup(u);
}

const char *
probe_peer_url(const struct probe *p)
{
	/* behind the connection a name can only be the site's: that of socks5, which we look up */
	return p->by_proxy && !p->tried ? p->site->proxy : probe_current_url(p);
}

/* Whether the next handshake is that of the proxy. */
bool
probe_proxy_begins_tls(const struct probe *p)
{
	return p->by_proxy && strncasecmp(p->site->proxy, "https:", 6) == 0;
}

void
probe_proxy_look(struct probe *p)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	if (p->by_proxy && p->phase == PHASE_CONNECT && !p->proxy_is_connected)
		p->proxy_is_connected = getpeername(
					    p->last_fd, (struct sockaddr *)&address, &size) == 0;
}

/* --- failures ---------------------------------------------------------------------------- */

/*
 * Whether it failed on the way to the proxy or behind it, but before the site itself could speak.
 */
static bool
is_on_the_way(const struct probe *p)
{
	return p->by_proxy && p->phase <= PHASE_CONNECT;
}

/* Whether a name is being looked up that is not the proxy's: with socks5 we do that. */
static bool
looks_up_site(const struct probe *p)
{
	return p->phase == PHASE_DNS && p->tried;
}

static void
refuse_user(struct probe *p, long code)
{
	if (p->site->proxy_username == NULL)
		result_fail(p->result, ERROR_LOCAL,
		    "the proxy %s wants a password%s; set proxy_username and proxy_password_file",
		    p->site->proxy, code != 0 ? " (407)" : "");
	else
		result_fail(p->result, ERROR_LOCAL,
		    "the proxy %s refuses the password of %s%s; see proxy_password_file",
		    p->site->proxy, p->site->proxy_username, code != 0 ? " (407)" : "");
}

/* The answer to CONNECT was not that the tunnel stands. */
static void
fail_tunnel(struct probe *p, long code)
{
	if (code == 407)
		refuse_user(p, code);
	else if (code >= 502 && code <= 504)
		result_fail(p->result, ERROR_CONNECT,
		    "the proxy %s cannot reach the site: it answered %ld to CONNECT",
		    p->site->proxy, code);
	else
		result_fail(p->result, ERROR_LOCAL,
		    "the proxy %s refuses to connect: it answered %ld to CONNECT", p->site->proxy,
		    code);
}

bool
probe_proxy_failed(struct probe *p, CURLcode code)
{
	long answer = 0, why = CURLPX_OK;

	if (!is_on_the_way(p) || code == CURLE_OPERATION_TIMEDOUT ||
	    code == CURLE_ABORTED_BY_CALLBACK)
		return false;
	curl_easy_getinfo(p->curl, CURLINFO_HTTP_CONNECTCODE, &answer);
	curl_easy_getinfo(p->curl, CURLINFO_PROXY_ERROR, &why);
	if (answer != 0 && answer / 100 != 2)
		fail_tunnel(p, answer);
	else if (why == CURLPX_USER_REJECTED || why == CURLPX_NO_AUTH)
		refuse_user(p, 0);
	else if (looks_up_site(p))
		probe_fail_name(p);
	else if (why == CURLPX_REPLY_HOST_UNREACHABLE || why == CURLPX_REPLY_CONNECTION_REFUSED ||
		 why == CURLPX_REPLY_NETWORK_UNREACHABLE || why == CURLPX_REPLY_TTL_EXPIRED)
		result_fail(p->result, ERROR_CONNECT, "the proxy %s cannot reach the site: %s",
		    p->site->proxy, p->why);
	else
		result_fail(p->result, ERROR_LOCAL, "the proxy %s: %s", p->site->proxy, p->why);
	return true;
}

bool
probe_proxy_timed_out(struct probe *p, const char *after)
{
	bool stands = probe_proxy_begins_tls(p) ? p->proxy_speaks_tls : p->proxy_is_connected;

	if (!is_on_the_way(p) || looks_up_site(p))
		return false;
	if (p->phase == PHASE_DNS)
		result_fail(p->result, ERROR_LOCAL, "%s while looking up the name of the proxy %s",
		    after, p->site->proxy);
	else if (!stands)
		result_fail(p->result, ERROR_LOCAL, "%s while connecting to the proxy %s", after,
		    p->site->proxy);
	else
		result_fail(p->result, ERROR_TIMEOUT, "%s while the proxy %s connected to the site",
		    after, p->site->proxy);
	return true;
}

bool
probe_proxy_refused_user(struct probe *p)
{
	if (!p->by_proxy || p->used_tls || !is_http_proxy(p->site) || p->result->http_status != 407)
		return false;
	refuse_user(p, 407);
	return true;
}
