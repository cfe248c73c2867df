/* SPDX-License-Identifier: BSD-3-Clause */
/* All connections share one fate: when one is lost the server has most likely died, and
 * a flush on another one would not cover what the lost one had acknowledged. So the
 * port fails as a whole, and for good. */
#include "port_nbd.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "clock.h"
#include "nbd_request.h"
#include "nbd_spread.h"

#define MAX_CONNECTIONS 16
#define CONNECT_NS (30 * NS_PER_S)

struct nbd_port {
    struct port port;
    unsigned nr;
    struct nbd_share *conns[MAX_CONNECTIONS];
    _Atomic bool has_failed; /* relaxed: the shut down connections say the same */
    _Atomic int lost; /* < 0: of what the server had acknowledged; relaxed: alone */
};

static struct nbd_port *
nbd_port(struct port *p)
{
    return (struct nbd_port *)p;
}

static void
nbd_note_lost(struct port *p, int rc)
{
    int none = 0;

    (void)atomic_compare_exchange_strong_explicit(
        &nbd_port(p)->lost, &none, rc, memory_order_relaxed, memory_order_relaxed);
}

static int
submit(struct nbd_port *n, const struct req *rq)
{
    int rc = nbd_request_submit(n->conns[nbd_spread(n->nr)], rq);

    if (rc == -ENOTCONN &&
        !atomic_exchange_explicit(&n->has_failed, true, memory_order_relaxed)) {
        for (unsigned i = 0; i < n->nr; i++) {
            nbd_share_shutdown(n->conns[i]);
        }
    }
    /* Our clients would take -ESHUTDOWN for "not the owner any more". */
    return rc == -ENOTCONN || rc == -ESHUTDOWN ? -EIO : rc;
}

/* A server tells of what it has lost once, and who is told may be a handoff's flush, or
 * a durable change of another VM: so it is kept in mind, as file_dev.c does. A change
 * that succeeds when it need not be durable has failed for what was there before. */
static int
nbd_submit(struct port *p, const struct req *rq)
{
    struct nbd_port *n = nbd_port(p);
    int rc =
        rq->op == REQ_FLUSH ? atomic_load_explicit(&n->lost, memory_order_relaxed) : 0;
    struct req plain = *rq;

    rc = rc < 0 ? rc : submit(n, rq);
    plain.flags &= ~REQ_F_FUA;
    if (rc < 0 && (rq->op == REQ_FLUSH ||
                   ((rq->flags & REQ_F_FUA) != 0 && submit(n, &plain) == 0))) {
        nbd_note_lost(p, rc);
    }
    return rc;
}

static void
nbd_close_port(struct port *p)
{
    struct nbd_port *n = nbd_port(p);

    for (unsigned i = 0; i < n->nr; i++) {
        nbd_share_close(n->conns[i]);
    }
    free(n);
}

static const struct port_ops nbd_ops = {
    .name = "nbd",
    .says_may_block = true,
    .submit = nbd_submit,
    .note_lost = nbd_note_lost,
    .close = nbd_close_port,
};

static int
connect_all(struct nbd_port *n, const char *uri, unsigned connections, struct err *e)
{
    const struct nbd_conn_opts opts = {
        .address = uri, .cancel_fd = -1, .deadline_ns = clock_deadline_ns(CONNECT_NS)};
    int rc;

    do {
        rc = nbd_share_open(&opts, e, &n->conns[n->nr]);
        if (rc < 0) {
            return rc;
        }
        n->nr++;
        n->port.info = nbd_request_info(n->conns[0]);
        if ((n->port.info.caps & PORT_CAN_MULTI_CONN) == 0) {
            connections = 1;
        }
    } while (n->nr < connections);
    return 0;
}

int
port_nbd_open(const char *uri, bool readonly, unsigned connections, struct err *e,
              struct port **ret_port)
{
    struct nbd_port *n = calloc(1, sizeof *n);
    int rc;

    assert(connections >= 1 && connections <= MAX_CONNECTIONS);
    if (n == NULL) {
        return err_set(e, -ENOMEM, "%s: out of memory", uri);
    }
    n->port.ops = &nbd_ops;
    rc = connect_all(n, uri, connections, e);
    if (rc < 0) {
        nbd_close_port(&n->port);
        return rc;
    }
    if (readonly) {
        n->port.info.caps &= ~(uint32_t)(PORT_CAN_WRITE | PORT_CAN_FUA | PORT_CAN_TRIM |
                                         PORT_CAN_ZERO | PORT_CAN_FAST_ZERO);
    }
    *ret_port = &n->port;
    return 0;
}
