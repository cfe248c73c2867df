/* SPDX-License-Identifier: BSD-3-Clause */
/* owner_find.h - who owns a disk? What a service says of itself when it is asked
 * (peer.where), and finding the owner by asking one service after the other. Any
 * thread; nothing is changed. */
#ifndef BATON_OWNER_FIND_H
#define BATON_OWNER_FIND_H

#include <stdbool.h>

#include "record.h"
#include "rpc.h"

struct service;
struct service_config;

#define OWNER_FIND_MAX_HOPS 16

/* What one service says. */
struct owner_answer {
    char uuid[37]; /* of the disk */
    char service[NAME_MAX_LEN + 1];
    char id[37]; /* of the service, for ever */
    enum role role;
    uint64_t epoch;
    char right[CHANNEL_RIGHT_SIZE]; /* owner: to be a channel */
    char owner[NAME_MAX_LEN + 1];   /* "" when it knows none */
    char control[RECORD_URI_LEN];   /* owner: how it was reached; given: the owner's */
    unsigned nr_channels;           /* owner: where its channel listens */
    char channels[RECORD_MAX_URIS][RECORD_URI_LEN];
    char vm_uuid[37]; /* of the domain that was announced there; "" when none */
    unsigned
        nr_vms; /* connections of VMs since, and one that is awaited (vm_presence.h) */
    unsigned nr_vm_open; /* without that one */
    bool has_vm; /* the domain uses the disk, or is about to (vm_presence_hold()) */
    unsigned nr_clients;        /* connections of anybody */
    bool is_written_by_clients; /* that libvirt has said nothing of (writers.h) */
    bool vm_runs; /* the domain has written to a disk there since, to any */
};

/* How other services reach this one's channels: a new list of URIs. */
json_t *owner_find_channels(const struct service_config *c);

/* The method peer.where {uuid}, or {disk} for a caller that does not know the UUID. */
int owner_find_answer(void *service, struct rpc_call *call, json_t *params,
                      struct err *e, json_t **ret_result);

/* What the service at `control` says of the disk: uuid, or disk, its name, when that is
 * NULL. *ret_is_unknown (may be NULL): it answers that it knows no such disk. */
int owner_find_ask(const char *control, const char *uuid, const char *disk,
                   uint64_t deadline_ns, struct err *e, bool *ret_is_unknown,
                   struct owner_answer *ret_w);

/* Find who owns rec's disk at an epoch above rec's. First ask the owner that rec names
 * (unless is_given_up), then the configured peers, and whom each of them names. Only
 * a service that says so of itself is believed; of several the one of the highest
 * epoch. Takes no longer than deadline_ns.
 * 0; -EALREADY: the owner that rec names owns it; -EAGAIN: it is on its way to us, or
 * to somebody who has not taken it yet, or parked; -ELOOP: each names another in a
 * circle; other: of the last that was asked. e says who and why. */
int owner_find(struct service *s, const struct record *rec, bool is_given_up,
               uint64_t deadline_ns, struct err *e, struct owner_answer *ret_owner);

#endif
