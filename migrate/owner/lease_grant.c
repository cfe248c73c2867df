/* SPDX-License-Identifier: BSD-3-Clause */
/* The owner's word. */
#include "lease_grant.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "disk.h"
#include "lease.h"
#include "log.h"
#include "owner_find.h"
#include "service.h"
#include "writers.h"

#define LOOK_NS (800 * NS_PER_MS) /* libvirt waits; see hook.conf's timeout */

/* Does a VM of this service have d still, as far as can be seen here? */
static bool
is_used_here(struct disk *d, const char *vm_uuid, bool is_shared)
{
    struct vm_presence_locked g = vm_presence_look(&d->presence);

    if (strcmp(vm_uuid, LEASE_CLIENTS) == 0) {
        return writers_are_there(&d->writers);
    }
    return strcmp(g.vm_uuid, vm_uuid) == 0
               ? vm_presence_hold(&d->presence)
               : is_shared &&
                     atomic_load_explicit(&d->nr_vms, memory_order_relaxed) > 0;
}

bool
lease_grant_is_used(struct disk *d, const struct lease *l, uint64_t deadline_ns,
                    bool *ret_is_silent)
{
    struct record rec = disk_record(d);
    bool is_unknown = false;
    struct owner_answer x = {.id = ""};

    *ret_is_silent = false;
    if (strcmp(l->id, record_dir_service_id(d->service->records)) == 0) {
        return is_used_here(d, l->vm_uuid, l->is_shared);
    }
    if (owner_find_ask(l->control, rec.uuid, NULL,
                       clock_earlier(deadline_ns, clock_deadline_ns(LOOK_NS)), NULL,
                       &is_unknown, &x) < 0 ||
        strcmp(x.id, l->id) != 0) {
        *ret_is_silent = !is_unknown;
        return !is_unknown;
    }
    return strcmp(l->vm_uuid, LEASE_CLIENTS) == 0 ? x.is_written_by_clients
           : strcmp(l->vm_uuid, x.vm_uuid) == 0   ? x.has_vm
                                                  : l->is_shared && x.nr_clients > 0;
}

static int
refuse(struct disk *d, const struct lease *has, bool is_silent, struct err *e)
{
    const struct service_config *cfg = d->service->cfg;

    return err_set(
        e, -EPERM,
        "%s: %s%s%s has it at %s, and a second writer would damage it%s%s%s%s%s",
        d->cfg->name, strcmp(has->vm_uuid, LEASE_CLIENTS) == 0 ? "" : "VM ", has->vm,
        has->is_shared ? " (which shares it)" : "", has->service,
        is_silent ? "; that service does not answer: if the VM does not run "
                    "any more, baton lease "
                  : "",
        is_silent ? d->cfg->name : "", is_silent ? " --at " : "",
        is_silent && cfg->has_control ? cfg->control.text : "",
        is_silent ? " --release" : "");
}

/* Add it while no handoff can take the list away; -EAGAIN: it has. */
static int
add_owned(struct disk *d, const struct lease *l, enum lease_how how, struct err *e,
          struct lease *ret_has, bool *ret_is_new)
{
    int rc = disk_claim_record(d, e);
    enum role role;

    if (rc < 0) {
        return rc;
    }
    role = disk_record(d).role;
    rc = role == ROLE_OWNER || role == ROLE_PARKED
             ? lease_try_add(d, l, how, ret_has, ret_is_new)
             : err_set(e, -EAGAIN, "%s does not own %s", d->service->cfg->name,
                       d->cfg->name);
    disk_unclaim_record(d);
    return rc;
}

int
lease_grant(struct disk *d, const struct lease *l, enum lease_how how,
            uint64_t deadline_ns, struct err *e, bool *ret_is_new)
{
    for (;;) {
        struct lease has = {.id = ""};
        bool is_silent;
        int rc = add_owned(d, l, how, e, &has, ret_is_new);

        if (rc == 0 && *ret_is_new) {
            lease_save(d);
        }
        if (rc != -EPERM) {
            return rc;
        }
        if (lease_grant_is_used(d, &has, deadline_ns, &is_silent)) {
            return refuse(d, &has, is_silent, e);
        }
        log_info("%s: %s at %s has ended without notice; its lease is ended, too",
                 d->cfg->name, has.vm, has.service);
        lease_end(d, &has);
    }
}
