/* SPDX-License-Identifier: BSD-3-Clause */
#include "writers_enter.h"

#include <errno.h>

#include "clock.h"
#include "disk.h"
#include "lease_take.h"
#include "log.h"
#include "may_block.h"

#define ASK_NS (2 * NS_PER_S)
#define AGAIN_NS (100 * NS_PER_MS)

/* Ask the owner, for as long as that makes sense: one that is away is waited for like
 * by any request, one that refuses for as long as a migration's source may last. */
static int
ask(struct disk *d, const char *name, uint64_t failed_ns)
{
    const uint64_t refused_ns = clock_deadline_ns(WRITERS_WAIT_NS);
    struct vm_presence_locked g = vm_presence_look(&d->presence);

    if (g.vm_uuid[0] != '\0' && !g.is_gone) {
        return 0; /* it is the VM that libvirt announced, which has the lease */
    }
    for (;;) {
        struct err e = {{0}};
        bool is_new;
        int rc = lease_take(d, LEASE_CLIENTS, name, false, LEASE_START,
                            clock_deadline_ns(ASK_NS), &e, &is_new);

        if (rc == 0) {
            return 0;
        }
        if (rc == -EPERM && clock_now_ns() >= refused_ns) {
            log_warn("%s may not write: %s", name, e.msg);
            return -EPERM;
        }
        if (clock_now_ns() >= failed_ns) {
            return -ETIMEDOUT;
        }
        clock_pass(AGAIN_NS);
    }
}

int
writers_enter(struct disk *d, const char *name)
{
    const uint64_t failed_ns = d->cfg->fail_after_ns == CLOCK_NEVER
                                   ? CLOCK_NEVER
                                   : clock_deadline_ns(d->cfg->fail_after_ns);
    bool asks = false;
    int rc;

    may_block();
    rc = writers_join(&d->writers, name, failed_ns, &asks);
    if (rc == -EPERM) {
        log_warn("%s: %s may not write: another client does", d->cfg->name, name);
    }
    if (rc == 0 && asks) {
        rc = ask(d, name, failed_ns);
        writers_settle(&d->writers, rc);
    }
    return rc;
}
