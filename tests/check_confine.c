/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The wall, from inside: what a process that is no longer ours tries, and what a check needs. Each
 * attempt is also made outside of it, where it must work, or it would prove nothing; so none of
 * them does harm: the signals are number 0, the other process is one of the test's.
 */
#include "checker/confine.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"
#include "checker.h"
#include "scratch.h"
#include "suite.h"
#include "util.h"

/* What all children share. */
static struct proc_user user;
static pid_t other;     /* of the same user */
static char file[128];  /* of that user's, as the spool and the keys are when there is one user */
static char fresh[128]; /* beside it, does not exist */
static int ends[2];     /* a pipe that nobody waits in */
static int terminal;    /* the one that we sit at */
static const char *files[2]; /* of sites, when there are any */
static const char *guarded;  /* beside them, when there is one */

/* --- what is tried: 0, or what else is not negative, when it worked -------------------------- */

static int
try_signal(void)
{
	return kill(other, 0);
}

static int
try_signal_to_all(void)
{
	return kill(-1, 0);
}

static int
try_signal_to_group(void)
{
	return kill(0, 0);
}

static int
try_signal_to_thread(void)
{
	return (int)(syscall(SYS_tgkill, other, other, 0) & syscall(SYS_tkill, other, 0));
}

static int
try_signal_with_value(void)
{
	return sigqueue(other, 0, (union sigval){ 0 });
}

static int
try_signal_by_descriptor(void)
{
	return fcntl(ends[0], F_SETOWN, other);
}

static int
try_pidfd(void)
{
	return (int)syscall(SYS_pidfd_open, other, 0);
}

static int
try_limits(void)
{
	struct rlimit limit;

	return prlimit(other, RLIMIT_NOFILE, NULL, &limit);
}

static int
try_priority(void)
{
	return setpriority(PRIO_PROCESS, (id_t)other, 19);
}

static int
try_scheduler(void)
{
	return sched_setscheduler(other, SCHED_BATCH, &(struct sched_param){ 0 });
}

static int
try_affinity(void)
{
	cpu_set_t set;

	return sched_getaffinity(other, sizeof(set), &set) < 0
		   ? -1
		   : sched_setaffinity(other, sizeof(set), &set);
}

static int
try_trace(void)
{
	if (ptrace(PTRACE_SEIZE, other, NULL, NULL) < 0)
		return -1;
	ptrace(PTRACE_INTERRUPT, other, NULL, NULL);
	waitpid(other, NULL, __WALL);
	return (int)ptrace(PTRACE_DETACH, other, NULL, NULL);
}

static int
try_memory(void)
{
	char here[16];
	struct iovec local = { here, sizeof(here) }, remote = { file, sizeof(here) };

	return (int)process_vm_readv(other, &local, 1, &remote, 1, 0);
}

/* Returns 0 when there was a child. */
static int
await_child(pid_t pid)
{
	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static int
try_fork(void)
{
	return await_child(fork());
}

static int
try_clone(void)
{
	return await_child((pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL));
}

/* There is no such program: what is denied is not even looked for. */
static int
try_exec(void)
{
	execve("/no/such/program", (char *[]){ NULL }, (char *[]){ NULL });
	return errno == ENOENT ? 0 : -1;
}

static int
try_read(void)
{
	return open(file, O_RDONLY);
}

static int
try_list(void)
{
	return open(dir, O_RDONLY | O_DIRECTORY);
}

static int
try_write(void)
{
	return open(file, O_RDWR);
}

static int
try_make(void)
{
	return open(fresh, O_WRONLY | O_CREAT, 0600) < 0 ? -1 : unlink(fresh);
}

static int
try_make_nameless(void)
{
	return open(dir, O_RDWR | O_TMPFILE, 0600);
}

static int
try_make_directory(void)
{
	return mkdir(fresh, 0700) < 0 ? -1 : rmdir(fresh);
}

static int
try_rename(void)
{
	return rename(file, fresh) < 0 ? -1 : rename(fresh, file);
}

static int
try_link(void)
{
	return symlink(file, fresh) < 0 ? -1 : unlink(fresh);
}

static int
try_remove(void)
{
	return unlink(file);
}

static int
try_truncate(void)
{
	return truncate(file, 1);
}

static int
try_mode(void)
{
	return chmod(file, 0640);
}

static int
try_owner(void)
{
	return chown(file, geteuid(), (gid_t)-1);
}

static int
try_date(void)
{
	return utimes(file, NULL);
}

static int
try_type(void)
{
	return ioctl(terminal, TIOCSTI, "x");
}

static int
try_terminal(void)
{
	return open("/dev/tty", O_RDWR);
}

static int
try_blocking_pipe(void)
{
	return fcntl(ends[1], F_SETFL, 0);
}

static int
try_blocking_pipe_by_ioctl(void)
{
	return ioctl(ends[1], FIONBIO, &(int){ 0 });
}

static int
try_packets(void)
{
	return fcntl(ends[1], F_SETFL, O_NONBLOCK | O_DIRECT);
}

static int
try_sendfile(void)
{
	return (int)sendfile(ends[1], open("/etc/hosts", O_RDONLY), NULL, 1);
}

static int
try_pipe_size(void)
{
	return fcntl(ends[1], F_SETPIPE_SZ, 4096);
}

static int
try_tee(void)
{
	int mine[2];

	return pipe(mine) < 0 ? -1 : (int)tee(ends[0], mine[1], 4096, SPLICE_F_NONBLOCK);
}

static int
try_listen(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr = { .s_addr = htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return listen(fd, 1);
}

static int
try_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

static int
try_rings(void)
{
	return (int)syscall(SYS_io_uring_setup, 1, &(struct io_uring_params){ 0 });
}

static const struct attempt {
	const char *what;
	int (*act)(void);
	bool often; /* not everywhere is it permitted without a wall */
} attempts[] = {
	{ "signals another process", try_signal, false },
	{ "signals all processes", try_signal_to_all, false },
	{ "signals its group", try_signal_to_group, false },
	{ "signals a thread of another process", try_signal_to_thread, false },
	{ "signals with a value", try_signal_with_value, false },
	{ "signals by a descriptor", try_signal_by_descriptor, false },
	{ "opens a process", try_pidfd, false },
	{ "sees the limits of another process", try_limits, false },
	{ "changes the priority of another process", try_priority, false },
	{ "changes the scheduler of another process", try_scheduler, false },
	{ "changes the processors of another process", try_affinity, false },
	{ "traces", try_trace, true }, { "reads the memory of another process", try_memory, true },
	{ "forks", try_fork, false }, { "clones", try_clone, false },
	{ "runs a program", try_exec, false }, { "reads a file", try_read, false },
	{ "lists a directory", try_list, false }, { "writes a file", try_write, false },
	{ "makes a file", try_make, false },
	{ "makes a file without a name", try_make_nameless, true },
	{ "makes a directory", try_make_directory, false }, { "renames a file", try_rename, false },
	{ "makes a link", try_link, false }, { "truncates a file", try_truncate, false },
	{ "changes a mode", try_mode, false }, { "changes an owner", try_owner, false },
	{ "changes a date", try_date, false }, { "types into the terminal", try_type, true },
	{ "opens the terminal", try_terminal, false },
	{ "has a pipe wait", try_blocking_pipe, false },
	{ "has a pipe wait, by ioctl", try_blocking_pipe_by_ioctl, false },
	{ "makes packets of what is in a pipe", try_packets, false },
	{ "sends a byte that takes a page", try_sendfile, false },
	{ "makes a pipe smaller", try_pipe_size, false }, { "looks into a pipe", try_tee, false },
	{ "listens", try_listen, false }, { "makes a namespace", try_namespace, true },
	{ "makes a ring", try_rings, true },
	{ "removes a file", try_remove, false }, /* last, since then it is gone */
};

/* --- the stage --------------------------------------------------------------------------- */

static void
set_up(void)
{
	int dropped[2];
	char byte;

	make_dir();
	if (geteuid() != 0 || proc_find_user("nobody", &user) < 0)
		user = (struct proc_user){ .drop = false };
	snprintf(file, sizeof(file), "%s", write_file("secret", "secret", 0600));
	snprintf(fresh, sizeof(fresh), "%s", path_in_dir("fresh"));
	if (user.drop) {
		ck_assert_int_eq(chown(dir, user.uid, user.gid), 0);
		ck_assert_int_eq(chown(file, user.uid, user.gid), 0);
	}
	ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	ck_assert_int_eq(pipe(dropped), 0);
	other = fork();
	if (other == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (proc_drop(&user) < 0)
			_exit(1);
		prctl(PR_SET_DUMPABLE, 1);
		if (write(dropped[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(dropped[0], &byte, 1), 1);
}

static void
tear_down(void)
{
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	remove_dir();
}

static int
exit_code_of(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* Sit at a terminal, to which standard error goes too. */
static bool
sit_down(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 || setsid() < 0)
		return false;
	terminal = open(ptsname(master), O_RDWR);
	return terminal >= 0 && dup2(terminal, STDERR_FILENO) >= 0;
}

/*
 * Fork somebody with the rights of a checker, behind the wall or not; it ends with `act`'s value.
 */
static int
run_as_checker(bool walled, bool alone, int (*act)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		if (!sit_down() || proc_drop(&user) < 0)
			_exit(100);
		prctl(PR_SET_DUMPABLE, 1); /* else much is denied for that */
		if (walled && confine_enter(alone, NULL, files, guarded) < 0)
			_exit(101);
		_exit(act());
	}
	return exit_code_of(pid);
}

/* --- attempts ---------------------------------------------------------------------------- */

static int
make_attempt(const struct attempt *attempt)
{
	errno = 0;
	return attempt->act() >= 0;
}

static const struct attempt *current;

static int
make_current(void)
{
	return make_attempt(current);
}

START_TEST(without_a_wall_it_works)
{
	current = &attempts[_i];
	if (!current->often)
		ck_assert_msg(run_as_checker(false, false, make_current) == 1,
		    "nobody %s: that it fails inside proves nothing", current->what);
}
END_TEST

static bool
needs_landlock(const struct attempt *attempt)
{
	return attempt->act == try_read || attempt->act == try_list;
}

START_TEST(with_a_wall_it_does_not)
{
	const char *missing = checker_confinement_missing();

	current = &attempts[_i];
	if (missing != NULL && (strstr(missing, "seccomp") != NULL || needs_landlock(current)))
		return; /* the log says so at each start */
	ck_assert_msg(
	    run_as_checker(true, false, make_current) == 0, "a checker %s", current->what);
	ck_assert_msg(run_as_checker(true, true, make_current) == 0,
	    "a checker with a user of its own %s", current->what);
}
END_TEST

/* --- what a check needs ------------------------------------------------------------------ */

static void *
look_up(void *arg)
{
	struct addrinfo *found = NULL;

	*(int *)arg = getaddrinfo("localhost", "80", NULL, &found);
	freeaddrinfo(found);
	return NULL;
}

static volatile sig_atomic_t signalled;

static void
on_signal(int number)
{
	signalled = number;
}

static int
do_what_checks_do(void)
{
	int outcome = -1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[8];
	struct rlimit limit;
	pthread_t thread;

	if (pthread_create(&thread, NULL, look_up, &outcome) != 0 ||
	    pthread_join(thread, NULL) != 0 || outcome != 0)
		return 1;
	if (fd < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return 2;
	signal(SIGUSR1, on_signal);
	if (raise(SIGUSR1) != 0 || kill(getpid(), SIGUSR1) != 0 || signalled != SIGUSR1)
		return 3;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 4;
	for (size_t i = 0; i < 3; i++) {
		static const char *const names[] = { "/etc/hosts", "/proc/self/status",
			"/dev/urandom" };

		fd = open(names[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, text, sizeof(text)) <= 0)
			return 5;
	}
	if (write(ends[1], "x", 1) != 1)
		return 6;
	return confine_is_stale() ? 7 : 0;
}

START_TEST(checks_work_behind_it)
{
	ck_assert_int_eq(run_as_checker(true, _i == 1, do_what_checks_do), 0);
}
END_TEST

/* Of memory there is enough, but not all. */
static int
take_memory(void)
{
	static const size_t sizes[] = { 200UL << 20, 3UL << 30 };
	bool had[2];

	for (size_t i = 0; i < 2; i++)
		had[i] = mmap(NULL, sizes[i], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0) != MAP_FAILED;
	return had[0] && !had[1] ? 0 : 1;
}

START_TEST(memory_ends)
{
	ck_assert_int_eq(run_as_checker(true, false, take_memory), 0);
}
END_TEST

static int
look_at_stderr(void)
{
	return isatty(STDERR_FILENO);
}

START_TEST(a_terminal_is_let_go)
{
	ck_assert_int_eq(run_as_checker(false, false, look_at_stderr), 1);
	ck_assert_int_eq(run_as_checker(true, false, look_at_stderr), 0);
}
END_TEST

/* --- files that are replaced -------------------------------------------------------------- */

static int ready[2], go[2];

/* Says that it stands behind the wall, and when it is told so looks whether it is stale. */
static int
look_twice(void)
{
	char byte;
	int before = confine_is_stale();

	if (write(ready[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
		return 2;
	return before ? 3 : confine_is_stale();
}

static int
replace_and_look(const char *name, bool alone)
{
	char path[64], temporary[64];
	pid_t pid;
	char byte;
	int fd;

	pid = fork();
	if (pid == 0)
		_exit(run_as_checker(true, alone, look_twice));
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	snprintf(path, sizeof(path), "/etc/%s", name);
	snprintf(temporary, sizeof(temporary), "/etc/%s.new", name);
	fd = open(temporary, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(rename(temporary, path), 0);
	ck_assert_int_eq(write(go[1], "x", 1), 1);
	return exit_code_of(pid);
}

START_TEST(replaced_files_are_noticed)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("etc", "/etc", "tmpfs", 0, "mode=755") < 0 ||
	    checker_confinement_missing() != NULL)
		return; /* only root can, and not everywhere */
	ck_assert(pipe(ready) == 0 && pipe(go) == 0);
	ck_assert_int_eq(replace_and_look("resolv.conf", false), 1); /* a new one */
	ck_assert_int_eq(replace_and_look("resolv.conf", false), 1); /* another one */
	ck_assert_int_eq(replace_and_look("motd", false), 0);
	/* who may read all of /etc can read the new one, too */
	ck_assert_int_eq(replace_and_look("hosts", false), 1);
	ck_assert_int_eq(replace_and_look("hosts", true), 0);
}
END_TEST

/* What a checker reads of a site's file that is replaced by rename(2), and of one beside it. */
static char site_file[128], beside[128];

enum {
	OLD = 1,
	NEW = 2,
	BESIDE = 4
};

static int
read_twice(void)
{
	char byte;
	bool read_it = close(open(site_file, O_RDONLY)) == 0;

	if (write(ready[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
		return 100;
	return (read_it ? OLD : 0) | (close(open(site_file, O_RDONLY)) == 0 ? NEW : 0) |
	       (close(open(beside, O_RDONLY)) == 0 ? BESIDE : 0);
}

static int
replace_and_read(bool alone, const char *by, const char *path)
{
	pid_t pid = fork();
	char byte;

	if (pid == 0)
		_exit(run_as_checker(true, alone, read_twice));
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(rename(by, path), 0);
	ck_assert_int_eq(write(go[1], "x", 1), 1);
	return exit_code_of(pid);
}

static int
replace_token(bool alone)
{
	return replace_and_read(alone, write_file("sites/token.new", "2", 0644), site_file);
}

START_TEST(files_of_sites_can_be_replaced)
{
	if (checker_confinement_missing() != NULL)
		return;
	ck_assert(pipe(ready) == 0 && pipe(go) == 0);
	ck_assert_int_eq(mkdir(path_in_dir("sites"), 0755), 0);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	snprintf(site_file, sizeof(site_file), "%s", write_file("sites/token", "1", 0644));
	snprintf(beside, sizeof(beside), "%s", write_file("sites/kafka", "1", 0644));
	ck_assert_int_eq(replace_token(false), 0);
	files[0] = site_file;
	ck_assert_int_eq(replace_token(false), OLD | NEW | BESIDE);
	ck_assert_int_eq(replace_token(true), OLD | NEW | BESIDE);
	/* with one user for all, permissions do not protect the keys of Kafka: the wall does */
	guarded = beside;
	ck_assert_int_eq(replace_token(false), OLD);
	ck_assert_int_eq(replace_token(true), OLD | NEW | BESIDE);
}
END_TEST

/* As Kubernetes mounts secrets: the name is a link, whose way is changed. */
START_TEST(links_to_files_of_sites_can_be_turned)
{
	char before[128], after[128];

	if (checker_confinement_missing() != NULL)
		return;
	ck_assert(pipe(ready) == 0 && pipe(go) == 0);
	ck_assert_int_eq(chmod(dir, 0755), 0);
	ck_assert_int_eq(mkdir(path_in_dir("sites"), 0755), 0);
	ck_assert_int_eq(mkdir(path_in_dir("sites/..1"), 0755), 0);
	ck_assert_int_eq(mkdir(path_in_dir("sites/..2"), 0755), 0);
	write_file("sites/..2/token", "2", 0644);
	snprintf(beside, sizeof(beside), "%s", write_file("sites/..1/token", "1", 0644));
	snprintf(before, sizeof(before), "%s", path_in_dir("sites/..data"));
	ck_assert_int_eq(symlink("..1", before), 0);
	snprintf(site_file, sizeof(site_file), "%s", path_in_dir("sites/token"));
	ck_assert_int_eq(symlink("..data/token", site_file), 0);
	files[0] = site_file;
	snprintf(after, sizeof(after), "%s", path_in_dir("sites/..next"));
	ck_assert_int_eq(symlink("..2", after), 0);
	ck_assert_int_eq(replace_and_read(false, after, before), OLD | NEW | BESIDE);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("confine");
	TCase *tcase = tcase_create("confine");

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_loop_test(tcase, without_a_wall_it_works, 0, ARRAY_LENGTH(attempts));
	tcase_add_loop_test(tcase, with_a_wall_it_does_not, 0, ARRAY_LENGTH(attempts));
	tcase_add_loop_test(tcase, checks_work_behind_it, 0, 2);
	tcase_add_test(tcase, memory_ends);
	tcase_add_test(tcase, a_terminal_is_let_go);
	tcase_add_test(tcase, replaced_files_are_noticed);
	tcase_add_test(tcase, files_of_sites_can_be_replaced);
	tcase_add_test(tcase, links_to_files_of_sites_can_be_turned);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
