/* SPDX-License-Identifier: BSD-3-Clause */
/* loop_device.h - a block device for a test. Its file is unlinked at once and the
 * device detaches itself at its last close, so a test that dies leaves nothing behind.
 */
#ifndef BATON_LOOP_DEVICE_H
#define BATON_LOOP_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cleanup.h"

#define LOOP_PATH_MAX 32
#define LOOP_TRIES 64 /* each time somebody else took the free device first */

static inline int
loop_new_file(uint64_t size)
{
    char path[] = "port-loop-XXXXXX";
    int fd = mkstemp(path);

    if (fd >= 0 && (unlink(path) < 0 || ftruncate(fd, (off_t)size) < 0)) {
        (void)close(fd); /* it failed already */
        return -1;
    }
    return fd;
}

/* Returns a descriptor that keeps the device, or -errno. */
static inline int
loop_device_open(uint64_t size, uint32_t block, char path[LOOP_PATH_MAX])
{
    AUTO_FD int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    AUTO_FD int file = loop_new_file(size);
    struct loop_config config = {
        .fd = (uint32_t)file, .block_size = block, .info.lo_flags = LO_FLAGS_AUTOCLEAR};

    for (int i = 0; control >= 0 && file >= 0 && i < LOOP_TRIES; i++) {
        int nr = ioctl(control, LOOP_CTL_GET_FREE);
        AUTO_FD int fd = -1;

        (void)snprintf(path, LOOP_PATH_MAX, "/dev/loop%d", nr);
        fd = nr >= 0 ? open(path, O_RDWR | O_CLOEXEC) : -1;
        if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
            return TAKE_FD(fd);
        }
        if (errno != EBUSY) {
            break;
        }
    }
    return errno > 0 ? -errno : -EBUSY;
}

/* Can this process make loop devices? Says why not. */
static inline bool
loop_devices_work(void)
{
    char path[LOOP_PATH_MAX];
    AUTO_FD int fd = loop_device_open(1U << 20, 512, path);

    if (fd < 0) {
        printf("block devices are skipped: no loop device can be made (errno %d)\n",
               -fd);
    }
    return fd >= 0;
}

#endif
