/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * Streaks: how many records of a site in a row have had the same status. The supervisor numbers the
 * slots of each site, so the number of the slot at which the status changed says it, and only
 * changes are stored: a row for each record would double what is written.
 */
#include "internal.h"

#include <string.h>

#include "util.h"

/* More sites in one epoch are not counted: 24 bytes each. */
#define SITES_MAX (1 << 24)

/* Room for the sites up to this number. */
static void
make_changes(struct spool *s, size_t site)
{
	size_t room = site + site / 2 + 64;

	if (site < s->change_room)
		return;
	s->changes = xreallocarray(s->changes, room, sizeof(*s->changes));
	memset(s->changes + s->change_room, 0, (room - s->change_room) * sizeof(*s->changes));
	s->change_room = room;
}

static void
set_change(struct spool *s, uint32_t site, struct change change)
{
	if (s->undo_count == s->undo_room) {
		s->undo_room = 2 * s->undo_room + 64;
		s->undo = xreallocarray(s->undo, s->undo_room, sizeof(*s->undo));
	}
	s->undo[s->undo_count++] = (struct undo){ site, s->changes[site] };
	s->changes[site] = change;
}

struct payload_streak
spool_count_streak(struct spool *s, int64_t epoch, const struct frame *frame, enum status status)
{
	const struct wire_ordinal n = frame->ordinal;
	struct payload_streak streak = { 1, frame->slot_us };
	const struct change *last;

	if (n.slot == 0 || n.site > SITES_MAX)
		return streak;
	make_changes(s, n.site);
	last = &s->changes[n.site];
	if (last->slot > 0 && last->slot < n.slot && last->epoch == epoch &&
	    last->status == status) {
		streak.length += n.slot - last->slot;
		streak.since_us = last->slot_us;
	} else if (epoch == s->epoch || last->epoch != s->epoch) {
		set_change(s, n.site, (struct change){ epoch, frame->slot_us, n.slot, status });
	}
	return streak;
}

enum spool_status
spool_store_streaks(struct spool *s)
{
	enum spool_status status = SPOOL_OK;

	for (size_t i = 0; i < s->undo_count && status == SPOOL_OK; i++) {
		const struct change *change = &s->changes[s->undo[i].site];

		spool_bind(s, SET_STREAK, 1, s->undo[i].site);
		spool_bind(s, SET_STREAK, 2, (uint64_t)change->epoch);
		spool_bind(s, SET_STREAK, 3, change->slot);
		spool_bind(s, SET_STREAK, 4, (uint64_t)change->slot_us);
		spool_bind(s, SET_STREAK, 5, change->status);
		status = spool_step(s, SET_STREAK, "store a streak");
	}
	return status;
}

enum spool_status
spool_load_streaks(struct spool *s)
{
	sqlite3_stmt *st;
	int code;

	if (sqlite3_prepare_v2(s->db,
		"SELECT site, epoch, slot, slot_us, status FROM streak WHERE site BETWEEN 1 AND ?1",
		-1, &st, NULL) != SQLITE_OK)
		return spool_failed(s, "read the streaks");
	sqlite3_bind_int(st, 1, SITES_MAX);
	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		const size_t site = (size_t)sqlite3_column_int(st, 0);

		make_changes(s, site);
		s->changes[site] = (struct change){ .epoch = sqlite3_column_int64(st, 1),
			.slot = (uint32_t)sqlite3_column_int64(st, 2),
			.slot_us = sqlite3_column_int64(st, 3),
			.status = (enum status)sqlite3_column_int(st, 4) };
	}
	sqlite3_finalize(st);
	return code == SQLITE_DONE ? SPOOL_OK : spool_failed(s, "read the streaks");
}

enum spool_status
spool_forget_streaks(struct spool *s)
{
	/* of all rows at once, which is usual, SQLite only gives back the pages */
	int code = s->lost_epoch == 0 ? spool_run(s, "DELETE FROM streak")
				      : spool_run(s, "DELETE FROM streak WHERE epoch <> %lld",
					    (long long)s->lost_epoch);

	/* in memory they do no harm: they are of other epochs */
	return code == SQLITE_OK ? SPOOL_OK : spool_failed(s, "forget the streaks");
}
