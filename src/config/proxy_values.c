/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The values of the keys of a site that are about proxies. Called along the table in keys.c, and
 * for ranges of addresses by the checker.
 */
#include "internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool
config_read_network(struct network *out, const char *value)
{
	size_t n = strcspn(value, "/");
	bool brackets = value[0] == '[' && n > 2 && value[n - 1] == ']';
	char text[INET6_ADDRSTRLEN];
	int max;

	if (n >= sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)(brackets ? n - 2 : n), value + brackets);
	out->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	out->bits = max = out->family == AF_INET6 ? 128 : 32;
	if ((brackets && out->family == AF_INET) || inet_pton(out->family, text, out->address) != 1)
		return false;
	if (value[n] == '\0')
		return true;
	value += n + 1;
	n = strspn(value, DIGITS);
	out->bits = n <= 3 ? atoi(value) : -1;
	return n >= 1 && value[n] == '\0' && out->bits >= 0 && out->bits <= max;
}

const char *
config_wrong_proxy(const char *value)
{
	static const char *const schemes[] = { "http://", "https://", "socks5://", "socks5h://" };
	const char *host = NULL, *end, *port;
	size_t digits;

	if (value[0] == '\0')
		return NULL;
	for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++)
		if (strncasecmp(value, schemes[i], strlen(schemes[i])) == 0)
			host = value + strlen(schemes[i]);
	if (host == NULL)
		return "must begin with http://, https://, socks5:// or socks5h://";
	end = host + strcspn(host, "/?#");
	if (memchr(host, '@', (size_t)(end - host)) != NULL)
		return "must not contain a user or password; use proxy_username and "
		       "proxy_password_file";
	if (strcmp(end, "/") != 0 && *end != '\0')
		return "must end behind the port: a proxy has no path";
	port = *host == '[' ? strchr(host, ']') : host;
	port = port != NULL ? port + strcspn(port, ":/") : end;
	if (port == host || host[strspn(host, LETTERS DIGITS "._-:[]")] != *end)
		return "must name a host: http://HOST:PORT";
	digits = *port == ':' ? strspn(port + 1, DIGITS) : 0;
	if (*port == ':' && (digits < 1 || digits > 5 || port + 1 + digits != end ||
				atoi(port + 1) < 1 || atoi(port + 1) > 65535))
		return "the port must be 1 to 65535";
	return NULL;
}

const char *
config_wrong_no_proxy(const char *value)
{
	struct network network;

	if (value[strspn(value, LETTERS DIGITS "._-")] == '\0' ||
	    config_read_network(&network, value))
		return NULL;
	return "must be the name of a host or domain, an address, or a range such as 10.0.0.0/8";
}

const char *
config_wrong_proxy_username(const char *value)
{
	return strchr(value, ':') != NULL
		   ? "must not contain a colon: the password begins there, in "
		     "proxy_password_file"
		   : NULL;
}
