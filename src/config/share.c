/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A configuration that a child reads for its parent: the child builds it in memory that both share,
 * at the same address, so that its pointers hold in the parent too. Called by the supervisor and
 * the validation child; nothing is fatal in the supervisor.
 */
#include "internal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Address space; 100,000 sites need 30 MB of memory. */
#define SHARE_SIZE ((size_t)1 << 30)

int
config_share_open(struct config_share *share)
{
	*share = (struct config_share){ .fd = memfd_create("webmond", MFD_CLOEXEC) };
	if (share->fd < 0)
		return -1;
	share->at = mmap(
	    NULL, SHARE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (share->at != MAP_FAILED && ftruncate(share->fd, (off_t)SHARE_SIZE) == 0)
		return 0;
	config_share_close(share);
	return -1;
}

void
config_share_close(struct config_share *share)
{
	if (share->at != NULL && share->at != MAP_FAILED)
		munmap(share->at, SHARE_SIZE);
	if (share->fd >= 0)
		close(share->fd);
	*share = (struct config_share){ .fd = -1 };
}

struct config *
config_share_load(const struct config_share *share, const char *path)
{
	void *at = mmap(share->at, SHARE_SIZE, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_FIXED | MAP_NORESERVE, share->fd, 0);

	return at != MAP_FAILED ? config_load_at(at, SHARE_SIZE, path) : NULL;
}

struct config *
config_share_take(struct config_share *share)
{
	const struct config *config;
	void *at;
	size_t size;

	/*
	 * private: no process can change what the others read, not even a checker that was taken
	 * over
	 */
	at = mmap(share->at, SHARE_SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
	    share->fd, 0);
	if (at == MAP_FAILED)
		return NULL;
	config = at;
	size = config->region_size;
	munmap((char *)at + size, SHARE_SIZE - size);
	if (mprotect(config->holders, sizeof(*config->holders), PROT_READ | PROT_WRITE) < 0)
		return NULL;
	share->at = NULL;
	return at;
}
