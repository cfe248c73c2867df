/* SPDX-License-Identifier: BSD-3-Clause */
#include "nbd_link.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "nbd_request.h"
#include "thread_number.h"

struct nbd_link {
    unsigned nr;
    struct nbd_shared *conns[NBD_LINK_MAX];
    struct nbd_peer peers[NBD_LINK_MAX]; /* of each; written while it is opened */
    struct port_info info;
    _Atomic bool is_shut; /* relaxed: the shut down connections say the same */
};

/* Learn the process behind the newest connection. What it answered while negotiating
 * libnbd may have received in one go with the request; not so the answer to this. */
static int
meet_peer(struct nbd_link *l, const char *uri, struct err *e)
{
    struct nbd_shared *s = l->conns[l->nr - 1];
    struct nbd_peer *p = &l->peers[l->nr - 1];
    const struct port_info info = nbd_request_info(s);
    char buf[65536]; /* min_block is no larger */
    const struct req rq = {.op = info.size >= info.min_block ? REQ_READ : REQ_FLUSH,
                           .len = info.size >= info.min_block ? info.min_block : 0,
                           .buf = buf};

    (void)nbd_request_submit(s, &rq); /* an error is an answer as well */
    p->is_over = true;
    if (p->is_known) {
        return 0;
    }
    return err_set(e, -EOPNOTSUPP,
                   "%s: it is not known which process serves it (that must be one "
                   "process, on this machine and in our pid namespace), so its end "
                   "could not be noticed either",
                   uri);
}

static int
connect_all(struct nbd_link *l, struct nbd_conn_opts *opts, unsigned connections,
            bool wants_end, struct err *e)
{
    do {
        int rc;

        opts->peer = wants_end ? &l->peers[l->nr] : NULL;
        rc = nbd_shared_open(opts, e, &l->conns[l->nr]);
        if (rc < 0) {
            return rc;
        }
        l->nr++;
        rc = wants_end ? meet_peer(l, opts->address, e) : 0;
        if (rc < 0) {
            return rc;
        }
        l->info = nbd_request_info(l->conns[0]);
        if ((l->info.caps & PORT_CAN_MULTI_CONN) == 0) {
            connections = 1;
        }
    } while (l->nr < connections);
    return 0;
}

int
nbd_link_open(const char *uri, unsigned connections, bool wants_end,
              uint64_t deadline_ns, struct err *e, struct nbd_link **ret_link)
{
    struct nbd_conn_opts opts = {
        .address = uri, .cancel_fd = -1, .deadline_ns = deadline_ns};
    struct nbd_link *l = calloc(1, sizeof *l);
    int rc;

    if (l == NULL) {
        return err_set(e, -ENOMEM, "%s: out of memory", uri);
    }
    for (unsigned i = 0; i < NBD_LINK_MAX; i++) {
        l->peers[i] = NBD_PEER_INIT;
    }
    rc = connect_all(l, &opts, connections, wants_end, e);
    if (rc < 0) {
        nbd_link_close(l);
        return rc;
    }
    *ret_link = l;
    return 0;
}

struct port_info
nbd_link_info(const struct nbd_link *l)
{
    return l->info;
}

void
nbd_link_shutdown(struct nbd_link *l)
{
    if (!atomic_exchange_explicit(&l->is_shut, true, memory_order_relaxed)) {
        for (unsigned i = 0; i < l->nr; i++) {
            nbd_shared_shutdown(l->conns[i]);
        }
    }
}

int
nbd_link_submit(struct nbd_link *l, const struct req *rq)
{
    struct req sent = *rq;
    int rc;

    sent.deadline_ns = 0; /* what the server is at work on is waited for */
    rc = nbd_request_submit(l->conns[thread_number() % l->nr], &sent);
    if (rc == -ENOTCONN) {
        nbd_link_shutdown(l);
    }
    return rc;
}

bool
nbd_link_is_alive(struct nbd_link *l)
{
    for (unsigned i = 0; i < l->nr; i++) {
        if (!nbd_shared_is_alive(l->conns[i])) {
            return false;
        }
    }
    return true;
}

pid_t
nbd_link_still_runs(const struct nbd_link *l)
{
    for (unsigned i = 0; i < l->nr; i++) {
        if (!nbd_peer_has_ended(&l->peers[i])) {
            return l->peers[i].pid;
        }
    }
    return 0;
}

void
nbd_link_close(struct nbd_link *l)
{
    for (unsigned i = 0; l != NULL && i < NBD_LINK_MAX; i++) {
        nbd_shared_close(l->conns[i]); /* NULL is accepted */
        nbd_peer_done(&l->peers[i]);
    }
    free(l);
}
