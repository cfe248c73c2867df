/* SPDX-License-Identifier: BSD-3-Clause */
/* plug.h - a running VM as something that a disk's device is plugged into and pulled
 * out of, by QEMU's monitor or by libvirt.
 *
 * What is done may have been done already, by an earlier command that was killed: then
 * it succeeds at once, and what was begun is waited for. A VM that does not run has
 * nothing plugged in. Each call may block until its deadline. One thread. */
#ifndef BATON_PLUG_H
#define BATON_PLUG_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

#define PLUG_MAX_ID 20 /* a virtio serial number has no more */

struct plug_device {
    const char *id;   /* in the VM, and its serial number */
    const char *file; /* regular file or block device of this host */
    const char *bus;  /* where it is plugged in; NULL: where there is room */
    bool is_block;
    bool is_shared; /* two VMs may have it at a time; their services agree who writes */
};

enum plug_state {
    PLUG_GONE, /* the VM does not run */
    PLUG_OUT,  /* it has nothing of it */
    PLUG_OPEN, /* QEMU has the file open, the guest has no device */
    PLUG_IN,   /* it has the device, or has not let it go yet */
};

struct plug {
    const struct plug_ops *ops;
};

struct plug_ops {
    const char *name;

    /* -EINVAL: it has a device of this id, but not with this file. */
    int (*look)(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
                struct err *e, enum plug_state *ret_state);

    /* Do what can be done while another VM has the device. Optional. */
    int (*prepare)(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
                   struct err *e);

    int (*in)(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
              struct err *e);

    /* 0: the guest has let it go, by the event that says so, and the file is closed.
     * -EBUSY: the guest refuses and goes on having it. -ETIMEDOUT: it was asked and may
     * let it go at any time. */
    int (*out)(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
               struct err *e);

    void (*close)(struct plug *p);
};

/* text: "qmp:PATH" or "libvirt:[URI#]DOMAIN". -EINVAL and what is allowed. Connects
 * only when something is asked of it. */
int plug_open(const char *text, struct err *e, struct plug **ret_p);
void plug_close(struct plug *p); /* NULL is fine */

int plug_look(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
              struct err *e, enum plug_state *ret_state);
int plug_prepare(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
                 struct err *e);
int plug_in(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
            struct err *e);
int plug_out(struct plug *p, const struct plug_device *d, uint64_t deadline_ns,
             struct err *e);

/* Is this path, by which a VM knows a file, the device's? By another name as well. */
bool plug_is_file(const struct plug_device *d, const char *path);

/* The implementations. */
int plug_qmp_open(const char *path, struct err *e, struct plug **ret_p);
int plug_virt_open(const char *uri, const char *domain, struct err *e,
                   struct plug **ret_p);

#endif
