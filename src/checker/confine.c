/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Confinement: which files a checker may read, and how much memory it may take; system calls are in
 * confine_calls.c. Called by checker, once before its first job; nothing is fatal here.
 */
#include "confine.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checker.h"
#include "confine_internal.h"
#include "util.h"

/*
 * How much more memory than at its start a checker may take. A body and what it is decoded from are
 * 200 MB at most.
 */
#define MEMORY_MAX (1024L * 1024 * 1024)

/* --- Landlock: files --------------------------------------------------------------------- */

#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ_ALL  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/* How many kinds of access each version of Landlock can deny, from the first on. */
static const unsigned char landlock_kinds[] = { 13, 14, 15, 15, 16 };

/*
 * What a check reads: libraries that libc loads when it looks up a name, CA certificates, itself.
 * Not all of /usr, where configurations can lie too, nor of /etc/ssl, where keys do.
 */
static const char *const always_readable[] = { "/lib", "/lib64", "/usr/lib", "/usr/lib64",
	"/usr/share", "/usr/local/lib", "/usr/local/lib64", "/usr/local/share", "/etc/ssl/certs",
	"/etc/pki/tls/certs", "/etc/pki/ca-trust", "/etc/ca-certificates", "/etc/crypto-policies",
	"/run/systemd/resolve", "/proc/self", "/dev/null", "/dev/random", "/dev/urandom" };

/* How names are looked up, and what libc asks on the way: in /etc, or links from there. */
static const char *const libc_files[] = { "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
	"/etc/host.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/networks",
	"/etc/localtime", "/etc/ld.so.cache" };

/* What stood there when we entered. */
static struct {
	bool restricted, own_user;
	char guarded[PATH_MAX]; /* behind all links; "": nothing */
	struct timespec etc_changed;
	uint64_t files; /* see identify_files() */
} at_entry;

static long
landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

/* Allow `path`, and what is beneath. What does not exist needs no permission. */
static int
allow(int rules, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr beneath = { .allowed_access = access };
	struct stat st;
	int outcome;

	beneath.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (beneath.parent_fd < 0)
		return 0;
	if (fstat(beneath.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		beneath.allowed_access = READ_FILE;
	outcome = (int)syscall(
	    SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
	close(beneath.parent_fd);
	return outcome;
}

/* Whether there is more in a directory, or beneath, than a checker may read. */
static bool
is_too_much(const char *directory)
{
	size_t n = strlen(directory);

	if (strcmp(directory, "/") == 0)
		return true;
	return !at_entry.own_user &&
	       (strcmp(directory, "/etc") == 0 ||
		   (strncmp(at_entry.guarded, directory, n) == 0 && at_entry.guarded[n] == '/'));
}

/*
 * The path to allow so that `file` can be read, even after it has been replaced: the directory that
 * it is in behind all links; but where that would be too much, the file that stands there now.
 * Returns false when there is none.
 */
static bool
find_place(const char *file, char path[PATH_MAX])
{
	char *slash;

	if (realpath(file, path) == NULL)
		return false;
	slash = strrchr(path, '/');
	if (slash == path)
		return true;
	*slash = '\0';
	if (is_too_much(path))
		*slash = '/';
	return true;
}

static int
allow_place(int rules, const char *file)
{
	char path[PATH_MAX];

	return find_place(file, path) ? allow(rules, path, READ_FILE) : 0;
}

/* Also where the name stands: if it is a link, that can lead to another place tomorrow. */
static int
allow_file(int rules, const char *file)
{
	char path[PATH_MAX], *directory = util_directory_of(file);
	int outcome = allow_place(rules, file);

	if (realpath(directory[0] != '\0' ? directory : ".", path) != NULL && !is_too_much(path))
		outcome |= allow(rules, path, READ_FILE);
	free(directory);
	return outcome;
}

static int
restrict_files(const char *ca_file, const char *const *files)
{
	struct landlock_ruleset_attr attr = { 0 };
	size_t version = (size_t)landlock_version();
	int rules, outcome = 0;

	if (version > ARRAY_LENGTH(landlock_kinds))
		version = ARRAY_LENGTH(landlock_kinds);
	attr.handled_access_fs = (UINT64_C(1) << landlock_kinds[version - 1]) - 1;
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (rules < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LENGTH(always_readable); i++)
		outcome |= allow(rules, always_readable[i], READ_ALL);
	for (size_t i = 0; i < ARRAY_LENGTH(libc_files); i++)
		outcome |= allow_place(rules, libc_files[i]);
	if (ca_file != NULL)
		outcome |= allow_file(rules, ca_file);
	for (; *files != NULL; files++)
		outcome |= allow_file(rules, *files);
	if (at_entry.own_user)
		outcome |= allow(rules, "/etc", READ_ALL);
	if (outcome == 0)
		outcome = (int)syscall(SYS_landlock_restrict_self, rules, 0);
	close(rules);
	return outcome;
}

/* A number that is another one when one of those files has been replaced. */
static uint64_t
identify_files(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(libc_files); i++) {
		char path[PATH_MAX];
		struct stat st = { 0 };

		if (find_place(libc_files[i], path))
			(void)!stat(path, &st);
		sum = (sum * 31 + st.st_dev) * 31 + st.st_ino;
	}
	return sum;
}

bool
confine_is_stale(void)
{
	struct stat etc;

	if (!at_entry.restricted || stat("/etc", &etc) < 0 ||
	    (etc.st_mtim.tv_sec == at_entry.etc_changed.tv_sec &&
		etc.st_mtim.tv_nsec == at_entry.etc_changed.tv_nsec))
		return false;
	if (identify_files() != at_entry.files)
		return true;
	at_entry.etc_changed = etc.st_mtim;
	return false;
}

/* --- confinement ------------------------------------------------------------------------- */

const char *
checker_confinement_missing(void)
{
	bool landlock = landlock_version() > 0, seccomp = confine_can_restrict_calls();

	if (landlock && seccomp)
		return NULL;
	return landlock ? "seccomp" : seccomp ? "Landlock" : "Landlock and seccomp";
}

/* A process with a terminal could read what is typed there, and write on it. */
static int
leave_terminal(void)
{
	int null, outcome;

	if (!isatty(STDERR_FILENO))
		return 0;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	outcome = dup2(null, STDERR_FILENO);
	close(null);
	return outcome < 0 ? -1 : 0;
}

/* Memory shared with the parent counts too, so the limit is relative to what there is now. */
static int
limit_memory(void)
{
	struct rlimit limit;
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	rlim_t room;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%*d %*d %*d %*d %*d %ld", &pages) != 1)
		pages = 0;
	fclose(f);
	room = (rlim_t)(pages * sysconf(_SC_PAGESIZE) + MEMORY_MAX);
	if (pages == 0 || getrlimit(RLIMIT_DATA, &limit) < 0 || limit.rlim_cur <= room)
		return 0; /* or it is lower already */
	return setrlimit(RLIMIT_DATA, &(struct rlimit){ room, room });
}

int
confine_enter(bool own_user, const char *ca_file, const char *const *files, const char *guarded)
{
	struct stat etc = { 0 };

	at_entry.own_user = own_user;
	if (guarded == NULL || realpath(guarded, at_entry.guarded) == NULL)
		at_entry.guarded[0] = '\0';
	if (leave_terminal() < 0 || limit_memory() < 0)
		return -1;
	if (landlock_version() > 0) {
		(void)!stat("/etc", &etc);
		at_entry.etc_changed = etc.st_mtim;
		at_entry.files = identify_files();
		if (restrict_files(ca_file, files) < 0)
			return -1;
		at_entry.restricted = true;
	}
	return confine_can_restrict_calls() ? confine_restrict_calls() : 0;
}
