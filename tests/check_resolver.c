/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The second look at a name, against name servers on loopback, each a thread that answers by a
 * rule. res_ninit(3) is ours, so that those are the servers of this host.
 */
#include "checker/resolver.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "suite.h"
#include "util.h"

/* --- name servers ------------------------------------------------------------------------ */

#define SILENCE (-1)

/* How a server answers a question: an rcode, or SILENCE; with an address, or without. */
struct answer {
	int rcode;
	bool address;
};

struct server {
	struct answer (*rule)(const char *name, int type);
	int fd;
	int port;
	int questions;
};

static struct server servers[MAXNS];
static int server_count;
static char *search_list[2];

int
res_ninit(res_state state)
{
	memset(state, 0, sizeof(*state));
	state->options = RES_DEFAULT | RES_INIT;
	state->ndots = 1;
	state->dnsrch[0] = search_list[0];
	state->nscount = server_count;
	state->_vcsock = -1;
	for (int i = 0; i < server_count; i++) {
		state->_u._ext.nssocks[i] = -1;
		state->nsaddr_list[i] = (struct sockaddr_in){ .sin_family = AF_INET,
			.sin_port = htons((uint16_t)servers[i].port),
			.sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
	}
	return 0;
}

/* Make a response out of the query: header, question, and one record that points at its name. */
static size_t
respond(unsigned char *packet, size_t size, struct answer answer, int type)
{
	static const unsigned char record[] = { 0xc0, 12, 0, 0, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0,
		1 };

	packet[2] = 0x80; /* a response */
	packet[3] = (unsigned char)(0x80 | answer.rcode);
	packet[7] = answer.address;
	if (!answer.address)
		return size;
	memcpy(packet + size, record, sizeof(record));
	packet[size + 3] = (unsigned char)type;
	return size + sizeof(record);
}

static void *
serve(void *arg)
{
	struct server *s = arg;
	unsigned char packet[1024];
	struct sockaddr_in client;
	socklen_t length = sizeof(client);
	ssize_t size;

	while ((size = recvfrom(s->fd, packet, 512, 0, (struct sockaddr *)&client, &length)) > 0) {
		char name[NS_MAXDNAME];
		int n = dn_expand(packet, packet + size, packet + 12, name, sizeof(name));
		int type = packet[12 + n + 1];
		struct answer answer = s->rule(name, type);

		s->questions++;
		if (answer.rcode != SILENCE)
			sendto(s->fd, packet, respond(packet, (size_t)size, answer, type), 0,
			    (struct sockaddr *)&client, length);
	}
	return NULL;
}

/* One more server; without a rule nobody listens there. */
static void start(struct answer (*rule)(const char *name, int type))
{
	struct server *s = &servers[server_count++];
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(address);
	pthread_t thread;

	s->rule = rule;
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(s->fd, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(getsockname(s->fd, (struct sockaddr *)&address, &size), 0);
	s->port = ntohs(address.sin_port);
	if (rule == NULL)
		close(s->fd);
	else
		ck_assert_int_eq(pthread_create(&thread, NULL, serve, s), 0);
}

static struct answer
no_such_name(const char *name, int type)
{
	(void)type;
	return (struct answer){ strcmp(name, "") == 0 ? ns_r_noerror : ns_r_nxdomain, false };
}

static struct answer
only_ipv4(const char *name, int type)
{
	(void)name;
	return (struct answer){ ns_r_noerror, type == ns_t_a };
}

static struct answer
fails(const char *name, int type)
{
	(void)name, (void)type;
	return (struct answer){ ns_r_servfail, false };
}

static struct answer
refuses(const char *name, int type)
{
	(void)name, (void)type;
	return (struct answer){ ns_r_refused, false };
}

static struct answer
says_nothing(const char *name, int type)
{
	(void)name, (void)type;
	return (struct answer){ SILENCE, false };
}

/* Works, but for one site whose servers fail, and one whose servers are silent. */
static struct answer
works_for_others(const char *name, int type)
{
	if (strcmp(name, "failing.test") == 0)
		return fails(name, type);
	if (strcmp(name, "silent.test") == 0)
		return says_nothing(name, type);
	return no_such_name(name, type);
}

/* Has never heard of a root, as a resolver of names of the house alone. */
static struct answer
knows_one_name(const char *name, int type)
{
	return strcmp(name, "known.test") == 0 ? only_ipv4(name, type) : refuses(name, type);
}

static struct answer
fails_but_for_one_name(const char *name, int type)
{
	return strcmp(name, "known.test") == 0 ? only_ipv4(name, type) : fails(name, type);
}

static struct answer
knows_a_short_name(const char *name, int type)
{
	return strcmp(name, "intranet.house.test") == 0 ? only_ipv4(name, type)
							: no_such_name(name, type);
}

/* --- looks ------------------------------------------------------------------------------- */

static struct resolver resolver;

static enum resolver_finding
look(const char *host)
{
	return resolver_look(&resolver, host, IP_ANY, false);
}

static const char *
sentence(enum resolver_finding finding)
{
	static char text[512];

	return resolver_describe(&resolver, finding, "site.test", IP_6, text, sizeof(text));
}

START_TEST(the_name_is_at_fault)
{
	start(no_such_name);
	ck_assert_int_eq(look("site.test"), RESOLVER_NO_NAME);
	ck_assert_str_eq(sentence(RESOLVER_NO_NAME), "no such name: site.test");
	server_count = 0;
	start(only_ipv4);
	ck_assert_int_eq(resolver_look(&resolver, "site.test", IP_6, false), RESOLVER_NO_ADDRESS);
	ck_assert_str_eq(sentence(RESOLVER_NO_ADDRESS), "site.test has no IPv6 address");
	ck_assert(resolver_blames_site(RESOLVER_NO_NAME));
	ck_assert(resolver_blames_site(RESOLVER_NO_ADDRESS));
}
END_TEST

/* What no name server can be asked for; nobody is. */
START_TEST(some_names_are_none)
{
	char label[70] = "", longest[400] = "";

	start(fails);
	memset(label, 'a', 64);
	memset(longest, 'a', sizeof(longest) - 1);
	for (size_t i = 30; i < sizeof(longest); i += 30)
		longest[i] = '.';
	ck_assert_int_eq(look(""), RESOLVER_NO_NAME);
	ck_assert_int_eq(look("a..test"), RESOLVER_NO_NAME);
	ck_assert_int_eq(look(label), RESOLVER_NO_NAME);
	ck_assert_int_eq(look(longest), RESOLVER_NO_NAME);
	ck_assert_int_eq(servers[0].questions, 0);
}
END_TEST

START_TEST(the_name_resolves_now)
{
	start(only_ipv4);
	ck_assert_int_eq(look("site.test"), RESOLVER_RESOLVES);
	ck_assert(!resolver_blames_site(RESOLVER_RESOLVES));
}
END_TEST

START_TEST(the_resolver_is_at_fault)
{
	start(fails);
	ck_assert_int_eq(look("site.test"), RESOLVER_FAILS);
	resolver = (struct resolver){ 0 };
	servers[0].rule = refuses;
	ck_assert_int_eq(look("site.test"), RESOLVER_REFUSES);
	resolver = (struct resolver){ 0 };
	servers[0].rule = says_nothing;
	ck_assert_int_eq(look("site.test"), RESOLVER_SILENT);
	ck_assert_str_eq(sentence(RESOLVER_SILENT), "our resolver (127.0.0.1) does not answer");
	resolver = (struct resolver){ 0 };
	server_count = 0;
	start(NULL);
	ck_assert_int_eq(look("site.test"), RESOLVER_AWAY);
	ck_assert_str_eq(sentence(RESOLVER_AWAY), "our resolver cannot be reached: 127.0.0.1 "
						  "(Connection refused); see /etc/resolv.conf");
	for (int finding = RESOLVER_FAILS; finding <= RESOLVER_INTERRUPTED; finding++)
		ck_assert(!resolver_blames_site((enum resolver_finding)finding));
}
END_TEST

START_TEST(its_name_servers_are_at_fault)
{
	start(works_for_others);
	ck_assert_int_eq(look("failing.test"), RESOLVER_NO_SERVERS);
	ck_assert_int_eq(look("silent.test"), RESOLVER_NO_SERVERS);
	ck_assert(resolver_blames_site(RESOLVER_NO_SERVERS));
}
END_TEST

/* A resolver without the root's servers is judged by what it has answered before. */
START_TEST(another_name_is_a_witness)
{
	start(fails_but_for_one_name);
	ck_assert_int_eq(look("site.test"), RESOLVER_FAILS);
	resolver = (struct resolver){ 0 };
	resolver_note(&resolver, "site.test");
	ck_assert_int_eq(look("site.test"), RESOLVER_FAILS);
	resolver = (struct resolver){ 0 };
	resolver_note(&resolver, "known.test");
	ck_assert_int_eq(look("site.test"), RESOLVER_NO_SERVERS);
	/* of several the last ones count */
	resolver = (struct resolver){ 0 };
	resolver_note(&resolver, "known.test");
	for (int i = 0; i < 3; i++)
		resolver_note(&resolver, "a.test");
	resolver_note(&resolver, "b.test");
	ck_assert_int_eq(look("site.test"), RESOLVER_NO_SERVERS);
	resolver_note(&resolver, "c.test");
	ck_assert_str_eq(resolver.witness[0], "c.test");
	resolver.seen_us = 0;
	ck_assert_int_eq(look("site.test"), RESOLVER_FAILS);
	resolver = (struct resolver){ 0 };
	resolver_note(&resolver, "known.test");
	/* who is refused is refused by our resolver, whatever it answers for others */
	servers[0].rule = knows_one_name;
	ck_assert_int_eq(look("site.test"), RESOLVER_REFUSES);
	ck_assert_ptr_nonnull(strstr(sentence(RESOLVER_REFUSES), "refuses to look up site.test"));
}
END_TEST

START_TEST(one_server_that_answers_is_enough)
{
	start(NULL);
	start(fails);
	start(no_such_name);
	ck_assert_int_eq(look("site.test"), RESOLVER_NO_NAME);
}
END_TEST

START_TEST(short_names_are_searched)
{
	search_list[0] = (char[]){ "house.test" };
	start(knows_a_short_name);
	ck_assert_int_eq(look("intranet"), RESOLVER_RESOLVES);
	ck_assert_int_eq(look("internet"), RESOLVER_NO_NAME);
	ck_assert_int_eq(look("intranet."), RESOLVER_NO_NAME);
}
END_TEST

/* A thousand sites do not wait a second each. */
START_TEST(what_was_seen_counts_for_a_moment)
{
	int questions;

	start(says_nothing);
	ck_assert_int_eq(look("one.test"), RESOLVER_SILENT);
	questions = servers[0].questions;
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(look("other.test"), RESOLVER_SILENT);
	ck_assert_int_eq(servers[0].questions, questions);
	/* a name that is none is none all the same */
	ck_assert_int_eq(look("a..test"), RESOLVER_NO_NAME);
	/* it is not believed for ever */
	resolver.seen_us -= 10 * US_PER_S;
	servers[0].rule = works_for_others;
	ck_assert_int_eq(look("other.test"), RESOLVER_NO_NAME);
	/* that it answers says enough of a name that it was asked for long enough, and no more */
	questions = servers[0].questions;
	ck_assert_int_eq(
	    resolver_look(&resolver, "silent.test", IP_ANY, true), RESOLVER_NO_SERVERS);
	ck_assert_int_eq(servers[0].questions, questions);
	ck_assert_int_eq(look("other.test"), RESOLVER_NO_NAME);
	ck_assert_int_gt(servers[0].questions, questions);
}
END_TEST

static void
on_alarm(int number)
{
	(void)number;
}

START_TEST(a_signal_ends_it)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval soon = { .it_value = { .tv_usec = 50000 },
		.it_interval = { .tv_usec = 50000 } };
	sigset_t alarm;

	/* to this thread, not to the server's */
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	start(says_nothing);
	sigaction(SIGALRM, &action, NULL);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	ck_assert_int_eq(look("site.test"), RESOLVER_INTERRUPTED);
	/* and says nothing of the resolver */
	ck_assert_int_eq(resolver.seen_us, 0);
}
END_TEST

/* --- responses --------------------------------------------------------------------------- */

/* A response with `flags`, one question for a.test, and `records` as they come. */
static enum resolver_finding
response(int flags, int answers, const char *records, size_t size)
{
	unsigned char packet[512] = { 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 4, 't', 'e', 's',
		't', 0, 0, 1, 0, 1 };

	packet[2] = (unsigned char)(flags >> 8);
	packet[3] = (unsigned char)flags;
	packet[7] = (unsigned char)answers;
	memcpy(packet + 24, records, size);
	return resolver_read(packet, 24 + size, ns_t_a);
}

#define ADDRESS                       "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1"
#define ALIAS                         "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\2\xc0\x0c"
#define READ(flags, answers, records) response(flags, answers, records, sizeof(records) - 1)

START_TEST(responses_are_read)
{
	ck_assert_int_eq(READ(0x8180, 1, ADDRESS), RESOLVER_RESOLVES);
	ck_assert_int_eq(READ(0x8180, 0, ""), RESOLVER_NO_ADDRESS);
	ck_assert_int_eq(READ(0x8180, 1, ALIAS), RESOLVER_NO_ADDRESS);
	ck_assert_int_eq(READ(0x8180, 2, ALIAS ADDRESS), RESOLVER_RESOLVES);
	ck_assert_int_eq(READ(0x8183, 0, ""), RESOLVER_NO_NAME);
	ck_assert_int_eq(READ(0x8183, 1, ALIAS), RESOLVER_NO_NAME);
	ck_assert_int_eq(READ(0x8182, 0, ""), RESOLVER_FAILS);
	ck_assert_int_eq(READ(0x8181, 0, ""), RESOLVER_FAILS);
	ck_assert_int_eq(READ(0x8185, 0, ""), RESOLVER_REFUSES);
	ck_assert_int_eq(READ(0x8380, 0, ""), RESOLVER_RESOLVES); /* does not fit */
	ck_assert_int_eq(READ(0x8000, 0, ""), RESOLVER_FAILS);    /* "ask somebody else" */
	ck_assert_int_eq(READ(0x0180, 1, ADDRESS), RESOLVER_SILENT);
	ck_assert_int_eq(READ(0x8180, 200, ADDRESS), RESOLVER_FAILS);
	ck_assert_int_eq(READ(0x8180, 1, "\xc0\x0c\0\1\0\1"), RESOLVER_FAILS);
	ck_assert_int_eq(resolver_read((const unsigned char *)"", 0, ns_t_a), RESOLVER_SILENT);
}
END_TEST

START_TEST(no_response_is_too_odd)
{
	for (int round = 0; round < 100000; round++) {
		size_t size = (size_t)random() % 64;
		unsigned char *packet = malloc(size + 1); /* exact, for sanitizers */

		for (size_t i = 0; i < size; i++)
			packet[i] = (unsigned char)(random() % 3 == 0 ? random() : random() % 16);
		if (size > 3) {
			packet[2] = 0x81;
			packet[3] = 0x80;
		}
		ck_assert_int_lt(resolver_read(packet, size, ns_t_a), RESOLVER_AWAY);
		free(packet);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("resolver");
	TCase *tcase = tcase_create("resolver");

	tcase_add_test(tcase, the_name_is_at_fault);
	tcase_add_test(tcase, some_names_are_none);
	tcase_add_test(tcase, the_name_resolves_now);
	tcase_add_test(tcase, the_resolver_is_at_fault);
	tcase_add_test(tcase, its_name_servers_are_at_fault);
	tcase_add_test(tcase, another_name_is_a_witness);
	tcase_add_test(tcase, one_server_that_answers_is_enough);
	tcase_add_test(tcase, short_names_are_searched);
	tcase_add_test(tcase, what_was_seen_counts_for_a_moment);
	tcase_add_test(tcase, a_signal_ends_it);
	tcase_add_test(tcase, responses_are_read);
	tcase_add_test(tcase, no_response_is_too_odd);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
