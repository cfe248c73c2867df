/* SPDX-License-Identifier: BSD-3-Clause */
#include "service_start.h"

#include <errno.h>
#include <stdlib.h>

#include "access.h"
#include "clock.h"
#include "control.h"
#include "disk.h"
#include "disk_stop.h"
#include "handoff.h"
#include "log.h"
#include "mend.h"
#include "nbdkit_filters.h"
#include "owner_follow.h"
#include "service.h"
#include "superseded.h"
#include "vm_restart.h"
#include "vm_watch.h"

static int
start_disks(struct service *s, struct err *e)
{
    s->disks = calloc(s->cfg->nr_disks > 0 ? s->cfg->nr_disks : 1, sizeof *s->disks);
    if (s->disks == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    for (unsigned i = 0; i < s->cfg->nr_disks; i++) {
        int rc = disk_init(&s->disks[i], s, &s->cfg->disks[i]);

        if (rc < 0) {
            return err_set(e, rc, "out of memory");
        }
        s->nr_disks++;
        vm_restart_restore(&s->disks[i]);
        mend_first_try(&s->disks[i]);
    }
    superseded_looks_free(s);
    return mend_check(s, e);
}

void
service_free(struct service *s)
{
    for (unsigned i = 0; i < s->nr_disks; i++) {
        disk_done(&s->disks[i]);
    }
    free(s->disks);
    superseded_looks_free(s);
    record_dir_close(s->records);
    free(s->handoffs);
    vm_watches_free(s->vm_watches);
    free(s);
}

int
service_new(const struct service_config *cfg, int control_fd, struct err *e,
            struct service **ret_service)
{
    struct service *s = calloc(1, sizeof *s);
    char why[RECORD_UNWRITTEN_LEN];
    int rc;

    if (s == NULL) {
        return err_set(e, -ENOMEM, "out of memory");
    }
    s->cfg = cfg;
    s->mend_fd = -1;
    s->moved = owner_follow_moved;
    s->began_ns = clock_now_ns();
    tls_settings_set(&cfg->tls);
    peers_seen_init(&s->peers_seen);
    vm_expected_init(&s->vm_expected);
    nbdkit_filters_of_this_process(s->opaque_filter, sizeof s->opaque_filter);
    rc = record_dir_open(cfg->state_dir, e, &s->records);
    if (rc == 0) {
        /* Sessions of this life of the process are newer than those of any before. */
        atomic_init(&s->next_number, record_dir_incarnation(s->records) << 32);
        rc = handoff_table_new(&s->handoffs);
    }
    if (rc == 0) {
        rc = vm_watches_new(&s->vm_watches);
    }
    if (rc == 0 && record_dir_is_unwritten(s->records, why)) {
        log_warn("state directory %s cannot be written: %s; disks are served as its "
                 "records say, and none is handed on or parked until it can be written",
                 cfg->state_dir, why);
    }
    if (rc == 0) {
        rc = start_disks(s, e);
    }
    if (rc < 0) {
        service_free(s);
        return rc;
    }
    rc = handoff_resume(s, e);
    if (rc == 0 && control_fd >= 0) {
        rc = rpc_server_new(control_fd, control_methods, s, e, &s->control);
    }
    if (rc < 0) {
        return rc; /* threads may run already: the process ends, nothing is freed */
    }
    vm_watch_all(s);
    rc = mend_start(s, e);
    if (rc < 0) {
        return rc;
    }
    *ret_service = s;
    return 0;
}

int
service_control_net(struct service *s, unsigned i, int listen_fd, struct err *e)
{
    return rpc_server_new_net(listen_fd, control_methods, s, allow_call, e,
                              &s->net_control[i]);
}

void
service_stop(struct service *s, uint64_t deadline_ns)
{
    /* Of the others the owner may be away, and take all the time there is. */
    for (unsigned i = 0; i < s->nr_disks; i++) {
        if (disk_record(&s->disks[i]).role == ROLE_OWNER) {
            disk_stop(&s->disks[i], deadline_ns);
        }
    }
    for (unsigned i = 0; i < s->nr_disks; i++) {
        disk_stop(&s->disks[i], deadline_ns); /* once only */
    }
}
