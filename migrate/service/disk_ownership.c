/* SPDX-License-Identifier: BSD-3-Clause */
/* The steps that change who owns a disk, at the redirector. */
#include "disk_ownership.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>

#include "clock.h"
#include "disk_durability.h"
#include "log.h"
#include "port_channel.h"

/* Take port B, if there is one, out of the way: requests that it has not got an answer
 * for come back to the queue. The owner has given the device away, so it will not
 * perform them any more. */
static void
recall_channel(struct disk *d)
{
    struct redir_status st;
    int rc;

    redir_status(d->redir, &st);
    if (st.state != REDIR_QUIESCED) {
        rc = redir_hold(d->redir);
        assert(rc == 0); /* we have the claim, so nobody else moves the state but
                          * REPLAYING -> OPEN, and a pause; hold takes all of them */
        port_channel_recall(redir_active(d->redir));
        rc = redir_drain(d->redir, CLOCK_NEVER); /* a recalled port answers at once */
        assert(rc == 0);
    }
}

/* The port that was there is the caller's to close. */
static struct port *
swap_in(struct disk *d, struct port *next, enum redir_side side)
{
    struct port *old = NULL;
    int rc = redir_swap(d->redir, next, side, NULL, &old);

    assert(rc == 0); /* can_replace was asked in PREPARE, and we are quiesced */
    return old;
}

static void
release(struct disk *d)
{
    int rc = redir_release(d->redir);

    assert(rc == 0);
}

void
disk_eject(struct disk *d)
{
    session_table_close(d->sessions);
    port_close(swap_in(d, NULL, REDIR_LOCAL));
}

static void
note_size(struct disk *d, const struct port *port)
{
    uint64_t size = redir_port(d->redir)->info.size;

    atomic_store_explicit(&d->device_size, port->info.size, memory_order_relaxed);
    if (port->info.size > size) {
        log_warn("%s: its device has grown to %" PRIu64
                 " bytes; the disk stays at %" PRIu64,
                 d->cfg->name, port->info.size, size);
    }
}

struct port *
disk_take_over(struct disk *d, struct port *port)
{
    const uint64_t epoch = disk_record(d).epoch;
    struct redir_status st;
    struct port *old;

    note_size(d, port);
    recall_channel(d);
    redir_status(d->redir, &st);
    if (st.side == REDIR_REMOTE && redir_active(d->redir) != NULL) {
        disk_repeat_kept(d, redir_active(d->redir), port);
    }
    old = swap_in(d, port, REDIR_LOCAL);
    session_table_open(d->sessions, epoch);
    return old;
}

void
disk_open_gate(struct disk *d)
{
    release(d);
}

void
disk_assign(struct disk *d, struct port *port)
{
    struct port *old = disk_take_over(d, port);

    disk_open_gate(d);
    port_close(old);
}

void
disk_park_again(struct disk *d)
{
    recall_channel(d);
}

void
disk_follow(struct disk *d, struct port *channel)
{
    struct port *old = swap_in(d, channel, REDIR_REMOTE);

    release(d);
    port_close(old);
}
