/* SPDX-License-Identifier: BSD-3-Clause */
/* partition.h - where a partition lies on a port. The only user of libblkid. */
#ifndef BATON_PARTITION_H
#define BATON_PARTITION_H

#include "err.h"
#include "port.h"

/* Exactly one of them is set. */
struct partition_want {
    unsigned number;   /* > 0 */
    const char *label; /* of a GPT entry */
    const char *uuid;  /* PARTUUID, in either case */
};

/* Read the partition table of p and look for the partition. 0; -ENOENT: there is no
 * table that is understood or no such partition, or the label is not unique, and e
 * lists what there is; -EINVAL: it is past the end of p; -ENOMEM; or the error of a
 * read. */
int partition_find(struct port *p, const struct partition_want *want, struct err *e,
                   uint64_t *ret_off, uint64_t *ret_size);

#endif
