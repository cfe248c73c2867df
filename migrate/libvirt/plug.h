/* SPDX-License-Identifier: BSD-3-Clause */
/* plug.h - a running VM that a disk's device is plugged into and pulled out of, by
 * QEMU's monitor or by libvirt.
 *
 * An earlier command that was killed may have done what a call asks for: then the call
 * succeeds at once; or may have begun it: then the call waits for the end. A VM that
 * does not run has nothing plugged in. Each call may block until its deadline. One
 * thread. */
#ifndef BATON_PLUG_H
#define BATON_PLUG_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define PLUG_MAX_ID 20 /* bytes of a virtio serial number */

struct plug_device {
    const char *id;   /* of the device in the VM, and its serial number */
    const char *file; /* regular file or block device of this host */
    const char *bus;  /* where it is plugged in; NULL: where there is room */
    bool is_block;
    bool is_shared; /* two VMs may have it at once; their services agree who writes */
};

enum plug_state {
    PLUG_GONE, /* the VM does not run */
    PLUG_OUT,  /* the VM has nothing of the device */
    PLUG_OPEN, /* QEMU has the file open, but the guest has no device */
    PLUG_IN,   /* the guest has the device, or has not let it go yet */
};

struct plug {
    const struct plug_ops *ops;
};

struct plug_ops {
    const char *name;

    /* -EINVAL: the VM has a device of this id, but with another file. */
    int (*look)(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
                struct err *e, enum plug_state *ret_state);

    /* Do what can be done while another VM has the device. Optional. */
    int (*prepare)(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
                   struct err *e);

    int (*in)(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
              struct err *e);

    /* 0: an event said that the guest has let the device go, and the file is closed.
     * -EBUSY: the guest refuses and keeps it. -ETIMEDOUT: the guest was asked, and may
     * let the device go at any time. */
    int (*out)(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
               struct err *e);

    void (*close)(struct plug *p);
};

void plug_close(struct plug *p); /* NULL is fine */

int plug_look(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
              struct err *e, enum plug_state *ret_state);
int plug_prepare(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
                 struct err *e);
int plug_in(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
            struct err *e);
int plug_out(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
             struct err *e);

/* Is path, by which a VM knows a file, the device's file? Another name of it counts. */
bool plug_is_file(const struct plug_device *d, const char *path);

/* The implementations, plug_qmp.c and virt_plug.c; plug_open.h chooses one. */
int plug_qmp_open(const char *path, struct err *e, struct plug **ret_p);
int virt_plug_open(const char *uri, const char *domain, struct err *e,
                   struct plug **ret_p);

#endif
