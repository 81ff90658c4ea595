/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The system calls that a checker may not make. Called by confine; nothing is fatal here.
 *
 * A filter of the kernel's (seccomp) knows a call by its number and the values of its arguments.
 * What is denied fails with EPERM: libraries live with that, while a process that is killed for a
 * call that only the next libc makes would be our failure at every site. For the same reason those
 * calls are denied that do harm, not all but those that are known. The tables are made into a
 * filter by a few lines here, and not by libseccomp: that would be one more library at each start
 * for what two machines need, and a second way to test.
 */
#include "confine_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

#if defined(__x86_64__) && defined(__LP64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && defined(__AARCH64EL__) && defined(__LP64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#else
#define FILTER_ARCH 0 /* not looked at */
#endif

/* Newer than the headers may be; the numbers are those of all architectures. */
#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif
#define CALL_FCHMODAT2     452
#define CALL_SETXATTRAT    463
#define CALL_REMOVEXATTRAT 466

#define X32_CALLS 0x40000000 /* from here on: the x32 ABI, which nothing uses */

/* Denied, whatever the arguments. */
static const unsigned short denied[] = {
	/* other programs and processes */
	SYS_execve, SYS_execveat, SYS_unshare, SYS_setns, SYS_rt_sigqueueinfo,
	SYS_rt_tgsigqueueinfo, SYS_pidfd_open, SYS_pidfd_getfd, SYS_pidfd_send_signal, SYS_ptrace,
	SYS_process_vm_readv, SYS_process_vm_writev, SYS_process_madvise, SYS_process_mrelease,
	SYS_kcmp, SYS_sched_setaffinity, SYS_sched_setattr, SYS_sched_setparam,
	SYS_sched_setscheduler, SYS_setpriority, SYS_ioprio_set,
	/* what is in the pipe that is shared, or takes a page of it for each byte */
	SYS_splice, SYS_vmsplice, SYS_tee, SYS_sendfile,
	/* a checker is no server */
	SYS_listen, SYS_accept, SYS_accept4,
	/* parts of the kernel that a check has no use for, and that often had holes */
	SYS_bpf, SYS_userfaultfd, SYS_perf_event_open, SYS_io_uring_setup, SYS_io_uring_enter,
	SYS_io_uring_register, SYS_add_key, SYS_request_key, SYS_keyctl, SYS_mount, SYS_umount2,
	SYS_pivot_root, SYS_chroot, SYS_open_tree, SYS_move_mount, SYS_fsopen, SYS_fsconfig,
	SYS_fsmount, SYS_fspick, SYS_mount_setattr, SYS_open_by_handle_at,
#ifdef SYS_open /* older forms, which newer architectures never had */
	SYS_fork, SYS_vfork, SYS_creat, SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes,
	SYS_futimesat, SYS_link, SYS_symlink, SYS_rename, SYS_mkdir, SYS_rmdir, SYS_mknod,
	SYS_unlink,
#endif
	/* files: what Landlock does not know, and all else for where there is none */
	SYS_truncate, SYS_fchmod, SYS_fchmodat, CALL_FCHMODAT2, SYS_fchown, SYS_fchownat,
	SYS_utimensat, SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, CALL_SETXATTRAT, SYS_removexattr,
	SYS_lremovexattr, SYS_fremovexattr, CALL_REMOVEXATTRAT, SYS_linkat, SYS_symlinkat,
	SYS_renameat, SYS_renameat2, SYS_mkdirat, SYS_mknodat, SYS_unlinkat
};

/* These have their arguments in memory, where no filter can look; libc has another way. */
static const unsigned short unknown[] = { SYS_clone3, SYS_openat2 };

/*
 * Denied: the call, if its argument 1 is `command` (0: whatever it is), unless argument `index`,
 * masked, is `value` (no mask: always). Arguments are compared in their lower half.
 */
struct rule {
	uint32_t call, command, index, mask, value;
};

#define WHOLE    UINT32_MAX
#define OUR_PID  UINT32_MAX /* as a `value`: known only when we have one */
#define TO_WRITE (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND)

static const struct rule rules[] = {
	{ SYS_openat, 0, 2, TO_WRITE, O_RDONLY },
#ifdef SYS_open
	{ SYS_open, 0, 1, TO_WRITE, O_RDONLY },
#endif
	/* threads are made, no processes; abort() is one's own affair */
	{ SYS_clone, 0, 0, CLONE_THREAD, CLONE_THREAD },
	{ SYS_kill, 0, 0, WHOLE, OUR_PID },
	{ SYS_tkill, 0, 0, WHOLE, OUR_PID },
	{ SYS_tgkill, 0, 0, WHOLE, OUR_PID },
	{ SYS_prlimit64, 0, 0, WHOLE, 0 },
	/* signals by way of a descriptor */
	{ SYS_fcntl, F_SETOWN, 0, 0, 0 },
	{ SYS_fcntl, F_SETOWN_EX, 0, 0, 0 },
	{ SYS_ioctl, FIOSETOWN, 0, 0, 0 },
	{ SYS_ioctl, SIOCSPGRP, 0, 0, 0 },
	/* the pipe that is shared stays as large as it is, nobody has to wait in it, and what is
	 * written does not take a page for each byte (packets) */
	{ SYS_fcntl, F_SETFL, 2, O_NONBLOCK | O_DIRECT, O_NONBLOCK },
	{ SYS_fcntl, F_SETPIPE_SZ, 0, 0, 0 },
	{ SYS_ioctl, FIONBIO, 0, 0, 0 },
	/* terminals */
	{ SYS_ioctl, TIOCSTI, 0, 0, 0 },
	{ SYS_ioctl, TIOCLINUX, 0, 0, 0 },
	{ SYS_ioctl, TIOCSCTTY, 0, 0, 0 },
	{ SYS_ioctl, TIOCSETD, 0, 0, 0 },
	{ SYS_ioctl, TIOCCONS, 0, 0, 0 },
};

#define INSTRUCTIONS_MAX                                                                           \
	(8 + 2 * ARRAY_LENGTH(denied) + 2 * ARRAY_LENGTH(unknown) + 8 * ARRAY_LENGTH(rules))

struct program {
	struct sock_filter code[INSTRUCTIONS_MAX];
	unsigned short length;
};

static void
add(struct program *p, unsigned short code, uint32_t k, size_t if_true, size_t if_false)
{
	p->code[p->length++] = (struct sock_filter){ code, (unsigned char)if_true,
		(unsigned char)if_false, k };
}

static void
add_load(struct program *p, size_t offset)
{
	add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void
add_error(struct program *p, int error)
{
	add(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error, 0, 0);
}

static void
add_calls(struct program *p, const unsigned short *calls, size_t count, int error)
{
	for (size_t i = 0; i < count; i++) {
		add(p, BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
		add_error(p, error);
	}
}

/* The number of the call is loaded, before and behind. */
static void
add_rule(struct program *p, const struct rule *rule)
{
	const size_t command = rule->command != 0 ? 2 : 0, value = rule->mask != 0 ? 3 : 0;

	add(p, BPF_JMP | BPF_JEQ | BPF_K, rule->call, 0, command + value + 2);
	if (command > 0) {
		add_load(p, offsetof(struct seccomp_data, args[1]));
		add(p, BPF_JMP | BPF_JEQ | BPF_K, rule->command, 0, value + 1);
	}
	if (value > 0) {
		add_load(p, offsetof(struct seccomp_data, args) + rule->index * sizeof(uint64_t));
		add(p, BPF_ALU | BPF_AND | BPF_K, rule->mask, 0, 0);
		add(p, BPF_JMP | BPF_JEQ | BPF_K,
		    rule->value == OUR_PID ? (uint32_t)getpid() : rule->value, 1, 0);
	}
	add_error(p, EPERM);
	add_load(p, offsetof(struct seccomp_data, nr));
}

int
confine_restrict_calls(void)
{
	struct program p = { .length = 0 };
	struct sock_fprog program;

	add_load(&p, offsetof(struct seccomp_data, arch));
	add(&p, BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 1, 0);
	add_error(&p, EPERM);
	add_load(&p, offsetof(struct seccomp_data, nr));
	add(&p, BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1);
	add_error(&p, EPERM);
	for (size_t i = 0; i < ARRAY_LENGTH(rules); i++)
		add_rule(&p, &rules[i]);
	add_calls(&p, denied, ARRAY_LENGTH(denied), EPERM);
	add_calls(&p, unknown, ARRAY_LENGTH(unknown), ENOSYS);
	add(&p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
	program = (struct sock_fprog){ p.length, p.code };
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

bool
confine_can_restrict_calls(void)
{
	/* a filter at no address is refused for that, where filters are known */
	return FILTER_ARCH != 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) < 0 &&
	       errno == EFAULT;
}
