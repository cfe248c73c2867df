/* SPDX-License-Identifier: BSD-3-Clause */
/* takeover.h - the next owner's side of a handoff: what the present owner asks of us.
 *
 * peer.prepare  look at the device, open it, own nothing yet
 * peer.pause    hold our clients for a moment, since the owner is about to hold
 * peer.cancel   forget it
 * peer.assign   own it, at the epoch that the present owner has committed to. The
 *               result says whether; "assigned": false is a promise that we do not own
 *               it and never will at that epoch. An error reply promises nothing
 * ping          measure a round trip
 *
 * Which device is opened is our own configuration, never the peer's word. */
#ifndef BATON_TAKEOVER_H
#define BATON_TAKEOVER_H

#include "rpc.h"

int takeover_prepare(void *service, struct rpc_call *call, json_t *params,
                     struct err *e, json_t **ret_result);
int takeover_pause(void *service, struct rpc_call *call, json_t *params, struct err *e,
                   json_t **ret_result);
int takeover_cancel(void *service, struct rpc_call *call, json_t *params, struct err *e,
                    json_t **ret_result);
int takeover_assign(void *service, struct rpc_call *call, json_t *params, struct err *e,
                    json_t **ret_result);
int takeover_ping(void *service, struct rpc_call *call, json_t *params, struct err *e,
                  json_t **ret_result);

#endif
