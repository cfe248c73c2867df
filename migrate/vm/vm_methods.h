/* SPDX-License-Identifier: BSD-3-Clause */
/* vm_methods.h - what libvirt's hook tells us of domains
 * (migrate/libvirt/hook.h; vm_*). All
 * methods take {vm, uuid, disks[{name, socket, use}]}: the domain's name and UUID, and
 * its NBD disks on unix sockets; use is "write" (the default), "read" or "share" (it
 * writes, and others may, too). Those whose socket is a listener of ours, by whatever
 * path, are ours, the others are nobody's business.
 *
 * vm.migrating  it is about to migrate to us, and may be running elsewhere until then.
 *            Result: null.
 * vm.coming  it is about to be started here, perhaps because it migrates to us: be a
 *            client of the owner of each of its disks (attach.h). Also "ask", control
 *            URIs of who may know the owner; "early": own the disks at once;
 *            "deadline_ms". Result: disks[{disk, socket, role, owner, epoch}].
 * vm.restored  it was saved, and is about to come back: what of it is parked here is
 *            owned again, before vm.coming. Result as vm.coming.
 * vm.gone    it does not run here any more. Answered at once: disks[NAME], those that
 * we own; it is found out in the background where it went, see vm_watch.h. */
#ifndef BATON_VM_METHODS_H
#define BATON_VM_METHODS_H

#include "rpc.h"

int vm_coming(void *service, struct rpc_call *call, json_t *params, struct err *e,
              json_t **ret_result);
int vm_migrating(void *service, struct rpc_call *call, json_t *params, struct err *e,
                 json_t **ret_result);
int vm_restored(void *service, struct rpc_call *call, json_t *params, struct err *e,
                json_t **ret_result);
int vm_gone(void *service, struct rpc_call *call, json_t *params, struct err *e,
            json_t **ret_result);

#endif
