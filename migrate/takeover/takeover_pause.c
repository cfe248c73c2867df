/* SPDX-License-Identifier: BSD-3-Clause */
/* Until it owns the disk the next owner is a client. When the owner closes its gate,
 * what the next owner's clients have under way could only be sent back, to be queued
 * there and performed again: two thread switches a request on either side, in the
 * stall. So the next owner closes its own gate first, and these requests end as usual.
 *
 * Nothing depends on it: a request that comes too late is sent back as without it. It
 * ends by itself: by the assignment or its refusal, when the owner gives the handoff up
 * or its connection ends, and after the time that the owner has named. */
#include <errno.h>
#include <stdlib.h>

#include "breakpoint.h"
#include "clock.h"
#include "disk.h"
#include "takeover.h"
#include "takeover_batch.h"

#define PAUSE_MAX_MS UINT64_C(60000)
/* What has not ended by then, or in this part of the owner's time, is for the owner's
 * drain to wait for, and to tell of: on a device that is so slow, little is gained by
 * waiting here, and the owner's own clients go on meanwhile. */
#define DRAIN_PART 8
#define DRAIN_MAX_NS (NS_PER_S / 10)

struct pause {
    unsigned nr;
    struct redir *redirs[GROUP_MAX_DISKS];
};

/* As that peer has prepared it, and not assigned since. Then it has a redirector. */
static bool
is_prepared(struct disk *d, uint64_t epoch)
{
    LK_GUARD(&d->lock);

    return disk_locked(d)->incoming.port != NULL &&
           disk_locked(d)->incoming.epoch == epoch;
}

/* At the end of the connection: of pauses that are none any more it changes nothing. */
static void
end_pause(void *arg)
{
    struct pause *p = arg;

    for (unsigned i = 0; i < p->nr; i++) {
        redir_end_pause(p->redirs[i]);
    }
    free(p);
}

static void
pause_all(const struct batch *b, uint64_t until_ns, struct pause *p)
{
    for (unsigned i = 0; i < b->nr; i++) {
        struct disk *d = b->disks[i];

        if (is_prepared(d, b->epochs[i]) && redir_pause(disk_redir(d), until_ns) == 0) {
            p->redirs[p->nr++] = disk_redir(d);
        }
    }
}

int
takeover_pause(void *service, struct rpc_call *call, json_t *params, struct err *e,
               json_t **ret_result)
{
    const uint64_t began_ns = clock_now_ns();
    const json_int_t ms = json_integer_value(json_object_get(params, "for_ms"));
    uint64_t for_ns, drain_ns;
    struct pause *p;
    struct batch b;
    int rc = batch_parse(service, params, e, &b);

    if (rc < 0) {
        return rc;
    }
    if (ms <= 0) {
        return err_set(e, -EBADMSG,
                       "parameter \"for_ms\": a number of milliseconds expected");
    }
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    rpc_at_end(call, end_pause, p);
    for_ns = clock_earlier((uint64_t)ms, PAUSE_MAX_MS) * NS_PER_MS;
    pause_all(&b, clock_deadline_ns(for_ns), p);
    drain_ns = clock_earlier(for_ns / DRAIN_PART, DRAIN_MAX_NS);
    for (unsigned i = 0; i < p->nr; i++) { /* else the owner sends back what is late */
        (void)redir_await_pause(p->redirs[i], began_ns + drain_ns);
    }
    (void)BREAKPOINT("next-paused");
    *ret_result = json_pack("{s:I}", "drain_us",
                            (json_int_t)((clock_now_ns() - began_ns) / NS_PER_US));
    return 0;
}
