/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Claims on jobs. Called by the supervisor and by the one checker that shares them; never fatal.
 */
#include "claims.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

/* A lock would be one in each process. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64 bits must be shared between processes");

struct claims {
	_Atomic uint64_t settled; /* the last job that is taken, or was taken back */
};

struct claims *
claims_new(void)
{
	struct claims *claims = mmap(
	    NULL, sizeof(*claims), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return claims != MAP_FAILED ? claims : NULL;
}

void
claims_free(struct claims *claims)
{
	if (claims != NULL)
		munmap(claims, sizeof(*claims));
}

void
claims_hide(struct claims *claims)
{
	madvise(claims, sizeof(*claims), MADV_DONTFORK);
}

bool
claims_take(struct claims *claims, uint64_t number)
{
	uint64_t before = number - 1;

	return atomic_compare_exchange_strong(&claims->settled, &before, number);
}

uint64_t
claims_revoke(struct claims *claims, uint64_t last)
{
	return atomic_exchange(&claims->settled, last);
}
