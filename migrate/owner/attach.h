/* SPDX-License-Identifier: BSD-3-Clause */
/* attach.h - become a client of a disk that another service owns, without ever having
 * owned it here, so that a VM can open it here at once. That is what a host does before
 * a VM comes to it.
 *
 * As at a handoff the device that is configured here has to be the owner's device; it
 * is opened and looked at, not owned. What was learned is durable before the first
 * request: "given to OWNER at epoch N, learned" (owner_follow.h). */
#ifndef BATON_ATTACH_H
#define BATON_ATTACH_H

#include <stdint.h>

#include "rpc.h"

struct service;

#define ATTACH_MAX_ASK 8

struct attach_request {
    const char *disk;                /* a name in our configuration */
    const char *ask[ATTACH_MAX_ASK]; /* control URIs of those that may own it, or know
                                      * who does; then the configured peers are asked */
    unsigned nr_ask;
    uint64_t deadline_ns;
};

/* 0 and {disk, uuid, role, owner, epoch}, also when we are its client already. -EEXIST:
 * we own it; -ENOENT: no such disk here, or nobody who was asked knows it; -EINVAL: the
 * devices differ; -EPERM: it is parked here, or was taken from us; other: of the last
 * that was asked. Nothing changed then. */
int attach_run(struct service *s, const struct attach_request *rq, struct err *e,
               json_t **ret_result);

/* The methods attach {disk, owner?, deadline_ms?} and, between services, peer.look
 * {uuid, epoch, from_control?}: what the owner's device is like. */
int attach_answer(void *service, struct rpc_call *call, json_t *params, struct err *e,
                  json_t **ret_result);
int attach_look_answer(void *service, struct rpc_call *call, json_t *params,
                       struct err *e, json_t **ret_result);

#endif
