/* SPDX-License-Identifier: BSD-3-Clause */
/* rpc_net.c - a connection that comes over a network: who it is, before its calls. */
#include <linux/vm_sockets.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "log.h"
#include "rpc_conn.h"
#include "tls.h"

/* "10.0.0.1", for the log. */
static const char *
address_text(int fd, char text[NI_MAXHOST])
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;

    if (getpeername(fd, (struct sockaddr *)&addr, &len) < 0 ||
        getnameinfo((const struct sockaddr *)&addr, len, text, NI_MAXHOST, NULL, 0,
                    NI_NUMERICHOST) != 0) {
        (void)snprintf(text, NI_MAXHOST, "a client that is gone");
    }
    return text;
}

static void
serve_tls(int fd, struct rpc_service service)
{
    char address[NI_MAXHOST];
    struct tls_stream *stream;
    struct err e = {.msg = ""};
    int rc;

    (void)address_text(fd, address);
    rc = tls_accept(tls_settings_get(), fd, clock_deadline_ns(RPC_TLS_TIMEOUT_NS), &e,
                    &stream);
    if (rc < 0) {
        log_warn("refused a control connection from %s: %s", address, err_text(&e, rc));
        return;
    }
    service.peer = tls_stream_peer(stream);
    service.stream = stream;
    rpc_conn_serve(tls_stream_fd(stream), &service);
    tls_stream_close(stream);
}

/* The kernel says whose machine it is; there is nothing to prove. */
static void
serve_vsock(int fd, unsigned cid, struct rpc_service service)
{
    struct tls_peer peer;

    tls_peer_set_cid(&peer, cid);
    service.peer = &peer;
    rpc_conn_serve(fd, &service);
}

void
rpc_conn_serve_net(int fd, const struct rpc_service *service)
{
    struct sockaddr_storage addr = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof addr;
    struct sockaddr_vm vm;

    if (getpeername(fd, (struct sockaddr *)&addr, &len) == 0 &&
        addr.ss_family == AF_VSOCK) {
        memcpy(&vm, &addr, sizeof vm);
        serve_vsock(fd, vm.svm_cid, *service);
        return;
    }
    serve_tls(fd, *service);
}
