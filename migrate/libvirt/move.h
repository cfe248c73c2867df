/* SPDX-License-Identifier: BSD-3-Clause */
/* move.h - a disk and its device from the service in one VM to the service in another.
 *
 * Three durable steps, none of which is this process's to remember: park (clients hold,
 * nothing of the first service is in the device), the device out of one VM and into the
 * other, and the handoff of the parked disk. Each looks first at what is so already, so
 * after a crash at any point the same order goes on from there. What holds after a step
 * failed:
 *   look, prepare  nothing has happened
 *   park           the service's own abort: nothing has happened
 *   detach         refused by the guest: unparked. No event: it is parked, clients
 * wait; unparked it could lose its device under load when the guest obeys after all
 *   attach, assign the device back into the first VM, and unparked there
 * With a shared device (a file or block device that both VMs can have open) the second
 * VM gets it first, ownership goes by a plain handoff, and the first VM loses it last:
 * nothing of plugging is in the stall. The records say who writes. */
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
    const char *to_inside; /* the second one as the first service reaches it */
    struct plug *from_vm, *to_vm;
    struct plug_device device;
    uint64_t deadline_len_ns; /* of the park */
    uint64_t plug_len_ns;     /* for a guest to let go, or to see, the device */
    void (*on_phase)(void *opaque, const char *phase); /* it begins; may be NULL */
    void *opaque;
};

/* A CLI_ status (cli.h) and, unless it is CLI_DONE, a sentence. *ret_report: see
 * "vm move-device" in baton(1); always set. */
int move_run(const struct move_order *o, struct err *e, json_t **ret_report);

#endif
