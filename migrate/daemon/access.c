/* SPDX-License-Identifier: BSD-3-Clause */
#include "access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "disk.h"
#include "service.h"
#include "target.h"

#define PEER_TEXT 256 /* enough of its names for a sentence */

/* What is not listed here is for the machine's own administrator: a method that is new
 * has to be thought about before others may call it. */
static const char *const for_other_hosts[] = {
    "status",     "handoff",     "park",        "unpark",
    "abort",      "recover",     "ping",        "peer.prepare",
    "peer.pause", "peer.assign", "peer.cancel", "peer.where",
    "peer.look",  "attach",      "peer.lease",  "lease",
};

static bool
is_for_others(const char *method)
{
    for (size_t i = 0; i < sizeof for_other_hosts / sizeof for_other_hosts[0]; i++) {
        if (strcmp(for_other_hosts[i], method) == 0) {
            return true;
        }
    }
    return false;
}

static int
allow_peer(const struct disk_config *d, const struct tls_peer *peer, struct err *e)
{
    char text[PEER_TEXT];

    if (d->peers_allowed == NULL || tls_peer_is_in(peer, d->peers_allowed)) {
        return 0;
    }
    return err_set(e, -EACCES, "disk %s is not for %s (peers-allowed=%.200s)", d->name,
                   tls_peer_text(peer, text, sizeof text), d->peers_allowed);
}

/* One that is malformed, or not there, is the method's to refuse. */
static int
allow_target(const struct service_config *c, const struct tls_peer *peer,
             const char *text, struct err *e)
{
    struct target t;
    int rc = 0;

    if (target_parse(text, false, &t) < 0) {
        return 0;
    }
    for (unsigned i = 0; rc == 0 && i < c->nr_disks; i++) {
        const struct disk_config *d = &c->disks[i];

        if (target_has(&t, d->vm, d->name)) {
            rc = allow_peer(d, peer, e);
        }
    }
    return rc;
}

static int
allow_disk(const struct service_config *c, const struct tls_peer *peer,
           const char *name, struct err *e)
{
    for (unsigned i = 0; i < c->nr_disks; i++) {
        if (strcmp(c->disks[i].name, name) == 0) {
            return allow_peer(&c->disks[i], peer, e);
        }
    }
    return 0;
}

int
allow_call(void *service, const struct tls_peer *peer, const char *method,
           const json_t *params, struct err *e)
{
    struct service *s = service;
    const char *target = json_string_value(json_object_get(params, "target"));
    const char *uuid = json_string_value(json_object_get(params, "uuid"));
    const char *name = json_string_value(json_object_get(params, "disk"));
    struct disk *d = uuid != NULL ? service_find_uuid(s, uuid) : NULL;
    const json_t *item;
    size_t i;
    int rc = 0;

    if (!is_for_others(method)) {
        return err_set(e, -EACCES, "method %s is not open to other hosts", method);
    }
    if (target != NULL) {
        rc = allow_target(s->cfg, peer, target, e);
    }
    if (rc == 0 && name != NULL && strcmp(method, "status") != 0) {
        rc = allow_target(s->cfg, peer, name, e);
    }
    if (rc == 0 && d != NULL) {
        rc = allow_peer(d->cfg, peer, e);
    }
    json_array_foreach(json_object_get(params, "disks"), i, item)
    {
        name = json_string_value(json_object_get(item, "name"));
        if (rc == 0 && name != NULL) {
            rc = allow_disk(s->cfg, peer, name, e);
        }
    }
    return rc;
}

struct client_origin
allow_origin(const struct sockaddr_storage *addr, bool is_tls, struct tls_peer *machine)
{
    struct client_origin from = {.is_unix = addr->ss_family == AF_UNIX,
                                 .is_tcp = addr->ss_family == AF_INET ||
                                           addr->ss_family == AF_INET6,
                                 .is_tls = is_tls};
    struct sockaddr_vm vm;

    if (addr->ss_family == AF_VSOCK) {
        memcpy(&vm, addr, sizeof vm);
        tls_peer_set_cid(machine, vm.svm_cid);
        from.peer = machine;
    }
    return from;
}

void
allow_name(const struct sockaddr_storage *addr, int64_t pid, struct client_origin *from)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (from->is_unix) {
        (void)snprintf(from->name, sizeof from->name, "process %lld", (long long)pid);
    } else if (addr->ss_family == AF_INET) {
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)addr)->sin_addr, text,
                        sizeof text);
        (void)snprintf(from->name, sizeof from->name, "%s", text);
    } else if (addr->ss_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)addr)->sin6_addr, text,
                        sizeof text);
        (void)snprintf(from->name, sizeof from->name, "%s", text);
    } else if (addr->ss_family == AF_VSOCK) {
        (void)snprintf(from->name, sizeof from->name, "machine %u",
                       ((const struct sockaddr_vm *)addr)->svm_cid);
    }
}

int
allow_connection(const struct service_config *c, const struct client_origin *from,
                 struct err *e)
{
    if (from->is_tcp && !from->is_tls && tls_is_on(&c->tls)) {
        return err_set(e, -EACCES, "a TCP connection needs TLS here");
    }
    return 0;
}

int
allow_open(const struct service_config *c, const struct disk_config *d,
           const struct client_origin *from, struct err *e)
{
    int rc = allow_connection(c, from, e);

    if (rc < 0 || from->is_unix || d->peers_allowed == NULL) {
        return rc;
    }
    if (from->peer == NULL) {
        return err_set(e, -EACCES,
                       "disk %s: peers-allowed cannot be checked, since nbdkit does "
                       "not tell who has connected; \"baton serve\" can",
                       d->name);
    }
    return allow_peer(d, from->peer, e);
}
