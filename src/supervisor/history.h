/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What came of the last checks, for whoever asks the daemon: of each site its last results, of all
 * together how many there were and how late they began. It is lost at a restart.
 */
#ifndef WEBMOND_HISTORY_H
#define WEBMOND_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "result.h"

/* Results that are kept of a site. */
#define HISTORY_RESULTS 20

/* 40 bytes. Milliseconds; NAN: not known. */
struct past_result {
	int64_t slot_us; /* UTC */
	float lateness_ms;
	float elapsed_ms;
	float phase_ms[PHASE_COUNT];
	int16_t http_status; /* RESULT_NONE: none */
	uint8_t error;       /* enum error_type */
};

/* Of a site: 832 bytes, from its first result on. */
struct history {
	struct past_result past[HISTORY_RESULTS]; /* a ring */
	uint32_t count;                           /* of all that were ever added */
	enum status status;
	uint32_t streak;          /* results in a row with this status, the last one included */
	int64_t since_us;         /* UTC: the slot of the first of these */
	int64_t chain_expires_us; /* UTC, by the last result that has it; RESULT_NONE: none */
};

/* Four to an octave, from 0.1 ms to 55 minutes. */
#define LATENESS_BUCKETS 100

/* Two spans of RECENT_US: the one before, and the present one. Start from zeros. */
#define RECENT_US (60 * 1000000LL)
struct recent {
	struct recent_span {
		int64_t begun_us; /* monotonic; 0: never */
		uint64_t results; /* that ended a slot */
		uint64_t began;   /* checks of them that began */
		uint32_t lateness[LATENESS_BUCKETS];
	} span[2];
	uint64_t results; /* since the start */
};

/* A result; lateness RESULT_NONE: its check never began. */
void recent_add(struct recent *recent, int64_t lateness_us, int64_t now_us);

/* Results in a second, in the last one to two spans. */
double recent_rate(const struct recent *recent, int64_t now_us);

/*
 * Which lateness this share of the checks (0.5, 0.99) did not exceed, in ms; NAN: there are none.
 */
double recent_lateness_ms(const struct recent *recent, double share);

/* Whether children get the memory of histories from now on; one that lives for seconds may. */
void history_share(bool share);

/* The next result begins a streak, whatever it is. NULL is ignored. */
void history_break_streak(struct history *history);

/* NULL is ignored. */
void history_free(struct history *history);

/* The i-th result, counted from the last one; NULL: there are no more. */
const struct past_result *history_get(const struct history *history, uint32_t i);

#endif
