/* SPDX-License-Identifier: BSD-3-Clause */
#include "descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cleanup.h"
#include "config.h"
#include "log.h"

#define OF_SERVICE 64U /* libraries, sockets, control, records, ssh, inotify */
#define OF_FILE 2U     /* the device, and again where it is compared */
#define OF_LINE 2U     /* of a connection that we make: socket, wake-up */
#define OF_VM 3U       /* of one that is made to us: socket, nbdkit's pipe */
#define MOST_LEFT 256U /* for connections, whatever the disks would take */

/* What all disks of cfg may need, each with one connection of a VM. */
static uint64_t
needed_by(const struct service_config *cfg)
{
    uint64_t nr = OF_SERVICE;

    for (unsigned i = 0; i < cfg->nr_disks; i++) {
        const struct disk_config *d = &cfg->disks[i];

        /* Own it, or be a client: that takes more. */
        nr += OF_FILE + OF_LINE * d->connections + OF_VM;
    }
    return nr;
}

void
descriptors_provide(const struct service_config *cfg)
{
    uint64_t needed = needed_by(cfg);
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0) {
        log_warn("the limit of descriptors is not known: %s", err_text(NULL, -errno));
        return;
    }
    if (l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &l) < 0) {
            log_warn("the limit of descriptors cannot be raised: %s",
                     err_text(NULL, -errno));
            (void)getrlimit(RLIMIT_NOFILE, &l); /* it was read before */
        }
    }
    if (l.rlim_cur < needed) {
        log_warn("%u disks with a VM each may need %" PRIu64
                 " descriptors, and the limit is %" PRIu64
                 ": raise it (LimitNOFILE= of the unit, ulimit -Hn)",
                 cfg->nr_disks, needed, (uint64_t)l.rlim_cur);
    }
}

int
descriptors_check(struct err *e)
{
    AUTO_FD int lowest = open("/", O_PATH | O_CLOEXEC); /* those below are taken */
    struct rlimit l;
    uint64_t left;

    if (lowest < 0 || getrlimit(RLIMIT_NOFILE, &l) < 0) {
        return err_set(e, -errno, "no descriptor is left: %s", err_text(NULL, -errno));
    }
    left = l.rlim_cur / 4 < MOST_LEFT ? l.rlim_cur / 4 : MOST_LEFT;
    if ((uint64_t)lowest + left > l.rlim_cur) {
        return err_set(e, -EMFILE,
                       "no descriptor is left for the device: the limit is %" PRIu64
                       ", and the last ones are kept for connections; raise it "
                       "(LimitNOFILE= of the unit, ulimit -Hn)",
                       (uint64_t)l.rlim_cur);
    }
    return 0;
}
