/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Processes: birth, descriptors, rights, names. Called by the supervisor and by validate; a child
 * that cannot become what it must be ends itself.
 */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

/* Of -1000 to 1000: before most other processes. */
#define OOM_SCORE_EXPOSED "500"

int
proc_find_user(const char *name, struct proc_user *user)
{
	const struct passwd *pw;
	int none = 0;

	errno = 0;
	pw = getpwnam(name);
	if (pw == NULL)
		return -1;
	*user = (struct proc_user){ .drop = true, .uid = pw->pw_uid, .gid = pw->pw_gid };
	snprintf(user->name, sizeof(user->name), "%s", name);
	/*
	 * each child asks for its groups: have libc load its modules before the fork, to share them
	 */
	getgrouplist(name, pw->pw_gid, NULL, &none);
	return 0;
}

/*
 * A check can be repeated, what the publisher holds cannot. Only allowed before the drop: proc(5).
 */
static void
offer_to_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, OOM_SCORE_EXPOSED, strlen(OOM_SCORE_EXPOSED)) < 0)
		log_debug("oom_score_adj: %s", strerror(errno));
	close(fd);
}

int
proc_drop(const struct proc_user *user)
{
	if (user->exposed)
		offer_to_oom_killer();
	if (user->drop) {
		if ((user->exposed ? setgroups(1, &user->gid) : initgroups(user->name, user->gid)) <
			0 ||
		    setresgid(user->gid, user->gid, user->gid) < 0 ||
		    setresuid(user->uid, user->uid, user->uid) < 0)
			return -1;
		if (user->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0)) {
			errno = EPERM; /* it could become root again */
			return -1;
		}
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int
proc_limit_root(void)
{
	static const int needed[] = { CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_DAC_READ_SEARCH };
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	uint32_t mask = 0;

	if (syscall(SYS_capget, &header, data) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LENGTH(needed); i++)
		mask |= CAP_TO_MASK(needed[i]);
	/* a container may lack some of them */
	data[0].permitted &= mask;
	data[0].effective = data[0].permitted;
	data[0].inheritable = 0;
	for (size_t i = 1; i < ARRAY_LENGTH(data); i++)
		data[i] = (struct __user_cap_data_struct){ 0 };
	return (int)syscall(SYS_capset, &header, data);
}

/* argv and the environment behind it are one block of memory; ps(1) shows its start. */
static char *title_start;
static size_t title_size;

void
proc_init_title(int argc, char **argv)
{
	char *end;

	if (argc == 0)
		return;
	title_start = argv[0];
	end = argv[0];
	for (int i = 0; i < argc && argv[i] == end; i++)
		end += strlen(argv[i]) + 1;
	for (char **e = environ; e != NULL && *e != NULL && *e == end; e++)
		end += strlen(*e) + 1;
	title_size = (size_t)(end - title_start);

	/* both are still needed: copy them elsewhere */
	for (int i = 0; i < argc; i++)
		argv[i] = xstrdup(argv[i]);
	for (char **e = environ; e != NULL && *e != NULL; e++)
		*e = xstrdup(*e);
}

void
proc_set_title(const char *format, ...)
{
	char title[64];
	va_list ap;

	va_start(ap, format);
	vsnprintf(title, sizeof(title), format, ap);
	va_end(ap);
	if (title_size > 1) {
		memset(title_start, 0, title_size);
		snprintf(title_start, title_size - 1, "%s", title);
	}
	/* pkill(1) and the init script look for "webmond" in "comm" */
	prctl(PR_SET_NAME, "webmond", 0, 0, 0);
}

static bool
is_kept(int fd, const int *keep, size_t keep_count)
{
	for (size_t i = 0; i < keep_count; i++)
		if (keep[i] == fd)
			return true;
	return false;
}

/*
 * Leave the terminal of the starter: it may be root's, and a process whose controlling terminal it
 * is can type into it. Only a process that prints records keeps standard output; standard error
 * stays, for the log.
 */
static void
leave_terminal(bool prints)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (setsid() < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    (!prints && dup2(null, STDOUT_FILENO) < 0))
		fatal(EXIT_OS, "cannot leave the terminal: %s", strerror(errno));
	close(null);
}

/*
 * O_CLOEXEC does nothing for a fork without exec: a sibling's socket or the PID file's lock would
 * live on in every child. The supervisor has one for each checker, so closing them one by one would
 * cost a pool the square of its size; only kernels before 5.9 need that.
 */
static void
close_all_but(const int *keep, size_t keep_count)
{
	const unsigned last = (unsigned)sysconf(_SC_OPEN_MAX);

	for (unsigned from = STDERR_FILENO + 1, next = 0; next < INT_MAX; from = next + 1) {
		next = INT_MAX;
		for (size_t i = 0; i < keep_count; i++)
			if ((unsigned)keep[i] >= from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next == from || close_range(from, next - 1, 0) == 0)
			continue;
		for (unsigned fd = from; fd < next && fd < last; fd++)
			close((int)fd);
	}
}

pid_t
proc_fork(const char *role, const int *keep, size_t keep_count)
{
	static const int handled[] = { SIGTERM, SIGCHLD, SIGUSR2, SIGALRM };
	/* somebody may send those for the supervisor to all processes called webmond */
	static const int ignored[] = { SIGINT, SIGHUP, SIGUSR1, SIGPIPE, SIGXFSZ };
	sigset_t all, old, child_mask;
	pid_t pid;

	/* no handler of the parent may run in the child */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid != 0) {
		sigprocmask(SIG_SETMASK, &old, NULL);
		return pid;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(handled); i++)
		signal(handled[i], SIG_DFL);
	for (size_t i = 0; i < ARRAY_LENGTH(ignored); i++)
		signal(ignored[i], SIG_IGN);
	log_forked();
	log_set_role(role);
	leave_terminal(is_kept(STDOUT_FILENO, keep, keep_count));
	close_all_but(keep, keep_count);
	proc_set_title("webmond: %s", role);
	/* SIGTERM waits until the child is ready for it */
	sigemptyset(&child_mask);
	sigaddset(&child_mask, SIGTERM);
	sigprocmask(SIG_SETMASK, &child_mask, NULL);
	return 0;
}

/*
 * Log why a child could not be started (`error` 0: it was), once for the publisher and once for all
 * checkers: sixty would fail for the same reason.
 */
static void
note_start(const char *role, const char *call, int error)
{
	static int said[2];
	int *last = &said[strncmp(role, "checker", 7) == 0];

	if (error != 0 && error != *last)
		log_error("cannot start the %s: %s: %s; trying again", role, call, strerror(error));
	*last = error;
}

pid_t
proc_spawn(const char *role, const struct proc_user *user, const int keep[PROC_KEEP_MAX],
    struct proc_backoff *backoff, int64_t now, int *fd, int *peer_fd)
{
	int ends[2];
	pid_t pid;

	backoff->started_us = now;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		note_start(role, "socketpair", errno);
		proc_backoff_died(backoff, false, now);
		return -1;
	}
	pid = proc_fork(
	    role, (int[]){ ends[1], keep[0], keep[1], keep[2], keep[3] }, 1 + PROC_KEEP_MAX);
	if (pid == 0) {
		if (proc_drop(user) < 0)
			fatal(EXIT_PERMISSION, "cannot become user \"%s\": %s", user->name,
			    strerror(errno));
		*fd = ends[1];
		return 0;
	}
	note_start(role, "fork", pid < 0 ? errno : 0);
	if (pid < 0) {
		proc_backoff_died(backoff, false, now);
		close(ends[0]);
	}
	*fd = ends[0];
	if (pid > 0 && peer_fd != NULL)
		*peer_fd = ends[1];
	else
		close(ends[1]);
	return pid;
}

void
proc_follow_parent(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (getppid() != parent)
		exit(EXIT_FINE); /* it died before the prctl() */
}

const char *
proc_name_reader(const char *path, char *buffer, size_t size)
{
	const struct passwd *me;

	if (euidaccess(path, R_OK) == 0 || errno != EACCES || (me = getpwuid(geteuid())) == NULL)
		return "";
	snprintf(buffer, size, "; user \"%s\" must be able to", me->pw_name);
	return buffer;
}

const char *
proc_describe_exit(int wait_status, char *buffer, size_t size)
{
	if (WIFSIGNALED(wait_status))
		snprintf(buffer, size, "was killed by signal %d (%s)", WTERMSIG(wait_status),
		    strsignal(WTERMSIG(wait_status)));
	else
		snprintf(buffer, size, "exited with code %d", WEXITSTATUS(wait_status));
	return buffer;
}

#define BACKOFF_FIRST_US   (100 * US_PER_MS)
#define BACKOFF_WORKED_US  (1 * US_PER_S)  /* at most, if it has worked */
#define BACKOFF_LAST_US    (60 * US_PER_S) /* at most, if it never has */
#define BACKOFF_HEALTHY_US (60 * US_PER_S) /* after a life longer than this the wait begins anew */

void
proc_backoff_died(struct proc_backoff *b, bool worked, int64_t mono_us)
{
	int64_t limit = worked ? BACKOFF_WORKED_US : BACKOFF_LAST_US;

	if (mono_us - b->started_us > BACKOFF_HEALTHY_US)
		b->delay_us = 0;
	b->delay_us = util_backoff(b->delay_us, BACKOFF_FIRST_US, limit);
	b->not_before_us = mono_us + b->delay_us;
}
