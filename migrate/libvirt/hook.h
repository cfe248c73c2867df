/* SPDX-License-Identifier: BSD-3-Clause */
/* hook.h - libvirt's hook for QEMU domains, installed as hooks/qemu.d/baton: tells the
 * services of this host which domain is about to run here (vm.coming) and which does
 * not any more (vm.gone). What follows is their work (migrate/vm/vm_methods.h);
 * libvirtd waits for us, so every step here ends by one deadline, and libvirt is never
 * called.
 *
 *   operation           what is done, and when it fails
 *   prepare begin       vm.coming. A service that refuses, or does not answer in time;
 *                       or a disk at a socket of ours (socket =) where none of the
 *                       services listens: the domain does not start; a migration is
 *                       cancelled and the domain runs on where it is. A service that is
 *                       not there: a line on standard error, for QEMU will find no disk
 *                       anyway. What is not understood, or is nobody's: a line, too.
 *   release end         vm.gone. Any failure: a line on standard error; the disks stay
 *                       where they are until somebody hands them over.
 *   migrate begin       vm.migrating: the same domain may be running on another host.
 *                       Any failure: a line on standard error.
 *   restore begin       vm.restored, for the sockets after the mapping below. A service
 *                       that refuses: the domain is not restored, and stays saved.
 *   migrate, restore    the domain's XML with the socket paths of this host (map =
 *   begin               ...); nothing is printed when none differs
 *   anything else       nothing, and never a failure: "reconnect" would kill the VM
 */
#ifndef BATON_HOOK_H
#define BATON_HOOK_H

#include "hook_config.h"
#include "hook_domain.h"

enum hook_event { HOOK_NOTHING, HOOK_REWRITE, HOOK_RESTORED, HOOK_COMING, HOOK_GONE };

/* What libvirt's operation and sub-operation ask for. */
enum hook_event hook_event_of(const char *op, const char *sub_op);

/* Tell the services. 0; a negative errno with a sentence when the domain may not start.
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
