/* SPDX-License-Identifier: BSD-3-Clause */
/* hook.h - libvirt's hook for QEMU domains, installed as hooks/qemu.d/baton. It tells
 * the services of this host which domain is about to run here (vm.coming) and which
 * does not run here any more (vm.gone). The services do the rest
 * (migrate/vm/vm_methods.h). libvirtd waits for the hook, so all its steps end by one
 * deadline, and the hook never calls libvirt. Its file is hook.conf (hook_config.h). "A
 * line" is one on standard error, and the hook succeeds.
 *
 *   operation           what the hook does, and what a failure means
 *   prepare begin       vm.coming. The domain does not start, or its migration is
 *                       cancelled and it runs on where it is, if a service refuses or
 *                       does not answer in time, or if a disk is at a socket of ours
 *                       (socket =) where no service listens. A service that is not
 *                       there: a line, for QEMU will find no disk anyway. A disk that
 *                       no service looks after: a line.
 *   release end         vm.gone. Any failure: a line, and the disks stay where they are
 *                       until somebody hands them over.
 *   migrate begin       vm.migrating: the same domain may be running on another host.
 *                       Any failure: a line.
 *   restore begin       vm.restored. A service refuses: the domain is not restored, and
 *                       stays saved.
 *   migrate, restore    Before that, the domain gets the socket paths of this host
 *   begin               (map =). Its XML is printed if a path differs.
 *   anything else       nothing, which cannot fail: a failure of "reconnect" would kill
 *                       the VM
 */
#ifndef BATON_HOOK_H
#define BATON_HOOK_H

#include "hook_config.h"
#include "hook_domain.h"

enum hook_event { HOOK_NOTHING, HOOK_REWRITE, HOOK_RESTORED, HOOK_COMING, HOOK_GONE };

/* What libvirt's operation and sub-operation ask for. */
enum hook_event hook_event_of(const char *op, const char *sub_op);

/* Tell the services. 0, or -errno and a sentence: what that means is in the table
 * above.
 */
int hook_coming(const struct hook_config *c, const struct hook_domain *dom,
                uint64_t deadline_ns, struct err *e);
int hook_migrating(const struct hook_config *c, const struct hook_domain *dom,
                   uint64_t deadline_ns, struct err *e);
int hook_restored(const struct hook_config *c, const struct hook_domain *dom,
                  uint64_t deadline_ns, struct err *e);
int hook_gone(const struct hook_config *c, const struct hook_domain *dom,
              uint64_t deadline_ns, struct err *e);

#endif
