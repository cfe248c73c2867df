/* SPDX-License-Identifier: BSD-3-Clause */
/* port_channel.h - port B: carries requests over NBD connections ("lanes") to the
 * service that owns the device, and survives the loss of them.
 *
 * A *link* is all the lanes that the channel has at a time: they are connected together
 * under one number, and lost together. The owner calls its side of a link a session
 * (migrate/service/session.h), and `session=` is what the number is called on the wire.
 *
 * Every request that was submitted and not yet answered is in the channel's table of
 * unacknowledged requests. When any lane breaks, or the owner answers NBD_ESHUTDOWN
 * ("not performed, I am not the owner any more"), all lanes are dropped, a newer
 * link is connected (first try at once, then as base/retry.h says), and every
 * unacknowledged request is sent again. The owner fences the sessions of older links
 * of the same client before it serves a newer one, so a delayed request of the old
 * lanes cannot land later. submit() therefore blocks for as long as there is
 * no owner; it ends with the owner's answer, with -ESTALE after port_channel_recall(),
 * or with -EIO at the request's deadline_ns. If that one was sent, its link is
 * broken first: whether it was performed is unknown, but it will not be after anything
 * that is submitted later, and it is not sent again.
 *
 * Writes, trims and zeroes that the owner has acknowledged and that no flush has
 * followed are gone when the owner's machine dies. What the channel does about it:
 * enum channel_durability.
 *
 * There is no thread: the threads that wait for an answer drive the sockets in turn.
 */
#ifndef BATON_PORT_CHANNEL_H
#define BATON_PORT_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "channel_name.h"
#include "channel_owner.h"
#include "port.h"

#define CHANNEL_MAX_URIS 8

enum channel_durability {
    /* Keep copies of them, as long as the owner's instance is not `here` or older ones
     * of the same place are kept, until a flush succeeds; at half of keep_bytes the
     * channel flushes by itself. When an owner of another instance is met they are
     * sent again, each byte as the newest has it, before doubtful requests and new
     * ones. What cannot be written again fails every later flush. */
    CHANNEL_KEEP,
    CHANNEL_WRITETHROUGH, /* every one is sent with FUA */
    CHANNEL_OWNER,        /* nothing: what the owner does is enough */
};

/* What is kept now, and is there a link? Relaxed: for people. */
struct channel_unflushed_count {
    _Atomic uint64_t nr, bytes;
    _Atomic bool is_up;
    _Atomic uint64_t seen_ns; /* when one began or ended last; 0: there was none */
};

#define CHANNEL_URI_LEN 512

/* Where the owner is now. */
struct port_channel_place {
    uint64_t epoch;
    char right[CHANNEL_RIGHT_SIZE];
    unsigned nr_uris;
    char uris[CHANNEL_MAX_URIS][CHANNEL_URI_LEN];
};

struct port_channel_opts {
    const char *uris[CHANNEL_MAX_URIS]; /* owner's listeners "unix:PATH",
                                         * "tcp:HOST:PORT", "vsock:CID:PORT", tried in
                                         * order; copied */
    unsigned nr_uris;
    unsigned lanes; /* connections at most, 1..16 */
    /* How many clients may have requests for it; NULL, or outlives the port; relaxed. A
     * link begins with a lane for each of them and grows when more requests wait
     * than its lanes can carry; NULL: it begins with all lanes. */
    const _Atomic unsigned *clients;
    const char *uuid;   /* copied */
    uint64_t epoch;     /* of the owner this channel goes to */
    const char *right;  /* that it has told; copied; "": not known yet */
    const char *client; /* copied */
    /* The number of the next link, shared by all channels of the process; outlives the
     * port. Fetch-and-add, relaxed: only uniqueness and growth per channel count. */
    _Atomic uint64_t *next_link;
    struct port_info info; /* what the disk promises to its clients; the owner
                            * must be able to replace it (port_info_can_replace) */
    enum channel_durability durability;
    const char *here; /* copied; instance of owners that die only with us; NULL: none */
    uint64_t keep_bytes;                       /* 0: 32 MiB */
    struct channel_unflushed_count *unflushed; /* NULL, or outlives the port */
    /* May be NULL. Asked by the thread that connects, without a lock, whenever no
     * address gave a link: has the owner moved, to an epoch above this one, or has
     * it another right than this? True: *ret_place is where to go on, and what was not
     * acknowledged is sent there. Must not wait. Only a place whose owner has durably
     * taken the device over may be told: what the one before had not answered it will
     * not perform any more. */
    bool (*moved)(void *opaque, uint64_t epoch, const char *right,
                  struct port_channel_place *ret_place);
    void *moved_opaque;
    /* May be NULL. Asked with the channel's lock held before a change is sent again
     * that was acknowledged: is this VM there still? One that is gone will not flush,
     * and may write the same place elsewhere, and flush that. Must not wait. */
    bool (*has_vm)(void *opaque, uint64_t vm);
    void *has_vm_opaque;
};

/* Make the port; connects nothing. -ENOMEM only. */
int port_channel_new(const struct port_channel_opts *opts, struct port **ret_port);

/* An earlier life of this process had a channel for clients that live on, and may have
 * kept changes of theirs: the owner is made to flush after the first change. */
void port_channel_inherit(struct port *p);

/* Have the lanes connected, now, by deadline_ns. 0; -ETIMEDOUT; -EINVAL when the
 * owner's export cannot replace opts.info; other -errno of the last try. On failure
 * the port is as before and can be tried again. p was made by port_channel_new(). */
int port_channel_connect(struct port *p, uint64_t deadline_ns, struct err *e);

/* The reason to back off is gone: a thread that waits for its next try, tries now. */
void port_channel_hurry(struct port *p);

/* Let the lanes go while nobody needs them; the next request connects anew. Does
 * nothing unless the channel is connected and nothing is unacknowledged. */
void port_channel_rest(struct port *p);

/* Final: take the answers that are on their way (an owner that has given the device
 * away answers all it was sent at once; for at most a second), then drop the lanes;
 * every request that was not performed, and every later one, returns -ESTALE. To be
 * called only when the owner has durably given the device away, so that what it had not
 * answered it will not perform either. */
void port_channel_recall(struct port *p);

/* The channel was recalled because `next`, which is us, owns the device now through
 * `to`: write there what was kept and has not been flushed. Returns the first error,
 * an earlier one of this channel included; what it concerns is given up, and flushes of
 * `to` fail with it. *ret_nr: of how many changes. Before anything else is sent to
 * `to`. */
int port_channel_hand_over(struct port *p, const struct channel_owner *next,
                           struct port *to, uint64_t *ret_nr);

struct port_channel_status {
    bool is_connected;
    unsigned lanes; /* that are there */
    unsigned unacknowledged;
    uint64_t reconnects; /* links after the first, but for those after a rest */
};
void port_channel_status(struct port *p, struct port_channel_status *ret_status);

#endif
