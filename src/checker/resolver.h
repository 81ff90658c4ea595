/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A second look at a name that getaddrinfo(3) did not resolve. That has one word for a name that
 * does not exist, for name servers that are dead, and for a resolver that is away, which is trouble
 * of ours. Asking the name servers of resolv.conf(5) directly tells them apart.
 */
#ifndef WEBMOND_RESOLVER_H
#define WEBMOND_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

/* A name has at most 253 characters; what is longer is none. */
#define RESOLVER_NAME_MAX 255

/* How many names of other hosts are remembered. */
#define RESOLVER_WITNESSES 3

/* What was found, of a name or in one response. */
enum resolver_finding {
	/* the resolver answers */
	RESOLVER_NO_NAME,    /* there is no such name */
	RESOLVER_NO_ADDRESS, /* there is, but it has no address of the wanted kind */
	RESOLVER_NO_SERVERS, /* the name's own servers fail or are silent; for others it answers */
	RESOLVER_RESOLVES,   /* the name has an address, now */
	/* it does not */
	RESOLVER_FAILS,       /* SERVFAIL for every name */
	RESOLVER_REFUSES,     /* it may not answer us */
	RESOLVER_SILENT,      /* nothing comes */
	RESOLVER_AWAY,        /* no route to it, or its port is closed */
	RESOLVER_INTERRUPTED, /* a signal came first */
};

/* What a process knows of its resolver; starts as zeros. */
struct resolver {
	int64_t seen_us; /* when it was last asked (monotonic); 0: never */
	enum resolver_finding seen;
	char servers[192]; /* which these were, and what is wrong with them */
	/* names of others, the last one first; "": none */
	char witness[RESOLVER_WITNESSES][RESOLVER_NAME_MAX + 1];
};

/* Remember the name of another host: a resolver that answers for it works. */
void resolver_note(struct resolver *resolver, const char *host);

/*
 * Look up `host` once more, for a second at most; a signal ends it. A finding of the last 3 s is
 * used again, so that many sites do not wait one after the other: always if the resolver did not
 * answer; if it did, only when the first look-up ended by a `timeout`.
 */
enum resolver_finding
resolver_look(struct resolver *resolver, const char *host, enum ip_version version, bool timeout);

/* Whether the finding is the fault of the site or its name servers; else it is ours. */
bool resolver_blames_site(enum resolver_finding finding);

/* What resolver_look() has found, as a sentence. Returns `out`. */
const char *resolver_describe(const struct resolver *resolver, enum resolver_finding finding,
    const char *host, enum ip_version version, char *out, size_t size);

/*
 * What a response of `size` bytes to a query for records of `type` means; RESOLVER_SILENT: it is no
 * response. The bytes may be anything.
 */
enum resolver_finding resolver_read(const unsigned char *response, size_t size, int type);

#endif
