/* SPDX-License-Identifier: BSD-3-Clause */
/* move.h - moves a disk and its device from the service in one VM to the service in
 * another VM.
 *
 * There are three durable steps, and this process need not remember any of them: the
 * first service parks the disk (requests are held, and the service has no write under
 * way); the device is pulled out of one VM and plugged into the other; the parked disk
 * is handed over. A move first looks at what is done already, so after a crash at any
 * point the same command goes on from there. What holds after a step has failed:
 *   look, prepare   nothing has happened
 *   park            the service has aborted it: nothing has happened
 *   detach          the guest refused: the disk is unparked. The guest did not answer:
 *                   the disk stays parked and clients wait, because the guest may still
 *                   obey, and an unparked disk would lose its device under load
 *   attach, assign  the first VM has the device again, and the disk is unparked there
 * A shared device is a file or block device that both VMs can have open. The second VM
 * gets it first, a plain handoff moves the ownership, and the first VM loses the device
 * last, so plugging is no part of the stall. The records say who writes. */
#ifndef BATON_MOVE_H
#define BATON_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "plug.h"
#include "uri.h"

enum move_phase {
    MOVE_PREPARE,
    MOVE_PARK,
    MOVE_DETACH,
    MOVE_ATTACH,
    MOVE_ASSIGN,
    MOVE_NR_PHASES
};

struct move_order {
    const char *disk;
    struct uri from, to;   /* control sockets, as we reach them */
    const char *to_inside; /* the second one, as the first service reaches it */
    struct plug *from_vm, *to_vm;
    struct plug_device device;
    uint64_t deadline_len_ns; /* of the park */
    uint64_t plug_len_ns;     /* for a guest to let go, or to see, the device */
    void (*on_phase)(void *opaque, const char *phase); /* at its begin; may be NULL */
    void *opaque;
};

/* Returns a CLI_ status (say.h), with a sentence in e unless it is CLI_DONE.
 * *ret_report is always set; baton(1) describes it under "vm move-device". */
int move_run(const struct move_order *o, struct err *e, json_t **ret_report);

#endif
