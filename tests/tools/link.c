/* SPDX-License-Identifier: BSD-3-Clause */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

int
link_judge(struct nbd_handle *nbd, char *text, size_t size)
{
    static const char *const breaks[] = {"disconnected", "closed"};
    const char *message = nbd_get_error();
    int error = nbd_get_errno();

    if (nbd_aio_is_closed(nbd) == 1) {
        (void)snprintf(text, size, "the server closed it");
        return -ECONNRESET;
    }
    (void)snprintf(text, size, "%s", message == NULL ? "unknown error" : message);
    if (error == ECONNRESET || error == EPIPE || error == ENOTCONN ||
        error == ECONNREFUSED || error == ETIMEDOUT || error == ESHUTDOWN ||
        error == ECONNABORTED || error == ENOENT) {
        return -ECONNRESET;
    }
    for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
        if (strstr(text, breaks[i]) != NULL) {
            return -ECONNRESET;
        }
    }
    return -EPROTO;
}

bool
link_is_over(struct nbd_handle *nbd)
{
    return nbd_aio_is_dead(nbd) == 1 || nbd_aio_is_closed(nbd) == 1;
}

static int
connect_by(struct nbd_handle *nbd, const char *uri, uint64_t deadline_ns)
{
    if (nbd_aio_connect_uri(nbd, uri) < 0) {
        return -ECONNREFUSED;
    }
    while (nbd_aio_is_connecting(nbd) == 1) {
        if (clock_now_ns() >= deadline_ns) {
            return -ETIMEDOUT;
        }
        if (nbd_poll(nbd, clock_poll_ms(deadline_ns)) < 0) {
            return -ECONNREFUSED;
        }
    }
    return nbd_aio_is_ready(nbd) == 1 ? 0 : -ECONNREFUSED;
}

int
link_open(const char *uri, uint64_t deadline_ns, struct nbd_handle **ret_nbd,
          char *text, size_t size)
{
    struct nbd_handle *nbd = nbd_create();
    const char *message;
    int rc;

    if (nbd == NULL) {
        (void)snprintf(text, size, "%s", nbd_get_error());
        return -ENOMEM;
    }
    rc = nbd_set_uri_allow_local_file(nbd, true) < 0
             ? -EINVAL
             : connect_by(nbd, uri, deadline_ns);
    if (rc < 0) {
        message = rc == -ETIMEDOUT ? "no connection in time" : nbd_get_error();
        (void)snprintf(text, size, "%s: %s", uri, message == NULL ? "?" : message);
        nbd_close(nbd);
        return rc;
    }
    *ret_nbd = nbd;
    return 0;
}
