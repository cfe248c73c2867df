/* SPDX-License-Identifier: BSD-3-Clause */
/* channel_lanes.h - the connections of one link of a channel: opened together, lost
 * together; more of them (channel_lane_*) may join later. Where they lead to is the
 * channel's route (channel_route_*). Internal to port/. */
#ifndef BATON_CHANNEL_LANES_H
#define BATON_CHANNEL_LANES_H

#include <stdatomic.h>

#include "nbd_shared.h"
#include "port_channel.h"

#define CHANNEL_MAX_LANES 16

/* port.info is what this owner offers: port_submit(&lanes->port, rq) makes up for what
 * it lacks of what an earlier owner had. It returns -ENOTCONN or -ESHUTDOWN when rq has
 * to be sent again on newer lanes. Any thread; never closed by port_close(). */
struct channel_lanes {
    struct port port;
    struct channel_owner owner; /* the same on all of them */
    char address[CHANNEL_URI_LEN];
    char name[CHANNEL_NAME_MAX]; /* with the link's number */
    _Atomic unsigned nr;         /* release, after conns[nr - 1] was set; acquire */
    struct nbd_shared *conns[CHANNEL_MAX_LANES];
};

/* What one more lane of a link is opened with: a copy, as the link may end
 * meanwhile. */
struct channel_lane_like {
    char address[CHANNEL_URI_LEN], name[CHANNEL_NAME_MAX];
    struct channel_owner owner;
    struct port_info info;
    int cancel_fd;
};

/* Where a channel leads to; owns its strings. Changed only inside channel_lanes_open(),
 * by the one thread that connects; cancel_fd's content by any. */
struct channel_route {
    unsigned nr_uris;
    char *uris[CHANNEL_MAX_URIS];
    unsigned nr_lanes; /* at most */
    const _Atomic unsigned *clients;
    struct channel_name name;       /* but for the link's number and the proof */
    char right[CHANNEL_RIGHT_SIZE]; /* "": not known yet */
    _Atomic uint64_t *next_link;
    int cancel_fd; /* eventfd */
    bool (*moved)(void *opaque, uint64_t epoch, const char *right,
                  struct port_channel_place *ret_place);
    void *moved_opaque;
};

/* -ENOMEM; r may be given to channel_route_done() all the same. */
int channel_route_init(struct channel_route *r, const struct port_channel_opts *opts);
void channel_route_done(struct channel_route *r);

/* From now on channel_lanes_open() returns -ECANCELED, also where it runs. */
void channel_route_cancel(struct channel_route *r);

/* Connect a new link to the first address that gives one, by deadline_ns (an
 * address gets 30 s at most): as many lanes as the route says that there are clients,
 * or one when the export is not safe for more (a flush on one would not cover the
 * others). -EINVAL: the export cannot replace `promised`, e says why; -EPROTO: what the
 * owner says of itself is malformed; -EAGAIN: two lanes lead to two owners; other
 * errors of nbd_conn_open(), of the last try. When the owner has moved
 * (port_channel_opts.moved) the route changes, and it is tried there. */
int channel_lanes_open(struct channel_route *r, const struct port_info *promised,
                       uint64_t deadline_ns, struct err *e,
                       struct channel_lanes **ret_lanes);

/* May more lanes join? */
bool channel_lanes_may_grow(const struct channel_route *r, struct channel_lanes *l);

/* Open one that is to join l, without touching l. -EAGAIN: it leads to another owner.
 */
struct channel_lane_like channel_lane_like(const struct channel_route *r,
                                           const struct channel_lanes *l);
int channel_lane_open(const struct channel_lane_like *like, uint64_t deadline_ns,
                      struct nbd_shared **ret_lane);
/* Requests may be on the others; one thread at a time. */
void channel_lanes_join(struct channel_lanes *l, struct nbd_shared *lane);

/* Make every request on them, now and later, return -ENOTCONN. Does not block. */
void channel_lanes_shutdown(struct channel_lanes *l);

/* Are all of them connected, as far as can be seen without asking the owner? */
bool channel_lanes_are_alive(struct channel_lanes *l);

/* No request is on them. NULL is accepted. */
void channel_lanes_close(struct channel_lanes *l);

#endif
