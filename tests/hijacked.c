/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The daemon, with checkers that a site can take over: all of it as it is, linked so that a check
 * comes by here first (-Wl,--wrap). By the name of the site the checker then does what an attacker
 * would, behind the wall that it has built itself. If nothing of it works the check goes on, and
 * the site is `up`; else the record says what worked.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checker.h"
#include "payload.h"
#include "pipe.h"
#include "checker/probe.h"
#include "util.h"

void __real_probe_run(struct probe *probe, const struct site *site, struct result *result);
void __wrap_probe_run(struct probe *probe, const struct site *site, struct result *result);
size_t __real_util_clean_text(char *out, size_t size, const char *in, size_t in_size);
size_t __wrap_util_clean_text(char *out, size_t size, const char *in, size_t in_size);
int __real_checker_main(const struct checker_start *start);
int __wrap_checker_main(const struct checker_start *start);
ssize_t __real_recv(int fd, void *data, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t size, int flags);
uint64_t __real_wire_token(const unsigned char key[UTIL_KEY_SIZE], const struct frame *frame);
uint64_t __wrap_wire_token(const unsigned char key[UTIL_KEY_SIZE], const struct frame *frame);

/* Others with our user have PIDs near ours. */
#define NEAR 200

static bool dirty; /* what is said is not cleaned any more */

static int
stop_everybody(const struct site *site)
{
	(void)site;
	return (kill(-1, SIGSTOP) == 0) + (kill(0, SIGSTOP) == 0) + (kill(getppid(), SIGTERM) == 0);
}

static int
choke_neighbours(const struct site *site)
{
	int worked = 0;

	(void)site;
	for (pid_t pid = getpid() - NEAR; pid < getpid() + NEAR; pid++) {
		if (pid <= 1 || pid == getpid())
			continue;
		worked += prlimit(pid, RLIMIT_NOFILE, &(struct rlimit){ 0, 0 }, NULL) == 0;
		worked += setpriority(PRIO_PROCESS, (id_t)pid, 19) == 0;
		worked += ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
		worked += kill(pid, SIGKILL) == 0;
	}
	return worked;
}

/* What is left behind holds the pipe open for ever. */
static int
leave_children(const struct site *site)
{
	pid_t pid;

	(void)site;
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	return pid > 0;
}

static int
run_program(const struct site *site)
{
	(void)site;
	execl("/bin/sh", "sh", "-c", "sleep 1000", (char *)NULL);
	return errno != EPERM;
}

/* Files and directories, one a line, are in the body of the request. */
static int
touch_files(const struct site *site)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC,
		O_RDWR | O_TMPFILE };
	char names[4096], fresh[4096], *name, *rest = names;
	int worked = 0;

	snprintf(names, sizeof(names), "%s", site->body != NULL ? site->body : "");
	while ((name = strsep(&rest, "\n")) != NULL) {
		for (size_t i = 0; i < ARRAY_LENGTH(flags); i++)
			worked += open(name, flags[i] | O_CLOEXEC, 0600) >= 0;
		snprintf(fresh, sizeof(fresh), "%s/forged", name);
		worked += open(fresh, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0;
		worked += (truncate(name, 0) == 0) + (unlink(name) == 0) + (rmdir(name) == 0);
		worked += chmod(name, 0666) == 0;
	}
	return worked;
}

static int
print_record(const struct site *site)
{
	(void)site;
	dprintf(STDOUT_FILENO, "{\"forged\":\"on standard output\"}\n");
	return 0;
}

static int
use_terminal(const struct site *site)
{
	int worked = open("/dev/tty", O_RDWR | O_CLOEXEC) >= 0;

	(void)site;
	for (int fd = 0; fd < 64; fd++)
		worked += ioctl(fd, TIOCSTI, "x") == 0 || ioctl(fd, TIOCSCTTY, 0) == 0;
	return worked;
}

/* In the message of the check, past the function that would clean it. */
static int
draw(const struct site *site)
{
	(void)site;
	dirty = true;
	return 1;
}

/* --- the pipe ---------------------------------------------------------------------------- */

/* What an attacker finds in the memory of the checker. */
static const struct checker_start *start;
static struct wire_job job; /* the running one */

/* Until the pipe is full for long, or the time is over. */
static void
shout(const void *data, size_t size, int64_t until_us)
{
	int full;

	do
		full = pipe_write(start->pipe_fd, data, size);
	while (full == 1 && pipe_wait_room(start->pipe_fd, 20) && util_mono_us() < until_us);
}

/* A frame of a slot of `site`, which says 418. */
static size_t
forge(
    unsigned char *out, enum wire_type type, const struct site *site, uint64_t seq, uint64_t token)
{
	struct slot slot = { .epoch = job.epoch,
		.seq = seq,
		.slot_us = job.slot_us,
		.interval_us = job.interval_us,
		.ordinal = job.ordinal,
		.token = token };
	struct result result;

	result_init(&result);
	result.http_status = 418;
	result.completed = true;
	result.elapsed_us = 1;
	return payload_frame(
	    out, type, start->config, site, &slot, type == WIRE_OPEN ? NULL : &result, NULL);
}

static void
shout_forged(enum wire_type type, const struct site *site, uint64_t seq, uint64_t token)
{
	unsigned char frame[WIRE_FRAME_MAX];

	shout(frame, forge(frame, type, site, seq, token), util_mono_us() + US_PER_S);
}

/* The end of our own slot, with these bytes as its outcome. */
static void
shout_outcome(const struct site *site, const void *bytes, size_t size)
{
	unsigned char out[WIRE_FRAME_MAX], own[WIRE_FRAME_MAX];
	char payload[WIRE_PAYLOAD_MAX];
	struct frame frame;

	wire_decode(own, forge(own, WIRE_CLOSE, site, job.seq, job.token), &frame);
	memcpy(payload, frame.payload, frame.identity_size);
	memcpy(payload + frame.identity_size, bytes, size);
	frame.payload = payload;
	frame.payload_size = frame.identity_size + size;
	shout(out, wire_encode(out, &frame), util_mono_us() + US_PER_S);
}

/* The next slots of everybody, so that the true ones would come too late. */
static int
open_ahead(const struct site *site)
{
	shout_forged(WIRE_OPEN, site, job.seq + 4096, job.token);
	shout_forged(WIRE_SETTLED, site, job.seq + 4096, job.token);
	for (uint64_t seq = job.seq; seq < job.seq + 20; seq++)
		shout_forged(WIRE_OPEN, site, seq, 0);
	return 0;
}

static int
flood_spool(const struct site *site)
{
	for (uint64_t seq = 0; seq < 500; seq++) {
		shout_forged(WIRE_SINGLE, site, job.seq + seq, job.token);
		shout_forged(WIRE_RECORD, site, job.seq - seq, job.token);
	}
	return 0;
}

/* All sites, the seqs around, and tokens that one can think of. */
static int
end_others(const struct site *site)
{
	const struct config *config = start->config;

	for (size_t i = 0; i < config->site_count; i++) {
		for (uint64_t seq = job.seq < 20 ? 0 : job.seq - 20; seq < job.seq + 20; seq++) {
			if (&config->sites[i] == site)
				continue;
			shout_forged(WIRE_CLOSE, &config->sites[i], seq, 0);
			shout_forged(WIRE_CLOSE, &config->sites[i], seq, job.token);
			shout_forged(WIRE_CLOSE, &config->sites[i], seq, job.token + seq - job.seq);
		}
	}
	return 0;
}

/* Twice with this content, before the true one; and the slots before, which have ended. */
static int
end_twice(const struct site *site)
{
	static struct wire_job before;
	struct wire_job now = job;

	shout_forged(WIRE_CLOSE, site, job.seq, job.token);
	shout_forged(WIRE_CLOSE, site, job.seq, job.token);
	if (before.epoch[0] != '\0' && before.site == job.site) {
		job = before;
		for (int i = 0; i < 50; i++)
			shout_forged(WIRE_CLOSE, site, job.seq, job.token);
		job = now;
	}
	before = now;
	return 0;
}

static int
end_with_bytes(const struct site *site)
{
	unsigned char bytes[sizeof(struct wire_outcome)];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(job.seq % 3 == 0 ? 0xff : job.seq % 3 == 1 ? i : 0x7f);
	shout_outcome(site, bytes, sizeof(bytes) - job.seq % 2);
	return 0;
}

/* What would become a second "site" if anybody copied it, and numbers at their ends. */
static int
end_with_texts(const struct site *site)
{
	static const char *const texts[] = { "\",\"site\":\"bank\",\"status\":\"up\",\"x\":\"",
		"\x1b]0;forged\a\n{\"site\":\"bank\"}", "\xed\xa0\x80\xff", "\\u0000\\" };
	struct wire_outcome outcome = { .lateness_us = 0 };
	struct result *r = &outcome.result;
	const char *text = texts[job.seq % ARRAY_LENGTH(texts)];

	result_init(r);
	r->error = ERROR_TLS;
	snprintf(r->error_message, sizeof(r->error_message), "%s", text);
	snprintf(r->final_url, sizeof(r->final_url), "%s", text);
	r->redirects = 1;
	snprintf(r->cert_issuer, sizeof(r->cert_issuer), "%s", text);
	snprintf(r->body_sample, sizeof(r->body_sample), "%s", text);
	snprintf(r->failed_regex, sizeof(r->failed_regex), "%s", text);
	if (job.seq % 5 == 0)
		r->elapsed_us = r->body_bytes = r->cert_expires_us = INT64_MAX;
	if (job.seq % 5 == 1)
		memset(r->tls_version, 'T', sizeof(r->tls_version));
	shout_outcome(site, &outcome, sizeof(outcome));
	return 0;
}

/* Pieces of frames, and what looks like their beginning all over. */
static int
write_garbage(const struct site *site)
{
	static const unsigned char magic[] = { 0x31, 0x4d, 0x57, 0x46, 0, 0, 0, 0, 0, 16, 1, 4, 1,
		1, 1, 0 };
	unsigned char data[WIRE_FRAME_MAX], frame[WIRE_FRAME_MAX];
	size_t size = forge(frame, WIRE_CLOSE, site, job.seq, job.token);
	int64_t until = util_mono_us() + US_PER_S / 2;

	for (int i = 0; i < 1000 && util_mono_us() < until; i++) {
		size_t period = i % 2 == 0 ? sizeof(magic) : 4;

		for (size_t j = 0; j < sizeof(data); j++)
			data[j] = magic[j % period];
		shout(data, sizeof(data) - (size_t)i % 100, until);
		shout(frame, size / 2, until);
		frame[size - 1 - (size_t)i % size] ^= 1;
		shout(frame, size, until);
	}
	return 0;
}

/* Who writes would sleep in the pipe, or take a page of it for each byte. */
static int
change_pipe(const struct site *site)
{
	int fd = start->pipe_fd;

	(void)site;
	return (fcntl(fd, F_SETFL, 0) == 0) + (fcntl(fd, F_SETFL, O_NONBLOCK | O_DIRECT) == 0) +
	       (ioctl(fd, FIONBIO, &(int){ 0 }) == 0) + (fcntl(fd, F_SETPIPE_SZ, 4096) >= 0) +
	       (sendfile(fd, open("/etc/hosts", O_RDONLY), NULL, 1) > 0);
}

/* Until somebody ends us. */
static int
fill_pipe(const struct site *site)
{
	static const unsigned char nothing[WIRE_FRAME_MAX];

	(void)site;
	signal(SIGTERM, SIG_IGN);
	for (;;)
		shout(nothing, sizeof(nothing), INT64_MAX);
	return 0;
}

static int
read_pipe(const struct site *site)
{
	char name[64], byte;
	int mine[2], worked = 0;

	(void)site;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", start->pipe_fd);
	worked += open(name, O_RDONLY | O_NONBLOCK) >= 0;
	worked += open(name, O_RDWR | O_NONBLOCK) >= 0;
	worked += read(start->pipe_fd, &byte, 1) >= 0;
	worked += fchmod(start->pipe_fd, 0666) == 0;
	worked += pipe(mine) == 0 && tee(start->pipe_fd, mine[1], 1, SPLICE_F_NONBLOCK) >= 0;
	return worked;
}

/* --- the supervisor ---------------------------------------------------------------------- */

static void
tell(enum wire_done_type type, uint64_t seq, bool leaving)
{
	struct wire_done done = { .type = type,
		.leaving = leaving,
		.seq = seq,
		.error = ERROR_NONE,
		.http_status = 200,
		.elapsed_us = INT64_MIN,
		.busy_us = INT64_MIN,
		.ended_us = INT64_MAX };

	memset(done.error_message, 0x1b, sizeof(done.error_message));
	send(start->job_fd, &done, sizeof(done), MSG_NOSIGNAL);
}

/* "It is over, and I go": but there is no record. */
static int
leave_silently(const struct site *site)
{
	(void)site;
	tell(WIRE_DONE, job.seq, true);
	_exit(0);
}

/* The same, and it stays. */
static int
stay_silently(const struct site *site)
{
	(void)site;
	signal(SIGTERM, SIG_IGN);
	tell(WIRE_DONE, job.seq, true);
	for (;;)
		pause();
	return 0;
}

/* First "it is over", then the record. */
static int
end_late(const struct site *site)
{
	tell(WIRE_DONE, job.seq, true);
	poll(NULL, 0, job.seq % 2 == 0 ? 0 : 1500);
	shout_forged(WIRE_CLOSE, site, job.seq, job.token);
	_exit(0);
}

/* What nobody says who is honest: each costs us our checker. */
static int
say_nonsense(const struct site *site)
{
	(void)site;
	if (job.seq % 3 == 0)
		tell(WIRE_READY, job.seq, false);
	else if (job.seq % 3 == 1)
		tell(WIRE_DONE, job.seq + 1, false);
	else
		send(start->job_fd, "?", 1, MSG_NOSIGNAL);
	return 0;
}

/* --- tokens ------------------------------------------------------------------------------ */

/*
 * What the supervisor has made, as the test knows it: inverted, so that this is not what is found.
 * Shared by all processes.
 */
static struct {
	pid_t supervisor;
	uint64_t key[UTIL_KEY_SIZE / sizeof(uint64_t)];
	uint64_t token[4096];
	size_t count;
} * made;

static uint64_t own[4096]; /* of jobs that this checker was given; inverted */
static size_t own_count;

#define TOKEN_SIZE 6
#define TOKEN_MASK 0xffffffffffffU

__attribute__((constructor)) static void
share_tokens(void)
{
	made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (made == MAP_FAILED)
		abort();
}

uint64_t
__wrap_wire_token(const unsigned char key[UTIL_KEY_SIZE], const struct frame *frame)
{
	uint64_t token = __real_wire_token(key, frame);

	if (made->supervisor == 0) { /* it makes the first one */
		made->supervisor = getpid();
		memcpy(made->key, key, sizeof(made->key));
		for (size_t i = 0; i < ARRAY_LENGTH(made->key); i++)
			made->key[i] = ~made->key[i];
	}
	if (made->supervisor == getpid())
		made->token[made->count++ % ARRAY_LENGTH(made->token)] = ~token;
	return token;
}

static bool
is_own(uint64_t inverted)
{
	for (size_t i = 0; i < ARRAY_LENGTH(own); i++)
		if (own[i] == inverted)
			return true;
	return false;
}

/* A bit for each token of others that there was of late, by its lower bytes. */
static unsigned char wanted[1 << 16];

static void
want_tokens(void)
{
	memset(wanted, 0, sizeof(wanted));
	for (size_t i = 0; i < ARRAY_LENGTH(made->token); i++) {
		uint16_t low = (uint16_t)~made->token[i];

		if (made->token[i] != 0 && !is_own(made->token[i]))
			wanted[low] = 1;
	}
}

/* How many tokens of others, or halves of the key, stand there. */
static int
search(const unsigned char *from, const unsigned char *to)
{
	int found = 0;

	for (const unsigned char *p = from; p + sizeof(uint64_t) <= to; p++) {
		uint64_t inverted;
		uint16_t low;

		memcpy(&inverted, p, sizeof(inverted));
		inverted = ~inverted;
		for (size_t i = 0; i < ARRAY_LENGTH(made->key); i++)
			found += made->key[i] == inverted;
		memcpy(&low, p, sizeof(low));
		if (!wanted[low])
			continue;
		inverted |= ~TOKEN_MASK;
		for (size_t i = 0; i < ARRAY_LENGTH(made->token); i++)
			found += made->token[i] == inverted && !is_own(inverted);
	}
	return found;
}

/* In all that we may write to, where what the supervisor had was copied. */
static int
search_memory(const struct site *site)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long from, to;
	char line[512], rights[5];
	int found = 0;

	(void)site;
	if (f == NULL)
		return 1; /* then this proves nothing */
	want_tokens();
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) == 3 && rights[0] == 'r' &&
		    rights[1] == 'w' && rights[3] == 'p')
			found += search((unsigned char *)from, (unsigned char *)to);
	fclose(f);
	return found;
}

int
__wrap_checker_main(const struct checker_start *how)
{
	start = how;
	return __real_checker_main(how);
}

ssize_t
__wrap_recv(int fd, void *data, size_t size, int flags)
{
	ssize_t n = __real_recv(fd, data, size, flags);

	if (start != NULL && fd == start->job_fd && n == (ssize_t)sizeof(job) &&
	    (flags & MSG_PEEK) == 0) {
		memcpy(&job, data, sizeof(job));
		own[own_count++ % ARRAY_LENGTH(own)] = ~job.token;
	}
	return n;
}

/* --- what is done ------------------------------------------------------------------------ */

static const struct {
	const char *site;
	int (*act)(const struct site *site); /* how much of it worked */
	const char *what;
} deeds[] = {
	{ "evil-signals", stop_everybody, "others are stopped" },
	{ "evil-limits", choke_neighbours, "others are choked" },
	{ "evil-fork", leave_children, "a child is left behind" },
	{ "evil-exec", run_program, "a program is run" },
	{ "evil-files", touch_files, "files are touched" },
	{ "evil-stdout", print_record, "" },
	{ "evil-terminal", use_terminal, "the terminal is used" },
	{ "evil-ahead", open_ahead, "" },
	{ "evil-flood", flood_spool, "" },
	{ "evil-others", end_others, "" },
	{ "evil-twice", end_twice, "" },
	{ "evil-bytes", end_with_bytes, "" },
	{ "evil-texts", end_with_texts, "" },
	{ "evil-garbage", write_garbage, "" },
	{ "evil-change", change_pipe, "the pipe is changed" },
	{ "evil-full", fill_pipe, "" },
	{ "evil-read", read_pipe, "the pipe is read" },
	{ "evil-silent", leave_silently, "" },
	{ "evil-stay", stay_silently, "" },
	{ "evil-late", end_late, "" },
	{ "evil-nonsense", say_nonsense, "" },
	{ "evil-tokens", search_memory, "tokens of others are found" },
	{ "evil-words", draw, "\x1b]0;forged\a\nforged up 200 1.0 \xe2\x80\xaex\xe2\x80\xac" },
};

void
__wrap_probe_run(struct probe *probe, const struct site *site, struct result *result)
{
	int worked = 0;
	const char *what = "";

	for (size_t i = 0; i < ARRAY_LENGTH(deeds); i++) {
		if (strcmp(site->name, deeds[i].site) == 0) {
			what = deeds[i].what;
			worked = deeds[i].act(site);
		}
	}
	__real_probe_run(probe, site, result);
	if (worked > 0)
		result_fail(result, ERROR_LOCAL, "%s", what);
}

size_t
__wrap_util_clean_text(char *out, size_t size, const char *in, size_t in_size)
{
	if (!dirty || in_size >= size)
		return __real_util_clean_text(out, size, in, in_size);
	memcpy(out, in, in_size);
	out[in_size] = '\0';
	return in_size;
}
