/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * The last results. Called by the supervisor only; only running out of memory is fatal.
 */
#include "history.h"

#include <math.h>
#include <sys/mman.h>

#include "log.h"
#include "state.h"

/* --- all together ------------------------------------------------------------------------ */

#define LATENESS_UNIT_US 100

/* An octave has four of them. */
static int
bucket_of(int64_t us)
{
	uint64_t units = us > LATENESS_UNIT_US ? (uint64_t)us / LATENESS_UNIT_US : 1;
	int octave = 63 - __builtin_clzll(units);
	int bucket = 4 * octave + (int)((units << 2 >> octave) & 3);

	return bucket < LATENESS_BUCKETS ? bucket : LATENESS_BUCKETS - 1;
}

void
recent_add(struct recent *recent, int64_t lateness_us, int64_t now_us)
{
	struct recent_span *span = recent->span;

	if (now_us - span[1].begun_us >= RECENT_US) {
		span[0] = span[1];
		span[1] = (struct recent_span){ .begun_us = now_us };
	}
	recent->results++;
	span[1].results++;
	if (lateness_us == RESULT_NONE)
		return;
	span[1].began++;
	span[1].lateness[bucket_of(lateness_us)]++;
}

double
recent_rate(const struct recent *recent, int64_t now_us)
{
	const struct recent_span *span = recent->span;
	int64_t since_us = span[span[0].begun_us > 0 ? 0 : 1].begun_us;

	/* with less there is no rate yet; and nothing has ended for long */
	if (since_us == 0 || now_us - since_us < US_PER_S ||
	    now_us - span[1].begun_us > 2 * RECENT_US)
		return 0;
	return (double)(span[0].results + span[1].results) * US_PER_S / (double)(now_us - since_us);
}

double
recent_lateness_ms(const struct recent *recent, double share)
{
	const struct recent_span *span = recent->span;
	double left = share * (double)(span[0].began + span[1].began);
	int i = 0;

	if (span[0].began + span[1].began == 0)
		return NAN;
	for (; i < LATENESS_BUCKETS - 1; i++) {
		left -= span[0].lateness[i] + span[1].lateness[i];
		if (left <= 0)
			break;
	}
	/* its upper end */
	return (double)((uint64_t)(5 + i % 4) << (i / 4)) / 4 * LATENESS_UNIT_US / US_PER_MS;
}

/* --- of a site --------------------------------------------------------------------------- */

/*
 * How many there is memory for at first; each block has room for twice as many as the one before.
 */
#define BLOCK_FIRST 256
#define BLOCKS_MAX  32

union place {
	struct history history;
	union place *next; /* of those that are free again */
};

static union place *places;
static struct block {
	union place *place;
	size_t count, used; /* pages are there from their first use on */
} blocks[BLOCKS_MAX];
static size_t block_count;

static void
share_block(const struct block *block, bool share)
{
	madvise(
	    block->place, block->count * sizeof(union place), share ? MADV_DOFORK : MADV_DONTFORK);
}

void
history_share(bool share)
{
	for (size_t i = 0; i < block_count; i++)
		share_block(&blocks[i], share);
}

static struct block *
add_block(void)
{
	struct block *block = &blocks[block_count];

	if (block_count == BLOCKS_MAX)
		fatal(EXIT_OS, "out of memory");
	block->count = (size_t)BLOCK_FIRST << block_count++;
	block->place = mmap(NULL, block->count * sizeof(union place), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block->place == MAP_FAILED)
		fatal(EXIT_OS, "out of memory");
	share_block(block, false);
	return block;
}

/*
 * Without results. It lies in memory that children do not get: in that of every checker old copies
 * would be kept.
 */
static struct history *
new_history(void)
{
	struct block *last = block_count > 0 ? &blocks[block_count - 1] : NULL;
	union place *place = places;

	if (place != NULL) {
		places = place->next;
	} else {
		if (last == NULL || last->used == last->count)
			last = add_block();
		place = &last->place[last->used++];
	}
	place->history = (struct history){ .chain_expires_us = RESULT_NONE };
	return &place->history;
}

void
history_break_streak(struct history *history)
{
	if (history != NULL)
		history->streak = 0;
}

void
history_free(struct history *history)
{
	union place *place = (union place *)history;

	if (place == NULL)
		return;
	place->next = places;
	places = place;
}

const struct past_result *
history_get(const struct history *history, uint32_t i)
{
	if (history == NULL || i >= history->count || i >= HISTORY_RESULTS)
		return NULL;
	return &history->past[(history->count - 1 - i) % HISTORY_RESULTS];
}

/* Longer than any check may take: what a checker says may be nonsense. */
#define SPAN_MAX_US (10 * 86400 * US_PER_S)

static float
ms_of(int64_t us)
{
	return us < 0 || us > SPAN_MAX_US ? NAN : (float)us / US_PER_MS;
}

void
site_remember(struct supervisor *s, struct site_state *state, int64_t slot_us, int64_t lateness_us,
    const struct wire_done *done, int64_t now)
{
	struct history *h = state->history;
	struct past_result *past;

	recent_add(&s->recent, lateness_us, now);
	if (s->start->once)
		return; /* nobody can ask */
	if (h == NULL)
		h = state->history = new_history();
	past = &h->past[h->count++ % HISTORY_RESULTS];
	*past = (struct past_result){ .slot_us = slot_us,
		.lateness_ms = ms_of(lateness_us),
		.elapsed_ms = ms_of(done->elapsed_us),
		.http_status = (int16_t)done->http_status,
		.error = (uint8_t)done->error };
	for (int i = 0; i < PHASE_COUNT; i++)
		past->phase_ms[i] = ms_of(done->phase_us[i]);
	if (done->chain_expires_us != RESULT_NONE)
		h->chain_expires_us = done->chain_expires_us;
	if (state->status != result_status(done->error))
		return; /* site_note() takes it for no news */
	if (h->streak == 0 || h->status != state->status) {
		h->status = state->status;
		h->streak = 0;
		h->since_us = slot_us;
	}
	h->streak++;
}
