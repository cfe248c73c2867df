/* SPDX-License-Identifier: BSD-3-Clause */
/* What of a disk may vanish with whom. */
#include "disk_durability.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "identity.h"
#include "log.h"
#include "port_channel.h"
#include "service.h"

void
disk_instance(struct disk *d, char *buf)
{
    const struct record_dir *records = d->service->records;
    char boot_id[37];

    identity_boot_id(boot_id);
    if (!d->cfg->is_nbd && channel_instance_is_valid(boot_id)) {
        (void)snprintf(buf, CHANNEL_INSTANCE_MAX, "%s", boot_id);
    } else {
        (void)snprintf(buf, CHANNEL_INSTANCE_MAX, "%s.%" PRIu64,
                       record_dir_service_id(records), record_dir_incarnation(records));
    }
}

void
disk_statement(struct disk *d, uint64_t asked_epoch, char *buf)
{
    struct record rec = disk_record(d);
    struct channel_owner o = {.epoch = rec.epoch};

    if (rec.epoch < asked_epoch) { /* it waits for us to become the owner */
        o.epoch = asked_epoch;
    } else {
        (void)snprintf(o.flushed_by, sizeof o.flushed_by, "%s", rec.flushed_by);
    }
    disk_instance(d, o.instance);
    (void)channel_owner_format(&o, buf); /* the length is of no interest */
}

void
disk_repeat_kept(struct disk *d, struct port *channel, struct port *to)
{
    struct record rec = disk_record(d);
    struct channel_owner us = {.epoch = rec.epoch};
    uint64_t nr;
    int rc;

    /* No instance: what was acknowledged elsewhere is not in any cache of ours. */
    (void)snprintf(us.flushed_by, sizeof us.flushed_by, "%s", rec.flushed_by);
    port_channel_recall(
        channel); /* if it was not yet: nothing is sent there any more */
    rc = port_channel_hand_over(channel, &us, to, &nr);
    if (nr > 0) {
        log_warn("%s: the owner before us vanished without a flush: wrote %" PRIu64
                 " acknowledged requests again",
                 d->cfg->name, nr);
    }
    if (rc < 0) {
        log_error("%s: acknowledged writes are lost, they could not be written again: "
                  "%s",
                  d->cfg->name, err_text(NULL, rc));
    }
}

/* The channel lets its lanes go, if it is port B and stays that meanwhile. */
static void
rest_channel(struct disk *d)
{
    struct redir_status st;
    struct err ignored = {0};

    if (disk_claim_record(d, &ignored) < 0) {
        return; /* it changes hands: the channel is new then, or gone */
    }
    redir_status(disk_redir(d), &st);
    if (st.side == REDIR_REMOTE && redir_active(disk_redir(d)) != NULL) {
        port_channel_rest(redir_active(disk_redir(d)));
    }
    disk_unclaim_record(d);
}

uint64_t
disk_nr_kept(struct disk *d)
{
    return atomic_load_explicit(&d->kept.nr, memory_order_relaxed);
}

void
disk_rest_after_vm(struct disk *d, struct vm_conn *conn, bool is_last)
{
    const struct req rq = {.op = REQ_FLUSH, .requester = REQ_OF_OURS};

    if (vm_conns_leave(&d->conns, conn) && disk_nr_kept(d) > 0) {
        int rc = port_submit(redir_port(disk_redir(d)), &rq);

        if (rc < 0) { /* nobody is left to tell it to */
            log_warn("%s: the flush after a VM that is gone failed: %s: what it had "
                     "not flushed is lost if the owner loses it",
                     d->cfg->name, err_text(NULL, rc));
        }
    }
    if (is_last) {
        rest_channel(d);
    }
}
