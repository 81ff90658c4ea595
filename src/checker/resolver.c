/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Asks all name servers of resolv.conf(5) at once, over UDP, and reads how they answer. Called by
 * probe when a name did not resolve; nothing is fatal.
 *
 * libc's res_nquery(3) would not do: it calls SERVFAIL, REFUSED and silence the same, takes seconds
 * for each server, and goes on when a signal comes.
 */
#include "resolver.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

/* Packets get lost, so each query goes out in two rounds of this length. */
#define ROUND_US (US_PER_S / 2)
#define ROUNDS   2

/* For how long a finding is used again. */
#define FRESH_US (3 * US_PER_S)

/* Two types for the name and below each domain of the search list; the root and the witnesses. */
#define QUERIES_MAX (2 * (1 + MAXDNSRCH) + 1 + RESOLVER_WITNESSES)

/* A query and the index of it, which is in the low bits of its id. */
#define INDEX_MASK 0x1f
_Static_assert(QUERIES_MAX <= INDEX_MASK + 1, "each query has an id of its own");

struct query {
	unsigned char packet[NS_PACKETSZ];
	int size;
	int type;
	bool about_others;                 /* not the name, but whether the resolver works */
	enum resolver_finding said[MAXNS]; /* by each server */
};

struct look {
	struct __res_state state;
	int count; /* of servers */
	int fd[MAXNS];
	int error[MAXNS]; /* why it cannot be reached; 0: it can */
	struct query query[QUERIES_MAX];
	int queries;
	bool answers; /* at least for others */
};

void
resolver_note(struct resolver *resolver, const char *host)
{
	for (int i = 0; i < RESOLVER_WITNESSES; i++)
		if (strcasecmp(resolver->witness[i], host) == 0)
			return;
	memmove(resolver->witness[1], resolver->witness[0],
	    sizeof(resolver->witness) - sizeof(resolver->witness[0]));
	snprintf(resolver->witness[0], sizeof(resolver->witness[0]), "%s", host);
}

bool
resolver_blames_site(enum resolver_finding finding)
{
	return finding < RESOLVER_RESOLVES;
}

/* --- responses --------------------------------------------------------------------------- */

/* Other records, such as aliases, may stand before it. */
static enum resolver_finding
find_record(const unsigned char *response, size_t size, int type)
{
	ns_msg message;
	ns_rr record;

	if (ns_initparse(response, (int)size, &message) < 0)
		return RESOLVER_FAILS; /* garbage */
	for (int i = 0; i < ns_msg_count(message, ns_s_an); i++) {
		if (ns_parserr(&message, ns_s_an, i, &record) < 0)
			return RESOLVER_FAILS;
		if (ns_rr_type(record) == (ns_type)type)
			return RESOLVER_RESOLVES;
	}
	return RESOLVER_NO_ADDRESS;
}

enum resolver_finding
resolver_read(const unsigned char *response, size_t size, int type)
{
	HEADER header;

	if (size < sizeof(header))
		return RESOLVER_SILENT;
	memcpy(&header, response, sizeof(header));
	if (!header.qr)
		return RESOLVER_SILENT;
	if (header.rcode == ns_r_nxdomain)
		return RESOLVER_NO_NAME;
	if (header.rcode == ns_r_refused)
		return RESOLVER_REFUSES;
	if (header.rcode != ns_r_noerror)
		return RESOLVER_FAILS;
	if (header.tc) /* there is more than fits */
		return RESOLVER_RESOLVES;
	if (header.ancount == 0 && !header.ra && !header.aa) /* "ask somebody else" */
		return RESOLVER_FAILS;
	return find_record(response, size, type);
}

/* --- queries ----------------------------------------------------------------------------- */

/* Returns whether such a name can be asked for at all. */
static bool
add_query(struct look *look, const char *name, int type, bool about_others)
{
	struct query *q = &look->query[look->queries];

	q->size = res_nmkquery(&look->state, ns_o_query, name, ns_c_in, type, NULL, 0, NULL,
	    q->packet, sizeof(q->packet));
	if (q->size < 0)
		return false;
	q->packet[1] = (unsigned char)((q->packet[1] & ~INDEX_MASK) | look->queries);
	q->type = type;
	q->about_others = about_others;
	for (int i = 0; i < MAXNS; i++)
		q->said[i] = RESOLVER_SILENT;
	look->queries++;
	return true;
}

static bool
add_addresses(struct look *look, const char *name, enum ip_version version)
{
	bool asked = true;

	if (version != IP_6)
		asked = add_query(look, name, ns_t_a, false);
	if (version != IP_4)
		asked = add_query(look, name, ns_t_aaaa, false) && asked;
	return asked;
}

/* As getaddrinfo(3) does: a short name is one of the search list first. */
static bool
add_name(struct look *look, const char *host, enum ip_version version)
{
	char longer[2 * RESOLVER_NAME_MAX];
	unsigned dots = 0;
	size_t length = strlen(host);

	if (!add_addresses(look, host, version))
		return false;
	for (size_t i = 0; i < length; i++)
		dots += host[i] == '.';
	if (dots >= look->state.ndots || host[length - 1] == '.')
		return true;
	for (int i = 0; i < MAXDNSRCH && look->state.dnsrch[i] != NULL; i++) {
		snprintf(longer, sizeof(longer), "%s.%s", host, look->state.dnsrch[i]);
		add_addresses(look, longer, version);
	}
	return true;
}

/* What every resolver holds, and names of others. */
static void
add_others(struct look *look, const struct resolver *resolver, const char *host)
{
	add_query(look, ".", ns_t_ns, true);
	for (int i = 0; i < RESOLVER_WITNESSES; i++) {
		const char *name = resolver->witness[i];

		if (name[0] != '\0' && strcasecmp(name, host) != 0)
			add_query(look, name, ns_t_a, true);
	}
}

/* --- servers ----------------------------------------------------------------------------- */

/* libc stores IPv6 addresses in another list. */
static const struct sockaddr *
server_address(const struct look *look, int i, socklen_t *size)
{
	const struct sockaddr_in6 *v6 = look->state._u._ext.nsaddrs[i];

	if (look->state.nsaddr_list[i].sin_family == AF_INET || v6 == NULL) {
		*size = sizeof(look->state.nsaddr_list[i]);
		return (const struct sockaddr *)&look->state.nsaddr_list[i];
	}
	*size = sizeof(*v6);
	return (const struct sockaddr *)v6;
}

static void
open_servers(struct look *look)
{
	for (int i = 0; i < look->count; i++) {
		socklen_t size;
		const struct sockaddr *address = server_address(look, i, &size);

		look->fd[i] = socket(
		    address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (look->fd[i] < 0 || connect(look->fd[i], address, size) < 0)
			look->error[i] = errno;
	}
}

/* What has not been answered yet. */
static void
send_queries(struct look *look)
{
	for (int i = 0; i < look->count; i++)
		for (int q = 0; q < look->queries && look->error[i] == 0; q++) {
			const struct query *query = &look->query[q];

			if (query->said[i] == RESOLVER_SILENT &&
			    send(look->fd[i], query->packet, (size_t)query->size, MSG_NOSIGNAL) <
				0 &&
			    errno != EAGAIN)
				look->error[i] = errno;
		}
}

static void
receive(struct look *look, int i)
{
	unsigned char response[4096];
	ssize_t size = recv(look->fd[i], response, sizeof(response), 0);
	struct query *query;

	if (size < 0 && errno != EAGAIN && errno != EINTR)
		look->error[i] = errno;
	if (size < 2 || (response[1] & INDEX_MASK) >= look->queries)
		return;
	query = &look->query[response[1] & INDEX_MASK];
	if (memcmp(response, query->packet, 2) == 0)
		query->said[i] = resolver_read(response, (size_t)size, query->type);
}

/*
 * The answer to a query: of the first server that knows it, as for getaddrinfo(3), else the best
 * that any server said. `waits`: whether another one may still come.
 */
static enum resolver_finding
answer(const struct look *look, const struct query *query, bool *waits)
{
	enum resolver_finding best = RESOLVER_AWAY;

	*waits = false;
	for (int i = 0; i < look->count; i++) {
		enum resolver_finding said = query->said[i];

		if (said == RESOLVER_SILENT && look->error[i] != 0)
			said = RESOLVER_AWAY;
		if (said <= RESOLVER_RESOLVES) {
			*waits = false;
			return said;
		}
		*waits |= said == RESOLVER_SILENT;
		if (said < best)
			best = said;
	}
	return best;
}

static bool
is_complete(const struct look *look)
{
	bool waits = false;

	for (int q = 0; q < look->queries && !waits; q++)
		answer(look, &look->query[q], &waits);
	return !waits;
}

/* 0, or -1 if a signal came. */
static int
ask(struct look *look)
{
	for (int round = 0; round < ROUNDS && !is_complete(look); round++) {
		int64_t left, until = util_mono_us() + ROUND_US;

		send_queries(look);
		while (!is_complete(look) && (left = until - util_mono_us()) > 0) {
			struct pollfd polls[MAXNS];

			for (int i = 0; i < look->count; i++)
				polls[i] = (struct pollfd){ look->error[i] == 0 ? look->fd[i] : -1,
					POLLIN, 0 };
			if (poll(polls, (nfds_t)look->count, (int)(left / US_PER_MS) + 1) < 0)
				return -1;
			for (int i = 0; i < look->count; i++)
				if (polls[i].revents != 0)
					receive(look, i);
		}
	}
	return 0;
}

/* --- what it means ----------------------------------------------------------------------- */

static enum resolver_finding
conclude(struct look *look)
{
	enum resolver_finding name = RESOLVER_NO_NAME;
	bool waits;

	for (int q = 0; q < look->queries; q++) {
		enum resolver_finding one = answer(look, &look->query[q], &waits);

		if (one <= RESOLVER_RESOLVES)
			look->answers = true;
		if (!look->query[q].about_others && one > name)
			name = one;
	}
	if (look->answers && (name == RESOLVER_FAILS || name == RESOLVER_SILENT))
		return RESOLVER_NO_SERVERS;
	return name;
}

/* "10.0.0.1 (Connection refused), 10.0.0.2" */
static void
name_servers(const struct look *look, char *out, size_t size)
{
	size_t n = 0;

	for (int i = 0; i < look->count && n < size; i++) {
		char ip[NI_MAXHOST] = "?";
		socklen_t length;
		const struct sockaddr *address = server_address(look, i, &length);

		getnameinfo(address, length, ip, sizeof(ip), NULL, 0, NI_NUMERICHOST);
		n += (size_t)snprintf(out + n, size - n, "%s%s", i > 0 ? ", " : "", ip);
		if (look->error[i] != 0 && n < size)
			n += (size_t)snprintf(out + n, size - n, " (%s)", strerror(look->error[i]));
	}
}

/* Ask, and note the state of the resolver for the next look. */
static enum resolver_finding
look_now(struct resolver *resolver, struct look *look)
{
	enum resolver_finding found = RESOLVER_INTERRUPTED;

	look->count = look->state.nscount < MAXNS ? look->state.nscount : MAXNS;
	open_servers(look);
	if (ask(look) == 0) {
		found = conclude(look);
		resolver->seen = look->answers ? RESOLVER_RESOLVES : found;
		resolver->seen_us = util_mono_us();
		name_servers(look, resolver->servers, sizeof(resolver->servers));
	}
	for (int i = 0; i < look->count; i++)
		if (look->fd[i] >= 0)
			close(look->fd[i]);
	return found;
}

enum resolver_finding
resolver_look(struct resolver *resolver, const char *host, enum ip_version version, bool timeout)
{
	struct look look = { .count = 0 };
	bool fresh = resolver->seen_us != 0 && util_mono_us() - resolver->seen_us < FRESH_US;
	enum resolver_finding found;

	if (res_ninit(&look.state) < 0)
		return RESOLVER_AWAY;
	if (host[0] == '\0' || !add_name(&look, host, version)) {
		found = RESOLVER_NO_NAME;
	} else if (fresh && resolver->seen != RESOLVER_RESOLVES) {
		found = resolver->seen;
	} else if (fresh && timeout) {
		found = RESOLVER_NO_SERVERS;
	} else {
		add_others(&look, resolver, host);
		found = look_now(resolver, &look);
	}
	res_nclose(&look.state);
	return found;
}

const char *
resolver_describe(const struct resolver *resolver, enum resolver_finding finding, const char *host,
    enum ip_version version, char *out, size_t size)
{
	static const char *const kinds[] = { [IP_ANY] = "", [IP_4] = "IPv4 ", [IP_6] = "IPv6 " };
	const char *servers = resolver->servers;

	switch (finding) {
	case RESOLVER_NO_NAME:
		snprintf(out, size, "no such name: %s", host);
		break;
	case RESOLVER_NO_ADDRESS:
		snprintf(out, size, "%s has no %saddress", host, kinds[version]);
		break;
	case RESOLVER_NO_SERVERS:
		snprintf(out, size,
		    "the name servers of %s do not answer; our resolver answers for others", host);
		break;
	case RESOLVER_RESOLVES:
		snprintf(out, size,
		    "%s was not found from here, though our resolver (%s) knows it now", host,
		    servers);
		break;
	case RESOLVER_FAILS:
		snprintf(out, size, "our resolver (%s) fails for every name: SERVFAIL", servers);
		break;
	case RESOLVER_REFUSES:
		snprintf(out, size, "our resolver (%s) refuses to look up %s", servers,
		    resolver->seen == RESOLVER_REFUSES ? "names for us" : host);
		break;
	case RESOLVER_SILENT:
		snprintf(out, size, "our resolver (%s) does not answer", servers);
		break;
	case RESOLVER_AWAY:
		snprintf(
		    out, size, "our resolver cannot be reached: %s; see /etc/resolv.conf", servers);
		break;
	case RESOLVER_INTERRUPTED:
		snprintf(out, size, "a signal came while the name was looked up again");
		break;
	}
	return out;
}
