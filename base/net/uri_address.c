/* SPDX-License-Identifier: BSD-3-Clause */
#include "uri_address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

static socklen_t
unix_address(const struct uri *u, struct sockaddr_storage *addr)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(u->path);

    assert(len < sizeof un.sun_path);
    memcpy(un.sun_path, u->path, len + 1);
    memcpy(addr, &un, sizeof un);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
}

static socklen_t
tcp_address(const struct uri *u, struct sockaddr_storage *addr)
{
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons((uint16_t)u->port)};
    struct sockaddr_in a4 = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)u->port)};
    const char *host = strcmp(u->host, "localhost") == 0 ? "127.0.0.1" : u->host;
    int is_valid;

    if (inet_pton(AF_INET, host, &a4.sin_addr) == 1) {
        memcpy(addr, &a4, sizeof a4);
        return sizeof a4;
    }
    is_valid = inet_pton(AF_INET6, host, &a6.sin6_addr);
    assert(is_valid == 1); /* uri_parse() lets through nothing else but names */
    memcpy(addr, &a6, sizeof a6);
    return sizeof a6;
}

bool
uri_is_host_name(const struct uri *u)
{
    struct in6_addr a6;
    struct in_addr a4;

    return u->kind == URI_TCP && strcmp(u->host, "localhost") != 0 &&
           inet_pton(AF_INET, u->host, &a4) != 1 &&
           inet_pton(AF_INET6, u->host, &a6) != 1;
}

socklen_t
uri_address(const struct uri *u, struct sockaddr_storage *addr)
{
    struct sockaddr_vm vm = {.svm_family = AF_VSOCK};

    assert(u->kind != URI_SSH);
    memset(addr, 0, sizeof *addr);
    if (u->kind == URI_UNIX) {
        return unix_address(u, addr);
    }
    if (u->kind == URI_TCP) {
        return tcp_address(u, addr);
    }
    vm.svm_cid = u->cid; /* URI_ANY_CID is VMADDR_CID_ANY */
    vm.svm_port = u->port;
    memcpy(addr, &vm, sizeof vm);
    return sizeof vm;
}
