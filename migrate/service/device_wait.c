/* SPDX-License-Identifier: BSD-3-Clause */
/* Told by inotify, of the deepest folder of the path that is there. What inotify does
 * not tell of (the end of a link, in another folder) is looked at now and then. */
#include "device_wait.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cleanup.h"
#include "clock.h"
#include "disk.h"

#define LOOK_AGAIN_NS (20 * NS_PER_MS)

/* The root always is there. */
void
device_wait_watch(int fd, const char *path)
{
    AUTO_FREE char *folder = strdup(path);
    char *slash = folder != NULL ? strrchr(folder, '/') : NULL;

    while (slash != NULL) {
        slash[slash == folder ? 1 : 0] = '\0';
        if (inotify_add_watch(fd, folder, IN_CREATE | IN_MOVED_TO) >= 0) {
            return;
        }
        slash = slash == folder ? NULL : strrchr(folder, '/');
    }
}

/* The name of a disk is there before the disk is. */
static bool
can_be_opened(const char *path)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    return fd >= 0 || (errno != ENOENT && errno != ENXIO && errno != ENODEV);
}

int
device_wait(const char *path, uint64_t deadline_ns)
{
    assert(path[0] == '/');
    for (;;) {
        AUTO_FD int fd = inotify_init1(IN_CLOEXEC); /* -1: none left, look again */
        struct pollfd p = {.fd = fd, .events = POLLIN};

        if (fd >= 0) {
            device_wait_watch(fd,
                              path); /* before we look: nothing is missed in between */
        }
        if (can_be_opened(path)) {
            return 0;
        }
        if (clock_now_ns() >= deadline_ns) {
            return -ENOENT;
        }
        (void)poll(&p, 1,
                   clock_poll_ms(
                       clock_earlier(deadline_ns, clock_deadline_ns(LOOK_AGAIN_NS))));
    }
}

void
device_wait_for_disk(struct disk *d)
{
    const struct disk_config *c = d->cfg;

    if (!c->is_nbd && c->appears_within_ns > 0) {
        (void)device_wait(c->device, clock_deadline_ns(c->appears_within_ns));
    }
}
