/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The webmond authors */

/*
 * What the files of the supervisor share: its state, and who does what with it. No other process
 * includes this.
 * *   supervisor.c       the loop: signals, clock, messages; start and stop
 *   reload.c           from HUP to the new configuration
 *   dispatch.c         what is due: OPEN and a checker, or the record of a slot that never runs
 *   checkers.c         checkers: start, messages, death
 *   publisher_child.c  the publisher: the same
 *   check.c            checks and their frames: OPEN, and the CLOSE that no checker writes
 *   site_state.c       one site: its next slot, its state, and what is logged about it
 *   status.c           the status, for systemd and for USR1
 *   once.c             the table of --once
 *
 * Three words for three things: a checker is a process; a worker is a place for one in the pool,
 * with or without a process (pool.h); a child is the supervisor's side of a process, with its PID
 * and its channel.
 *
 * There is no queue of unwritten records: a site stays in its heap until its frame is in the pipe.
 * From then on there is a struct check in exactly one list: that of the checker that has it, of the
 * checks that wait for another checker, or of the pending closes, which no checker will write.
 * Functions that write frames return false when the pipe has no room; their caller tries again when
 * it has.
 */
#ifndef WEBMOND_SUPERVISOR_STATE_H
#define WEBMOND_SUPERVISOR_STATE_H
#include <sys/queue.h>

#include "claims.h"
#include "message.h"
#include "payload.h"
#include "pipe.h"
#include "pool.h"
#include "proc.h"
#include "schedule.h"
#include "supervisor.h"
#include "util.h"
#include "wire.h"

/* How long after the timeout of its site the watchdog kills a checker. */
#define WATCHDOG_GRACE_US (2 * US_PER_S)

/* A site and what is known of it; lives as long as the site is configured. */
struct site_state {
	struct timer timer; /* the next slot; first member, see site_of() */
	const struct site *site;
	uint32_t index;    /* in the configuration */
	uint32_t affinity; /* of its tick, see pool_choose() */
	int last_worker;   /* by index; -1: none */
	int64_t interval_us, phase_us;
	int64_t busy_until_us; /* slots due until then passed while a check ran (monotonic) */
	int64_t since_us;      /* since when not up (monotonic) */
	struct quarantine quarantine;
	enum status status;
	bool known;         /* `status` means something */
	char *why;          /* it is not up; NULL: it is, or nothing is known */
	int http_status;    /* of the last result; RESULT_NONE: none */
	int64_t elapsed_us; /* likewise */
	bool running;
	bool slow;           /* its last check was */
	int64_t expected_us; /* how long its next check will take; INT64_MAX: not known */
	/* Slots up to then (monotonic) are on the old grid and still get their records. After it the
	 * site is gone, or has slots by another clock or interval. INT64_MAX: the grid goes on. */
	int64_t grid_ends_us;
	struct config *removed; /* no longer configured: what its site is part of; else NULL */
};

/* A slot whose OPEN is in the pipe and whose CLOSE is not, as far as is known. */
struct check {
	STAILQ_ENTRY(check) next;
	struct site_state *state;
	const struct site *site; /* as its OPEN names it: that of `state` may be newer */
	struct config *config;   /* what `site` is part of */
	struct wire_job job;
	int64_t expected_us;
	int64_t begun_us; /* monotonic, at the earliest; RESULT_NONE: it did not */
	bool excused;     /* its watchdog waited once, as the pipe was full */
	uint64_t taken;   /* what the publisher had taken out of it then */
	char why[128];    /* the message of the record if no checker writes it */
};

STAILQ_HEAD(checks, check);

/* The supervisor's side of a checker. */
struct child {
	pid_t pid; /* 0: none */
	int fd;    /* -1: closed, or its end was seen */
	struct claims *claims;
	uint64_t jobs; /* sent so far */
	struct config *config;
	struct proc_backoff backoff;
	struct checks checks; /* the running one, then those that are queued */
};

enum stage {
	STAGE_STARTING,
	STAGE_RUNNING,
	STAGE_STOPPING, /* checks end, checkers leave */
	STAGE_DRAINING, /* the pipe is closed, the publisher finishes */
	STAGE_OVER,
};

struct supervisor {
	const struct supervisor_start *start;
	struct config *config;
	struct site_state **sites;
	size_t site_count;
	struct schedule lane[2]; /* normal, slow */
	struct pool pool;
	struct checks waiting;        /* reclaimed from a checker: they need another one */
	struct checks pending_closes; /* no checker will write their CLOSE */
	bool listening;       /* a site waits for a checker, so their messages are read at once */
	struct pipe own;      /* our frames to the publisher; nobody else can write there */
	struct pipe checkers; /* the checkers' */
	bool own_full;
	int64_t pipe_full_us;                   /* the last time that one of the two was */
	unsigned char token_key[UTIL_KEY_SIZE]; /* see wire_token() */
	char epoch[WIRE_EPOCH_SIZE];
	bool epoch_stored; /* a spool has been opened for it */
	char lost_epoch[WIRE_EPOCH_SIZE];
	int spool_lock_fd; /* -1: no spool has been opened yet */
	uint64_t next_seq;
	uint64_t settled_seq;    /* the publisher knows that all below are over */
	int64_t next_settle_us;  /* when to tell it of more */
	int64_t clock_offset_us; /* UTC - monotonic */

	struct {
		pid_t pid; /* 0: none */
		int fd;
		struct proc_backoff backoff;
		struct message_report report;
		int64_t last_report_us;
		bool handing_over;
		int64_t kill_at_us; /* at a hand-over or a stop; 0: not */
	} publisher;

	struct {
		pid_t pid; /* the validation child; 0: none */
		int fd;
		struct config_share share; /* where it reads the new configuration to */
		char line[1024];
		size_t line_size;
		int lines;        /* that it has written */
		char *complaints; /* a line each; NULL: none */
		int64_t since_us;
		bool again; /* another HUP came meanwhile */
	} reload;

	enum stage stage;
	int64_t stopping_since_us;
	bool hurry;  /* a second TERM */
	bool failed; /* to start, or was stopped before it could */
	int exit_code;
	int64_t next_status_us;      /* for systemd */
	int64_t next_answer_us;      /* to USR1, at the earliest */
	int64_t next_maintenance_us; /* of the pool; 0: at once */
	int64_t last_watchdog_us;    /* when it last looked for overdue checkers */
	pid_t self;
};

/* --- site_state.c ------------------------------------------------------------------------ */

static inline struct site_state *
site_of(struct timer *t)
{
	return (struct site_state *)t;
}

/* Has no slot and is in no heap before site_restart(). */
struct site_state *site_new(const struct site *site, uint32_t index);

/*
 * Continue at the first slot after now, on the grid of the site's interval and the clock as they
 * are now. Slots that are due already get their records first.
 */
void site_restart(struct supervisor *s, struct site_state *state, int64_t now);

/* On to the slot after this one. */
void site_advance(struct supervisor *s, struct site_state *state);

/*
 * Take it out of the heap of its lane, and put it back. A removed site that has no slot left is
 * freed by site_enqueue().
 */
void site_dequeue(struct supervisor *s, struct site_state *state);
void site_enqueue(struct supervisor *s, struct site_state *state);

/* The site is no longer configured; the caller drops its pointer. */
void site_remove(struct supervisor *s, struct site_state *state, int64_t now);

/* How many bytes of the URL are logged: its query may hold secrets. */
int site_shown_url(const struct site_state *state);

/* Note how a slot ended; a change of state is logged once, with its reason. */
void site_note(struct supervisor *s, struct site_state *state, const struct wire_done *done);

/* A check has ended, with a result or without: the site goes on with its next slot. */
void site_finished(struct supervisor *s, struct site_state *state, const struct wire_done *done);

/* After a step of the clock or a suspend all sites continue at their next slot on the new clock. */
void follow_clock(struct supervisor *s);

/* --- check.c ----------------------------------------------------------------------------- */

/* Checks that run now end in the epoch in which they were opened. */
void epoch_begin(struct supervisor *s);

/* Note that the own pipe is full: the loop waits until it has room. */
void pipe_is_full(struct supervisor *s);

/* The next slot of `state` never runs: write OPEN and CLOSE as one frame. */
bool write_missed(
    struct supervisor *s, struct site_state *state, enum error_type error, const char *message);

/* The next slot of `state`, with its OPEN in the pipe; NULL if that is full. */
struct check *open_check(struct supervisor *s, struct site_state *state);

/* * After a reload: have a check that has not begun follow the new configuration, if what its OPEN
 * says of the site is still true. False: it is not, and no checker could run it.
*/
bool follow_reload(struct supervisor *s, struct check *check);

/* No checker will run `check`, which is in no list: it becomes a pending close, `aborted`. */
void abandon_check(struct supervisor *s, struct check *check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Write each CLOSE that no checker will write. */
bool flush_pending_closes(struct supervisor *s);

/* * Tell the publisher below which seq all checks are over. A slot that is still open there has a
 * checker that reported its end and wrote no CLOSE; the publisher then makes its record.
*/
bool settle(struct supervisor *s);

/* At a stop: checks that wait for a checker become pending closes. */
void abandon_waiting(struct supervisor *s);

/* Drop a check whose CLOSE is in the pipe. */
void check_free(struct check *check);

/* --- dispatch.c -------------------------------------------------------------------------- */

/* Start what is due. Returns when to look again (monotonic). */
int64_t dispatch(struct supervisor *s, int64_t now);

/* At a stop: write the records of slots that are due; afterwards the heaps are empty. */
bool record_remaining(struct supervisor *s);

/* --- checkers.c -------------------------------------------------------------------------- */

/* Set the limits of the pool; each worker has a struct child, with a process or without. */
void resize_pool(struct supervisor *s, int min, int max);

/* Start missing checkers, retire surplus ones. Returns when to look again (monotonic). */
int64_t maintain_pool(struct supervisor *s, int64_t now);
bool start_checker(struct supervisor *s, struct worker *worker, int64_t now);

/* Tell a checker to leave, which it does when it next reads its socket. */
void retire_checker(struct supervisor *s, struct worker *worker, int64_t now);

/* * Give the checker of `worker` a check that is in no list. Returns false when its socket has no
 * room: then the check waits for another one.
*/
bool assign_check(struct supervisor *s, struct check *check, struct worker *worker, int64_t now);

/* Checks that are queued behind one that makes no progress go to other workers. */
void requeue_stalled(struct supervisor *s, int64_t now);

/* Read the messages of a checker. */
void read_checker(struct supervisor *s, struct worker *worker, int64_t now);
void checker_died(struct supervisor *s, struct worker *worker, int status, int64_t now);

/* The watchdog. */
void kill_overdue(struct supervisor *s, int64_t now);

/* --- publisher_child.c ------------------------------------------------------------------- */

void start_publisher(struct supervisor *s, int64_t now);
void order_publisher(struct supervisor *s, enum message_type order);
void read_publisher(struct supervisor *s);
void publisher_died(struct supervisor *s, int status, int64_t now);

/* Kill a publisher that takes too long to leave: its successor finds all its work in the spool. */
void kill_stuck_publisher(struct supervisor *s, int64_t now);

/* --- reload.c ---------------------------------------------------------------------------- */

/* Have a child read and validate the file, or remember to do so. */
void begin_reload(struct supervisor *s, int64_t now);
void read_validation(struct supervisor *s);

/* Kill a validation that does not end, or that runs at a stop. */
void limit_validation(struct supervisor *s, int64_t now);

/* The validation child has ended: the new configuration comes into force, if it is good. */
void finish_validation(struct supervisor *s, int status, int64_t now);

/* --- status.c ---------------------------------------------------------------------------- */

/* How many sites there are, by what their last check said. */
struct tally {
	size_t sites;
	size_t with[3];   /* by enum status */
	size_t not_known; /* since no check has ended yet */
};

struct tally tally_sites(const struct supervisor *s);

/* The line of systemd, when it is due, and the watchdog's sign of life. */
void tell_status(struct supervisor *s, int64_t now);

/* The same line in the log, and the sites that are not up, with since when and why. */
void log_status(struct supervisor *s, int64_t now);

/* --- once.c ------------------------------------------------------------------------------ */

/*
 * The table of --once: its head; the rows of sites whose check is over, in order; its sum, if it
 * was begun. once_is_over() says whether there is no site left, with a table or without.
 */
void once_begin(struct supervisor *s);
bool once_is_over(struct supervisor *s);
void once_end(struct supervisor *s);

#endif
