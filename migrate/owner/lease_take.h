/* SPDX-License-Identifier: BSD-3-Clause */
/* lease_take.h - a VM is let have a disk (lease.h): the side of the service that the VM
 * uses, and what is asked between the two (lease_*). Any thread; what says so asks
 * other services, and takes until its deadline. */
#ifndef BATON_LEASE_TAKE_H
#define BATON_LEASE_TAKE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "err.h"
#include "lease.h"
#include "rpc.h"

struct disk;
struct uri;

/* Let a VM of this service have d. Asks. 0, *ret_is_new: it had it not; -EPERM: another
 * one has it, e says which; other: the owner cannot be asked. */
int lease_take(struct disk *d, const char *vm_uuid, const char *vm, bool is_shared,
               enum lease_how how, uint64_t deadline_ns, struct err *e,
               bool *ret_is_new);

/* It has ended here, which peer.where says already. Asks, and gives up in silence: see
 * above. */
void lease_leave(struct disk *d, const char *vm_uuid, uint64_t deadline_ns);

/* The owner is a new one: tell it of the VM that runs here, if any. Asks. */
void lease_renew(struct disk *d);

/* lease_list() for the next owner there: with how it reaches us. */
json_t *lease_list_for(struct disk *d, const struct uri *to);

/* The owner's side of lease_take() and lease_leave(): {uuid, how, lease}; how is start,
 * expected, runs or end. */
int lease_answer(void *service, struct rpc_call *call, json_t *params, struct err *e,
                 json_t **ret_result);

/* The method lease {target, release}: a person looks, and may release. */
int lease_control(void *service, struct rpc_call *call, json_t *params, struct err *e,
                  json_t **ret_result);

#endif
