/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel_lanes.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "nbd_request.h"
#include "thread_number.h"

/* Of one attempt. Long, because an owner may have to fence an older session first; not
 * endless, so that another address is tried at some time. */
#define ATTEMPT_NS (30 * NS_PER_S)
#define DEAD_AFTER_MS 10000U

int
channel_route_init(struct channel_route *r, const struct port_channel_opts *opts)
{
    assert(opts->nr_uris >= 1 && opts->nr_uris <= CHANNEL_MAX_URIS);
    assert(opts->lanes >= 1 && opts->lanes <= CHANNEL_MAX_LANES);
    assert(strlen(opts->uuid) < sizeof r->name.uuid);
    assert(strlen(opts->client) < sizeof r->name.client);
    memset(r, 0, sizeof *r);
    r->nr_lanes = opts->lanes;
    r->clients = opts->clients;
    r->next_link = opts->next_link;
    r->moved = opts->moved;
    r->moved_opaque = opts->moved_opaque;
    r->name.epoch = opts->epoch;
    (void)snprintf(r->name.uuid, sizeof r->name.uuid, "%s", opts->uuid);
    (void)snprintf(r->name.client, sizeof r->name.client, "%s", opts->client);
    (void)snprintf(r->right, sizeof r->right, "%s", opts->right);
    r->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    while (r->nr_uris < opts->nr_uris) {
        assert(strlen(opts->uris[r->nr_uris]) < CHANNEL_URI_LEN);
        r->uris[r->nr_uris] = strdup(opts->uris[r->nr_uris]);
        if (r->uris[r->nr_uris] == NULL) {
            return -ENOMEM;
        }
        r->nr_uris++;
    }
    return r->cancel_fd < 0 ? -ENOMEM : 0;
}

void
channel_route_done(struct channel_route *r)
{
    for (unsigned i = 0; i < r->nr_uris; i++) {
        free(r->uris[i]);
    }
    if (r->cancel_fd >= 0) {
        (void)close(r->cancel_fd); /* nothing was stored in it */
    }
}

void
channel_route_cancel(struct channel_route *r)
{
    const uint64_t one = 1;
    ssize_t n = write(r->cancel_fd, &one, sizeof one);

    assert(n == sizeof one || errno == EAGAIN); /* full to the brim says it as well */
}

static int
lanes_submit(struct port *p, const struct req *rq)
{
    struct channel_lanes *l = (struct channel_lanes *)p;
    unsigned nr = atomic_load_explicit(&l->nr, memory_order_acquire);

    return nbd_request_submit(l->conns[thread_number() % nr], rq);
}

static void
lanes_close_port(struct port *p)
{
    channel_lanes_close((struct channel_lanes *)p);
}

static const struct port_ops lanes_ops = {
    .name = "lanes",
    .says_may_block = true,
    .submit = lanes_submit,
    .close = lanes_close_port,
};

/* A server that is none of ours says nothing of the kind, and counts as another one
 * each time. */
static int
meet_owner(const struct nbd_shared *lane, const char *address, struct err *e,
           struct channel_owner *ret_owner)
{
    const char *text = nbd_shared_description(lane);
    struct channel_owner owner = {.instance = ""};

    if (text != NULL &&
        strncmp(text, CHANNEL_OWNER_PREFIX, strlen(CHANNEL_OWNER_PREFIX)) == 0 &&
        channel_owner_parse(text, &owner) < 0) {
        return err_set(e, -EPROTO, "%s: malformed statement of the owner: %.200s",
                       address, text);
    }
    *ret_owner = owner;
    return 0;
}

static bool
is_same(const struct channel_owner *a, const struct channel_owner *b)
{
    return a->epoch == b->epoch && strcmp(a->instance, b->instance) == 0;
}

void
channel_lanes_join(struct channel_lanes *l, struct nbd_shared *lane)
{
    unsigned nr = atomic_load_explicit(&l->nr, memory_order_relaxed);

    assert(nr < CHANNEL_MAX_LANES);
    l->conns[nr] = lane;
    atomic_store_explicit(&l->nr, nr + 1, memory_order_release);
}

static int
add_lane(struct channel_lanes *l, const struct nbd_conn_opts *o,
         const struct port_info *promised, struct err *e)
{
    struct channel_owner owner = {.instance = ""};
    struct nbd_shared *lane;
    int rc = nbd_shared_open(o, e, &lane);

    if (rc < 0) {
        return rc;
    }
    l->port.info = nbd_request_info(lane);
    channel_lanes_join(l, lane);
    rc = meet_owner(lane, o->address, e, &owner);
    if (rc < 0) {
        return rc;
    }
    if (l->nr > 1 && !is_same(&owner, &l->owner)) {
        return err_set(e, -EAGAIN, "%s: the owner has changed meanwhile", o->address);
    }
    l->owner = owner;
    rc = port_info_can_replace(promised, &l->port.info, e);
    if (rc == 0 && l->port.info.size != promised->size) { /* a disk does not grow */
        rc = err_set(e, -EINVAL, "the size is %llu bytes, not %llu",
                     (unsigned long long)l->port.info.size,
                     (unsigned long long)promised->size);
    }
    return rc < 0 ? err_prefix(e, rc, "%s: the export cannot take the disk over",
                               o->address)
                  : 0;
}

struct channel_lane_like
channel_lane_like(const struct channel_route *r, const struct channel_lanes *l)
{
    struct channel_lane_like like = {
        .owner = l->owner, .info = l->port.info, .cancel_fd = r->cancel_fd};

    (void)snprintf(like.address, sizeof like.address, "%s", l->address);
    (void)snprintf(like.name, sizeof like.name, "%s", l->name);
    return like;
}

int
channel_lane_open(const struct channel_lane_like *like, uint64_t deadline_ns,
                  struct nbd_shared **ret_lane)
{
    const struct nbd_conn_opts opts = {.address = like->address,
                                       .export_name = like->name,
                                       .cancel_fd = like->cancel_fd,
                                       .deadline_ns = deadline_ns,
                                       .dead_after_ms = DEAD_AFTER_MS,
                                       .wants_description = true};
    struct channel_owner owner = {.instance = ""};
    struct port_info info;
    struct nbd_shared *lane;
    int rc = nbd_shared_open(&opts, NULL, &lane);

    if (rc < 0) {
        return rc;
    }
    info = nbd_request_info(lane);
    rc = meet_owner(lane, like->address, NULL, &owner);
    if (rc == 0 && (!is_same(&owner, &like->owner) || info.size != like->info.size ||
                    port_info_can_replace(&like->info, &info, NULL) < 0)) {
        rc = -EAGAIN;
    }
    if (rc < 0) {
        nbd_shared_close(lane);
        return rc;
    }
    *ret_lane = lane;
    return 0;
}

static bool
is_for_many(const struct channel_lanes *l)
{
    return (l->port.info.caps & PORT_CAN_MULTI_CONN) != 0;
}

bool
channel_lanes_may_grow(const struct channel_route *r, struct channel_lanes *l)
{
    return is_for_many(l) &&
           atomic_load_explicit(&l->nr, memory_order_relaxed) < r->nr_lanes;
}

static unsigned
lanes_to_begin_with(const struct channel_route *r)
{
    unsigned nr = r->clients != NULL
                      ? atomic_load_explicit(r->clients, memory_order_relaxed)
                      : r->nr_lanes;

    return nr < 1 ? 1 : nr < r->nr_lanes ? nr : r->nr_lanes;
}

static int
open_at(const struct nbd_conn_opts *o, unsigned nr, const struct port_info *promised,
        struct err *e, struct channel_lanes **ret_lanes)
{
    struct channel_lanes *l = calloc(1, sizeof *l);
    int rc = 0;

    if (l == NULL) {
        return err_set(e, -ENOMEM, "%s: out of memory", o->address);
    }
    l->port.ops = &lanes_ops;
    (void)snprintf(l->address, sizeof l->address, "%s", o->address);
    (void)snprintf(l->name, sizeof l->name, "%s", o->export_name);
    while (rc == 0 && l->nr < nr) {
        rc = add_lane(l, o, promised, e);
        if (rc == 0 && !is_for_many(l)) {
            break;
        }
    }
    if (rc < 0) {
        channel_lanes_close(l);
        return rc;
    }
    *ret_lanes = l;
    return 0;
}

static int
open_at_any(const struct channel_route *r, const struct port_info *promised,
            uint64_t deadline_ns, struct err *e, struct channel_lanes **ret_lanes)
{
    char text[CHANNEL_NAME_MAX];
    struct channel_name name = r->name;
    struct nbd_conn_opts opts = {.export_name = text,
                                 .cancel_fd = r->cancel_fd,
                                 .dead_after_ms = DEAD_AFTER_MS,
                                 .wants_description = true};
    int rc = -ECANCELED;

    if (r->right[0] == '\0') {
        return err_set(e, -EACCES,
                       "the owner has not told us the right of its channels");
    }
    for (unsigned i = 0; i < r->nr_uris; i++) {
        opts.address = r->uris[i];
        opts.deadline_ns = clock_deadline_ns(ATTEMPT_NS);
        if (deadline_ns < opts.deadline_ns) {
            opts.deadline_ns = deadline_ns;
        }
        name.session = atomic_fetch_add_explicit(r->next_link, 1, memory_order_relaxed);
        channel_name_prove(&name, r->right);
        (void)channel_name_format(&name, text); /* the length is of no interest */
        rc = open_at(&opts, lanes_to_begin_with(r), promised, e, ret_lanes);
        if (rc == 0 || rc == -EINVAL || rc == -ECANCELED) {
            break; /* every address leads to the same owner */
        }
    }
    return rc;
}

/* Take over where the owner is now; without memory the old addresses stay, and the next
 * try asks again. */
static bool
follow_owner(struct channel_route *r)
{
    struct port_channel_place place = {.nr_uris = 0};
    char *uris[CHANNEL_MAX_URIS] = {NULL};
    bool is_complete = true;

    if (r->moved == NULL ||
        !r->moved(r->moved_opaque, r->name.epoch, r->right, &place)) {
        return false;
    }
    assert(place.epoch >= r->name.epoch);
    assert(place.nr_uris >= 1 && place.nr_uris <= CHANNEL_MAX_URIS);
    for (unsigned i = 0; i < place.nr_uris; i++) {
        uris[i] = strdup(place.uris[i]);
        is_complete = is_complete && uris[i] != NULL;
    }
    for (unsigned i = 0; i < CHANNEL_MAX_URIS; i++) {
        free(is_complete ? r->uris[i] : uris[i]);
        r->uris[i] = is_complete ? uris[i] : r->uris[i];
    }
    if (is_complete) {
        r->nr_uris = place.nr_uris;
        r->name.epoch = place.epoch;
        memcpy(r->right, place.right, sizeof r->right);
    }
    return is_complete;
}

int
channel_lanes_open(struct channel_route *r, const struct port_info *promised,
                   uint64_t deadline_ns, struct err *e,
                   struct channel_lanes **ret_lanes)
{
    int rc = open_at_any(r, promised, deadline_ns, e, ret_lanes);

    if (rc < 0 && rc != -ECANCELED && follow_owner(r)) {
        rc = open_at_any(r, promised, deadline_ns, e, ret_lanes);
    }
    return rc;
}

void
channel_lanes_shutdown(struct channel_lanes *l)
{
    for (unsigned i = 0; i < l->nr; i++) {
        nbd_shared_shutdown(l->conns[i]);
    }
}

bool
channel_lanes_are_alive(struct channel_lanes *l)
{
    for (unsigned i = 0; i < l->nr; i++) {
        if (!nbd_shared_is_alive(l->conns[i])) {
            return false;
        }
    }
    return true;
}

void
channel_lanes_close(struct channel_lanes *l)
{
    if (l != NULL) {
        for (unsigned i = 0; i < l->nr; i++) {
            nbd_shared_close(l->conns[i]);
        }
        free(l);
    }
}
