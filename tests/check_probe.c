/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The probe from inside, against a small server that says what it is told: what a sequence of
 * checks by one probe shows, limits to the byte, and trouble of our own. The words for what servers
 * do wrong are in scenarios/30_hostile.py.
 *
 * connect(2), getpeername(2), getaddrinfo(3) and res_ninit(3) are ours: 192.0.2.1, a public
 * address, leads to the server on loopback, to 192.0.2.2 there is no way, and looking up a name
 * takes for ever, but for one that has several addresses and one that is not found; the name server
 * says that there are no names at all.
 */
#include "checker/probe_internal.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <resolv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "checker.h"
#include "suite.h"

#define PUBLIC_IP   "192.0.2.1"
#define NO_ROUTE_IP "192.0.2.2"
#define REFUSED_IP  "127.0.0.2"

/* --- the system -------------------------------------------------------------------------- */

static int no_route = ENETUNREACH;
static int stall_ms;    /* so long connect(2) keeps the whole process */
static int stalls_burn; /* 1: and takes all of a processor, as far as clocks tell */
static int burnt_s;
static bool is_public[1024]; /* by descriptor: connected to PUBLIC_IP, as far as libcurl knows */

int
clock_gettime(clockid_t id, struct timespec *now)
{
	int outcome = (int)syscall(SYS_clock_gettime, id, now);

	if (id == CLOCK_PROCESS_CPUTIME_ID)
		now->tv_sec += burnt_s;
	return outcome;
}

int
connect(int fd, const struct sockaddr *address, socklen_t size)
{
	struct sockaddr_in a;

	if (stall_ms > 0)
		poll(NULL, 0, stall_ms);
	burnt_s += stalls_burn * stall_ms / 1000;
	memcpy(&a, address, sizeof(a) < size ? sizeof(a) : size);
	if (a.sin_family == AF_INET && a.sin_addr.s_addr == inet_addr(NO_ROUTE_IP)) {
		errno = no_route;
		return -1;
	}
	is_public[fd] = a.sin_family == AF_INET && a.sin_addr.s_addr == inet_addr(PUBLIC_IP);
	if (is_public[fd]) {
		a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return (int)syscall(SYS_connect, fd, &a, sizeof(a));
	}
	return (int)syscall(SYS_connect, fd, address, size);
}

int
getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
	int outcome = (int)syscall(SYS_getpeername, fd, address, size);

	if (outcome == 0 && is_public[fd])
		((struct sockaddr_in *)address)->sin_addr.s_addr = inet_addr(PUBLIC_IP);
	return outcome;
}

static const char *const *addresses; /* of "several.example" */

int
getaddrinfo(
    const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	static struct addrinfo list[2];
	static struct sockaddr_in address[2];

	(void)hints;
	if (strcmp(node, "nowhere.example") == 0)
		return EAI_AGAIN;
	while (strcmp(node, "several.example") != 0 && strcmp(node, "xn--bcher-kva.example") != 0)
		pause();
	for (int i = 0; i < 2; i++) {
		address[i] = (struct sockaddr_in){ .sin_family = AF_INET,
			.sin_port = htons((uint16_t)atoi(service)),
			.sin_addr = { .s_addr = inet_addr(addresses[i]) } };
		list[i] = (struct addrinfo){ .ai_family = AF_INET,
			.ai_socktype = SOCK_STREAM,
			.ai_addrlen = sizeof(address[i]),
			.ai_addr = (struct sockaddr *)&address[i],
			.ai_next = i == 0 ? &list[1] : NULL };
	}
	*found = list;
	return 0;
}

void
freeaddrinfo(struct addrinfo *list)
{
	(void)list;
}

static int name_server_port;

int
res_ninit(res_state state)
{
	memset(state, 0, sizeof(*state));
	state->options = RES_DEFAULT | RES_INIT;
	state->nscount = 1;
	state->_vcsock = state->_u._ext.nssocks[0] = -1;
	state->nsaddr_list[0] = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons((uint16_t)name_server_port),
		.sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
	return 0;
}

/* In a child that dies with the test. */
static void
start_name_server(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	pid_t parent = getpid();
	unsigned char packet[512];
	ssize_t n;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	name_server_port = ntohs(address.sin_port);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent && (n = recvfrom(fd, packet, sizeof(packet), 0,
						   (struct sockaddr *)&address, &size)) > 3) {
			packet[2] = 0x80;
			packet[3] = 0x83; /* NXDOMAIN */
			sendto(fd, packet, (size_t)n, 0, (struct sockaddr *)&address, size);
		}
		_exit(0);
	}
	close(fd);
}

/* --- the server -------------------------------------------------------------------------- */

#define RESPONSE_MAX (512 * 1024)

static int port;
static int *requests; /* how many there have been on all connections */

static bool
has_body(const char *request)
{
	const char *length = strcasestr(request, "\r\nContent-Length:");

	return length == NULL ||
	       strlen(strstr(request, "\r\n\r\n") + 4) == strtoul(length + 17, NULL, 10);
}

/*
 * Serve one connection: the path says what to answer.
 *   /body/N        N bytes
 *   /headers/N     N bytes of headers
 *   /late/N        after N ms
 *   /count         how many connections there have been
 *   /close         the same, and closes the connection behind it
 *   /to/URL        a redirect
 *   /NUMBER/PATH   a redirect with this status to /PATH, which may be a whole URL
 *   /set/COOKIE    a redirect with a cookie to what stands behind a '!', else to /echo
 *   /echo          the request
 *   /umlaut        a redirect to a host whose name is UTF-8
 *   /raw/…         garbage
 *   /hang          nothing
 */
static void
serve(int fd, int connections)
{
	static char response[RESPONSE_MAX];
	char request[4096], path[1024];
	size_t used = 0;
	ssize_t n;

	while ((n = read(fd, request + used, sizeof(request) - 1 - used)) > 0) {
		int size = 0;
		long number;

		used += (size_t)n;
		request[used] = '\0';
		if (strstr(request, "\r\n\r\n") == NULL || !has_body(request))
			continue;
		if (sscanf(request, "%*s %1023s", path) != 1)
			return;
		__atomic_add_fetch(requests, 1, __ATOMIC_SEQ_CST);
		if (sscanf(path, "/body/%ld", &number) == 1) {
			size = sprintf(
			    response, "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\n\r\n", number);
			memset(response + size, 'x', (size_t)number);
			size += (int)number;
		} else if (sscanf(path, "/headers/%ld", &number) == 1) {
			size = sprintf(response, "HTTP/1.1 204 X\r\n");
			while (size < number - 2 - 1000)
				size += sprintf(response + size, "X: %0995d\r\n", 0);
			size += sprintf(
			    response + size, "X: %0*ld\r\n\r\n", (int)number - 2 - size - 5, 0L);
		} else if (sscanf(path, "/late/%ld", &number) == 1) {
			poll(NULL, 0, (int)number);
			size = sprintf(response, "HTTP/1.1 204 X\r\n\r\n");
		} else if (strncmp(path, "/to/", 4) == 0) {
			size = sprintf(response,
			    "HTTP/1.1 302 X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
			    path + 4);
		} else if (sscanf(path, "/%3ld/%n", &number, &size) == 1 && size == 5) {
			size = sprintf(response,
			    "HTTP/1.1 %ld X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", number,
			    path + 4 + (strncmp(path + 5, "http:", 5) == 0));
		} else if (strncmp(path, "/set/", 5) == 0) {
			char *cookie = path + 5, *to = strchrnul(cookie, '!');

			size = sprintf(response,
			    "HTTP/1.1 302 X\r\nLocation: %s\r\nSet-Cookie: %.*s\r\n"
			    "Content-Length: 0\r\n\r\n",
			    *to == '!' ? to + 1 : "/echo", (int)(to - cookie), cookie);
		} else if (strcmp(path, "/umlaut") == 0) {
			size = sprintf(response,
			    "HTTP/1.1 302 X\r\nLocation: http://b\xc3\xbc"
			    "cher.example:%d/echo\r\nContent-Length: 0\r\n\r\n",
			    port);
		} else if (strcmp(path, "/echo") == 0) {
			size = sprintf(response, "HTTP/1.1 200 X\r\nContent-Length: %zu\r\n\r\n%s",
			    used, request);
		} else if (strncmp(path, "/raw/", 5) == 0) {
			size = sprintf(response, "nonsense");
		} else if (strcmp(path, "/count") == 0 || strcmp(path, "/close") == 0) {
			size = sprintf(response, "HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\n%4d",
			    connections);
		}
		for (int sent = 0; sent < size; sent += (int)n)
			if ((n = send(fd, response + sent, (size_t)(size - sent), MSG_NOSIGNAL)) <
			    0)
				return;
		if (strcmp(path, "/close") == 0 || strncmp(path, "/raw/", 5) == 0)
			return;
		used = 0;
	}
}

/* In a child that dies with the test. */
static void
start_server(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t parent = getpid();

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(listen(listener, 64), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	port = ntohs(address.sin_port);
	requests = mmap(
	    NULL, sizeof(*requests), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(requests, MAP_FAILED);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		for (int connections = 1;; connections++) {
			int fd = accept(listener, NULL, NULL);

			/* by a child each, so that none waits for another one's end */
			if (fork() == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				serve(fd, connections);
				_exit(0);
			}
			close(fd);
		}
	}
	close(listener);
}

/* --- the probe --------------------------------------------------------------------------- */

/* libcurl counts timeouts in milliseconds. */
#define EARLY_US (2 * US_PER_MS)

static struct probe *probe;
static struct result r;
static const char *const no_headers[] = { NULL };
static const struct status_range good[] = { { 200, 299 } };
static struct site site = { .name = "site",
	.method = "GET",
	.headers = no_headers,
	.user_agent = "check",
	.expect_status = "200-299",
	.expect = good,
	.expect_count = 1,
	.body_limit = 1024,
	.record_query = true,
	.decode = true,
	.follow_redirects = 5,
	.keepalive_lifetime_us = CONFIG_KEEPALIVE_LIFETIME_US,
	.timeout_us = 30 * US_PER_S };

static void
set_up(void)
{
	start_server();
	start_name_server();
	ck_assert_int_eq(checker_init(), 0);
	probe = probe_new(NULL, 0);
	ck_assert_ptr_nonnull(probe);
}

static void
tear_down(void)
{
	probe_free(probe);
}

/* Check http://HOST:PORT/PATH; `r` is what came of it. */
__attribute__((format(printf, 2, 3))) static enum error_type
check_at(const char *host, const char *format, ...)
{
	static char url[2048];
	int64_t sum = 0;
	va_list ap;
	int n = snprintf(url, sizeof(url), "http://%s:%d/", host, port);

	va_start(ap, format);
	vsnprintf(url + n, sizeof(url) - (size_t)n, format, ap);
	va_end(ap);
	site.url = url;
	probe_run(probe, &site, &r);
	for (int i = 0; i < PHASE_COUNT; i++)
		sum += r.phase_us[i] != RESULT_NONE ? r.phase_us[i] : 0;
	ck_assert_int_eq(sum, r.elapsed_us);
	ck_assert_int_eq(r.phase_us[PHASE_TLS], RESULT_NONE);
	ck_assert((r.error == ERROR_NONE) == (r.error_message[0] == '\0'));
	return r.error;
}

#define check(...) check_at("127.0.0.1", __VA_ARGS__)

/* Whether the last check could not end in time because nobody let it run: it blames no site. */
static bool
overslept(void)
{
	return r.error == ERROR_LOCAL && strstr(r.error_message, "starved of CPU") != NULL;
}

/* --- the tests --------------------------------------------------------------------------- */

START_TEST(limits_are_exact)
{
	for (int size = 1023; size <= 1026; size++) {
		ck_assert_int_eq(check("body/%d", size), ERROR_NONE);
		ck_assert_int_eq(r.body_bytes, size <= 1024 ? size : 1024);
		ck_assert_int_eq(r.body_truncated, size <= 1024 ? TRISTATE_FALSE : TRISTATE_TRUE);
		ck_assert(r.completed);
	}
	ck_assert_int_eq(check("headers/%d", 256 * 1024), ERROR_NONE);
	ck_assert_int_eq(r.http_status, 204);
	ck_assert_int_eq(check("headers/%d", 256 * 1024 + 1), ERROR_PROTOCOL);
	ck_assert_ptr_nonnull(strstr(r.error_message, "256 KiB of headers"));
}
END_TEST

START_TEST(nothing_is_left_of_the_check_before)
{
	static const struct pattern patterns[] = { { .text = "^x*$" } };

	for (int round = 0; round < 3; round++) {
		/* a long body, then an empty one: the pattern must not see the old */
		site.body_patterns.items = patterns;
		site.body_patterns.count = 1;
		ck_assert_int_eq(check("count"), ERROR_REGEX_MISMATCH);
		ck_assert_str_eq(r.failed_regex, "^x*$");
		ck_assert_int_eq(check("body/0"), ERROR_NONE);
		ck_assert_int_eq(r.body_matched, TRISTATE_TRUE);
		ck_assert_int_eq(r.body_bytes, 0);
		site.body_patterns.count = 0;

		ck_assert_int_eq(check("raw/"), ERROR_PROTOCOL);
		ck_assert_int_eq(r.http_status, RESULT_NONE);
		ck_assert_int_eq(r.body_bytes, RESULT_NONE);
		ck_assert_int_eq(check("to//body/3"), ERROR_NONE);
		ck_assert_int_eq(r.redirects, 1);
		ck_assert_int_eq(r.body_bytes, 3);
		ck_assert_int_eq(check("to/file:///etc/passwd"), ERROR_REDIRECT_REFUSED);
		ck_assert_int_eq(check("body/5000"), ERROR_NONE);
		ck_assert_int_eq(r.body_truncated, TRISTATE_TRUE);
		ck_assert_int_eq(r.redirects, 0);
		ck_assert_str_eq(r.final_url, "");
		ck_assert_int_eq(r.redirect_us, 0);

		site.method = "HEAD";
		ck_assert_int_eq(check("body/100"), ERROR_NONE);
		ck_assert_int_eq(r.body_bytes, 0);
		site.method = "POST";
		site.body = "some=thing";
		ck_assert_int_eq(check("body/100"), ERROR_NONE);
		site.method = "GET";
		site.body = NULL;
		ck_assert_int_eq(check("body/100"), ERROR_NONE);
		ck_assert_int_eq(r.body_bytes, 100);

		site.timeout_us = 100 * US_PER_MS;
		do
			check("hang");
		while (overslept());
		ck_assert_int_eq(r.error, ERROR_TIMEOUT);
		ck_assert_int_ge(r.elapsed_us, site.timeout_us - EARLY_US);
		site.timeout_us = 30 * US_PER_S;
	}
}
END_TEST

/* The server counts connections; its answer is the count in four places. */
START_TEST(connections_are_kept_only_when_asked_for)
{
	static const struct pattern first[] = { { .text = "^   1$" } };
	static const struct pattern third[] = { { .text = "^   3$" } };

	site.keepalive = true;
	site.body_patterns.items = first;
	site.body_patterns.count = 1;
	for (int round = 0; round < 3; round++) {
		ck_assert_int_eq(check("count"), ERROR_NONE);
		ck_assert_str_eq(r.remote_ip, "127.0.0.1");
		ck_assert_int_eq(r.reused, round > 0 ? TRISTATE_TRUE : TRISTATE_FALSE);
		if (round > 0) {
			ck_assert_int_eq(r.phase_us[PHASE_DNS], 0);
			ck_assert_int_eq(r.phase_us[PHASE_CONNECT], 0);
		}
	}
	site.keepalive = false;
	site.body_patterns.count = 0;
	check("count");
	site.body_patterns.items = third;
	site.body_patterns.count = 1;
	ck_assert_int_eq(check("count"), ERROR_NONE);
	ck_assert_int_gt(r.phase_us[PHASE_CONNECT], 0);
	ck_assert_int_eq(r.reused, TRISTATE_FALSE);
	ck_assert_int_eq(check_at(REFUSED_IP, "x"), ERROR_CONNECT);
	ck_assert_int_eq(r.reused, TRISTATE_NULL);
}
END_TEST

/* Whether a check of `of` uses a connection again. */
static bool
reuses(struct site *of)
{
	static char url[64];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/body/1", port);
	of->url = url;
	probe_run(probe, of, &r);
	ck_assert_msg(r.error == ERROR_NONE, "%s", r.error_message);
	return r.phase_us[PHASE_CONNECT] == 0;
}

/* One site's limit does not end the connections of another; nor do they share any. */
START_TEST(a_connection_is_kept_for_its_lifetime)
{
	struct site brief = site, lasting = site, plain = site;

	brief.keepalive = lasting.keepalive = true;
	brief.keepalive_lifetime_us = US_PER_S;
	lasting.keepalive_lifetime_us = 0;
	ck_assert(!reuses(&lasting));
	ck_assert(!reuses(&brief));
	poll(NULL, 0, 2100); /* libcurl counts whole seconds */
	ck_assert(!reuses(&brief));
	ck_assert(!reuses(&plain));
	ck_assert(reuses(&lasting));
}
END_TEST

/* Nor do sites with options that libcurl does not compare. */
START_TEST(sites_that_differ_share_no_connection)
{
	struct site sites[] = { site, site, site, site };

	sites[1].http_version = HTTP_1_1;
	sites[2].server_name = "a.example";
	sites[3].proxy_username = "a";
	for (size_t round = 0; round < 2; round++)
		for (size_t i = 0; i < ARRAY_LENGTH(sites); i++) {
			sites[i].keepalive = true;
			ck_assert_int_eq(reuses(&sites[i]), round > 0);
		}
	/* without TLS there is no HTTP/2 over a kept one */
	sites[1].http_version = HTTP_2;
	sites[1].timeout_us = 200 * US_PER_MS;
	probe_run(probe, &sites[1], &r);
	ck_assert_int_gt(r.phase_us[PHASE_CONNECT], 0);
}
END_TEST

/* Nor do they outlive the file of CA certificates by which they were trusted. */
START_TEST(a_replaced_ca_file_ends_kept_connections)
{
	struct site sites[] = { site, site };
	char path[] = "/tmp/check_probe.XXXXXX";
	int fd = mkstemp(path);

	sites[1].http_version = HTTP_1_1;
	for (size_t i = 0; i < ARRAY_LENGTH(sites); i++) {
		sites[i].keepalive = true;
		sites[i].verify_tls = true;
		sites[i].ca_file = path;
		ck_assert(!reuses(&sites[i]));
		ck_assert(reuses(&sites[i]));
		ck_assert_int_eq(write(fd, "x", 1), 1);
		ck_assert(!reuses(&sites[i]));
		ck_assert(reuses(&sites[i]));
	}
	close(fd);
	unlink(path);
}
END_TEST

/* Those of a site that was not checked for long are closed, and it gets new ones. */
START_TEST(more_sites_than_can_have_connections_of_their_own)
{
	static struct site sites[257];

	for (int i = 0; i < 257; i++) {
		sites[i] = site;
		sites[i].keepalive = true;
		sites[i].keepalive_lifetime_us = 0;
		ck_assert(!reuses(&sites[i]));
	}
	ck_assert(!reuses(&sites[0]));
	ck_assert(reuses(&sites[0]));
	ck_assert(reuses(&sites[200]));
}
END_TEST

START_TEST(a_handshake_that_fails_is_not_charged_with_the_connection)
{
	static char url[64];

	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", port); /* it goes on waiting */
	site.url = url;
	site.timeout_us = 300 * US_PER_MS;
	stall_ms = 50;
	probe_run(probe, &site, &r);
	ck_assert_int_ne(r.error, ERROR_NONE);
	ck_assert_int_ge(r.phase_us[PHASE_CONNECT], 50000);
	ck_assert_int_eq(r.phase_us[PHASE_CONNECT] + r.phase_us[PHASE_TLS], r.elapsed_us);
}
END_TEST

/* What came at the end of a chain of redirects: the patterns are held against the request. */
static void
assert_request(const char *host, const char *path, const char *holds, const char *lacks)
{
	const struct pattern patterns[] = { { .text = holds },
		{ .text = lacks != NULL ? lacks : "^$", .negated = true } };

	site.body_patterns.items = patterns;
	site.body_patterns.count = ARRAY_LENGTH(patterns);
	check_at(host, "%s", path);
	ck_assert_msg(r.error == ERROR_NONE, "%s %s: %s", site.method, path, r.error_message);
	site.body_patterns.count = 0;
}

/* As the Fetch standard has it: nobody is asked to change something in a form not configured. */
START_TEST(what_is_asked_behind_a_redirect)
{
#define WITH_BODY "(?s)^%s /echo .*\r\nContent-Type: text/x\r\n.*\r\n\r\na=1$"
#define BARE      "(?s)^%s /echo .*\r\n\r\n$"
	static const char *const headers[] = { "Content-Type: text/x", "X-Key: 1", NULL };
	static const struct {
		const char *path, *method, *body, *then;
	} cases[] = {
		{ "301/echo", "GET", NULL, "GET" },
		{ "303/echo", "GET", NULL, "GET" },
		{ "303/echo", "GET", "a=1", "GET" },
		{ "302/echo", "GET", "a=1", "GET+" },
		{ "301/echo", "POST", "a=1", "GET" },
		{ "302/echo", "POST", "a=1", "GET" },
		{ "303/echo", "POST", "a=1", "GET" },
		{ "307/echo", "POST", "a=1", "POST+" },
		{ "308/echo", "POST", "a=1", "POST+" },
		{ "302/echo", "POST", NULL, "GET" },
		{ "301/echo", "PUT", "a=1", "PUT+" },
		{ "302/echo", "PATCH", "a=1", "PATCH+" },
		{ "303/echo", "PUT", "a=1", "GET" },
		{ "307/echo", "PUT", "a=1", "PUT+" },
		{ "300/echo", "PUT", "a=1", "PUT+" },
		{ "302/echo", "DELETE", NULL, "DELETE" },
		{ "303/echo", "DELETE", NULL, "GET" },
		{ "303/echo", "OPTIONS", NULL, "GET" },
		{ "308/echo", "DELETE", "a=1", "DELETE+" },
		{ "307/303/echo", "PUT", "a=1", "GET" },
		{ "303/307/echo", "PUT", "a=1", "GET" },
		{ "302/303/echo", "PUT", "a=1", "GET" },
		{ "303/302/echo", "DELETE", NULL, "GET" },
		{ "302/307/echo", "POST", "a=1", "GET" },
		{ "307/302/echo", "POST", "a=1", "GET" },
		{ "301/302/308/echo", "PUT", "a=1", "PUT+" },
		/* and the next check begins with the method of the configuration again */
		{ "echo", "PUT", "a=1", "PUT+" },
	};

	site.body_limit = 4096;
	site.headers = headers;
	for (size_t i = 0; i < 2 * ARRAY_LENGTH(cases); i++) {
		size_t k = i % ARRAY_LENGTH(cases), n = strcspn(cases[k].then, "+");
		bool with_body = cases[k].then[n] == '+';
		bool keeps_type = with_body || strcmp(cases[k].then, cases[k].method) == 0;
		char *method = strndup(cases[k].then, n), holds[128];

		site.keepalive = i >= ARRAY_LENGTH(cases);
		site.method = cases[k].method;
		site.body = cases[k].body;
		snprintf(holds, sizeof(holds), with_body ? WITH_BODY : BARE, method);
		assert_request("127.0.0.1", cases[k].path, holds,
		    with_body || (keeps_type && site.body == NULL) ? NULL : "(?i)content-");
		assert_request("127.0.0.1", cases[k].path, "X-Key: 1", NULL);
		free(method);
	}
	site.method = "HEAD";
	site.body = NULL;
	for (int status = 301; status <= 308; status++) {
		ck_assert_int_eq(check("%d/303/echo", status), ERROR_NONE);
		ck_assert_int_eq(r.body_bytes, 0);
	}
}
END_TEST

/* Write a file in a directory of its own; returns its path. */
static const char *
write_secret(const char *text)
{
	static char path[32];
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/check_probe.XXXXXX");
	f = fdopen(mkstemp(path), "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
	return path;
}

/* To another host or port none of them goes, and behind that they are there again. */
START_TEST(secrets_of_files_stay_at_home)
{
	char path[256];

	site.auth = AUTH_BEARER;
	site.token_file = write_secret("t0ken\n");
	assert_request("127.0.0.1", "echo", "\r\nAuthorization: Bearer t0ken\r\n", NULL);
	assert_request("127.0.0.1", "to//echo", "\r\nAuthorization: Bearer t0ken\r\n", NULL);
	snprintf(path, sizeof(path), "to/http://" PUBLIC_IP ":%d/echo", port);
	assert_request("127.0.0.1", path, "^GET", "Authorization|t0ken");
	snprintf(path, sizeof(path), "to/http://" PUBLIC_IP ":%d/to/http://127.0.0.1:%d/echo", port,
	    port);
	assert_request("127.0.0.1", path, "Bearer t0ken", NULL);
	unlink(site.token_file);
	ck_assert_int_eq(check("echo"), ERROR_LOCAL);
	ck_assert_ptr_nonnull(strstr(r.error_message, "token_file: cannot read \"/tmp/"));

	site.auth = AUTH_BASIC;
	site.username = "aladdin";
	site.password_file = write_secret("opensesame");
	assert_request(
	    "127.0.0.1", "echo", "\r\nAuthorization: Basic YWxhZGRpbjpvcGVuc2VzYW1l\r\n", NULL);
	unlink(site.password_file);
	site.auth = AUTH_NONE;

	site.header_file = write_secret("# mine\nX-Key: k3y\r\nCookie: c=00kie\nHost: own.name\n");
	assert_request("127.0.0.1", "echo", "(?s)\r\nHost: own.name\r\n.*X-Key: k3y\r\n", "mine");
	assert_request("127.0.0.1", "echo", "\r\nCookie: c=00kie\r\n", NULL);
	snprintf(path, sizeof(path), "to/http://" PUBLIC_IP ":%d/echo", port);
	assert_request("127.0.0.1", path, "^GET", "k3y|00kie|own.name");
	snprintf(path, sizeof(path), "to/http://" PUBLIC_IP ":%d/to/http://127.0.0.1:%d/echo", port,
	    port);
	assert_request("127.0.0.1", path, "(?s)X-Key: k3y.*00kie|00kie.*X-Key: k3y", NULL);
	unlink(site.header_file);
	site.header_file = NULL;

	site.method = "POST";
	site.body_file = write_secret("b0dy");
	assert_request("127.0.0.1", "echo", "\r\n\r\nb0dy$", NULL);
	assert_request("127.0.0.1", "307/echo", "\r\n\r\nb0dy$", NULL);
	assert_request("127.0.0.1", path, "^GET", "b0dy"); /* a 302 takes the body away */
	snprintf(path, sizeof(path), "307/http://" PUBLIC_IP ":%d/echo", port);
	ck_assert_int_eq(check("%s", path), ERROR_REDIRECT_REFUSED);
	ck_assert_ptr_nonnull(strstr(r.error_message, "body_file"));
	ck_assert_int_eq(r.redirects, 0); /* as for others that are refused */
	ck_assert_str_eq(r.final_url, "");
	unlink(site.body_file);
}
END_TEST

static bool
is_among_authorities(const char *path)
{
	for (size_t i = 1; i < PROBE_AUTHORITIES_MAX; i++)
		if (probe->authorities[i].file == path)
			return true;
	return false;
}

/*
 * Each file of authorities has a multi handle, which goes when the file is replaced or room is
 * needed.
 */
START_TEST(authorities_have_their_places)
{
	static char paths[PROBE_AUTHORITIES_MAX + 1][64];
	char directory[] = "/tmp/check_probe.XXXXXX", command[64];
	CURLM *first, *trusted;
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	for (int i = 0; i <= PROBE_AUTHORITIES_MAX; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%d", directory, i);
		f = fopen(paths[i], "w");
		ck_assert_ptr_nonnull(f);
		fprintf(f, "%d", i);
		fclose(f);
	}
	probe->curl = curl_easy_init();
	probe_ca_set(probe, true, NULL);
	trusted = probe->multi;
	probe_ca_set(probe, true, paths[0]);
	first = probe->multi;
	ck_assert_ptr_ne(first, trusted);
	for (int i = 1; i < PROBE_AUTHORITIES_MAX - 1; i++) {
		probe_ca_set(probe, true, paths[i]);
		ck_assert_ptr_ne(probe->multi, first);
	}
	/* the table is full now; who is used is not the one that goes */
	probe_ca_set(probe, true, paths[0]);
	ck_assert_ptr_eq(probe->multi, first);
	probe_ca_set(probe, true, paths[PROBE_AUTHORITIES_MAX]);
	probe_ca_set(probe, true, paths[0]);
	ck_assert_ptr_eq(probe->multi, first);
	ck_assert(!is_among_authorities(paths[1]));
	probe_ca_set(probe, true, NULL);
	ck_assert_ptr_eq(probe->multi, trusted);

	/* large ones push out all others but that of the system */
	ck_assert_int_eq(truncate(paths[2], 2L * 1024 * 1024), 0);
	ck_assert_int_eq(truncate(paths[3], 2L * 1024 * 1024), 0);
	probe_ca_set(probe, true, paths[2]);
	ck_assert(is_among_authorities(paths[0]));
	probe_ca_set(probe, true, paths[3]);
	ck_assert(!is_among_authorities(paths[0]) && !is_among_authorities(paths[2]));
	ck_assert(is_among_authorities(paths[3]));
	probe_ca_set(probe, true, NULL);
	ck_assert_ptr_eq(probe->multi, trusted);
	curl_easy_cleanup(probe->curl);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(cookies_live_within_a_check)
{
	static const char *const own[] = { "Cookie: own=1", "COOKIE:  two=2", NULL };
	static const char *const other_name[] = { "Host: name.example", NULL };
	char away[64], back[96], from_away[96];

	snprintf(away, sizeof(away), "set/sid=1;path=/!http://" PUBLIC_IP ":%d/echo", port);
	snprintf(back, sizeof(back),
	    "set/sid=1;path=/!http://" PUBLIC_IP ":%d/to/http://127.0.0.1:%d/echo", port, port);
	snprintf(from_away, sizeof(from_away),
	    "to/http://" PUBLIC_IP ":%d/set/sid=1;path=/!http://127.0.0.1:%d/echo", port, port);
	site.body_limit = 4096;
	for (int round = 0; round < 2; round++) {
		site.keepalive = round == 1;
		assert_request("127.0.0.1", "set/sid=1;path=/", "\r\nCookie: sid=1\r\n", NULL);
		assert_request("127.0.0.1", "echo", "^GET", "(?i)cookie:|sid");
		assert_request("127.0.0.1", "set/sid=1;path=/x", "^GET", "sid");
		assert_request("127.0.0.1", "set/sid=1;path=/;max-age=0", "^GET", "sid");
		assert_request("127.0.0.1", "set/sid=1;path=/;domain=other.example", "^GET", "sid");
		/* to libcurl and browsers, loopback is as good as TLS */
		assert_request(PUBLIC_IP, "set/sid=1;path=/;secure", "^GET", "sid");
		assert_request(PUBLIC_IP, "set/sid=1;path=/", "Cookie: sid=1", NULL);
		assert_request("127.0.0.1", away, "Host: " PUBLIC_IP, "sid");
		assert_request("127.0.0.1", back, "Cookie: sid=1", NULL);
		assert_request("127.0.0.1", from_away, "Host: 127.0.0.1", "sid");
		site.headers = other_name;
		assert_request("127.0.0.1", "set/sid=1;path=/",
		    "(?s)Host: name.example.*\r\nCookie: sid=1\r\n", NULL);
		assert_request("127.0.0.1", away, "Host: " PUBLIC_IP, "sid");
		assert_request("127.0.0.1", from_away, "Host: name.example", "sid");
		site.headers = no_headers;
	}

	/* those of the configuration: in one line with the others, and to the first host only */
	site.headers = own;
	assert_request("127.0.0.1", "echo", "\r\nCookie: own=1; two=2\r\n", NULL);
	assert_request(
	    "127.0.0.1", "set/sid=1;path=/", "\r\nCookie: sid=1; own=1; two=2\r\n", NULL);
	assert_request("127.0.0.1", away, "Host: " PUBLIC_IP, "(?i)cookie");
	assert_request("127.0.0.1", back, "\r\nCookie: sid=1; own=1; two=2\r\n", NULL);
	site.follow_redirects = 0;
	assert_request("127.0.0.1", "echo", "\r\nCookie: own=1; two=2\r\n", NULL);
}
END_TEST

/* libcurl reads the name by the locale, which a daemon does not get from its environment. */
START_TEST(redirects_to_names_that_are_not_ascii)
{
	static const char *const here[] = { "127.0.0.1", "127.0.0.1" };
	static const char *const names[] = { "b%C3%BCcher", "xn--bcher-kva" };
	char path[128] = "umlaut";

	addresses = here;
	site.body_limit = 4096;
	for (size_t i = 0; i <= ARRAY_LENGTH(names); i++) {
		assert_request("127.0.0.1", path, "Host: xn--bcher-kva.example:", NULL);
		ck_assert_int_eq(r.redirects, 1);
		if (i < ARRAY_LENGTH(names))
			snprintf(
			    path, sizeof(path), "to/http://%s.example:%d/echo", names[i], port);
	}
}
END_TEST

/* One that the server has closed meanwhile is not the site's failure. */
/* Whatever the name says, and for nobody else. */
START_TEST(resolve_says_where_to_connect)
{
	static const char *const one[] = { "127.0.0.1", NULL };
	static const char *const other[] = { "nowhere.example:1:127.0.0.9", PUBLIC_IP, NULL };
	static const char *const refused[] = { REFUSED_IP, NULL };
	static const char *of_redirect[] = { "[::1]", NULL, NULL };
	static char entry[64];
	const char *const *of[] = { one, other, one };

	site.keepalive = true;
	for (size_t i = 0; i < ARRAY_LENGTH(of); i++) {
		site.resolve = of[i];
		assert_request("nowhere.example", "echo", "Host: nowhere\\.example:", NULL);
		ck_assert_str_eq(r.remote_ip, of[i] == one ? "127.0.0.1" : PUBLIC_IP);
		ck_assert_int_eq(r.phase_us[PHASE_DNS], 0);
	}
	ck_assert_int_eq(r.phase_us[PHASE_CONNECT], 0); /* it was kept */
	site.resolve = NULL;
	ck_assert_int_eq(check_at("nowhere.example", "echo"), ERROR_DNS);

	/*
	 * an address alone is for all ports of the host; another host is looked up, unless it has
	 * one
	 */
	site.resolve = one;
	ck_assert_int_eq(
	    check_at("nowhere.example", "to/http://nowhere.example:1/"), ERROR_CONNECT);
	snprintf(entry, sizeof(entry), "elsewhere.example:%d:127.0.0.1", port);
	of_redirect[1] = entry;
	site.resolve = of_redirect;
	ck_assert_int_eq(check("to/http://ELSEWHERE.example:%d/echo", port), ERROR_CONNECT);
	of_redirect[0] = "127.0.0.1";
	ck_assert_int_eq(check("to/http://ELSEWHERE.example:%d/echo", port), ERROR_NONE);
	ck_assert_str_eq(r.remote_ip, "127.0.0.1");

	site.resolve = refused;
	site.keepalive = false;
	ck_assert_int_eq(check_at("nowhere.example", "echo"), ERROR_CONNECT);
	ck_assert_ptr_nonnull(strstr(r.error_message, REFUSED_IP));
}
END_TEST

START_TEST(a_kept_connection_may_be_gone)
{
	site.keepalive = true;
	for (int round = 0; round < 5; round++) {
		ck_assert_int_eq(check("close"), ERROR_NONE);
		ck_assert_int_eq(check("count"), ERROR_NONE);
	}
}
END_TEST

START_TEST(redirects_from_outside_do_not_lead_inside)
{
	ck_assert_int_eq(check_at(PUBLIC_IP, "body/1"), ERROR_NONE);
	ck_assert_str_eq(r.remote_ip, PUBLIC_IP);

	ck_assert_int_eq(
	    check_at(PUBLIC_IP, "to/http://127.0.0.1:%d/body/1", port), ERROR_REDIRECT_REFUSED);
	ck_assert_str_eq(r.error_message,
	    "redirect refused: to the private address 127.0.0.1 (allow_private_redirects permits "
	    "it)");
	ck_assert_int_eq(r.http_status, 302);
	ck_assert_int_eq(r.redirects, 0);
	ck_assert_str_eq(r.final_url, "");
	ck_assert_str_eq(r.remote_ip, PUBLIC_IP);
	ck_assert(!r.completed);
	ck_assert_int_eq(
	    check_at(PUBLIC_IP, "to/http://[::ffff:7f00:1]:%d/", port), ERROR_REDIRECT_REFUSED);
	ck_assert_int_eq(check_at(PUBLIC_IP, "to/http://0x7f.1:%d/", port), ERROR_REDIRECT_REFUSED);
	ck_assert_int_eq(check_at(PUBLIC_IP, "to/http://169.254.169.254/"), ERROR_REDIRECT_REFUSED);

	ck_assert_int_eq(
	    check_at(PUBLIC_IP, "to/http://" PUBLIC_IP ":%d/body/1", port), ERROR_NONE);
	/* whoever checks a private host may be led to another */
	ck_assert_int_eq(check("to/http://127.0.0.2:%d/", port), ERROR_CONNECT);
	ck_assert_int_eq(check("to/http://127.0.0.1:%d/body/1", port), ERROR_NONE);
	/* also over a connection that was opened by an earlier check */
	site.keepalive = true;
	ck_assert_int_eq(check("body/1"), ERROR_NONE);
	ck_assert_int_eq(check("to/http://127.0.0.2:%d/", port), ERROR_CONNECT);
	ck_assert_int_eq(r.redirects, 1);
}
END_TEST

START_TEST(redirects_may_be_permitted_to_lead_inside)
{
	site.allow_private_redirects = true;
	for (int round = 0; round < 2; round++) {
		site.keepalive = round > 0;
		ck_assert_int_eq(
		    check_at(PUBLIC_IP, "to/http://127.0.0.1:%d/body/1", port), ERROR_NONE);
		ck_assert_str_eq(r.remote_ip, "127.0.0.1");
	}
}
END_TEST

/* Another site, on the inside, keeps a connection that a redirect from outside could ride on. */
START_TEST(kept_connections_are_no_way_inside)
{
	for (int round = 0; round < 3; round++) {
		int before;

		site.keepalive = true;
		ck_assert_int_eq(check("body/1"), ERROR_NONE);
		before = *requests;
		site.keepalive = round > 0;
		ck_assert_int_eq(check_at(PUBLIC_IP, "to/http://127.0.0.1:%d/body/1", port),
		    ERROR_REDIRECT_REFUSED);
		ck_assert_ptr_nonnull(
		    strstr(r.error_message, "to the private address 127.0.0.1 (allow_"));
		ck_assert_int_eq(r.http_status, 302);
		ck_assert_int_eq(r.redirects, 0);
		ck_assert_str_eq(r.final_url, "");
		ck_assert_str_eq(r.remote_ip, PUBLIC_IP);
		ck_assert(!r.completed);
		/* nor at a later hop */
		ck_assert_int_eq(
		    check_at(PUBLIC_IP, "to/http://" PUBLIC_IP ":%d/to/http://127.0.0.1:%d/body/1",
			port, port),
		    ERROR_REDIRECT_REFUSED);
		ck_assert_int_eq(r.redirects, 1);
		/* only those to the outside went out */
		ck_assert_int_eq(*requests, before + 3);
	}
}
END_TEST

START_TEST(our_own_trouble_is_local)
{
	struct rlimit few = { 0, 1024 }, old;

	ck_assert_int_eq(check("body/1"), ERROR_NONE);
	getrlimit(RLIMIT_NOFILE, &old);
	few.rlim_max = old.rlim_max;
	few.rlim_cur = (rlim_t)dup(0);
	close((int)few.rlim_cur);
	setrlimit(RLIMIT_NOFILE, &few);
	ck_assert_int_eq(check("body/1"), ERROR_LOCAL);
	ck_assert_ptr_nonnull(strstr(r.error_message, "Too many open files"));
	setrlimit(RLIMIT_NOFILE, &old);
	ck_assert_int_eq(check("body/1"), ERROR_NONE);
	/* and is forgotten by then */
	ck_assert_int_eq(check("raw/"), ERROR_PROTOCOL);
}
END_TEST

/* As of a host with IPv4 and IPv6 where there is no IPv6: the one that refuses is what counts. */
START_TEST(no_way_to_one_address_does_not_excuse_another)
{
	static const char *const refused_first[] = { REFUSED_IP, NO_ROUTE_IP };
	static const char *const refused_last[] = { NO_ROUTE_IP, REFUSED_IP };
	static const char *const none[] = { NO_ROUTE_IP, NO_ROUTE_IP };
	static const char *const good_last[] = { REFUSED_IP, "127.0.0.1" };
	static const int kinds[] = { ENETUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT };

	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
		no_route = kinds[i];
		addresses = refused_first;
		ck_assert_int_eq(check_at("several.example", "body/1"), ERROR_CONNECT);
		ck_assert_ptr_nonnull(strstr(r.error_message, "refused"));
		addresses = refused_last;
		ck_assert_int_eq(check_at("several.example", "body/1"), ERROR_CONNECT);
		addresses = none;
		ck_assert_int_eq(check_at("several.example", "body/1"), ERROR_LOCAL);
		addresses = good_last;
		ck_assert_int_eq(check_at("several.example", "body/1"), ERROR_NONE);
		/* what an address of the first host did says nothing of the second */
		ck_assert_int_eq(
		    check_at("several.example", "to/http://" NO_ROUTE_IP "/"), ERROR_LOCAL);
	}
}
END_TEST

/* As at a limit of processes or memory: the stack of a thread does not fit. */
START_TEST(a_thread_that_cannot_be_made_is_local)
{
	pthread_attr_t huge;

	pthread_attr_init(&huge);
	ck_assert_int_eq(pthread_attr_setstacksize(&huge, (size_t)1 << 48), 0);
	ck_assert_int_eq(pthread_setattr_default_np(&huge), 0);
	ck_assert_int_eq(check_at("name.example", "path"), ERROR_LOCAL);
	ck_assert_ptr_nonnull(strstr(r.error_message, "thread"));
}
END_TEST

START_TEST(who_sleeps_past_the_timeout_does_not_blame_the_site)
{
	site.timeout_us = 100 * US_PER_MS;
	do
		check("hang");
	while (overslept());
	ck_assert_int_eq(r.error, ERROR_TIMEOUT);
	stall_ms = 1500;
	ck_assert_int_eq(check("hang"), ERROR_LOCAL);
	ck_assert_ptr_nonnull(strstr(r.error_message, "was starved of CPU"));
	ck_assert_int_gt(r.elapsed_us, US_PER_S);
}
END_TEST

/* Of each request of a chain; what comes behind the handshake may take its time. */
START_TEST(connecting_has_a_limit_of_its_own)
{
	static char url[64];

	snprintf(url, sizeof(url), "https://127.0.0.1:%d/", port); /* it goes on waiting */
	site.connect_timeout_us = 300 * US_PER_MS;
	for (int round = 0; round < 2; round++) {
		const char *says = round == 0 ? "(connect_timeout) while in the TLS handshake"
					      : "(connect_timeout) while looking up the name: ";

		do {
			site.url = url;
			if (round == 0)
				probe_run(probe, &site, &r);
			else
				check("to/http://hangs.example:%d/", port);
		} while (overslept());
		ck_assert_int_eq(r.error, ERROR_TIMEOUT);
		ck_assert_msg(strstr(r.error_message, says) != NULL, "%s", r.error_message);
		ck_assert_int_ge(r.elapsed_us, site.connect_timeout_us - EARLY_US);
		ck_assert_int_lt(r.elapsed_us, site.timeout_us / 2);
	}
	do
		check("late/500");
	while (overslept());
	ck_assert_int_eq(r.error, ERROR_NONE);

	site.connect_timeout_us = 1500 * US_PER_MS;
	stall_ms = 3000;
	site.url = url;
	probe_run(probe, &site, &r);
	ck_assert_int_eq(r.error, ERROR_LOCAL);
	ck_assert_ptr_nonnull(strstr(r.error_message, "(connect_timeout)"));
}
END_TEST

/* The same for a response that came: whether it was slow is not known. */
START_TEST(a_stall_is_not_the_response_time_of_the_site)
{
	site.max_response_us = US_PER_S;
	stall_ms = 1500;
	ck_assert_int_eq(check("body/1"), ERROR_LOCAL);
	ck_assert_ptr_nonnull(strstr(r.error_message, "that the response took"));
	ck_assert(r.completed);
	ck_assert_int_gt(r.elapsed_us, US_PER_S);
}
END_TEST

/* Nor is a time in which this process was stopped, late in a check. */
START_TEST(a_stop_is_not_the_response_time_of_the_site)
{
	pid_t self = getpid();

	site.max_response_us = 2 * US_PER_S;
	if (fork() == 0) {
		poll(NULL, 0, 600); /* behind an eighth of the limit, before the response */
		kill(self, SIGSTOP);
		poll(NULL, 0, 3000);
		kill(self, SIGCONT);
		_exit(0);
	}
	ck_assert_int_eq(check("late/1000"), ERROR_LOCAL);
	ck_assert_ptr_nonnull(strstr(r.error_message, "that the response took"));
	ck_assert_int_eq(check("late/2500"), ERROR_SLOW);
}
END_TEST

/* libcurl waits in whole milliseconds: that is no starvation. */
START_TEST(a_limit_of_few_milliseconds_can_be_missed)
{
	int slow = 0;

	site.max_response_us = 3 * US_PER_MS;
	for (int round = 0; round < 1000 && slow == 0; round++)
		slow += check("late/4") == ERROR_SLOW;
	ck_assert_int_eq(slow, 1);
}
END_TEST

START_TEST(who_burns_the_processor_was_let_run)
{
	site.timeout_us = US_PER_S;
	stall_ms = 3000;
	ck_assert_int_eq(check("hang"), ERROR_LOCAL);
	stalls_burn = 1;
	ck_assert_int_eq(check("hang"), ERROR_TIMEOUT);
	ck_assert_int_gt(r.elapsed_us, 2 * US_PER_S);
}
END_TEST

/*
 * Behind a process that takes a whole processor. What comes of a check depends on the machine, and
 * so does how long one takes; but a site that answers at once is never blamed. Two seconds of it
 * are enough, however few checks that is. The server goes before everybody else on the machine, or
 * it would not answer at once.
 */
START_TEST(who_is_starved_does_not_blame_the_site)
{
	int64_t end_us = util_mono_us() + 2 * US_PER_S;
	pid_t glutton;
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (sched_setaffinity(0, sizeof(first), &first) < 0 || setpriority(PRIO_PGRP, 0, -20) < 0)
		return; /* it is not ours, or we are not root */
	glutton = fork();
	if (glutton == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpriority(PRIO_PROCESS, 0, 0);
		for (;;)
			;
	}
	ck_assert_int_eq(setpriority(PRIO_PROCESS, 0, 19), 0);
	site.timeout_us = 100 * US_PER_MS;
	while (util_mono_us() < end_us) {
		check("body/1");
		ck_assert_msg(r.error == ERROR_NONE || r.error == ERROR_LOCAL, "error %d: %s",
		    r.error, r.error_message);
	}
	kill(glutton, SIGKILL);
}
END_TEST

static void
on_alarm(int number)
{
	(void)number;
	probe_abort();
}

static void
abort_soon(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval soon = { .it_value = { .tv_usec = 100000 } };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
}

START_TEST(an_abort_ends_the_check_and_all_later_ones)
{
	abort_soon();
	ck_assert_int_eq(check("hang"), ERROR_ABORTED);
	ck_assert_int_lt(r.elapsed_us, site.timeout_us);
	ck_assert_int_eq(r.http_status, RESULT_NONE);
	ck_assert_int_eq(check("body/1"), ERROR_ABORTED);
}
END_TEST

START_TEST(an_abort_does_not_wait_for_a_name)
{
	abort_soon();
	ck_assert_int_eq(check_at("name.example", "path"), ERROR_ABORTED);
	ck_assert_int_lt(r.elapsed_us, site.timeout_us);
}
END_TEST

START_TEST(a_name_that_fails_is_looked_at_again)
{
	ck_assert_int_eq(check_at("nowhere.example", "path"), ERROR_DNS);
	ck_assert_str_eq(r.error_message, "no such name: nowhere.example");
	/* that of the last hop */
	ck_assert_int_eq(check("to/http://me@nowhere.example:8080/x"), ERROR_DNS);
	ck_assert_str_eq(r.error_message, "no such name: nowhere.example");
	ck_assert_int_eq(r.http_status, 302);

	name_server_port = 1; /* nobody listens there */
	ck_assert_int_eq(check_at("nowhere.example", "path"), ERROR_LOCAL);
	ck_assert_ptr_nonnull(strstr(r.error_message, "our resolver cannot be reached"));
	site.timeout_us = 100 * US_PER_MS;
	do
		check_at("name.example", "path");
	while (overslept());
	ck_assert_int_eq(r.error, ERROR_LOCAL);
	ck_assert_ptr_nonnull(strstr(r.error_message, "our resolver cannot be reached"));
	ck_assert_int_ge(r.phase_us[PHASE_DNS], site.timeout_us - EARLY_US);
}
END_TEST

/* Each timeout while looking up a name leaves a thread behind, which keeps nobody else waiting. */
START_TEST(leaked_threads_wear_the_probe_out)
{
	static const char *const good_ones[] = { "127.0.0.1", "127.0.0.1" };
	int checks = 0;

	site.timeout_us = 100 * US_PER_MS;
	while (!probe_is_worn(probe) && checks < 100) {
		check_at("name.example", "path");
		checks++;
		ck_assert_int_ge(r.phase_us[PHASE_DNS], site.timeout_us - EARLY_US);
		if (overslept())
			continue;
		ck_assert_int_eq(r.error, ERROR_TIMEOUT);
		ck_assert_ptr_nonnull(strstr(r.error_message, "looking up the name"));
	}
	ck_assert_int_eq(checks, 32);
	addresses = good_ones;
	site.timeout_us = 30 * US_PER_S;
	ck_assert_int_eq(check_at("several.example", "body/1"), ERROR_NONE);
}
END_TEST

START_TEST(which_urls_are_checked)
{
	static const char *const fine[] = { "http://example.com", "https://example.com:8443/a?b#c",
		"http://127.0.0.1/", "http://[::1]:80/", "http://xn--nxasmq6b.example/",
		"HTTP://EXAMPLE.COM/" };
	static const char *const wrong[] = { "", "example.com", "ftp://example.com/", "file:///etc",
		"http://", "http:///path", "http:/example.com/", "http:example.com", "http://a b/",
		"http://example.com:99999/", "http://example.com:x/", "http://user@example.com/",
		"http://user:word@example.com/", "http://[::1/", "http://caf\xc3\xa9.example/",
		"javascript:alert(1)" };
	char why[256];

	for (size_t i = 0; i < ARRAY_LENGTH(fine); i++)
		ck_assert_msg(probe_check_url(fine[i], IP_ANY, why, sizeof(why)) == 0, "%s: %s",
		    fine[i], why);
	for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
		why[0] = '\0';
		ck_assert_msg(
		    probe_check_url(wrong[i], IP_ANY, why, sizeof(why)) < 0, "%s", wrong[i]);
		ck_assert_msg(why[0] != '\0', "%s: no reason", wrong[i]);
	}
	/* libcurl reads 0x7f.1 as 127.0.0.1 */
	ck_assert_int_eq(probe_check_url("http://127.0.0.1/", IP_4, why, sizeof(why)), 0);
	ck_assert_int_eq(probe_check_url("http://[::1]/", IP_6, why, sizeof(why)), 0);
	ck_assert_int_eq(probe_check_url("http://example.com/", IP_6, why, sizeof(why)), 0);
	ck_assert_int_eq(probe_check_url("http://[::1]/", IP_4, why, sizeof(why)), -1);
	ck_assert_int_eq(probe_check_url("http://[::ffff:127.0.0.1]/", IP_4, why, sizeof(why)), -1);
	ck_assert_int_eq(probe_check_url("http://127.0.0.1/", IP_6, why, sizeof(why)), -1);
	ck_assert_int_eq(probe_check_url("http://0x7f.1/", IP_6, why, sizeof(why)), -1);
	ck_assert_ptr_nonnull(strstr(why, "ip_version is \"6\""));
}
END_TEST

static long
own_memory_kb(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[128];
	long kb = -1;

	ck_assert_ptr_nonnull(f);
	while (kb < 0 && fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "Private_Dirty: %ld", &kb);
	fclose(f);
	ck_assert_int_ge(kb, 0);
	return kb;
}

/* What a probe costs a process that its parent has prepared, or not. */
static long
probe_kb(bool prepared)
{
	int answer[2];
	long kb;

	ck_assert_int_eq(pipe(answer), 0);
	if (fork() == 0) {
		kb = own_memory_kb();
		if (!prepared)
			ck_assert_int_eq(checker_init(), 0);
		ck_assert_ptr_nonnull(probe_new(NULL, 0));
		kb = own_memory_kb() - kb;
		_exit(write(answer[1], &kb, sizeof(kb)) == sizeof(kb) ? 0 : 1);
	}
	close(answer[1]);
	ck_assert_int_eq(read(answer[0], &kb, sizeof(kb)), sizeof(kb));
	close(answer[0]);
	return kb;
}

START_TEST(processes_share_what_libraries_set_up)
{
	long alone = probe_kb(false), together;

	ck_assert_int_eq(checker_init(), 0);
	together = probe_kb(true);
	ck_assert_msg(together < alone / 2, "%ld kB instead of %ld", together, alone);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("probe");
	TCase *tcase = tcase_create("probe"), *bare = tcase_create("bare");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, limits_are_exact);
	tcase_add_test(tcase, nothing_is_left_of_the_check_before);
	tcase_add_test(tcase, connections_are_kept_only_when_asked_for);
	tcase_add_test(tcase, a_connection_is_kept_for_its_lifetime);
	tcase_add_test(tcase, sites_that_differ_share_no_connection);
	tcase_add_test(tcase, a_replaced_ca_file_ends_kept_connections);
	tcase_add_test(tcase, more_sites_than_can_have_connections_of_their_own);
	tcase_add_test(tcase, a_handshake_that_fails_is_not_charged_with_the_connection);
	tcase_add_test(tcase, what_is_asked_behind_a_redirect);
	tcase_add_test(tcase, secrets_of_files_stay_at_home);
	tcase_add_test(tcase, authorities_have_their_places);
	tcase_add_test(tcase, cookies_live_within_a_check);
	tcase_add_test(tcase, redirects_to_names_that_are_not_ascii);
	tcase_add_test(tcase, resolve_says_where_to_connect);
	tcase_add_test(tcase, a_kept_connection_may_be_gone);
	tcase_add_test(tcase, redirects_from_outside_do_not_lead_inside);
	tcase_add_test(tcase, redirects_may_be_permitted_to_lead_inside);
	tcase_add_test(tcase, kept_connections_are_no_way_inside);
	tcase_add_test(tcase, our_own_trouble_is_local);
	tcase_add_test(tcase, no_way_to_one_address_does_not_excuse_another);
	tcase_add_test(tcase, a_thread_that_cannot_be_made_is_local);
	tcase_add_test(tcase, who_sleeps_past_the_timeout_does_not_blame_the_site);
	tcase_add_test(tcase, connecting_has_a_limit_of_its_own);
	tcase_add_test(tcase, a_stall_is_not_the_response_time_of_the_site);
	tcase_add_test(tcase, a_stop_is_not_the_response_time_of_the_site);
	tcase_add_test(tcase, a_limit_of_few_milliseconds_can_be_missed);
	tcase_add_test(tcase, who_burns_the_processor_was_let_run);
	tcase_add_test(tcase, who_is_starved_does_not_blame_the_site);
	tcase_add_test(tcase, an_abort_ends_the_check_and_all_later_ones);
	tcase_add_test(tcase, an_abort_does_not_wait_for_a_name);
	tcase_add_test(tcase, a_name_that_fails_is_looked_at_again);
	tcase_add_test(tcase, leaked_threads_wear_the_probe_out);
	tcase_add_test(tcase, which_urls_are_checked);
	suite_add_tcase(suite, tcase);
	tcase_add_test(bare, processes_share_what_libraries_set_up);
	suite_add_tcase(suite, bare);
	return run_suite(suite);
}
