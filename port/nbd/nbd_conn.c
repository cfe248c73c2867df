/* SPDX-License-Identifier: BSD-3-Clause */
/* libnbd has a lock of its own in every handle and holds it during each call, so
 * nothing that can wait is asked of libnbd: nbd_poll and every command without aio_
 * can.
 */
#include "nbd_conn.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libnbd.h>

#include "clock.h"
#include "may_block.h"
#include "read_ahead.h"
#include "tls_settings.h"
#include "uri.h"

#define MAX_PAYLOAD (INT64_C(32) << 20) /* NBD's when the server names none */

struct nbd_conn {
    struct nbd_handle *h;
    struct port_info info;
    char *description;     /* malloc; NULL: none */
    struct nbd_peer *peer; /* NULL, or learns who answers */
};

/* The one conversion of libnbd's errors. */
static int
last_errno(void)
{
    int rc = nbd_get_errno();

    return rc > 0 && rc < 4096 ? -rc : -EIO;
}

static int
fail(struct err *e, const char *address)
{
    int rc = last_errno();

    return err_set(e, rc, "%s: %s", address, nbd_get_error());
}

/* TLS where the address needs it: tcp: and nbds URIs. Unix sockets and vsock do not
 * leave the machine. libnbd verifies that the server is who the address names. */
static int
set_up_tls(struct nbd_handle *h, const char *text, bool is_tcp, struct err *e)
{
    const struct tls_settings *t = tls_settings_get();

    if (!tls_is_on(t)) {
        return 0;
    }
    if ((t->certificates != NULL && nbd_set_tls_certificates(h, t->certificates) < 0) ||
        (t->psk != NULL && nbd_set_tls_psk_file(h, t->psk) < 0) ||
        (t->psk_user != NULL && nbd_set_tls_username(h, t->psk_user) < 0) ||
        nbd_set_tls_verify_peer(h, true) < 0 ||
        (is_tcp && nbd_set_tls(h, LIBNBD_TLS_REQUIRE) < 0)) {
        return fail(e, text);
    }
    return 0;
}

static int
aio_connect(struct nbd_handle *h, const struct uri *u)
{
    char port[16];

    switch (u->kind) {
    case URI_UNIX:
        return nbd_aio_connect_unix(h, u->path);
    case URI_TCP:
        (void)snprintf(port, sizeof port, "%" PRIu32, u->port);
        return nbd_aio_connect_tcp(h, u->host, port);
    case URI_VSOCK:
        return nbd_aio_connect_vsock(h, u->cid, u->port);
    case URI_SSH:
        break;
    }
    abort(); /* uri_parse() has refused it */
}

static int
connect_address(struct nbd_handle *h, const char *text, struct err *e)
{
    const struct tls_settings *t = tls_settings_get();
    struct uri u;
    int rc = uri_parse(text, URI_FOR_CHANNEL, e, &u);

    if (rc < 0) {
        return rc;
    }
    if (!tls_is_on(t) && !t->is_plain_tcp_ok && !uri_is_local(&u)) {
        return err_set(e, -EACCES,
                       "%s: a channel over TCP to another machine needs TLS, and there "
                       "is neither tls-certificates nor tls-psk here",
                       text);
    }
    rc = set_up_tls(h, text, u.kind == URI_TCP, e);
    if (rc < 0) {
        return rc;
    }
    return aio_connect(h, &u) < 0 ? fail(e, text) : 0;
}

static int
connect_nbd_uri(struct nbd_handle *h, const char *text, struct err *e)
{
    int rc = set_up_tls(h, text, false, e);

    if (rc < 0) {
        return rc;
    }
    return nbd_aio_connect_uri(h, text) < 0 ? fail(e, text) : 0;
}

/* A peer whose host vanished sends nothing: data without acknowledgement and a silent
 * idle connection both count as lost after ms. Not TCP: nothing to do. */
static void
keep_alive(int fd, unsigned ms)
{
    const int on = 1, seconds = ms < 3000 ? 1 : (int)(ms / 3000), probes = 2;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static int
negotiate(struct nbd_conn *c, const struct nbd_conn_opts *o, struct err *e)
{
    struct pollfd fds[2] = {{.fd = -1}, {.fd = o->cancel_fd, .events = POLLIN}};

    while (nbd_aio_is_connecting(c->h) == 1) {
        int fd = nbd_conn_fd(c), n;

        if (fd != fds[0].fd && o->dead_after_ms != 0) { /* it tries several addresses */
            keep_alive(fd, o->dead_after_ms);
        }
        fds[0].fd = fd;
        fds[0].events = nbd_conn_events(c);
        n = poll(fds, 2, clock_poll_ms(o->deadline_ns));
        if (n > 0 && fds[1].revents != 0) {
            return err_set(e, -ECANCELED, "%s: connecting was cancelled", o->address);
        }
        if (n == 0 && clock_now_ns() >= o->deadline_ns) {
            return err_set(e, -ETIMEDOUT, "%s: the server did not answer in time",
                           o->address);
        }
        if (n > 0 && nbd_conn_feed(c, fds[0].revents) < 0) {
            return fail(e, o->address);
        }
    }
    if (nbd_aio_is_ready(c->h) != 1) {
        return err_set(e, -ECONNRESET, "%s: the server hung up", o->address);
    }
    if (nbd_get_tls_negotiated(c->h) == 0) { /* GnuTLS has its own ideas of waiting */
        read_ahead(nbd_conn_fd(c));
    }
    return 0;
}

static int
get_block_sizes(struct nbd_conn *c, const struct nbd_conn_opts *o, struct err *e)
{
    int64_t min = nbd_get_block_size(c->h, LIBNBD_SIZE_MINIMUM);
    int64_t pref = nbd_get_block_size(c->h, LIBNBD_SIZE_PREFERRED);
    int64_t max = nbd_get_block_size(c->h, LIBNBD_SIZE_MAXIMUM);

    min = min > 0 ? min : 1; /* 0: it names none */
    pref = pref >= 512 ? pref : 4096;
    pref = pref < min ? min : pref;
    max = max > 0 && max < MAX_PAYLOAD ? max - max % min : MAX_PAYLOAD;
    if ((min & (min - 1)) != 0 || min > 65536 || (pref & (pref - 1)) != 0 ||
        pref > MAX_PAYLOAD || max < min) {
        return err_set(e, -EINVAL,
                       "%s: the server's block sizes make no sense: "
                       "smallest %lld, preferred %lld, largest %lld",
                       o->address, (long long)min, (long long)pref, (long long)max);
    }
    c->info.min_block = (uint32_t)min;
    c->info.pref_block = (uint32_t)pref;
    c->info.max_block = (uint32_t)max;
    return 0;
}

static int
get_info(struct nbd_conn *c, const struct nbd_conn_opts *o, struct err *e)
{
    struct nbd_handle *h = c->h;
    int64_t size = nbd_get_size(h);
    uint32_t caps = 0;

    if (size < 0) {
        return fail(e, o->address);
    }
    caps |= nbd_is_read_only(h) == 0 ? PORT_CAN_WRITE : 0;
    caps |= nbd_can_flush(h) == 1 ? PORT_CAN_FLUSH : 0;
    caps |= nbd_can_fua(h) == 1 ? PORT_CAN_FUA : 0;
    caps |= nbd_can_trim(h) == 1 ? PORT_CAN_TRIM : 0;
    caps |= nbd_can_zero(h) == 1 ? PORT_CAN_ZERO : 0;
    caps |= nbd_can_fast_zero(h) == 1 ? PORT_CAN_FAST_ZERO : 0;
    caps |= nbd_can_cache(h) == 1 ? PORT_CAN_CACHE : 0;
    caps |= nbd_can_multi_conn(h) == 1 ? PORT_CAN_MULTI_CONN : 0;
    caps |= nbd_is_rotational(h) == 1 ? PORT_ROTATIONAL : 0;
    if (nbd_can_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1) {
        caps |= PORT_CAN_EXTENTS;
    }
    if (o->wants_description) {
        c->description = nbd_get_export_description(h); /* NULL: it has none */
    }
    c->info.size = (uint64_t)size;
    c->info.caps = caps;
    return get_block_sizes(c, o, e);
}

/* Checks of our side would only repeat port_check(), and a server that breaks the
 * protocol within a read (a part missing) is noticed without clearing every buffer. Of
 * ssh newer versions of libnbd would make a child of ours. */
static int
set_up(struct nbd_handle *h, const struct nbd_conn_opts *o, struct err *e)
{
    if (nbd_set_strict_mode(h, 0) < 0 || nbd_set_pread_initialize(h, false) < 0 ||
        nbd_set_uri_allow_transports(h, LIBNBD_ALLOW_TRANSPORT_TCP |
                                            LIBNBD_ALLOW_TRANSPORT_UNIX |
                                            LIBNBD_ALLOW_TRANSPORT_VSOCK) < 0 ||
        nbd_add_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 ||
        nbd_set_full_info(h, o->wants_description) < 0 ||
        (o->export_name != NULL && nbd_set_export_name(h, o->export_name) < 0)) {
        return fail(e, o->address);
    }
    return 0;
}

static int
open_steps(struct nbd_conn *c, const struct nbd_conn_opts *o, struct err *e)
{
    int rc;

    c->h = nbd_create();
    if (c->h == NULL) {
        return fail(e, o->address);
    }
    rc = set_up(c->h, o, e);
    if (rc < 0) {
        return rc;
    }
    rc = o->export_name != NULL ? connect_address(c->h, o->address, e)
                                : connect_nbd_uri(c->h, o->address, e);
    if (rc < 0) {
        return rc;
    }
    rc = negotiate(c, o, e);
    if (rc < 0) {
        return rc;
    }
    return get_info(c, o, e);
}

int
nbd_conn_open(const struct nbd_conn_opts *o, struct err *e, struct nbd_conn **ret_conn)
{
    struct nbd_conn *c = calloc(1, sizeof *c);
    int rc;

    may_block();
    if (c == NULL) {
        return err_set(e, -ENOMEM, "%s: out of memory", o->address);
    }
    c->peer = o->peer;
    rc = open_steps(c, o, e);
    if (rc < 0) {
        nbd_conn_close(c);
        return rc;
    }
    *ret_conn = c;
    return 0;
}

const struct port_info *
nbd_conn_info(const struct nbd_conn *c)
{
    return &c->info;
}

const char *
nbd_conn_description(const struct nbd_conn *c)
{
    return c->description;
}

static bool
is_lost(struct nbd_conn *c)
{
    return nbd_aio_is_dead(c->h) != 0 || nbd_aio_is_closed(c->h) != 0;
}

static int
on_done(void *opaque, int *error)
{
    struct nbd_call *call = opaque;

    call->is_done = true;
    call->done(call, -*error); /* ENOTCONN is no error of NBD: it says lost */
    return 1;                  /* retired: nobody will ask libnbd for it */
}

/* Called before on_done(). A context or place that was not asked for is left out. */
static int
on_extents(void *opaque, const char *context, uint64_t off, uint32_t *entries,
           size_t nr_entries, int *error)
{
    struct nbd_call *call = opaque;

    (void)error;
    if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0 || off != call->off) {
        return 0;
    }
    for (size_t i = 0; i + 1 < nr_entries; i += 2) {
        if (call->nr_extents < NBD_CALL_MAX_EXTENTS) {
            call->extents[call->nr_extents].len = entries[i];
            call->extents[call->nr_extents].type =
                entries[i + 1] & (EXTENT_HOLE | EXTENT_ZERO);
            call->nr_extents++;
        }
    }
    return 0;
}

static uint32_t
wire_flags(const struct req *rq)
{
    uint32_t flags = (rq->flags & REQ_F_FUA) != 0 ? LIBNBD_CMD_FLAG_FUA : 0;

    if (rq->op == REQ_ZERO && (rq->flags & REQ_F_MAY_TRIM) == 0) {
        flags |= LIBNBD_CMD_FLAG_NO_HOLE;
    }
    if ((rq->flags & REQ_F_FAST) != 0) {
        flags |= LIBNBD_CMD_FLAG_FAST_ZERO;
    }
    return flags | ((rq->flags & REQ_F_ONE) != 0 ? LIBNBD_CMD_FLAG_REQ_ONE : 0);
}

static int64_t
issue(struct nbd_handle *h, const struct req *rq, struct nbd_call *call)
{
    nbd_completion_callback done = {.callback = on_done, .user_data = call};
    nbd_extent_callback extents = {.callback = on_extents, .user_data = call};
    uint32_t flags = wire_flags(rq);

    switch (rq->op) {
    case REQ_READ:
        return nbd_aio_pread(h, rq->buf, rq->len, rq->off, done, flags);
    case REQ_WRITE:
        return nbd_aio_pwrite(h, rq->buf, rq->len, rq->off, done, flags);
    case REQ_FLUSH:
        return nbd_aio_flush(h, done, flags);
    case REQ_TRIM:
        return nbd_aio_trim(h, rq->len, rq->off, done, flags);
    case REQ_ZERO:
        return nbd_aio_zero(h, rq->len, rq->off, done, flags);
    case REQ_CACHE:
        return nbd_aio_cache(h, rq->len, rq->off, done, flags);
    case REQ_EXTENTS:
        return nbd_aio_block_status(h, rq->len, rq->off, extents, done, flags);
    }
    return -1;
}

int
nbd_conn_issue(struct nbd_conn *c, const struct req *rq, struct nbd_call *call)
{
    int rc;

    call->off = rq->off;
    call->nr_extents = 0;
    call->is_done = false;
    if (issue(c->h, rq, call) >= 0 || call->is_done) { /* once, even if it failed */
        return 0;
    }
    rc = last_errno();
    if (is_lost(c)) {
        return -ENOTCONN;
    }
    return rc == -ENOTCONN ? -EIO : rc;
}

int
nbd_conn_fd(struct nbd_conn *c)
{
    return nbd_aio_get_fd(c->h);
}

short
nbd_conn_events(struct nbd_conn *c)
{
    unsigned want = nbd_aio_get_direction(c->h);

    return (short)(((want & LIBNBD_AIO_DIRECTION_READ) != 0 ? POLLIN : 0) |
                   ((want & LIBNBD_AIO_DIRECTION_WRITE) != 0 ? POLLOUT : 0));
}

bool
nbd_conn_has_input(struct nbd_conn *c)
{
    return (nbd_conn_events(c) & POLLIN) != 0 && has_read_ahead(nbd_conn_fd(c));
}

int
nbd_conn_feed(struct nbd_conn *c, short revents)
{
    short want = nbd_conn_events(c); /* may have changed since it was polled */
    int rc = 0;

    nbd_peer_look(c->peer, nbd_conn_fd(c));
    /* An error or a hang-up shows itself to whatever libnbd does next. */
    if ((revents & ~(POLLIN | POLLOUT)) != 0) {
        revents = POLLIN | POLLOUT;
    }
    if ((revents & want & POLLIN) != 0) {
        rc = nbd_aio_notify_read(c->h);
    } else if ((revents & want & POLLOUT) != 0) {
        rc = nbd_aio_notify_write(c->h);
    }
    return rc < 0 ? -ENOTCONN : 0;
}

void
nbd_conn_drop(struct nbd_conn *c)
{
    if (c->h != NULL) {
        nbd_close(c->h);
        c->h = NULL;
    }
}

void
nbd_conn_close(struct nbd_conn *c)
{
    if (c != NULL) {
        if (c->h != NULL && nbd_aio_is_ready(c->h) == 1) {
            (void)nbd_aio_disconnect(c->h, 0); /* a courtesy to the server */
        }
        nbd_conn_drop(c);
        free(c->description);
        free(c);
    }
}
