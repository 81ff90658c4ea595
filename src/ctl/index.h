/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * A hash table that holds no items: it finds the number of an item in a list of its user. Hashes
 * are to be made with a secret key (util_mac()), because what is looked up comes from others.
 */
#ifndef WEBMOND_INDEX_H
#define WEBMOND_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INDEX_NONE UINT32_MAX

/* Start from zeros. */
struct index {
	struct index_slot {
		uint32_t hash;
		uint32_t item; /* + 1; 0: free */
	} * slots;
	size_t size; /* a power of 2, or 0 */
	size_t used;
};

/* The item that has this hash and of which `same` says that it is the one; or INDEX_NONE. */
uint32_t index_find(const struct index *index, uint64_t hash,
    bool (*same)(const void *arg, uint32_t item), const void *arg);

/* Add an item that index_find() does not find. */
void index_add(struct index *index, uint64_t hash, uint32_t item);

void index_release(struct index *index);

#endif
