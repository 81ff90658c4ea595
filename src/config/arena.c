/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Memory that lives as long as one configuration. Sites share in it what they inherit from
 * `defaults`, and all of it is freed at once. It lies in chunks of the heap or, for a configuration
 * that a child reads for its parent, in a region of a given size; then running out of it is fatal.
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exit.h"

#define ARENA_CHUNK (64 * 1024)

struct config_chunk {
	struct config_chunk *next;
	size_t used, size;
	max_align_t data[];
};

static void *
alloc_in_region(struct config *c, size_t size)
{
	void *p = (char *)c + c->region_used;

	if (size > c->region_room - c->region_used) {
		fputs("webmond: the configuration is too large\n", stderr);
		_exit(EXIT_CONFIG);
	}
	c->region_used += size;
	return p;
}

void *
config_alloc(struct config *c, size_t size)
{
	struct config_chunk *chunk = c->chunks;
	void *p;

	size = (size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
	if (c->region_room > 0)
		return alloc_in_region(c, size);
	if (chunk == NULL || chunk->size - chunk->used < size) {
		size_t room = size > ARENA_CHUNK ? size : ARENA_CHUNK;

		chunk = xcalloc(1, sizeof(*chunk) + room);
		chunk->size = room;
		chunk->next = c->chunks;
		c->chunks = chunk;
	}
	p = (char *)chunk->data + chunk->used;
	chunk->used += size;
	return p;
}

const char *
config_join(struct config *c, const char *a, const char *b)
{
	char *text = config_alloc(c, strlen(a) + strlen(b) + 1);

	stpcpy(stpcpy(text, a), b);
	return text;
}

const char *
config_strdup(struct config *c, const char *text)
{
	return config_join(c, text, "");
}

void
config_arena_free(struct config *c)
{
	for (struct config_chunk *chunk = c->chunks, *next; chunk != NULL; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	c->chunks = NULL;
}
